"""The map gap: how far samples end from where the exact flow map of the data's law takes the same noise.

The gap of a solver is to the flow of the same denoiser, and so leaves out the error of the network. The map gap has
both; of a student, which jumps and follows no denoiser's flow, it is the only one that says how good a sample is.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from diffuse_cli.diffusion.flow_maps import solve_in_double
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.errors import UsageError
from diffuse_cli.models.exact_flow import exact_flow_of
from diffuse_cli.models.model import Model
from diffuse_cli.samplers.grids import levels_of, uniform_grid
from diffuse_cli.samplers.loop import initial_noise


class MapGap(NamedTuple):
    """The distances |f(z) - X_{1→0}(z)| of n draws of noise, model space.

    rms: their root mean square. median: a few points at the divides between parts of the data, which end in another
    part, hardly change it. half_from: the smallest share of the points whose squared distances are half of the sum of
    all; small where such points make the rms. unsolved: draws that are left out, since the exact flow was not solved.
    """

    rms: float
    median: float
    half_from: float
    n: int
    unsolved: int


def has_map_gap(model: Model) -> bool:
    """Whether a model is meant to follow a flow that is known exactly.

    Not so are a flow between optimal pairs, a student of another map than that of the flow, and a guided model.
    """
    follows = model.follows_flow and (model.kind == "denoiser" or model.is_student)
    return follows and exact_flow_of(model) is not None


def first_noise(model: Model, n: int, seed: int, count: int) -> np.ndarray:
    """The noise [count, d], at t = 1, from which the first `count` of n samples start with this seed."""
    levels = levels_of(uniform_grid(), model.process, 2)
    return np.asarray(initial_noise(jax.random.key(seed), (n, model.dim), levels)[:count])


def exact_ends(model: Model, noise: np.ndarray, *, rows: int | None = None) -> np.ndarray:
    """Where the exact flow map takes noise [m, d] at t = 1: [m, d], model space, NaN where unsolved.

    It is that of the model's data, or of the guided denoiser that a student has learned from, and is known
    (`has_map_gap`). rows: of how many samples together these are the first, for a model that tells each of them a
    label. The flow is solved in double precision, to 1e-8.
    """
    return by_label(model, noise, rows or len(noise), _solve)


def by_label(
    model: Model, noise: np.ndarray, rows: int, solve: Callable[[Model, np.ndarray], np.ndarray]
) -> np.ndarray:
    """solve(model, noise) for noise [m, d], the first of `rows` samples together: [m, d].

    Of a model that tells each sample a label, the rows of each label are solved by the model that is told it, since a
    solver asks for one sample at a time.
    """
    labels = model.labels_of_rows(rows) if model.each_row else None
    if labels is None:
        return solve(model, noise)
    ends = np.empty(noise.shape)
    for name in np.unique(labels[: len(noise)]):
        these = labels[: len(noise)] == name
        ends[these] = solve(model.with_label(name), noise[these])
    return ends


def _solve(model: Model, noise: np.ndarray) -> np.ndarray:
    predict = exact_flow_of(model)
    if predict is None:
        raise UsageError(f"the exact flow of {model.name} is not known")
    return solve_in_double(predict, noise, model.process.levels_at(1.0), CLEAN)


def map_gap(ends: np.ndarray, truth: np.ndarray) -> MapGap:
    """The MapGap of ends [n, d], where `truth` [n, d] are the exact ones, or NaN.

    >>> round(map_gap(np.array([[0.0], [1.0], [4.0]]), np.zeros((3, 1))).rms ** 2, 3)  # (0 + 1 + 16) / 3
    5.667
    """
    solved = np.isfinite(truth).all(axis=1)
    squares = np.sort(np.sum((ends[solved] - truth[solved]) ** 2, axis=1))[::-1]
    half = np.searchsorted(np.cumsum(squares), squares.sum() / 2) + 1
    n = len(squares)
    return MapGap(float(np.sqrt(squares.mean())), float(np.median(np.sqrt(squares))), float(half / n), n, len(ends) - n)

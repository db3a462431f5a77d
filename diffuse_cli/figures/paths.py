"""Trajectories of points: from data to noise, and from noise to samples.

Frames are in model space and scaled as under variance preservation, x / hypot(alpha, sigma), for every process: so all
fit the same axes, and noise is N(0, I).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion.process import Level, Process
from diffuse_cli.errors import UsageError
from diffuse_cli.models.draw import Drawn, Method, build_method
from diffuse_cli.models.model import Model
from diffuse_cli.samplers import loop as sampling

_KNOTS = 4097  # times between which a schedule is interpolated to find the time of a level


class Trajectory(NamedTuple):
    """x [k, n, d] at k levels with log_snr [k] and times t [k], in the order of the process."""

    x: np.ndarray
    log_snr: np.ndarray
    t: np.ndarray

    def at(self, chosen: np.ndarray) -> "Trajectory":
        """The trajectory at some of its levels only; chosen: indices [m], or a mask [k]."""
        return Trajectory(*(field[chosen] for field in self))

    def back(self) -> "Trajectory":
        """The trajectory in reverse order."""
        return Trajectory(*(field[::-1] for field in self))


def reverse_trajectory(model: Model, drawn: Drawn) -> Trajectory:
    """The trajectory from noise to samples. `drawn` must contain its path."""
    log_snr = np.asarray(drawn.levels.log_snr, np.float64)
    return Trajectory(in_unit_variance(drawn.path.x, drawn.levels), log_snr, times_of(model.process, log_snr))


def forward_trajectory(model: Model, method: Method, dataset: Dataset, count: int, seed: int) -> Trajectory:
    """The trajectory from data to noise through the levels of a sampling method, in opposite order.

    Every point has one noise at all levels, x = alpha x0 + sigma eps; it is the noise from which `draw_samples` starts
    with this seed. So points move smoothly and each frame has the law q(x_t). If the schedule ends too early, the end
    of this trajectory differs from the start of the reverse one, which shows the error of the schedule.
    """
    levels = build_method(model, method)[1]
    shape = (count, model.dim)
    x0 = jnp.asarray(model.standard.to_model(data_of(dataset, count, seed)), jnp.float32)
    first = jax.tree.map(lambda field: field[0], levels)
    eps = sampling.initial_noise(jax.random.key(seed), shape, levels) / jnp.hypot(first.alpha, first.sigma)
    path = levels.alpha[:, None, None] * x0[None] + levels.sigma[:, None, None] * eps[None]
    log_snr = np.asarray(levels.log_snr, np.float64)
    return Trajectory(in_unit_variance(path, levels), log_snr, times_of(model.process, log_snr)).back()


def data_of(dataset: Dataset, count: int, seed: int) -> np.ndarray:
    """`count` draws of the data [count, d]; of a file its rows in random order, all equally often, or once more.

    Rows that are drawn with replacement lie on each other, and the data seem sparser than as many samples of a model.
    """
    return labelled_data_of(dataset, count, seed)[0]


def labelled_data_of(dataset: Dataset, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The same draws as `data_of`, and the names [count] of their labels; None for data without labels."""
    rng, labels = np.random.default_rng(seed), None
    if dataset.points is not None:
        rows = np.resize(rng.permutation(len(dataset.points)), count)
        points, labels = dataset.points[rows], None if dataset.labels is None else dataset.labels[rows]
    elif dataset.classes is not None:
        points, labels = dataset.classes.draw(rng, count)
    else:
        points = dataset.draw(rng, count)
    named = None if labels is None or dataset.classes is None else np.array(dataset.classes.label_names)[labels]
    return points, named


def in_unit_variance(path: np.ndarray, levels: Level) -> np.ndarray:
    """A path [k, n, d] with every frame scaled as under variance preservation."""
    norm = np.hypot(np.asarray(levels.alpha), np.asarray(levels.sigma))
    return np.asarray(path) / norm[:, None, None]


def chain_times(
    asked: tuple[float, ...] | None, default: tuple[float, ...], *, timesteps: int, most: int
) -> tuple[float, ...]:
    """The times that a figure shows of a chain: those asked for, or else the default ones, none before 1/timesteps.

    Raises UsageError for what are no times of the chain, or more than a figure shows.

    >>> chain_times(None, (0.1, 0.3, 0.8), timesteps=4, most=6)
    (0.25, 0.3, 0.8)
    """
    first = 1 / timesteps
    if asked is None:
        return tuple(sorted({max(t, first) for t in default}))
    if wrong := [t for t in asked if not first <= t <= 1]:
        raise UsageError(f"--times {wrong[0]:g}: the chain's times go from 1/T = {first:g} to 1")
    if len(asked) > most:
        raise UsageError(f"--times has {len(asked)} numbers; {most} are the most that a figure shows")
    return asked


def times_of(process: Process, log_snr: np.ndarray) -> np.ndarray:
    """The time t [k] in [0, 1] at which a process has each log-SNR [k]."""
    t = np.linspace(0.0, 1.0, _KNOTS)
    log_snr_on_grid = np.asarray(process.levels_at(t).log_snr, np.float64)
    return np.interp(-np.asarray(log_snr, np.float64), -log_snr_on_grid, t)

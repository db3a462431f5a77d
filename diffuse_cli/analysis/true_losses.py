"""The true loss of a student by the times of its jumps: where on the way its average velocity is wrong."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.analysis.quality import fresh_draws
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.flow_maps import Jump, flow_level, solve_in_double, velocity_of
from diffuse_cli.diffusion.true_loss import CLEANEST, NOISIEST
from diffuse_cli.errors import UsageError
from diffuse_cli.models.data import truth_of
from diffuse_cli.models.model import Model

TIMES = 17  # from noise to data, evenly spaced
_PATHS = 512  # of the exact flow, of whose points every pair is a jump


class TrueLosses(NamedTuple):
    """The mean over points x of ||u(x, t, r) - u*(x, t, r)||² / d at times t and r, where u* is exact.

    times [k]: falling from noise, 1, to data, 0. losses [k, k]: at t = times[i] and r = times[j]; on the diagonal those
    of the velocity; NaN where r is above t, and at t = r = 0, where no network is trained. exact [k, k]: the means of
    ||u*||² / d.
    """

    times: Float[np.ndarray, " k"]
    losses: Float[np.ndarray, "k k"]
    exact: Float[np.ndarray, "k k"]


def true_losses_of(model: Model, dataset: Dataset, *, paths: int = _PATHS, seed: int = 0) -> TrueLosses:
    """The TrueLosses of a student over `paths` of the exact flow of its data, which are solved in double precision.

    Raises UsageError for a model that is no student, for one that has learned another flow than that of its data, and
    where their law is not known.
    """
    law = truth_of(dataset)
    if not model.is_student or model.jump is None:
        raise UsageError(
            f"{model.name} has not learned to jump, so it has no true loss; diffuse distill and diffuse train "
            "--loss lsd make students that have"
        )
    if not model.follows_flow or model.kind != "denoiser" or model.config.guidance is not None:
        raise UsageError(f"{model.name} has learned another flow than that of its data, so it has no true loss")
    if law is None:
        raise UsageError(f"the law of {model.config.dataset} is not known, so neither is the true loss of {model.name}")
    rng = fresh_draws(seed)
    x0 = model.standard.to_model(dataset.draw(rng, paths))
    times = np.clip(np.linspace(1.0, 0.0, TIMES), CLEANEST, NOISIEST)
    points = exact_path(law, (1 - NOISIEST) * x0 + NOISIEST * rng.standard_normal(x0.shape), times)
    points = points[:, np.isfinite(points).all(axis=(0, 2))].astype(np.float32)
    exactly = jax.tree_util.Partial(exact.denoiser(law))
    jumps = _by_pair(model.jump, points, times.astype(np.float32))
    velocities = _on_diagonal(model.predict, exactly, points, times.astype(np.float32))
    squares = np.full((2, TIMES, TIMES), np.nan)
    for square, of_jumps, of_velocities in zip(squares, jumps, velocities, strict=True):
        square[np.triu_indices(TIMES, 1)] = of_jumps
        np.fill_diagonal(square, of_velocities)
    squares[:, -1, -1] = np.nan
    return TrueLosses(np.linspace(1.0, 0.0, TIMES), *squares)


def exact_path(law: exact.Law, noise: np.ndarray, times: np.ndarray) -> Float[np.ndarray, "k n d"]:
    """Where the flow of a law carries points [n, d] of the straight path at times[0], at all of the falling `times`.

    In double precision, to 1e-8; points that could not be solved for are NaN.

    >>> normal = exact.gaussian(np.zeros(1), np.eye(1))
    >>> float(exact_path(normal, np.array([[3.0]]), np.array([0.8, 0.5]))[1, 0, 0].round(4))  # 3 √(.5 / .68)
    2.5725
    """
    predict, points = jax.tree_util.Partial(exact.denoiser(law)), [np.asarray(noise, np.float64)]
    with jax.enable_x64(True):
        levels = [flow_level(jnp.float64(t)) for t in times]
    for now, nxt in itertools.pairwise(levels):
        points.append(solve_in_double(predict, points[-1], now, nxt))
    return np.stack(points)


@jax.jit
def _by_pair(
    jump: Jump, points: Float[Array, "k n d"], times: Float[Array, " k"]
) -> tuple[Float[Array, " pairs"], Float[Array, " pairs"]]:
    """The mean losses of jumps from each time to all later ones, and the mean squares of the exact average velocity."""

    def of_pair(pair: tuple[Array, Array]) -> tuple[Array, Array]:
        (x, end), (t, r) = points[jnp.stack(pair)], times[jnp.stack(pair)]
        arrived = jump(x, flow_level(t), flow_level(r))  # x - (t - r) u
        return jnp.mean(((arrived - end) / (t - r)) ** 2), jnp.mean(((x - end) / (t - r)) ** 2)

    losses: tuple[Array, Array] = jax.lax.map(of_pair, tuple(map(jnp.asarray, np.triu_indices(len(times), 1))))
    return losses


@jax.jit
def _on_diagonal(
    predict: Predict, exactly: Predict, points: Float[Array, "k n d"], times: Float[Array, " k"]
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """The mean losses of the velocity at each time, and the mean squares of the exact one."""

    def at(each: tuple[Array, Array]) -> tuple[Array, Array]:
        x, t = each
        column = jnp.broadcast_to(t, (len(x), 1))
        velocity, truth = (velocity_of(of)(x, column) for of in (predict, exactly))
        return jnp.mean((velocity - truth) ** 2), jnp.mean(truth**2)

    losses: tuple[Array, Array] = jax.lax.map(at, (points, times))
    return losses

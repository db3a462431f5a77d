"""Batches: points drawn from the data, with noise and a noise level for each."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from diffuse_cli.diffusion.conditions import Condition, drop
from diffuse_cli.diffusion.process import Level
from diffuse_cli.models.build import Experiment
from diffuse_cli.networks.denoiser import Weights


class Points(NamedTuple):
    """Clean points to draw batches from; for a conditional network with the condition of each, for a classifier with
    its label.

    path: [m, k, d + 1], the way of a teacher's flow from noise to each of x0, as points of the straight path and their
    times; for losses that learn from solved paths. Some of the conditions are left out already, since a path is that of
    the condition which the teacher was told.
    """

    x0: Float[Array | np.ndarray, "m d"]
    condition: Condition | None = None
    path: Float[Array | np.ndarray, "m k d1"] | None = None


class Batch(NamedTuple):
    """Clean points and noise, noise levels with fields [n, 1], and a key for anything else that a loss draws.

    condition: what the network is told of each point, or left without; for a classifier the label that it is to find;
    None for an unconditional network. path: for a flow map that learns from solved paths, those of these points.
    """

    x0: Float[Array, "n d"]
    eps: Float[Array, "n d"]
    level: Level
    key: PRNGKeyArray
    condition: Condition | None = None
    path: Float[Array, "n k d1"] | None = None


class Stage(NamedTuple):
    """How far training has come: the part that is done, from 0 to 1, and the weights when the present stage began."""

    progress: Float[Array, ""] | float = 1.0
    before: Weights | None = None


DONE = Stage()


def draw_batch(experiment: Experiment, points: Points, key: PRNGKeyArray, n: int, *, in_turn: bool = False) -> Batch:
    """A batch of n of `points`, drawn with replacement or each `in_turn`, with noise and a noise level for each.

    Each point and level is used twice, with eps and with -eps: near the data the noise of the gradient is nearly linear
    in eps, and cancels (antithetic variates; Hammersley & Morton 1956). A family without noise levels gets n points.
    """
    key_rows, key_noise, key_levels = jax.random.split(key, 3)
    key_loss = jax.random.fold_in(key, 3)
    pairs = (n + 1) // 2 if experiment.family is None or in_turn else n
    most = len(points.x0)
    rows = rows_in_turn(pairs, most) if in_turn else jax.random.randint(key_rows, (pairs,), 0, most)
    x0 = points.x0[rows]
    eps = jax.random.normal(key_noise, x0.shape)
    level = draw_levels(experiment, key_levels, n)
    condition = None
    if points.condition is not None:
        half = points.condition[rows]
        if not experiment.config.classifier and points.path is None:
            half = drop(jax.random.fold_in(key, 4), half, experiment.config.label_dropout)
        condition = jnp.concatenate([half, half])[:n]
    twice = lambda half: jnp.concatenate([half, half])[:n]  # noqa: E731
    path, noise = None, jnp.concatenate([eps, -eps])[:n]
    if points.path is not None:
        path = twice(points.path[rows])
        noise = path[:, 0, :-1] if experiment.loss.solved == "ends" else noise
    return Batch(twice(x0), noise, level, key_loss, condition, path)


def rows_in_turn(count: int, rows: int) -> Array:
    """The numbers [count] of `rows` rows, one after the other, again and again."""
    return jnp.arange(count) % rows


def draw_levels(experiment: Experiment, key: PRNGKeyArray, n: int) -> Level:
    """n levels, the second half of them equal to the first."""
    half = experiment.levels(experiment.process, key, (n + 1) // 2)
    return jax.tree.map(lambda a: jnp.concatenate([a, a])[:n], half)

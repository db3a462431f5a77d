"""The loss of a batch for a flow map: some of its points are on the diagonal, the others are to jump."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from diffuse_cli.diffusion.conditions import NO_LABEL, Condition
from diffuse_cli.diffusion.flow_maps import AverageVelocity, Velocity, flow_time
from diffuse_cli.diffusion.map_losses import (
    Lesson,
    MapLoss,
    Span,
    along_path,
    diagonal_losses,
    span_losses,
    split_rows,
)
from diffuse_cli.diffusion.pair_average import averaged_velocity
from diffuse_cli.models.build import Experiment
from diffuse_cli.training.batches import DONE, Batch, Stage

Network = Callable[[Any, Condition | None], AverageVelocity]  # weights, conditions of n points -> u of n points


def map_batch_losses(
    network: Network,
    weights: Any,
    experiment: Experiment,
    batch: Batch,
    stage: Stage = DONE,
) -> Float[Array, " n"]:
    """The loss of each point of a batch, for a flow map: of those on the diagonal, and of those that are to jump.

    network: (weights, conditions of n points) -> the average velocity of n points.
    """
    loss, n, parts = experiment.loss, len(batch.x0), []
    for rows, losses_of in zip(split_rows(n, loss.diagonal), (_diagonal_part, _span_part), strict=True):
        if not len(rows):
            continue
        part = jax.tree.map(lambda field, rows=rows: field[rows], batch._replace(key=None))
        u = network(weights, part.condition)
        lesson = _lesson(network, u, experiment, part.condition, batch.key, stage)
        parts.append((rows, losses_of(loss, u, part, lesson)))
    losses = jnp.zeros(n)
    for rows, values in parts:
        losses = losses.at[rows].set(values)
    return losses


def _lesson(
    network: Network,
    u: AverageVelocity,
    experiment: Experiment,
    condition: Condition | None,
    key: PRNGKeyArray,
    stage: Stage,
) -> Lesson:
    taught = experiment.teacher is not None and experiment.loss.solved != "ends"
    own: Velocity = lambda x, t: jax.lax.stop_gradient(u(x, t, t))  # noqa: E731
    velocity = experiment.teacher(condition) if taught and experiment.teacher else own
    before = u if stage.before is None else network(stage.before, condition)
    return Lesson(velocity, taught, before, key, jnp.asarray(stage.progress))


def _diagonal_part(loss: MapLoss, u: AverageVelocity, part: Batch, lesson: Lesson) -> Float[Array, " n"]:
    t = flow_time(part.level)
    span = _on_straight_path(part, t, t, lesson)
    return diagonal_losses(u, span.x, t, span.d)


def _span_part(loss: MapLoss, u: AverageVelocity, part: Batch, lesson: Lesson) -> Float[Array, " n"]:
    half = (len(part.x0) + 1) // 2
    times = loss.spans(jax.random.fold_in(lesson.key, 0), half, lesson.progress)
    t, r = (jnp.concatenate([each, each])[: len(part.x0)] for each in times)  # the same for both points of a pair
    solved = loss.solved == "paths"
    span = along_path(part.path, t, r) if solved else _on_straight_path(part, t, r, lesson)
    return span_losses(loss, u, span, lesson._replace(key=jax.random.fold_in(lesson.key, 1)))


def _on_straight_path(part: Batch, t: Array, r: Array, lesson: Lesson) -> Span:
    """The jumps from t to r of the points on the straight paths between data and noise.

    Without a teacher their velocities are averaged over the clean points that each may come from.
    """
    x, velocity = (1 - t) * part.x0 + t * part.eps, part.eps - part.x0
    if lesson.taught:
        velocity = lesson.velocity(x, t)
    elif part.path is None:  # the noise is independent of the data
        velocity = averaged_velocity(x, t, part.x0, velocity, _alike(part.condition))
    return Span(x, velocity, t, r, part.x0)


def _alike(condition: Condition | None) -> Bool[Array, "n n"] | None:
    """[i, j]: whether the clean point of row j is a draw from the law that the condition of row i tells of.

    Where nothing is told, each is: what is left out of a condition is left out at random.
    """
    if condition is None:
        return None
    told = jnp.asarray(condition).reshape(len(condition), -1)
    absent = jnp.isnan(told) if jnp.issubdtype(told.dtype, jnp.floating) else told == NO_LABEL
    return jnp.all(absent, axis=1)[:, None] | jnp.all(told[:, None] == told[None], axis=-1)

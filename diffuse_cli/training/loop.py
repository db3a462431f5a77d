"""Training: chunks of optimiser steps, each chunk one compiled scan.

The batch and the noise of a step are drawn on the device from fold_in(key, step) and depend on nothing else. So a run
that was interrupted and resumed equals the uninterrupted run bit for bit, however its steps were divided into chunks.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float

from diffuse_cli.config import Config
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import chosen_from
from diffuse_cli.diffusion.losses import Answer, Loss, answer_of, cross_entropy, flow_matching
from diffuse_cli.diffusion.map_losses import MapLoss
from diffuse_cli.diffusion.true_loss import SolvedJumps, solved_jumps, spread_times, true_losses
from diffuse_cli.models.build import Experiment, initial_weights, with_learned_schedule
from diffuse_cli.networks.denoiser import Weights, answer, average_velocity, classifier_logits
from diffuse_cli.training import optimiser
from diffuse_cli.training.batches import DONE, Batch, Points, Stage, draw_batch, draw_levels, rows_in_turn
from diffuse_cli.training.map_batches import map_batch_losses

CHUNK = 100
HELD_OUT = 1 << 14  # noised points whose mean is the held-out loss
_JUMPS = 2048  # of which the true loss of a flow map is the mean
_IRREDUCIBLE = 6  # batches of as many points, for the irreducible loss
_CHUNK_VALUES = 1 << 22  # the most numbers in the points of a chunk
_CHUNK_SECONDS = 0.5  # longer chunks are shortened, so that the progress bar, a budget and Ctrl-C stay responsive
_FIRST_CHUNK = 10  # steps
_START = np.int32(0)  # the step at which the learning rate begins, unless a phase does
_UNSETTLED = 1 << 30  # the total number of steps of a budget before the speed is measured


class TrainState(NamedTuple):
    """Everything that training carries from step to step. Samples are drawn with `average`, that of the weights.

    before: the average at the beginning of the present stage, for a loss that has stages; None for all others.
    """

    step: Array
    weights: Weights
    average: Weights
    optimiser: Any
    before: Weights | None = None


class ChunkEnd(NamedTuple):
    """The state of training at the end of a chunk.

    state: its arrays are deleted by the next chunk, so copy what is needed later. total: the number of steps of the
    run, as far as it is known. done: the part of the run that is done, from 0 to 1. loss: the mean over the chunk.
    """

    state: TrainState
    step: int
    total: int
    done: float
    loss: float
    steps_per_second: float


def optimiser_of(config: Config) -> optax.GradientTransformation:
    """The optimiser of a Config."""
    return optimiser.adamw(clip=config.clip, weight_decay=config.weight_decay or 0.0)


def initial_state(experiment: Experiment) -> TrainState:
    """The state before the first step."""

    @jax.jit
    def first(seed: Array) -> TrainState:
        weights = initial_weights(experiment, jax.random.fold_in(jax.random.key(seed), 1))
        average = jax.tree.map(jnp.copy, weights)
        before = jax.tree.map(jnp.copy, weights) if _keeps_before(experiment.loss) else None
        return TrainState(jnp.int32(0), weights, average, optimiser_of(experiment.config).init(weights), before)

    return first(_seed(experiment))


def _seed(experiment: Experiment) -> np.uint32:
    """The seed as data of compiled code, which then serves all seeds."""
    return np.uint32(experiment.config.seed)


def chunk_function(experiment: Experiment) -> Callable[[TrainState, Points, Array, Array], tuple[TrainState, Array]]:
    """The compiled chunk: (state, Points, stop, total, begin=0) -> (state, losses [length], NaN for steps not taken).

    It takes `chunk_length` steps, or fewer to end at the step `stop`; the learning rate rises from the step `begin` on,
    and at the step `total` it is 0. All three are data: other values compile nothing.
    """
    config, tx, length = experiment.config, optimiser_of(experiment.config), chunk_length(experiment)

    def take(state: TrainState, batch: Batch, total: Array, begin: Array) -> tuple[TrainState, Array]:
        stage = _stage(experiment, state, total, begin)
        loss, gradient = jax.value_and_grad(weights_loss)(state.weights, experiment, batch, stage)
        updates, opt = tx.update(gradient, state.optimiser, state.weights)
        rate = optimiser.learning_rate(state.step - begin, total - begin, peak=config.lr, warmup=config.warmup)
        weights = optax.apply_updates(state.weights, jax.tree.map(lambda u: -rate * u, updates))
        decay = optimiser.ema_decay(state.step, config.ema)
        average = optax.incremental_update(weights, state.average, 1 - decay)
        return TrainState(state.step + 1, weights, average, opt, stage.before), loss

    @partial(jax.jit, donate_argnums=0)
    def chunk(
        state: TrainState, points: Points, stop: Array, total: Array, begin: Array = _START, *, seed: Array
    ) -> tuple[TrainState, Array]:
        key = jax.random.fold_in(jax.random.key(seed), 2)

        def body(state, batch):
            idle = lambda state: (state, jnp.float32(jnp.nan))  # noqa: E731
            return jax.lax.cond(state.step < stop, lambda state: take(state, batch, total, begin), idle, state)

        # All batches of the chunk at once: the same numbers as one by one, and half as much time on a CPU.
        draw = lambda step: draw_batch(experiment, points, jax.random.fold_in(key, step), config.batch_size)  # noqa: E731
        return jax.lax.scan(body, state, jax.vmap(draw)(state.step + jnp.arange(length)))

    return partial(chunk, seed=_seed(experiment))


def _keeps_before(loss: Loss | MapLoss) -> bool:
    """Whether the state of training has the weights with which a stage or phase began."""
    return isinstance(loss, MapLoss) and (loss.stages > 1 or loss.alone > 0)


def _stage(experiment: Experiment, state: TrainState, total: Array, begin: Array) -> Stage:
    """How far training has come at a state; where a new stage begins, it begins with the averaged weights."""
    progress = (state.step - begin) / (total - begin)
    stages = experiment.loss.stages if isinstance(experiment.loss, MapLoss) else 1
    if stages == 1:
        return Stage(progress, state.before)
    begins = jnp.floor(progress * stages) > jnp.floor((state.step - 1 - begin) / (total - begin) * stages)
    return Stage(progress, jax.tree.map(partial(jnp.where, begins), state.average, state.before))


def chunk_length(experiment: Experiment) -> int:
    """Steps in one compiled call: 100, or fewer where their batches would fill the memory."""
    return max(1, min(CHUNK, _CHUNK_VALUES // (experiment.config.batch_size * experiment.dim)))


def batch_losses(answer: Answer, experiment: Experiment, batch: Batch) -> Float[Array, " n"]:
    """The loss of each point of a batch; `answer` is told its condition already, if it is to be told one."""
    if experiment.config.classifier:
        return cross_entropy(answer, batch.x0, batch.eps, batch.level, batch.condition)
    if isinstance(experiment.loss, MapLoss):
        raise TypeError("a flow map has jumps, of which a denoiser's answer says nothing")
    losses: Array = experiment.loss.of(answer, experiment.parameterization, batch.x0, batch.eps, batch.level, batch.key)
    return losses


def weights_loss(weights: Weights, experiment: Experiment, batch: Batch, stage: Stage = DONE) -> Float[Array, ""]:
    """The mean loss of these weights over a batch; for a learned schedule at levels that are drawn from it.

    stage: how far training has come, which some losses of flow maps depend on.
    """
    return jnp.mean(_weights_losses(weights, experiment, batch, stage))


def _weights_losses(weights: Weights, experiment: Experiment, batch: Batch, stage: Stage = DONE) -> Float[Array, " n"]:
    if (family := experiment.family) is not None and family.losses is not None:
        network = nnx.merge(experiment.structure, weights)
        return family.losses(network, batch.x0, batch.key, jnp.asarray(stage.progress))
    if isinstance(experiment.loss, MapLoss) and not experiment.config.classifier:
        return map_batch_losses(partial(average_velocity, experiment.structure), weights, experiment, batch, stage)
    if experiment.learns_schedule:
        experiment = with_learned_schedule(experiment, weights)
        batch = batch._replace(level=draw_levels(experiment, jax.random.fold_in(batch.key, 1), len(batch.x0)))
    return batch_losses(_answer(experiment, weights, batch), experiment, batch)


def _answer(experiment: Experiment, weights: Weights, batch: Batch) -> Answer:
    """The answer of these weights to a batch: of a denoiser that is told the conditions, or the logits of labels."""
    if experiment.config.classifier and experiment.conditions is not None:
        return classifier_logits(experiment.structure, weights, experiment.conditions.log_shares)
    return answer(experiment.structure, weights, batch.condition)


def held_out_function(experiment: Experiment, points: Points) -> Callable[[Weights], Array]:
    """The compiled mean loss [m] of weights on each of m held-out `points`, of HELD_OUT / 2 of them at most.

    That of a flow map is the flow matching of its diagonal: the losses that train its jumps are lowest for a map that
    agrees with itself, however wrong, and some change during training.

    The noise is always the same, so that only the weights change these losses. Each point is used in turn, so that of
    few points each meets thousands of noises.
    """

    @jax.jit
    def losses(weights: Weights, points: Points, seed: Array) -> Array:
        batch = _held_out_batch(experiment, points, seed, 0)
        each, rows = _weights_losses(weights, _judged(experiment), batch), len(points.x0)
        row = jnp.tile(rows_in_turn(HELD_OUT // 2, rows), 2)
        return jax.ops.segment_sum(each, row, rows) / jnp.bincount(row, length=rows)

    few = jax.tree.map(lambda rows: rows[: HELD_OUT // 2], points)
    return partial(losses, points=jax.device_put(few), seed=_seed(experiment))


def _judged(experiment: Experiment) -> Experiment:
    """The experiment with the loss by which held-out points judge it."""
    if (family := experiment.family) is not None and (judged := family.judged) is not None:
        losses = lambda network, x0, key, _progress: judged(network, x0, key)  # noqa: E731
        return experiment._replace(family=family._replace(losses=losses))
    return experiment._replace(loss=flow_matching()) if isinstance(experiment.loss, MapLoss) else experiment


def irreducible_loss(
    experiment: Experiment, points: Points, law: exact.Law, of_labels: Sequence[exact.Law] = ()
) -> Future[tuple[float, float]]:
    """The expected loss of the exact denoiser, or of the exact classifier, and the deviation of its loss on the fixed
    draws of `held_out_function`.

    No network has a lower expected loss. The deviation of a network on these draws is nearly the same, so it is
    subtracted from its held-out loss as a control variate. A thread computes both while the training loop compiles.
    law: of the data. of_labels: the laws of the points with each label, for a conditional network and a classifier.
    """
    perfect = _perfect_network(experiment, law, of_labels)

    @jax.jit
    def losses(points: Points, seed: Array) -> Array:
        def loss(number: Array) -> Array:
            batch = _held_out_batch(experiment, points, seed, number)
            return jnp.mean(batch_losses(perfect(batch.condition), _judged(experiment), batch))

        return jax.lax.map(loss, jnp.arange(_IRREDUCIBLE))

    lowered = losses.lower(points, _seed(experiment))

    def compute() -> tuple[float, float]:
        each = np.asarray(lowered.compile()(points, _seed(experiment)).block_until_ready(), np.float64)
        least = float(each.mean())
        return least, float(each[0]) - least

    thread = ThreadPoolExecutor(1)
    future = thread.submit(compute)
    thread.shutdown(wait=False)
    return future


def true_loss(experiment: Experiment, points: Points, law: exact.Law) -> Callable[[Weights], float]:
    """Weights of a flow map -> their mean true loss (`diffusion.true_loss`), at jumps from held-out `points`.

    A network that can be told a condition is told none. The jumps are solved for while the training loop compiles.
    """
    rows = np.arange(_JUMPS) % len(points.x0)

    def solve() -> SolvedJumps:
        predict = jax.tree_util.Partial(exact.denoiser(law))
        seed = experiment.config.seed
        return solved_jumps(predict, np.asarray(points.x0, np.float64)[rows], *spread_times(_JUMPS, seed), seed)

    thread = ThreadPoolExecutor(1)
    jumps = thread.submit(solve)
    thread.shutdown(wait=False)

    @jax.jit
    def mean(weights: Weights, jumps: SolvedJumps) -> Array:
        return jnp.mean(true_losses(average_velocity(experiment.structure, weights), jumps))

    return lambda weights: float(mean(weights, jumps.result()))


def _perfect_network(
    experiment: Experiment, law: exact.Law, of_labels: Sequence[exact.Law]
) -> Callable[[Array | None], Answer]:
    """The condition of a batch -> the answer of a network with the least loss."""
    if experiment.config.classifier and experiment.conditions is not None:
        log_p = exact.classifier(of_labels, np.array(experiment.conditions.shares))
        return lambda _labels: log_p
    whole, *parts = (exact.denoiser(each, variance=experiment.loss.learns_variance) for each in (law, *of_labels))

    def told(condition: Array | None) -> Answer:
        denoiser = whole if condition is None else chosen_from([*parts, whole])(condition)
        return answer_of(denoiser, experiment.parameterization)

    return told


def _held_out_batch(experiment: Experiment, points: Points, seed: Array, number: Array) -> Batch:
    """A held-out batch by its number; `held_out_function` uses number 0."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 3), number)
    return draw_batch(experiment, points, key, HELD_OUT, in_turn=True)


def fit(
    experiment: Experiment,
    state: TrainState,
    points: Points,
    *,
    total: int,
    budget: float | None = None,
    speed: float | None = None,
    begin: int = 0,
) -> Iterator[ChunkEnd]:
    """Train from `state` on `points` (model space) to `total` steps; yields at the end of each chunk.

    budget: seconds from the call, compiling included. The number of steps is then set after every chunk by the speed so
    far, so that the learning rate reaches zero as the budget ends; `total` is only reported until a speed is known.
    speed: an estimate in steps a second; without one, the first steps are taken at the full learning rate.
    begin: the step at which the learning rate begins.
    """
    chunk, longest, points = chunk_function(experiment), chunk_length(experiment), jax.device_put(points)
    began, step = time.perf_counter(), int(state.step)
    length, compiled, planned = min(_FIRST_CHUNK, longest), False, total
    if budget is not None:
        total = _UNSETTLED if speed is None else step + max(1, int(budget * speed))
    while step < total:
        chunk_began = time.perf_counter()
        stop = min(step + length, total)
        state, losses = chunk(state, points, np.int32(stop), np.int32(total), np.int32(begin))
        losses = np.asarray(losses)[: stop - step]
        now = time.perf_counter()
        rate = (stop - step) / (now - chunk_began)
        if compiled:
            speed = rate if speed is None else 0.8 * speed + 0.2 * rate
            length = max(1, min(longest, int(speed * _CHUNK_SECONDS)))
        else:  # the first chunk was mostly compiling, so its speed does not count
            compiled, length = True, longest
        step, left = stop, 0.0 if budget is None else budget - (now - began)
        if budget is not None and (speed is not None or left < 0):
            total = step + max(0, int(left * (speed or 0.0)))
        done = step / total if budget is None else min(1.0, 1 - left / budget)
        known = total if total != _UNSETTLED else max(planned, step)
        yield ChunkEnd(state, step, known, 1.0 if step >= total else done, float(losses.mean()), speed or rate)

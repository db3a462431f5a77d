"""Training: chunks of optimiser steps, each chunk one compiled scan.

Batch and noise of a step are drawn on the device from fold_in(key, step) and depend on nothing else, so a run that was
interrupted and resumed is the unbroken run bit for bit, however its steps were cut into chunks.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from diffuse_cli.config import Config
from diffuse_cli.experiment import Experiment, initial_weights
from diffuse_cli.networks.denoiser import Weights, answer
from diffuse_cli.training import optimiser

CHUNK = 100  # steps in one compiled call; a chunk may stop short
_CHUNK_SECONDS = 0.5  # a chunk slower than this is stopped short, so that bar, budget and Ctrl-C stay responsive
_FIRST_CHUNK = 10
_UNSETTLED = 1 << 30  # the total while a budget's speed has not been measured yet


class TrainState(NamedTuple):
    """All that training carries from step to step. `average` is the moving average of `weights`, the one sampled from."""

    step: Array
    weights: Weights
    average: Weights
    optimiser: Any


class Progress(NamedTuple):
    """What is known at the end of a chunk. `state` is given to the next chunk and is gone then: copy what is to be kept."""

    state: TrainState
    step: int
    total: int
    loss: float
    steps_per_second: float


def optimiser_of(config: Config) -> optax.GradientTransformation:
    """The optimiser of a Config."""
    return optimiser.adamw(clip=config.clip, weight_decay=config.weight_decay)


def start(experiment: Experiment) -> TrainState:
    """The state before the first step."""
    weights = initial_weights(experiment, jax.random.fold_in(jax.random.key(experiment.config.seed), 1))
    average = jax.tree.map(jnp.copy, weights)
    return TrainState(jnp.int32(0), weights, average, optimiser_of(experiment.config).init(weights))


def chunk_function(experiment: Experiment) -> Callable[[TrainState, Array, Array, Array], tuple[TrainState, Array]]:
    """The compiled chunk: (state, points [n, d], stop, total) -> (state, loss [CHUNK], nan for steps not taken).

    Takes up to CHUNK steps but none past `stop`; `total` is where the learning rate ends. Both are data, not structure.
    """
    config, tx = experiment.config, optimiser_of(experiment.config)
    key = jax.random.fold_in(jax.random.key(config.seed), 2)

    def take(state: TrainState, points: Array, total: Array) -> tuple[TrainState, Array]:
        step_key = jax.random.fold_in(key, state.step)
        loss, gradient = jax.value_and_grad(batch_loss)(state.weights, experiment, points, step_key, config.batch_size)
        updates, opt = tx.update(gradient, state.optimiser, state.weights)
        rate = optimiser.learning_rate(state.step, total, peak=config.lr, warmup=config.warmup)
        weights = optax.apply_updates(state.weights, jax.tree.map(lambda u: -rate * u, updates))
        decay = optimiser.ema_decay(state.step, config.ema)
        average = optax.incremental_update(weights, state.average, 1 - decay)
        return TrainState(state.step + 1, weights, average, opt), loss

    @partial(jax.jit, donate_argnums=0)
    def chunk(state: TrainState, points: Array, stop: Array, total: Array) -> tuple[TrainState, Array]:
        def body(state, _):
            idle = lambda state: (state, jnp.float32(jnp.nan))  # noqa: E731
            return jax.lax.cond(state.step < stop, lambda state: take(state, points, total), idle, state)

        return jax.lax.scan(body, state, length=CHUNK)

    return chunk


def batch_loss(weights: Weights, experiment: Experiment, points: Array, key: Array, n: int) -> Array:
    """The mean loss over n of `points` [m, d], picked at random with replacement, at random noise levels."""
    key_rows, key_noise, key_levels = jax.random.split(key, 3)
    x0 = points[jax.random.randint(key_rows, (n,), 0, len(points))]
    eps = jax.random.normal(key_noise, x0.shape)
    level = experiment.levels(experiment.process, key_levels, n)
    return jnp.mean(experiment.loss(answer(experiment.structure, weights), experiment.parameterization, x0, eps, level))


def held_out_function(experiment: Experiment, n: int = 4096) -> Callable[[Weights, Array], Array]:
    """The compiled loss on held-out points with noise that is always the same, so that its changes are the weights' own."""
    key = jax.random.fold_in(jax.random.key(experiment.config.seed), 3)
    return jax.jit(lambda weights, points: batch_loss(weights, experiment, points, key, n))


def fit(experiment: Experiment, state: TrainState, points: Array, *, total: int, budget: float | None = None) -> Iterator[Progress]:
    """Train from `state` on `points` [n, d] (model space) to `total` steps, yielding at the end of each chunk.

    With a `budget` in seconds, counted from the call, compiling included, `total` is ignored: it is fitted to the speed
    measured so far after every chunk, so that the learning rate comes down to zero as the budget runs out.
    """
    chunk = chunk_function(experiment)
    began, step, length, speed = time.perf_counter(), int(state.step), _FIRST_CHUNK, None
    total = _UNSETTLED if budget is not None else total
    while step < total:
        chunk_began = time.perf_counter()
        stop = min(step + length, total)
        state, losses = chunk(state, points, np.int32(stop), np.int32(total))
        losses = np.asarray(losses)[: stop - step]
        now = time.perf_counter()
        rate = (stop - step) / (now - chunk_began)
        if length == _FIRST_CHUNK and speed is None:  # mostly compiling: it says nothing of the speed
            length = CHUNK
        else:
            speed = rate if speed is None else 0.8 * speed + 0.2 * rate
            length = max(1, min(CHUNK, int(speed * _CHUNK_SECONDS)))
        step = stop
        if budget is not None and (speed is not None or now - began > budget):
            total = step + max(0, int((budget - (now - began)) * (speed or 0.0)))
        yield Progress(state, step, total, float(losses.mean()), speed or rate)

"""The one loop that runs every sampler."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.predictions import Predict
from diffuse_cli.diffusion.process import Level, prior
from diffuse_cli.sampling.samplers import Sampler


class Path(NamedTuple):
    """Where sampling went: x [steps + 1, n, d] from noise to clean, and x0 [steps, n, d] seen at each level left."""

    x: Array
    x0: Array


@partial(jax.jit, static_argnames=("sampler", "trajectory"))
def run(
    predict: Predict, sampler: Sampler, levels: Level, x: Array, key: Array, *, trajectory: bool = False
) -> Array | Path:
    """Carry x [n, d] from levels[0] through all of `levels` (fields [steps + 1]). Returns the last x, or with
    `trajectory` the whole Path.

    `predict` is a pytree (jax.tree_util.Partial): its weights and the levels are data, so another run of the same
    shape, another grid or schedule with the same number of steps compiles nothing.
    """

    def step(state, inputs):
        state = sampler.step(predict, state, *inputs)
        return state, (state.x, state.x0) if trajectory else None

    steps = len(levels.log_snr) - 1
    now, nxt = jax.tree.map(lambda a: a[:-1], levels), jax.tree.map(lambda a: a[1:], levels)
    state, path = jax.lax.scan(step, sampler.init(x), (now, nxt, jax.random.split(key, steps)))
    return Path(jnp.concatenate([x[None], path[0]]), path[1]) if trajectory else state.x


def sample(
    predict: Predict, sampler: Sampler, levels: Level, key: Array, shape: tuple[int, int], *, trajectory: bool = False
) -> Array | Path:
    """Draw [n, d] samples: noise at the first of `levels`, then `run`. Model space."""
    key_start, key_run = jax.random.split(key)
    start = prior(key_start, shape, jax.tree.map(lambda a: a[0], levels))
    return run(predict, sampler, levels, start, key_run, trajectory=trajectory)

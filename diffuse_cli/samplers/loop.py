"""The one loop that runs every sampler, and the one last step to clean data that all of them end with."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level, Scaling, prior, variance_preserving
from diffuse_cli.samplers import adaptive
from diffuse_cli.samplers.base import Adaptive, Sampler


class Path(NamedTuple):
    """Where sampling went: x [k, n, d] at each of k levels, and x0 [k - 1, n, d] seen on leaving each."""

    x: Array
    x0: Array


class Outcome(NamedTuple):
    """x [n, d] at the last level; `broken`, the first step that left a value that is not finite, or -1;
    `evals`, network evaluations for a sample, a mean where each has its own; the Path, if it was asked for."""

    x: Array
    broken: Array
    evals: Array
    path: Path | None


def sample(
    predict: Predict,
    sampler: Sampler | Adaptive,
    levels: Level,
    key: Array,
    shape: tuple[int, int],
    *,
    scaling: Scaling = variance_preserving,
    trajectory: bool = False,
) -> Outcome:
    """Draw [n, d] samples: noise at the first of a grid's levels, then `run`. Model space."""
    key_run = jax.random.split(key)[1]
    x = initial_noise(key, shape, levels)
    return run_steps(predict, sampler, levels, x, key_run, scaling=scaling, trajectory=trajectory)


def initial_noise(key: Array, shape: tuple[int, int], levels: Level) -> Array:
    """The noise [n, d] that `sample` starts from with this key."""
    return prior(jax.random.split(key)[0], shape, _at(levels, 0))


@partial(jax.jit, static_argnames=("sampler", "scaling", "trajectory"))
def run_steps(
    predict: Predict,
    sampler: Sampler | Adaptive,
    levels: Level,
    x: Array,
    key: Array,
    *,
    scaling: Scaling = variance_preserving,
    trajectory: bool = False,
) -> Outcome:
    """Take x [n, d] from the first of a grid's levels (fields [steps + 1], the last one clean) to clean data.

    The last step is the same for all samplers, `denoise`: it adds no noise, and where hardly any is left the mean of
    what is possible is as good a guess as any.
    """
    noisy = _at(levels, slice(-1))
    carried = carry(predict, sampler, noisy, x, key, scaling=scaling, trajectory=trajectory)
    x0 = denoise(predict, carried.x, _at(noisy, -1))
    last = len(noisy.log_snr) - 1
    broken = jnp.where((carried.broken < 0) & ~jnp.isfinite(x0).all(), last, carried.broken)
    path = carried.path and Path(*(jnp.concatenate([before, x0[None]]) for before in carried.path))
    return Outcome(x0, broken, carried.evals + 1, path)


def denoise(predict: Predict, x: Array, level: Level) -> Array:
    """The clean sample that the denoiser sees in x [n, d]: DDIM's step to the clean level, and the ancestral one's."""
    return predict(x, level).x0


def carry(
    predict: Predict,
    sampler: Sampler | Adaptive,
    levels: Level,
    x: Array,
    key: Array,
    *,
    scaling: Scaling = variance_preserving,
    trajectory: bool = False,
) -> Outcome:
    """Carry x [n, d] from levels[0] through all of `levels`, fields [k], every one of them noisy.

    `predict` is a pytree (jax.tree_util.Partial): its weights and the levels are data, so another run of the same
    shape, another grid or schedule with the same number of steps compiles nothing. `scaling` is the levels', for a
    sampler that visits others in between.
    """
    if isinstance(sampler, Adaptive):
        return _solve(predict, sampler, levels, x, scaling, trajectory=trajectory)
    return scan(predict, sampler, levels, x, key, trajectory=trajectory)


@partial(jax.jit, static_argnames=("sampler", "trajectory"))
def scan(predict: Predict, sampler: Sampler, levels: Level, x: Array, key: Array, *, trajectory: bool) -> Outcome:
    """`carry` with a sampler that has steps: the loop itself, compiled."""

    def step(carried, inputs):
        state, broken = carried
        number, *rest = inputs
        state = sampler.step(predict, state, *rest)
        broken = jnp.where((broken < 0) & ~jnp.isfinite(state.x).all(), number, broken)
        return (state, broken), (state.x, state.x0) if trajectory else None

    steps = len(levels.log_snr) - 1
    inputs = (
        jnp.arange(steps, dtype=jnp.int32),
        _at(levels, slice(-1)),
        _at(levels, slice(1, None)),
        jax.random.split(key, steps),
    )
    (state, broken), seen = jax.lax.scan(step, (sampler.init(x), jnp.int32(-1)), inputs)
    path = Path(jnp.concatenate([x[None], seen[0]]), seen[1]) if trajectory else None
    return Outcome(state.x, broken, jnp.float32(sampler.cost(steps)), path)


def _solve(
    predict: Predict, sampler: Adaptive, levels: Level, x: Array, scaling: Scaling, *, trajectory: bool
) -> Outcome:
    xs, evals = adaptive.solve_adaptively(predict, scaling, levels, x, sampler.tolerance, max_steps=sampler.max_steps)
    finite = jnp.isfinite(xs).all(axis=(1, 2))
    broken = jnp.where(finite.all(), -1, jnp.argmin(finite) - 1)
    x0 = lambda at: predict(*at).x0  # noqa: E731
    path = Path(xs, jax.lax.map(x0, (xs[:-1], _at(levels, slice(-1))))) if trajectory else None
    return Outcome(xs[-1], broken, jnp.mean(evals), path)


def _at(levels: Level, place: int | slice) -> Level:
    return jax.tree.map(lambda field: field[place], levels)

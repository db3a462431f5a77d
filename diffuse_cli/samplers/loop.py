"""The loop that runs every sampler, and the last step to clean data, which is the same for all of them."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import CLEAN, Level, Scaling, prior, variance_preserving
from diffuse_cli.samplers import adaptive
from diffuse_cli.samplers.base import Adaptive, Particles, Sampler, State


class Path(NamedTuple):
    """The samples on their way: x at each of k levels, and the x0 that the denoiser saw in the step from each."""

    x: Float[Array, "k n d"]
    x0: Float[Array, "k-1 n d"]


class Outcome(NamedTuple):
    """What sampling returns.

    x: the samples at the last level. broken: the first step after which a value is not finite, or -1.
    evals: the network evaluations of one sample, the mean where they differ. path: None where it was not asked for.
    weights: what a sampler of particles says of their weights (`particles.diagnose`); empty for all other samplers.
    """

    x: Float[Array, "n d"]
    broken: Int[Array, ""]
    evals: Float[Array, ""]
    path: Path | None
    weights: Any = ()


def sample(
    predict: Any,
    sampler: Sampler | Adaptive,
    levels: Level,
    key: PRNGKeyArray,
    shape: tuple[int, int],
    *,
    scaling: Scaling = variance_preserving,
    trajectory: bool = False,
) -> Outcome:
    """Draw samples of this shape [n, d], model space: noise at the first level of a grid, then `run_steps`."""
    key_run = jax.random.split(key)[1]
    x = initial_noise(key, shape, levels)
    outcome: Outcome = run_steps(predict, sampler, levels, x, key_run, scaling=scaling, trajectory=trajectory)
    return outcome


def initial_noise(key: PRNGKeyArray, shape: tuple[int, int], levels: Level) -> Float[Array, "n d"]:
    """The noise [n, d] that `sample` starts from with this key."""
    return prior(jax.random.split(key)[0], shape, _at(levels, 0))


@partial(jax.jit, static_argnames=("sampler", "scaling", "trajectory"))
def run_steps(
    predict: Any,
    sampler: Sampler | Adaptive,
    levels: Level,
    x: Float[Array, "n d"],
    key: PRNGKeyArray,
    *,
    scaling: Scaling = variance_preserving,
    trajectory: bool = False,
) -> Outcome:
    """Take x from the first level of a grid (fields [steps + 1], the last one clean) to clean data.

    predict: a Predict, or a Jump (`diffusion.flow_maps`) for a sampler that needs one.

    The last step is `denoise` for all samplers of a denoiser: it adds no noise, and where hardly any noise is left the
    posterior mean is close to any sample from the posterior. Samplers of a Jump jump to the clean level.
    """
    noisy = _at(levels, slice(-1))
    carried = carry(predict, sampler, noisy, x, key, scaling=scaling, trajectory=trajectory)
    if isinstance(sampler, Sampler) and sampler.particles is not None:
        carried, x0 = _finish(
            predict, sampler.particles, carried, _at(noisy, -1), jax.random.fold_in(key, len(noisy[0]))
        )
    elif sampler.needs_jump:
        x0 = predict(carried.x, _at(noisy, -1), CLEAN)
    else:
        x0 = denoise(predict, carried.x, _at(noisy, -1))
    last = len(noisy.log_snr) - 1
    broken = jnp.where((carried.broken < 0) & ~jnp.isfinite(x0).all(), last, carried.broken)
    path = carried.path and Path(*(jnp.concatenate([before, x0[None]]) for before in carried.path))
    return Outcome(x0, broken, carried.evals + 1, path, carried.weights)


def denoise(predict: Predict, x: Float[Array, "n d"], level: Level) -> Float[Array, "n d"]:
    """The clean sample that the denoiser sees in x: the step to the clean level of DDIM, and of the ancestral chain."""
    return predict(x, level).x0


def carry(
    predict: Any,
    sampler: Sampler | Adaptive,
    levels: Level,
    x: Float[Array | np.ndarray, "n d"],
    key: PRNGKeyArray,
    *,
    scaling: Scaling = variance_preserving,
    trajectory: bool = False,
) -> Outcome:
    """Carry x from the first of `levels` (fields [k], all noisy) through all the others.

    `predict` is a pytree (jax.tree_util.Partial). Its weights and the levels are data, so another run of the same
    shape, or another grid or schedule with the same number of steps, compiles nothing new. `scaling` is that of the
    levels, for a sampler that visits other levels in between.
    """
    if isinstance(sampler, Adaptive):
        return _solve(predict, sampler, levels, x, scaling, trajectory=trajectory)
    outcome: Outcome = scan(predict, sampler, levels, x, key, trajectory=trajectory)
    return outcome


@partial(jax.jit, static_argnames=("sampler", "trajectory"))
def scan(
    predict: Any,
    sampler: Sampler,
    levels: Level,
    x: Float[Array, "n d"],
    key: PRNGKeyArray,
    *,
    trajectory: bool,
) -> Outcome:
    """`carry` for a sampler that has steps: the compiled loop."""

    def step(
        carried: tuple[State, Int[Array, ""]], inputs: tuple[Int[Array, ""], Level, Level, PRNGKeyArray]
    ) -> tuple[tuple[State, Int[Array, ""]], tuple[Array, Array, Any] | None]:
        state, broken = carried
        number, now, nxt, key = inputs
        state = sampler.step(predict, state, now, nxt, key)
        broken = jnp.where((broken < 0) & ~jnp.isfinite(state.x).all(), number, broken)
        parents = () if sampler.particles is None else sampler.particles.parents(state)
        return (state, broken), (state.x, state.x0, parents) if trajectory else None

    steps = len(levels.log_snr) - 1
    inputs = (
        jnp.arange(steps, dtype=jnp.int32),
        _at(levels, slice(-1)),
        _at(levels, slice(1, None)),
        jax.random.split(key, steps),
    )
    (state, broken), seen = jax.lax.scan(step, (sampler.init(x), jnp.int32(-1)), inputs)
    path = None if seen is None else Path(jnp.concatenate([x[None], seen[0]]), seen[1])
    if seen is not None and path is not None and sampler.particles is not None:
        path = _of_ancestors(path, seen[2])
    weights = () if sampler.particles is None else state.memory
    return Outcome(state.x, broken, jnp.float32(sampler.cost(steps)), path, weights)


def _of_ancestors(path: Path, parents: Int[Array, "steps n"]) -> Path:
    """The path of each particle of the last frame: its row in earlier frames is that of its ancestor.

    parents[i] are the rows in frame i of the particles in frame i + 1.
    """

    def earlier(row: Int[Array, " n"], parent: Int[Array, " n"]) -> tuple[Int[Array, " n"], Int[Array, " n"]]:
        return parent[row], row

    first, rows = jax.lax.scan(earlier, jnp.arange(path.x.shape[1], dtype=parents.dtype), parents, reverse=True)
    x0 = jnp.take_along_axis(path.x0, rows[:, :, None], axis=1)
    return Path(jnp.take_along_axis(path.x, jnp.concatenate([first[None], rows])[:, :, None], axis=1), x0)


def _finish(
    predict: Predict, particles: Particles, carried: Outcome, level: Level, key: PRNGKeyArray
) -> tuple[Outcome, Float[Array, "n d"]]:
    """`denoise` for particles: what is carried after they are resampled by their weights, and their clean samples."""
    state = State(carried.x, carried.x, carried.weights)
    state = particles.finish(predict(carried.x, level), state, level, key)
    parents = particles.parents(state)
    path = carried.path and Path(*(part[:, parents] for part in carried.path))
    return carried._replace(x=state.x, path=path, weights=state.memory), state.x0


def _solve(
    predict: Predict,
    sampler: Adaptive,
    levels: Level,
    x: Float[Array | np.ndarray, "n d"],
    scaling: Scaling,
    *,
    trajectory: bool,
) -> Outcome:
    xs, evals = adaptive.solve_adaptively(predict, scaling, levels, x, sampler.tolerance, max_steps=sampler.max_steps)
    finite = jnp.isfinite(xs).all(axis=(1, 2))
    broken = jnp.where(finite.all(), -1, jnp.argmin(finite) - 1)
    x0 = lambda at: predict(*at).x0  # noqa: E731
    path = Path(xs, jax.lax.map(x0, (xs[:-1], _at(levels, slice(-1))))) if trajectory else None
    return Outcome(xs[-1], broken, jnp.mean(evals), path)


def _at(levels: Level, place: int | slice) -> Level:
    return Level(*(field[place] for field in levels))

"""Methods that overwrite what was measured, at each noise level, with the measurement and noise of that level."""

from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.process import Level
from diffuse_cli.inverse.base import Measured, PosteriorMethod
from diffuse_cli.inverse.observed import Separated
from diffuse_cli.samplers.base import Sampler, State, standard_normal


def replacement() -> PosteriorMethod:
    """After each step, what was measured is overwritten. Song et al. 2021, appendix I.2, for inpainting.

    Along each measured direction v, with y = v·x0 + s noise, v·x is set to alpha y + √(sigma² − alpha² s²) ε: with the
    noise of y itself, this is v·x0 under the noise of the level. Where y is noisier than the level, nothing is set
    (Kawar et al. 2021, for the noise of y). The rest of x is not told y but through the denoiser at the next step, so
    this is not the posterior, even with an exact denoiser and any number of steps (Wu et al. 2023, section 2).

    >>> replacement().evaluations(3)
    1
    """
    return PosteriorMethod("replacement", around=_replaced, single=True, linear=True)


def repaint(*, rounds: Annotated[int, Meta(ge=1, le=1000)] = 10) -> PosteriorMethod:
    """The same, each step done `rounds` times, with the noise added again in between. Lugmayr et al. 2022, algorithm 1.

    They jump back by ten steps of 250, and here by one step. What was overwritten and the rest come to agree; with
    one round it is `replacement`. At levels where y is noisier than the level, and nothing is overwritten, a step is
    done once: more rounds would forget y.

    >>> repaint(rounds=4).random
    True
    """

    def around(sampler: Sampler) -> Sampler:
        once = _replaced(sampler)

        def step(measured: Measured, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
            def again(number: Int[Array, ""], state: State) -> State:
                back, there = jax.random.split(jax.random.fold_in(key, number))
                kept = now.alpha / nxt.alpha
                std = jnp.sqrt(jnp.maximum(now.sigma**2 - (kept * nxt.sigma) ** 2, 0.0))
                noised = kept * state.x + std * standard_normal(back, state.x)
                return once.step(measured, state._replace(x=noised), now, nxt, there)

            state = once.step(measured, state, now, nxt, jax.random.fold_in(key, 0))
            seen = _separated_of(measured)
            any_set = jnp.any(_left(seen, nxt) > 0)
            done: State = jax.lax.fori_loop(1, jnp.where(any_set, rounds, 1), again, state)
            return done

        return once._replace(step=step, evals=rounds * once.evals)

    return PosteriorMethod("repaint", around=around, steps=50, random=True, single=True, linear=True)


def _replaced(sampler: Sampler) -> Sampler:
    def step(measured: Measured, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        to_step, to_replace = jax.random.split(key)
        state = sampler.step(measured, state, now, nxt, to_step)
        return state._replace(x=_overwritten(state.x, _separated_of(measured), nxt, to_replace))

    return sampler._replace(step=step)


def _separated_of(measured: Measured) -> Separated:
    if measured.observed.separated is None:
        raise ValueError("only what is measured by a matrix can be overwritten")
    return measured.observed.separated


def _left(seen: Separated, level: Level) -> Float[Array, "#n r"]:
    """The variance of the noise of the level that is not in y already."""
    return level.sigma**2 - (level.alpha * seen.std) ** 2


def _overwritten(x: Float[Array, "n d"], seen: Separated, level: Level, key: PRNGKeyArray) -> Float[Array, "n d"]:
    """x at a level, with what was measured replaced by the measurement under the noise of the level."""
    left = _left(seen, level)
    here = jnp.matmul(seen.basis, x[:, :, None], precision="highest")[:, :, 0]
    there = level.alpha * seen.values + jnp.sqrt(jnp.maximum(left, 0.0)) * standard_normal(key, here)
    change = jnp.where(left > 0, there - here, 0.0)
    return x + jnp.matmul(jnp.swapaxes(seen.basis, 1, 2), change[:, :, None], precision="highest")[:, :, 0]

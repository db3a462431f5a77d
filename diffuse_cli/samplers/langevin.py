"""Samplers of the stochastic view: the reverse SDE, Langevin dynamics, and the two together."""

from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level
from diffuse_cli.samplers.base import Sampler, State, standard_normal
from diffuse_cli.samplers.ddim import ddpm

_Count = Annotated[int, Meta(ge=1, le=1000)]


def reverse_sde() -> Sampler:
    """Euler-Maruyama on the reverse SDE, dx = [f - g^2 score] dt + g dw. Anderson 1982; Song et al. 2021, eq. 6.

    Between two levels f dt is x d log alpha and g^2 dt is -sigma^2 d log-SNR. Its steps are straight in x, so unlike
    the solvers of the flow it depends on the scaling.

    >>> reverse_sde().deterministic, reverse_sde().cost(10)
    (False, 10)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        p = predict(state.x, now)
        spread = now.sigma**2 * (nxt.log_snr - now.log_snr)
        score = -p.eps / now.sigma
        x = state.x * (1 + jnp.log(nxt.alpha / now.alpha)) + spread * score
        return State(x + jnp.sqrt(spread) * standard_normal(key, x), p.x0)

    return Sampler(step)


def langevin(*, step_size: Annotated[float, Meta(gt=0, lt=4)], inner: _Count = 10) -> Sampler:
    """Annealed Langevin dynamics: `inner` steps at each level. Song & Ermon 2019, algorithm 1.

    step_size: in units of sigma^2; from 4 on the dynamics are unstable. On the grid `fixed`, which has one level, this
    is plain Langevin dynamics, whose samples hardly ever cross from one separate part of the data to another.

    >>> langevin(step_size=0.1, inner=5).cost(10)
    50
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        def inside(x: Float[Array, "n d"], key: PRNGKeyArray) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
            p = predict(x, nxt)
            return x + nxt.sigma * (jnp.sqrt(step_size) * standard_normal(key, x) - step_size / 2 * p.eps), p.x0

        x, x0 = jax.lax.scan(inside, nxt.alpha / now.alpha * state.x, jax.random.split(key, inner))
        return State(x, x0[-1])

    return Sampler(step, evals=inner, allows_equal_levels=True, grid="log_snr")


def pc(*, snr: Annotated[float, Meta(gt=0, lt=1)] = 0.16, corrections: _Count = 1) -> Sampler:
    """Predictor-corrector: an ancestral step, then Langevin steps at the new level. Song et al. 2021, algorithm 1.

    snr: r in the article, the length of the score's part of a correction divided by that of the noise. The ancestral
    step is the article's alternative to its reverse diffusion step; they differ by less than the error of one step.

    >>> pc(corrections=2).cost(10)
    30
    """
    ancestral = ddpm().step

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        def correct(x: Float[Array, "n d"], key: PRNGKeyArray) -> tuple[Float[Array, "n d"], None]:
            score, noise = -predict(x, nxt).eps / nxt.sigma, standard_normal(key, x)
            size = 2 * (snr * _length(noise) / _length(score)) ** 2
            return x + size * score + jnp.sqrt(2 * size) * noise, None

        key, *keys = jax.random.split(key, 1 + corrections)
        state = ancestral(predict, state, now, nxt, key)
        return state._replace(x=jax.lax.scan(correct, state.x, jnp.stack(keys))[0])

    return Sampler(step, evals=1 + corrections)


def _length(vectors: Float[Array, "n d"]) -> Float[Array, ""]:
    """The mean length of n vectors."""
    return jnp.mean(jnp.linalg.norm(vectors, axis=-1))

"""Samplers: one step from a noise level to the next cleaner one, as a pair of pure functions."""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from msgspec import Meta

from diffuse_cli.diffusion.predictions import Predict
from diffuse_cli.diffusion.process import Level


class State(NamedTuple):
    """Where a sampler is: x [n, d] and the clean sample x0 [n, d] it last saw there."""

    x: Array
    x0: Array


class Sampler(NamedTuple):
    """step(predict, state, now, nxt, key) moves x from level `now` to `nxt`; `evals` network evaluations each."""

    step: Callable[[Predict, State, Level, Level, Array], State]
    init: Callable[[Array], State] = lambda x: State(x, jnp.zeros_like(x))
    evals: int = 1


def ddpm(*, variance: Literal["small", "large"] = "small") -> Sampler:
    """The ancestral chain: a draw from q(x_s | x_t, x0) at the predicted x0. Ho et al. 2020, eqs. 6, 7 and 11.

    The variance is that of this posterior (`small`) or of the forward step (`large`, beta_t; in the article's words
    sigma_t^2 = beta_t). The step to the clean level adds no noise.
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        p = predict(state.x, now)
        ratio = jnp.exp((now.log_snr - nxt.log_snr) / 2)  # alpha_t sigma_s / (alpha_s sigma_t)
        width = jnp.sqrt(-jnp.expm1(now.log_snr - nxt.log_snr))
        std = width * (nxt.sigma if variance == "small" else now.sigma * (nxt.sigma > 0))
        mean = nxt.alpha * p.x0 + nxt.sigma * ratio * p.eps
        return State(mean + std * jax.random.normal(key, state.x.shape, state.x.dtype), p.x0)

    return Sampler(step)


def ddim(*, eta: Annotated[float, Meta(ge=0, le=1)] = 0.0) -> Sampler:
    """Deterministic (eta = 0) to ancestral (eta = 1) steps. Song, Meng & Ermon 2021, eqs. 12 and 16."""

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        p = predict(state.x, now)
        lost = jnp.expm1(
            now.log_snr - nxt.log_snr
        )  # in [-1, 0], which sigma^2 - std^2 written out may leave by rounding
        x = nxt.alpha * p.x0 + nxt.sigma * jnp.sqrt(1 + eta**2 * lost) * p.eps
        if eta:
            x += eta * nxt.sigma * jnp.sqrt(-lost) * jax.random.normal(key, x.shape, x.dtype)
        return State(x, p.x0)

    return Sampler(step)

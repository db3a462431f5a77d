"""Samplers: one step from a noise level to the next cleaner one, as a pair of pure functions."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from msgspec import Meta

from diffuse_cli.diffusion.predictions import Predict
from diffuse_cli.diffusion.process import Level


class State(NamedTuple):
    """Where a sampler is: x [n, d], the clean sample x0 [n, d] it last saw, and whatever else its steps remember."""

    x: Array
    x0: Array
    memory: Any = ()


class Sampler(NamedTuple):
    """step(predict, state, now, nxt, key) moves x from level `now` to `nxt`; `evals` network evaluations each.

    `grid` is the choice of grid that suits it, where nobody asks for another.
    """

    step: Callable[[Predict, State, Level, Level, Array], State]
    init: Callable[[Array], State] = lambda x: State(x, jnp.zeros_like(x))
    evals: int = 1
    grid: str = "uniform"


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


def dpmpp_2m() -> Sampler:
    """DPM-Solver++(2M): x0 extrapolated from the last two steps, second order. Lu et al. 2022b, algorithm 2.

    The first step, which has none before it, and the last, to the clean level, are of first order: DDIM's. The memory
    is the log-SNR at which x0 was seen, -inf before there is any.
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        p = predict(state.x, now)
        shrink = jnp.exp((now.log_snr - nxt.log_snr) / 2)  # e^-h, h the step in half log-SNR, the paper's lambda
        ratio = (nxt.log_snr - now.log_snr) / (now.log_snr - state.memory)  # of this step to the one before
        ahead = jnp.where(nxt.sigma > 0, ratio / 2, 0.0) * (p.x0 - state.x0)
        # alpha_s x0 + sigma_s eps at the x0 here, and then the change of x0 on the way
        x = nxt.alpha * (p.x0 + (1 - shrink) * ahead) + nxt.sigma * p.eps
        return State(x, p.x0, now.log_snr)

    return Sampler(step, lambda x: State(x, jnp.zeros_like(x), jnp.full((), -jnp.inf, x.dtype)), grid="log_snr")

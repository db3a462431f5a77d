"""The samplers of the chain itself: DDPM's ancestral steps, and DDIM's, which share their marginals."""

from typing import Annotated, Literal

import jax.numpy as jnp
from jax import Array
from msgspec import Meta

from diffuse_cli.diffusion.bound import reverse_variance
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level
from diffuse_cli.samplers.base import Sampler, State, standard_normal


def ddpm(*, variance: Literal["small", "large", "learned"] = "small") -> Sampler:
    """The ancestral chain: a draw from q(x_s | x_t, x0) at the predicted x0. Ho et al. 2020, eqs. 6, 7 and 11.

    The variance is that of this posterior (`small`), that of the forward step (`large`, beta_t; in the article's words
    sigma_t^2 = beta_t), or this posterior's and what the uncertainty of x0 adds to it, which is the best for any number
    of steps (`learned`, of a network that says it; Bao et al. 2022, eq. 5).
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        p = predict(state.x, now)
        ratio = jnp.exp((now.log_snr - nxt.log_snr) / 2)  # alpha_t sigma_s / (alpha_s sigma_t)
        std = jnp.sqrt(reverse_variance(p, nxt, now, variance))
        mean = nxt.alpha * p.x0 + nxt.sigma * ratio * p.eps
        return State(mean + std * standard_normal(key, state.x), p.x0)

    return Sampler(step, needs_variance=variance == "learned")


def ddim(*, eta: Annotated[float, Meta(ge=0, le=1)] = 0.0) -> Sampler:
    """Deterministic (eta = 0) to ancestral (eta = 1) steps. Song, Meng & Ermon 2021, eqs. 12 and 16."""

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        p = predict(state.x, now)
        lost = jnp.expm1(
            now.log_snr - nxt.log_snr
        )  # in [-1, 0], which sigma^2 - std^2 written out may leave by rounding
        x = nxt.alpha * p.x0 + nxt.sigma * jnp.sqrt(1 + eta**2 * lost) * p.eps
        if eta:
            x += eta * nxt.sigma * jnp.sqrt(-lost) * standard_normal(key, x)
        return State(x, p.x0)

    return Sampler(step, order=None if eta else 1)


def dpm_1() -> Sampler:
    """DPM-Solver-1, which is DDIM on equal steps in log-SNR. Lu et al. 2022, eq. 3.7 and section 4.1."""
    return ddim()._replace(grid="log_snr")

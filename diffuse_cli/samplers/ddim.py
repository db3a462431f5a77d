"""The samplers of the discrete chain: DDPM's ancestral steps and DDIM's, which have the same marginals."""

from typing import Annotated, Literal

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.bound import reverse_variance
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level
from diffuse_cli.samplers.base import Sampler, State, standard_normal


def ddpm(*, variance: Literal["small", "large", "learned"] = "small") -> Sampler:
    """The ancestral chain: draws from q(x_s | x_t, x0) at the predicted x0. Ho et al. 2020, eqs. 6, 7 and 11.

    variance: `small` is the variance of this posterior; `large` is that of the forward step (sigma_t^2 = beta_t in the
    article); `learned` adds to the small one what the uncertainty of x0 contributes, which is optimal for any number of
    steps (Bao et al. 2022, eq. 5), and needs a network that learned this uncertainty.

    >>> ddpm().deterministic, ddpm(variance="learned").needs_variance
    (False, True)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        p = predict(state.x, now)
        ratio = jnp.exp((now.log_snr - nxt.log_snr) / 2)  # alpha_t sigma_s / (alpha_s sigma_t)
        std = jnp.sqrt(reverse_variance(p, nxt, now, variance))
        mean = nxt.alpha * p.x0 + nxt.sigma * ratio * p.eps
        return State(mean + std * standard_normal(key, state.x), p.x0)

    return Sampler(step, needs_variance=variance == "learned")


def ddim(*, eta: Annotated[float, Meta(ge=0, le=1)] = 0.0) -> Sampler:
    """Steps from deterministic (eta = 0) to ancestral (eta = 1). Song, Meng & Ermon 2021, eqs. 12 and 16.

    >>> ddim().order, ddim(eta=0.5).order
    (1, None)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        p = predict(state.x, now)
        lost = jnp.expm1(now.log_snr - nxt.log_snr)  # in [-1, 0]; sigma^2 - std^2 may leave it by rounding
        x = nxt.alpha * p.x0 + nxt.sigma * jnp.sqrt(1 + eta**2 * lost) * p.eps
        if eta:
            x += eta * nxt.sigma * jnp.sqrt(-lost) * standard_normal(key, x)
        return State(x, p.x0)

    return Sampler(step, order=None if eta else 1)


def dpm_1() -> Sampler:
    """DPM-Solver-1, which is DDIM on equal steps in log-SNR. Lu et al. 2022, eq. 3.7 and section 4.1.

    >>> dpm_1().order, dpm_1().grid
    (1, 'log_snr')
    """
    return ddim()._replace(grid="log_snr")

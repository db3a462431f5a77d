"""The probability-flow ODE, in coordinates that suit a solver with steps of its own. Song et al. 2021, eq. 13.

Under variance preservation alpha = cos phi, sigma = sin phi, and with the denoiser's x0 and eps the flow is

    dx/dphi = v(x, phi) = alpha eps - sigma x0                           (Salimans & Ho 2022, appendix D),

the derivative of x = alpha x0 + sigma eps with x0 and eps held, averaged over the pairs that x may have come from.
All scalings describe this one flow: x here is x / hypot(alpha, sigma) there, at the level with the same log-SNR, and
that is where the denoiser is asked.

The solver's time is s, with sigma / alpha = tau = w sinh s: log-SNR where noise outweighs w, sigma where it does not,
and the clean level is s = 0. Data of standard deviation w flow as cosh s, in units of x / alpha. Steps in phi would
have to shrink on the way to pure noise, where a network goes on varying with log-SNR, and come to half as many again.
"""

import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.predictions import Predict
from diffuse_cli.diffusion.process import Level, Scaling

_WIDTH = 0.1  # w above
EVALS = 6  # network evaluations in a step of Tsit5, whose seventh is the next step's first


def time_of(log_snr: Array) -> Array:
    """The solver's time s of a log-SNR."""
    return jnp.arcsinh(jnp.exp(-jnp.maximum(log_snr, -60.0) / 2) / _WIDTH)  # below it no data are to be seen


def speed(predict: Predict, scaling: Scaling, s: Array, x: Array) -> Array:
    """dx/ds at one point x [d] of the variance-preserving flow."""
    tau = _WIDTH * jnp.sinh(s)
    log_snr = -2 * jnp.log(tau)
    level = Level(log_snr, *scaling(log_snr))
    norm = jnp.hypot(level.alpha, level.sigma)
    p = predict(norm * x[None], level)
    v = (level.alpha * p.eps - level.sigma * p.x0)[0] / norm
    return v * jnp.hypot(_WIDTH, tau) / (1 + tau**2)  # dphi/ds

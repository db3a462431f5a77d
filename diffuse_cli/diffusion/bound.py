"""The variational bound on -log p, term by term. Sohl-Dickstein et al. 2015, eq. 14; Ho et al. 2020, eq. 5.

    -log p(x0) <= KL(q(x_T | x0) || p(x_T)) + sum over t > 1 of E KL(q(x_(t-1) | x_t, x0) || p(x_(t-1) | x_t))
                  + E [-log p(x0 | x_1)]

All are Gaussians with diagonal covariance, so the terms are closed forms; nats, summed over columns, model space. The
model's chain p has the mean of its x0, and a variance that is q's own (`small`), the forward step's (`large`), or
`learned`: q's own and what the clean sample's uncertainty adds to it (Bao et al. 2022, eq. 5).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level, Process, preserved

VARIANCES = ("small", "large", "learned")


class BoundTerms(NamedTuple):
    """prior [n]; steps [T, n], of which the first is the reconstruction term, t = 1/T, and the last that of t = 1."""

    prior: Array
    steps: Array

    @property
    def total(self) -> Array:
        """The bound on -log p of each point, [n]."""
        return self.prior + self.steps.sum(axis=0)


@partial(jax.jit, static_argnames=("process", "variance"))
def bound_terms(predict: Predict, process: Process, x0: Array, key: Array, *, variance: str = "small") -> BoundTerms:
    """All terms of the bound at each of x0 [n, d], with one draw of the noise for each term and point.

    `predict` is a pytree; with the variance `learned` it says x0_var.
    """

    def term(number: Array) -> Array:
        level = process.level(number / process.timesteps)
        eps = jax.random.normal(jax.random.fold_in(key, number), x0.shape, x0.dtype)
        seen = predict(level.alpha * x0 + level.sigma * eps, level)
        return step_term(seen, x0, eps, process.earlier(level), level, variance)

    steps = jax.lax.map(term, jnp.arange(1, process.timesteps + 1))
    return BoundTerms(prior_term(x0, process.level(jnp.ones((), x0.dtype))), steps)


def prior_term(x0: Array, last: Level) -> Array:
    """KL(q(x_T | x0) || N(0, (alpha^2 + sigma^2) I)) [batch], of x0 [batch, d]; `last` is the level at T."""
    signal = (last.alpha / jnp.hypot(last.alpha, last.sigma)) ** 2
    noise = (last.sigma / jnp.hypot(last.alpha, last.sigma)) ** 2
    # log noise = log(1 - signal), which has digits of a faint signal and none of faint noise
    log_noise = jnp.where(signal < 0.5, jnp.log1p(-jnp.minimum(signal, 0.5)), jnp.log(noise))
    return 0.5 * jnp.sum(signal * (x0**2 - 1) - log_noise, axis=-1)


def step_term(p: Prediction, x0: Array, eps: Array, earlier: Level, level: Level, variance: str) -> Array:
    """The term of the step from `level` to `earlier` [batch], at x = alpha x0 + sigma eps, where the model sees p.

    x0, eps: [batch, d]; levels with fields [batch, 1] or scalars, `earlier` variance preserving. Where that is
    clean this is the reconstruction term, -log N(x0; p.x0, v): v is x0_var where it is learned, and else
    (sigma / alpha)^2.
    """
    level = preserved(level)
    sigma, clean = level.sigma / level.alpha, jnp.isinf(earlier.log_snr)
    gain = jnp.expm1(jnp.where(clean, level.log_snr, earlier.log_snr) - level.log_snr)  # SNR' / SNR - 1
    v = p.x0_var if variance == "learned" else jnp.broadcast_to(sigma**2, x0.shape)
    # the model's variance is 1 + wider times q's own; of eps given x that is the variance, or the most it can be, or 0
    unknown = {"learned": v / sigma**2, "large": level.alpha**2, "small": 0.0}[variance]
    wider = jnp.broadcast_to(gain * unknown, x0.shape)
    kl = 0.5 * jnp.sum(jnp.log1p(wider) + (gain * (p.eps - eps) ** 2 - wider) / (1 + wider), axis=-1)
    reconstruction = -jnp.sum(jax.scipy.stats.norm.logpdf(x0, p.x0, jnp.sqrt(v)), axis=-1)
    return jnp.where(jnp.broadcast_to(clean, (len(x0), 1))[:, 0], reconstruction, kl)


def reverse_variance(p: Prediction, earlier: Level, level: Level, variance: str) -> Array:
    """The variance of p(x_earlier | x_level), [batch, d] or [batch, 1] or a scalar. Ho et al. 2020, section 3.2."""
    lost = -jnp.expm1(level.log_snr - earlier.log_snr)
    small = earlier.sigma**2 * lost
    if variance == "large":
        return level.sigma**2 * lost
    if variance == "small":
        return small
    return small + (earlier.alpha * lost) ** 2 * p.x0_var

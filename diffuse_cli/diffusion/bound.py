"""The variational bound on -log p, term by term. Sohl-Dickstein et al. 2015, eq. 14; Ho et al. 2020, eq. 5.

    -log p(x0) <= KL(q(x_T | x0) || p(x_T)) + sum over t > 1 of E KL(q(x_(t-1) | x_t, x0) || p(x_(t-1) | x_t))
                  + E [-log p(x0 | x_1)]

All are Gaussians with diagonal covariance, so the terms are closed forms; in nats, summed over columns, model space.
A step of the model's chain p has the mean of q(x_(t-1) | x_t, x0) at the predicted x0. Its variance is that of q
(`small`), that of the forward step (`large`), or that of q plus what the uncertainty of x0 adds (`learned`; Bao et al.
2022, eq. 5).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level, Process, preserved

VARIANCES = ("small", "large", "learned")


class BoundTerms(NamedTuple):
    """The terms of the bound at n points, in nats.

    prior: the first term above. steps: those of t = 1/T, which is the reconstruction term, to t = 1.
    """

    prior: Float[Array, " n"]
    steps: Float[Array, "T n"]

    @property
    def total(self) -> Float[Array, " n"]:
        """The bound on -log p of each point."""
        return self.prior + self.steps.sum(axis=0)


@partial(jax.jit, static_argnames=("process", "variance"))
def bound_terms(
    predict: Predict, process: Process, x0: Float[Array, "n d"], key: PRNGKeyArray, *, variance: str = "small"
) -> BoundTerms:
    """All terms of the bound at each of x0, with one draw of the noise for each term and point.

    predict: a denoiser that is a pytree; for the variance `learned` it gives x0_var. variance: one of `VARIANCES`.
    """

    def term(number: Int[Array, ""]) -> Float[Array, " n"]:
        level = process.level(number / process.timesteps)
        eps = jax.random.normal(jax.random.fold_in(key, number), x0.shape, x0.dtype)
        p = predict(level.alpha * x0 + level.sigma * eps, level)
        return step_term(p, x0, eps, process.earlier(level), level, variance)

    steps = jax.lax.map(term, jnp.arange(1, process.timesteps + 1))
    return BoundTerms(prior_term(x0, process.level(jnp.ones((), x0.dtype))), steps)


def prior_term(x0: Float[Array, "n d"], last: Level) -> Float[Array, " n"]:
    """KL(q(x_T | x0) || N(0, (alpha^2 + sigma^2) I)) at each of x0, in nats; `last` is the level at t = 1."""
    signal = (last.alpha / jnp.hypot(last.alpha, last.sigma)) ** 2
    noise = (last.sigma / jnp.hypot(last.alpha, last.sigma)) ** 2
    # log noise = log(1 - signal) keeps the digits of a faint signal, but not those of faint noise
    log_noise = jnp.where(signal < 0.5, jnp.log1p(-jnp.minimum(signal, 0.5)), jnp.log(noise))
    return 0.5 * jnp.sum(signal * (x0**2 - 1) - log_noise, axis=-1)


def step_term(
    p: Prediction,
    x0: Float[Array, "n d"],
    eps: Float[Array, "n d"],
    earlier: Level,
    level: Level,
    variance: str,
) -> Float[Array, " n"]:
    """The term of the step from `level` to `earlier`, at x = alpha x0 + sigma eps, where the model predicts p; nats.

    The levels have fields [n, 1] or scalars, and `earlier` is variance preserving. Where it is the clean level this is
    the reconstruction term, -log N(x0; p.x0, v), in which v is x0_var if it is learned, and else (sigma / alpha)^2.
    """
    level = preserved(level)
    sigma, clean = level.sigma / level.alpha, jnp.isinf(earlier.log_snr)
    gain = jnp.expm1(jnp.where(clean, level.log_snr, earlier.log_snr) - level.log_snr)  # SNR' / SNR - 1
    v = p.variance if variance == "learned" else jnp.broadcast_to(sigma**2, x0.shape)
    # the model's variance is 1 + wider times that of q. `unknown` is the variance of eps given x; `large` takes the
    # most that this can be, `small` takes 0
    unknown: dict[str, Array | float] = {"learned": v / sigma**2, "large": level.alpha**2, "small": 0.0}
    wider = jnp.broadcast_to(gain * unknown[variance], x0.shape)
    kl = 0.5 * jnp.sum(jnp.log1p(wider) + (gain * (p.eps - eps) ** 2 - wider) / (1 + wider), axis=-1)
    reconstruction = -jnp.sum(jax.scipy.stats.norm.logpdf(x0, p.x0, jnp.sqrt(v)), axis=-1)
    return jnp.where(jnp.broadcast_to(clean, (len(x0), 1))[:, 0], reconstruction, kl)


def reverse_variance(p: Prediction, earlier: Level, level: Level, variance: str) -> Float[Array, "..."]:
    """The variance of p(x_earlier | x_level): [n, d] if it is learned, else like the fields of the levels.

    Ho et al. 2020, section 3.2; Bao et al. 2022, eq. 5.
    """
    lost = -jnp.expm1(level.log_snr - earlier.log_snr)
    small = earlier.sigma**2 * lost
    if variance == "large":
        return level.sigma**2 * lost
    if variance == "small":
        return small
    return small + (earlier.alpha * lost) ** 2 * p.variance

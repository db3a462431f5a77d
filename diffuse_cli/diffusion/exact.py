"""What a perfect network would answer: laws whose density is known in closed form at every noise level.

A law is its log-density at one point x = alpha x0 + sigma eps [d], in nats, in the space that x0 lives in. The rest
follows from it by automatic differentiation: score = grad log p, eps = -sigma score, x0 = (x - sigma eps) / alpha
(Tweedie's formula; Efron 2011, eq. 1.4).
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import log_ndtr

from diffuse_cli.diffusion.predictions import Predict, Prediction
from diffuse_cli.diffusion.process import Level

Density = Callable[[Array, Level], Array]  # (x [d], a level of scalars) -> log p(x), a scalar

_LOG_2PI = float(np.log(2 * np.pi))


def gaussian(mean: Array, covariance: Array) -> Density:
    """x0 ~ N(mean [d], covariance [d, d])."""
    values, basis = np.linalg.eigh(np.asarray(covariance, np.float64))

    def log_density(x: Array, level: Level) -> Array:
        z = (x - level.alpha * jnp.asarray(mean)) @ jnp.asarray(basis)
        variance = level.alpha**2 * jnp.asarray(values) + level.sigma**2
        return -0.5 * jnp.sum(z**2 / variance + jnp.log(variance) + _LOG_2PI)

    return log_density


def mixture(means: Array, std: float, weights: Array | None = None) -> Density:
    """x0 is one of means [k, d], with weights [k] (equal unless given), plus std times N(0, I).

    With means along a curve this is the midpoint rule for the noisy curve; with std = 0 and the training points as
    means it is the law that a network learns which has memorised them.
    """
    shares = np.full(len(means), 1 / len(means)) if weights is None else np.asarray(weights)

    def log_density(x: Array, level: Level) -> Array:
        variance = level.alpha**2 * std**2 + level.sigma**2
        squared = jnp.sum((x[None] - level.alpha * jnp.asarray(means)) ** 2, axis=1)
        normal = -0.5 * (squared / variance + len(x) * (jnp.log(variance) + _LOG_2PI))
        return jax.nn.logsumexp(normal, b=jnp.asarray(shares))

    return log_density


def boxes(low: Array, high: Array, std: float = 0.0) -> Density:
    """x0 is uniform on a box, one of those from low [k, d] to high [k, d] picked at random, plus std times N(0, I)."""

    def log_density(x: Array, level: Level) -> Array:
        spread = jnp.sqrt(level.alpha**2 * std**2 + level.sigma**2)
        ends = [level.alpha * jnp.asarray(end) for end in (low, high)]
        to_low, to_high = ((x[None] - end) / spread for end in ends)
        each = jnp.sum(_log_ndtr_between(to_high, to_low) - jnp.log(ends[1] - ends[0]), axis=1)
        return jax.nn.logsumexp(each) - np.log(len(low))

    return log_density


def product(parts: Sequence[tuple[Sequence[int], Density]]) -> Density:
    """Independent groups of columns, each with its own law: [(columns, law), …]."""
    groups = [(np.asarray(columns), law) for columns, law in parts]

    def log_density(x: Array, level: Level) -> Array:
        return sum(law(x[columns], level) for columns, law in groups)

    return log_density


def log_prob(law: Density, x: Array, level: Level) -> Array:
    """log p at each of x [n, d], [n]. The level's fields are scalars or [n, 1]."""
    return jax.vmap(law)(x, _for_each(level, len(x)))


def denoiser(law: Density) -> Predict:
    """The exact denoiser: E[x0 | x] and the noise that goes with it."""

    def predict(x: Array, level: Level) -> Prediction:
        eps = -level.sigma * jax.vmap(jax.grad(law))(x, _for_each(level, len(x)))
        return Prediction((x - level.sigma * eps) / level.alpha, eps)

    return predict


def _for_each(level: Level, n: int) -> Level:
    return jax.tree.map(lambda field: jnp.broadcast_to(jnp.reshape(field, -1), (n,)), level)


def _log_ndtr_between(a: Array, b: Array) -> Array:
    """log(Phi(b) - Phi(a)) for a < b, without cancellation in either tail or between close neighbours."""
    middle, width = (a + b) / 2, b - a
    close = width * (1 + jnp.abs(middle)) < 0.1  # the mass hardly differs from density times width
    # to the left of 0 both are small numbers with many digits; to the right they are 1 less a small number
    flip = middle > 0
    low, high = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
    far = jnp.where(close, 1.0, log_ndtr(high) - log_ndtr(low))  # where not used, anything with a finite gradient
    difference = log_ndtr(high) + jnp.log(-jnp.expm1(-far))
    # Phi' integrated to the second order about the middle
    nearby = -0.5 * (middle**2 + _LOG_2PI) + jnp.log(width) + width**2 * (middle**2 - 1) / 24
    return jnp.where(close, nearby, difference)

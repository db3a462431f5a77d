"""Mixtures with noise: the posterior of each component given x = alpha x0 + sigma eps, and of the whole mixture.

The formulas keep the digits of single precision at both ends of the noise levels; the head of `exact` says how.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.diffusion.process import Level

_FLAT = 0.05  # where the log-densities of all components are this close, only their differences are used

dot = partial(jnp.einsum, precision="highest")  # the default precision of an accelerator has three digits


class Moments(NamedTuple):
    """The means of x0 and of eps given x, and the covariance of x0 given x."""

    x0: Float[Array, " d"]
    eps: Float[Array, " d"]
    covariance: Float[Array, "d d"]


class Seen(NamedTuple):
    """x at its level under variance preservation, with alpha times the mean of x0 subtracted.

    log_norm: the log of hypot(alpha, sigma) in the scaling that x comes from.
    """

    x: Float[Array, " d"]
    alpha: Float[Array, ""]
    sigma: Float[Array, ""]
    log_norm: Float[Array, ""]


class Spread(NamedTuple):
    """What follows from the variance s of a normal x0. All fields have the shape of s.

    variance: alpha^2 s + sigma^2, the variance of x. root: its square root. excess: root - 1, and log: log variance,
    both to all digits near s = 1. within: the variance of x0 given x. pull: the derivative of the mean of x0 by x.
    """

    variance: Float[Array, "*s"]
    root: Float[Array, "*s"]
    excess: Float[Array, "*s"]
    log: Float[Array, "*s"]
    within: Float[Array, "*s"]
    pull: Float[Array, "*s"]


class Components(NamedTuple):
    """The posterior for each of k components, if x0 is from this one. Along its axes the columns are independent.

    log_ratio: log p(x) less its value where the law of x0 is N(m, I), m being the mean of the mixture.
    shift: the mean of x0 less the centre of the component. eps: the mean of the noise. variance: that of x0.
    bases: the columns of each are the axes; None where the axes are the columns of x.
    The components are on the last axis, which makes sums over columns fast.
    """

    log_ratio: Float[Array, " k"]
    shift: Float[Array, "d k"]
    eps: Float[Array, "d k"]
    variance: Float[Array, "d k"]
    bases: Float[Array, "d d k"] | None = None

    def turned(self, along: Float[Array, "d k"]) -> Float[Array, "d k"]:
        """Vectors along the axes of each component, in the columns of x."""
        return along if self.bases is None else dot("ijk,jk->ik", self.bases, along)

    def total(self, shares: Float[Array, " k"], along: Float[Array, "d k"]) -> Float[Array, " d"]:
        """The sum of vectors along the axes, weighted by shares, in the columns of x."""
        weighted = shares[None] * along
        return jnp.sum(weighted, axis=1) if self.bases is None else dot("ijk,jk->i", self.bases, weighted)

    def within(self, shares: Float[Array, " k"]) -> Float[Array, "d d"]:
        """The mean of the covariances of x0 within the components, weighted by shares."""
        if self.bases is None:
            return jnp.diag(self.total(shares, self.variance))
        return dot("ilk,jlk->ij", self.bases * (shares[None] * self.variance)[None], self.bases)


class Shares(NamedTuple):
    """The probabilities of the components given x.

    given: the probabilities. moved: weights that give the same sum as these of anything whose prior mean is 0, with
    all digits also where x hardly changes it. log_total: the log of the mean of the ratios.
    """

    given: Float[Array, " k"]
    moved: Float[Array, " k"]
    log_total: Float[Array, ""]


def seen_of(x: Float[Array, " d"], level: Level, mean: Float[np.ndarray, " d"]) -> Seen:
    """x at a level of scalars, for data with this mean."""
    alpha, sigma = (jnp.asarray(field, x.dtype) for field in (level.alpha, level.sigma))
    norm = jnp.hypot(alpha, sigma)
    alpha, sigma = alpha / norm, sigma / norm
    return Seen(x / norm - alpha * jnp.asarray(mean, x.dtype), alpha, sigma, jnp.log(norm))


def spread_of(seen: Seen, s: Float[Array, "*s"] | float) -> Spread:
    """The Spread of normal data of variance s, any shape."""
    variance = seen.alpha**2 * s + seen.sigma**2
    change = seen.alpha**2 * (s - 1)  # variance - 1, as alpha^2 + sigma^2 = 1
    small = jnp.abs(change) < 0.5
    log = jnp.where(small, jnp.log1p(jnp.where(small, change, 0.0)), jnp.log(variance))
    root = jnp.sqrt(variance)
    return Spread(variance, root, change / (root + 1), log, seen.sigma**2 * s / variance, seen.alpha * s / variance)


def log_ratio_of(
    x: Float[Array, " d #k"], at: Float[Array, "d k"], apart: Float[Array, "d k"], spread: Spread
) -> Float[Array, "d k"]:
    """log N(x; at, variance) - log N(x; 0, 1) in each column; apart is x - at."""
    beyond = (x * spread.excess + at) / spread.root  # x - apart / root, without their cancellation
    return 0.5 * (beyond * (x + apart / spread.root) - spread.log)


def shares_given(log_ratio: Float[Array, " k"], shares: Float[Array, " k"]) -> Shares:
    """The probabilities of the components given x, from their log-densities at x and their prior probabilities."""
    counts = shares > 0  # the others must not decide which log-density is the largest
    most = jax.lax.stop_gradient(jnp.max(jnp.where(counts, log_ratio, -jnp.inf)))
    d = jnp.where(counts, log_ratio - most, 0.0)
    each = shares * jnp.exp(d)
    total = jnp.sum(each)
    flat = jnp.min(d) > -_FLAT
    d = jnp.where(flat, d, 0.0)
    moved = jnp.where(flat, shares * jnp.expm1(d), each)
    return Shares(each / total, moved / total, most + jnp.log(total))


def moments(seen: Seen, components: Components, given: Shares, centres: Float[Array, "d k"]) -> Moments:
    """The moments of the whole mixture. The mean of the law is subtracted from `centres`, and so from x0."""
    apart = jnp.sum(given.moved[None] * centres, axis=1) + components.total(given.given, components.shift)
    eps = components.total(given.given, components.eps)
    # with much noise the mean of a component is near its centre; else it is near x, and differs from it by its eps
    noisy = seen.alpha < seen.sigma
    by_noise = seen.sigma / jnp.where(noisy, 1.0, seen.alpha) * (components.turned(components.eps) - eps[:, None])
    each = jnp.where(noisy, centres + components.turned(components.shift) - apart[:, None], by_noise)
    covariance = components.within(given.given) + dot("ik,jk->ij", given.given[None] * each, each)
    return Moments(apart, eps, covariance)

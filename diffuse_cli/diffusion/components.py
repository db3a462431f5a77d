"""Mixtures seen through noise: what x = alpha x0 + sigma eps says of each component, and of all of them together.

Written so that single precision keeps its digits at both ends; `exact` says how.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffuse_cli.diffusion.process import Level

_FLAT = 0.05  # log-densities of all components as close as this are compared by their differences

dot = partial(jnp.einsum, precision="highest")  # an accelerator's own precision has three digits


class Moments(NamedTuple):
    """What x says of the clean sample and of the noise in it.

    x0, eps: [d], their means given x. covariance: [d, d], that of x0 given x.
    """

    x0: Array
    eps: Array
    covariance: Array


class Seen(NamedTuple):
    """x [d] and its level under variance preservation, less alpha times the mean of x0; log_norm is by what it was
    divided for that."""

    x: Array
    alpha: Array
    sigma: Array
    log_norm: Array


class Spread(NamedTuple):
    """What is seen of a normal x0 of some variance s: variance = alpha^2 s + sigma^2 and its root, which would be 1 for
    s = 1; excess = root - 1 and log = log variance, to all digits; within, the variance of x0 given x; pull, by how
    much a change of x changes the mean of x0. All of the shape of s."""

    variance: Array
    root: Array
    excess: Array
    log: Array
    within: Array
    pull: Array


class Components(NamedTuple):
    """What x says of each of k components, were x0 of this one: along its own axes its columns are independent.

    log_ratio [k]: log p(x), less that of N(m, I) as the law of x0, m being the mean of the whole. shift [d, k]: by how
    much the mean of x0 differs from the component's centre. eps [d, k]: the mean noise. variance [d, k]: that of x0.
    bases [d, d, k]: whose columns are the axes; None where those are the columns of x. Components come last, since sums
    over columns are fast so.
    """

    log_ratio: Array
    shift: Array
    eps: Array
    variance: Array
    bases: Array | None = None

    def turned(self, along: Array) -> Array:
        """What is given along the axes of each, [d, k], in the columns of x."""
        return along if self.bases is None else dot("ijk,jk->ik", self.bases, along)

    def total(self, shares: Array, along: Array) -> Array:
        """The sum over components by shares [k], in the columns of x, [d]."""
        weighed = shares[None] * along
        return jnp.sum(weighed, axis=1) if self.bases is None else dot("ijk,jk->i", self.bases, weighed)

    def within(self, shares: Array) -> Array:
        """The covariance of x0 inside of components, the mean by shares [k]."""
        if self.bases is None:
            return jnp.diag(self.total(shares, self.variance))
        return dot("ilk,jlk->ij", self.bases * (shares[None] * self.variance)[None], self.bases)


class Shares(NamedTuple):
    """The shares of components given x, [k]; `moved` sums what has mean 0 before x like these, and keeps all digits of
    a sum that x hardly changes; log_total is the log of the mean ratio."""

    given: Array
    moved: Array
    log_total: Array


def preserved(x: Array, level: Level, mean: np.ndarray) -> Seen:
    """x [d] at a level of scalars, of data with this mean [d]."""
    alpha, sigma = (jnp.asarray(field, x.dtype) for field in (level.alpha, level.sigma))
    norm = jnp.hypot(alpha, sigma)
    alpha, sigma = alpha / norm, sigma / norm
    return Seen(x / norm - alpha * jnp.asarray(mean, x.dtype), alpha, sigma, jnp.log(norm))


def spread_of(seen: Seen, s: Array | float) -> Spread:
    """The spread of normal data of variance s, any shape."""
    variance = seen.alpha**2 * s + seen.sigma**2
    change = seen.alpha**2 * (s - 1)  # variance - 1, as alpha^2 + sigma^2 = 1
    small = jnp.abs(change) < 0.5
    log = jnp.where(small, jnp.log1p(jnp.where(small, change, 0.0)), jnp.log(variance))
    root = jnp.sqrt(variance)
    return Spread(variance, root, change / (root + 1), log, seen.sigma**2 * s / variance, seen.alpha * s / variance)


def log_ratio_of(x: Array, at: Array, apart: Array, spread: Spread) -> Array:
    """log N(x; at, variance) - log N(x; 0, 1) in each column, apart being x - at."""
    beyond = (x * spread.excess + at) / spread.root  # x - apart / root, which both may hardly differ from
    return 0.5 * (beyond * (x + apart / spread.root) - spread.log)


def shares_given(log_ratio: Array, shares: Array) -> Shares:
    """The shares of components given x, from their log-densities there [k] and their shares in the whole [k]."""
    counts = shares > 0  # others may not even have a say in which is the largest
    most = jax.lax.stop_gradient(jnp.max(jnp.where(counts, log_ratio, -jnp.inf)))
    d = jnp.where(counts, log_ratio - most, 0.0)
    each = shares * jnp.exp(d)
    total = jnp.sum(each)
    flat = jnp.min(d) > -_FLAT
    d = jnp.where(flat, d, 0.0)
    moved = jnp.where(flat, shares * d * (1 + d / 2 * (1 + d / 3 * (1 + d / 4 * (1 + d / 5)))), each)  # exp(d) - 1
    return Shares(each / total, moved / total, most + jnp.log(total))


def moments(seen: Seen, found: Components, given: Shares, centres: Array) -> Moments:
    """Those of the whole mixture, from components with centres [d, k]; x0 less the mean that the centres are less."""
    apart = jnp.sum(given.moved[None] * centres, axis=1) + found.total(given.given, found.shift)
    eps = found.total(given.given, found.eps)
    # where there is much noise means are near their centres; else they are near x, and differ by their eps
    noisy = seen.alpha < seen.sigma
    by_noise = seen.sigma / jnp.where(noisy, 1.0, seen.alpha) * (found.turned(found.eps) - eps[:, None])
    each = jnp.where(noisy, centres + found.turned(found.shift) - apart[:, None], by_noise)
    covariance = found.within(given.given) + dot("ik,jk->ij", given.given[None] * each, each)
    return Moments(apart, eps, covariance)

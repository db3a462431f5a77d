"""What a perfect network would answer: laws whose density is known in closed form at every noise level.

A law is its log-density at one point x = alpha x0 + sigma eps [d], in nats, in the space that x0 lives in. The rest
follows from it by automatic differentiation: score = grad log p, eps = -sigma score, x0 = (x - sigma eps) / alpha
(Tweedie's formula; Efron 2011, eq. 1.4).

A law holds its constants as numpy's, and makes jax's of them where it is asked, in the precision of x: one law then
serves single and double precision in one process.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import log_ndtr

from diffuse_cli.diffusion import quadrature
from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import DiffuseError

_TOGETHER = 64  # points at once
_LOG_2PI = float(np.log(2 * np.pi))
_REACH = 7.0  # standard deviations after which a normal density is nothing, exp(-24)
_MOST_BLOCKS = 1 << 22
_SHARP = 1e-6  # of a box's width: as soft as this is an edge without noise, so that numbers stay finite
_SPACING = 0.75  # of a quadrature, in standard deviations: its error is then below 1e-5


class Law(NamedTuple):
    """The law of alpha x0 + sigma eps at every noise level.

    log_density: (x [d], a level of scalars) -> log p(x), a scalar, in nats.
    entropy: (a level of scalars) -> -E log p(x), a float, in nats; -inf where there is no density, as on a bare curve
        at the clean level. The level is a concrete one: this is not for traced code.
    """

    log_density: Callable[[Array, Level], Array]
    entropy: Callable[[Level], float]


def gaussian(mean: Array, covariance: Array) -> Law:
    """x0 ~ N(mean [d], covariance [d, d])."""
    values, basis = np.linalg.eigh(np.asarray(covariance, np.float64))

    def log_density(x: Array, level: Level) -> Array:
        z = (x - level.alpha * jnp.asarray(mean, x.dtype)) @ jnp.asarray(basis, x.dtype)
        variance = level.alpha**2 * jnp.asarray(values, x.dtype) + level.sigma**2
        return -0.5 * jnp.sum(z**2 / variance + jnp.log(variance) + _LOG_2PI)

    def entropy(level: Level) -> float:
        variance = _variance(level, np.sqrt(np.maximum(values, 0)))
        return float(0.5 * np.sum(np.log(variance) + _LOG_2PI + 1)) if variance.all() else -np.inf

    return Law(log_density, entropy)


def mixture(means: Array, std: float, weights: Array | None = None) -> Law:
    """x0 is one of means [k, d], with weights [k] (equal unless given), plus std times N(0, I).

    With means at the nodes of quadrature along a curve this is the noisy curve; with std = 0 and the training points as
    means it is the law that a network learns which has memorised them. Its entropy is known for d = 1 and 2.
    """
    means, std = np.asarray(means), float(std)

    def log_component(x: Array, level: Level, mean: Array) -> Array:
        variance = level.alpha**2 * std**2 + level.sigma**2
        squared = jnp.sum((x - level.alpha * mean) ** 2)
        return -0.5 * (squared / variance + len(x) * (jnp.log(variance) + _LOG_2PI))

    return _sum_of(log_component, (means,), weights, _Extent(means, means, std, std))


def gaussians(means: Array, covariances: Array, weights: Array | None = None, narrowest: float | None = None) -> Law:
    """x0 ~ N(means[i] [d], covariances[i] [d, d]) with i drawn by weights [k] (equal unless given).

    Its entropy is known for d = 1 and 2. `narrowest` is the least standard deviation in its density, where Gaussians
    overlap into something broader than the narrowest of them.
    """
    means = np.asarray(means)
    values, bases = np.linalg.eigh(np.asarray(covariances, np.float64))

    def log_component(x: Array, level: Level, mean: Array, values: Array, basis: Array) -> Array:
        z = (x - level.alpha * mean) @ basis
        variance = level.alpha**2 * values + level.sigma**2
        return -0.5 * jnp.sum(z**2 / variance + jnp.log(variance) + _LOG_2PI)

    narrowest = np.sqrt(max(values.min(), 0.0)) if narrowest is None else narrowest
    along_axes = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    return _sum_of(log_component, (means, values, bases), weights, _Extent(means, means, narrowest, along_axes))


def boxes(low: Array, high: Array, std: float = 0.0, weights: Array | None = None) -> Law:
    """x0 is uniform on one of the boxes from low [k, d] to high [k, d], by weights [k], plus std times N(0, I).

    Its entropy is known for d = 1 and 2.
    """
    low, high, std = np.asarray(low), np.asarray(high), float(std)

    def log_component(x: Array, level: Level, low: Array, high: Array) -> Array:
        low, high = level.alpha * low, level.alpha * high
        spread = jnp.sqrt(level.alpha**2 * std**2 + level.sigma**2)
        spread = jnp.maximum(spread, _SHARP * (high - low))
        return jnp.sum(_log_ndtr_between((x - high) / spread, (x - low) / spread) - jnp.log(high - low))

    law = _sum_of(log_component, (low, high), weights, _Extent(low, high, std, std))

    def entropy(level: Level) -> float:
        if _variance(level, std) == 0:
            return _entropy_of_blocks(low, high, _shares(weights, len(low)))
        return law.entropy(level)

    return law._replace(entropy=entropy)


def product(parts: Sequence[tuple[Sequence[int], Law]]) -> Law:
    """Independent groups of columns, each with its own law: [(columns, law), …]."""

    def log_density(x: Array, level: Level) -> Array:
        return sum(law.log_density(jnp.stack([x[i] for i in columns]), level) for columns, law in parts)

    return Law(log_density, lambda level: sum(law.entropy(level) for _, law in parts))


def log_prob(law: Law, x: Array, level: Level) -> Array:
    """log p at each of x [n, d], [n]. The level's fields are scalars or [n, 1]."""
    return _at_each(law.log_density, x, level)


def denoiser(law: Law, *, variance: bool = False) -> Predict:
    """The exact denoiser: E[x0 | x] and the noise that goes with it; with `variance` also that of each column of x0."""
    if variance:
        return _uncertain(law)

    def predict(x: Array, level: Level) -> Prediction:
        level = _visible(level)
        eps = -level.sigma * _at_each(jax.grad(law.log_density), x, level)
        return Prediction((x - level.sigma * eps) / level.alpha, eps)

    return predict


_FAINT = 0.02  # alpha / sigma


def _uncertain(law: Law) -> Predict:
    moments, plain = posterior(law), denoiser(law)

    def predict(x: Array, level: Level) -> Prediction:
        # with no more signal than this the Hessian has no digits of the data's variance left, and x hardly matters
        asked = level._replace(alpha=jnp.maximum(level.alpha, _FAINT * level.sigma))
        _, covariance = moments(x, asked)
        least = 1e-6 * (level.sigma / level.alpha) ** 2
        variance = jnp.maximum(jnp.diagonal(covariance, axis1=1, axis2=2), least)
        return plain(x, level)._replace(x0_var=variance)

    return predict


def posterior(law: Law) -> Callable[[Array, Level], tuple[Array, Array]]:
    """(x [n, d], level) -> the mean [n, d] and the covariance [n, d, d] of x0 given x.

    E[x0 | x] = (x + sigma^2 grad log p) / alpha,  Cov[x0 | x] = (sigma / alpha)^2 (I + sigma^2 Hessian log p).
    Tweedie's formula of the first and second order; Efron 2011, section 2.
    """

    def at(x: Array, level: Level) -> tuple[Array, Array]:
        level = _visible(level)
        score = jax.grad(law.log_density)(x, level)
        hessian = jax.hessian(law.log_density)(x, level)
        mean = (x + level.sigma**2 * score) / level.alpha
        return mean, (level.sigma / level.alpha) ** 2 * (jnp.eye(len(x), dtype=x.dtype) + level.sigma**2 * hessian)

    return partial(_at_each, at)


class _Extent(NamedTuple):
    """Where the components of a clean law lie: boxes from low to high [k, d] (or points) with Gaussian edges.

    std is that of the edges, a number or along the axes of each, [k, d]; narrowest is the least one in any direction.
    """

    low: np.ndarray
    high: np.ndarray
    narrowest: float
    std: float | np.ndarray


def _sum_of(
    log_component: Callable[..., Array], components: tuple[np.ndarray, ...], weights: Array | None, extent: _Extent
) -> Law:
    """The mixture of log_component(x [d], level, *component) over components, arrays with k rows each."""
    shares = _shares(weights, len(extent.low))

    def log_sum(x: Array, level: Level, components: tuple[Array, ...], shares: Array) -> Array:
        each = jax.vmap(lambda *component: log_component(x, level, *component))(*components)
        return jax.nn.logsumexp(each, b=shares)

    def log_density(x: Array, level: Level) -> Array:
        return log_sum(x, level, tuple(jnp.asarray(part, x.dtype) for part in components), jnp.asarray(shares, x.dtype))

    def entropy(level: Level) -> float:
        dim = extent.low.shape[1]
        if dim > 2:
            raise DiffuseError(
                f"the entropy of a mixture is computed in one or two dimensions, and this one has {dim}; "
                "average -log p over draws from it instead"
            )
        log_snr, alpha, sigma = map(float, level)
        spacing = _SPACING * np.sqrt(_variance(level, extent.narrowest))
        if spacing == 0:
            return -np.inf

        def log_p(x: Array, chosen: Array, counts: Array) -> Array:
            level = Level(*map(jnp.asarray, (log_snr, alpha, sigma)))
            near = tuple(jnp.asarray(part, x.dtype)[chosen] for part in components)
            share = jnp.where(counts, jnp.asarray(shares, x.dtype)[chosen], 0.0)
            return jax.vmap(lambda x: log_sum(x, level, near, share))(x)

        reach = _REACH * np.sqrt(_variance(level, extent.std))
        return quadrature.entropy(log_p, alpha * extent.low - reach, alpha * extent.high + reach, float(spacing))

    return Law(log_density, entropy)


def _shares(weights: Array | None, count: int) -> np.ndarray:
    return np.full(count, 1 / count) if weights is None else np.asarray(weights)


def _variance(level: Level, std: float | np.ndarray) -> np.ndarray:
    """The variance of x whose x0 has standard deviation std, in double precision."""
    return float(level.alpha) ** 2 * np.square(std) + float(level.sigma) ** 2


def _entropy_of_blocks(low: np.ndarray, high: np.ndarray, shares: np.ndarray) -> float:
    """The entropy of boxes without noise, which may overlap: p is constant between one edge and the next."""
    edges = [np.unique(np.concatenate([low[:, i], high[:, i]])) for i in range(low.shape[1])]
    if np.prod([len(edge) for edge in edges]) > _MOST_BLOCKS:
        raise DiffuseError(f"the entropy of {len(low)} boxes without noise is out of reach; ask at a noisier level")
    middles = np.stack(np.meshgrid(*[(edge[1:] + edge[:-1]) / 2 for edge in edges], indexing="ij"), axis=-1)
    volumes = reduce(np.multiply.outer, [np.diff(edge) for edge in edges])
    density = np.zeros(volumes.shape)
    for a, b, share in zip(low, high, shares, strict=True):
        density += share / np.prod(b - a) * np.all((middles > a) & (middles < b), axis=-1)
    inside = density > 0
    return float(-np.sum((volumes * density)[inside] * np.log(density[inside])))


def _visible(level: Level) -> Level:
    """The level, or that of log-SNR −20 where less is left of the data: x − sigma eps then has no digits of them."""
    return level._replace(alpha=jnp.maximum(level.alpha, 4.5e-5 * level.sigma))


def _at_each(f: Callable[[Array, Level], Any], x: Array, level: Level) -> Any:
    """f(x [d], a level of scalars) at each of x [n, d], some at a time: a cloud times a law's thousand nodes would fill
    the memory, and in blocks it stays in the processor's cache, which halves the time."""
    levels = jax.tree.map(lambda field: jnp.broadcast_to(jnp.reshape(field, -1), (len(x),)), level)
    return jax.lax.map(lambda one: f(*one), (x, levels), batch_size=_TOGETHER)


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

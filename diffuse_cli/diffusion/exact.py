"""What a perfect network would answer: laws whose density is known in closed form at every noise level.

A law says log p of x = alpha x0 + sigma eps at one point [d], in nats, in the space that x0 lives in, and what x says
of x0 and of eps: their means, and the covariance of x0. The laws here are mixtures of components with closed forms.
Where there is little signal, all that is known of x0 is what p differs in from pure noise, and x − sigma eps has lost
it to rounding. So x and its level are brought to variance preservation, the mean m of x0 is taken off, and each
component is compared on paper with the law N(m, I), whose noised form is N(alpha m, I) at every level: nothing is a
small difference of large numbers at either end. In single precision x0, eps and the covariance have four digits from
log-SNR −30 to 30, as far as x itself has them.

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

from diffuse_cli.diffusion import quadrature, truncated
from diffuse_cli.diffusion.components import (
    Components,
    Moments,
    Seen,
    Shares,
    dot,
    log_ratio_of,
    moments,
    preserved,
    shares_given,
    spread_of,
)
from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import DiffuseError

_TOGETHER = 64  # points at once
_LOG_2PI = float(np.log(2 * np.pi))
_REACH = 7.0  # standard deviations after which a normal density is nothing, exp(-24)
_MOST_BLOCKS = 1 << 22
_SHARP = 1e-9  # of a box's half width: as soft as this is an edge without noise, so that numbers stay finite
_SPACING = 0.75  # of a quadrature, in standard deviations: its error is then below 1e-5


class Law(NamedTuple):
    """The law of alpha x0 + sigma eps at every noise level.

    log_density: (x [d], a level of scalars) -> log p(x), a scalar, in nats.
    entropy: (a level of scalars) -> -E log p(x), a float, in nats; -inf where there is no density, as on a bare curve
        at the clean level. The level is a concrete one: this is not for traced code.
    posterior: (x [d], a level of scalars) -> Moments. Without it they come from log_density by differentiation, which
        has no digits of x0 left where there is hardly any signal; see `by_differentiation`.
    """

    log_density: Callable[[Array, Level], Array]
    entropy: Callable[[Level], float]
    posterior: Callable[[Array, Level], Moments] | None = None


def gaussian(mean: Array, covariance: Array) -> Law:
    """x0 ~ N(mean [d], covariance [d, d])."""
    covariance = np.asarray(covariance, np.float64)
    values = np.maximum(np.linalg.eigvalsh(covariance), 0)

    def entropy(level: Level) -> float:
        variance = _variance(level, np.sqrt(values))
        return float(0.5 * np.sum(np.log(variance) + _LOG_2PI + 1)) if variance.all() else -np.inf

    return gaussians(np.asarray(mean)[None], covariance[None])._replace(entropy=entropy)


def mixture(means: Array, std: float, weights: Array | None = None) -> Law:
    """x0 is one of means [k, d], with weights [k] (equal unless given), plus std times N(0, I).

    With means at the nodes of quadrature along a curve this is the noisy curve; with std = 0 and the training points as
    means it is the law that a network learns which has memorised them. Its entropy is known for d = 1 and 2.
    """
    means, std = np.asarray(means, np.float64), float(std)

    def components(seen: Seen, centres: Array) -> Components:
        spread, at = spread_of(seen, std**2), seen.alpha * centres
        apart = seen.x[:, None] - at
        log_ratio = jnp.sum(log_ratio_of(seen.x[:, None], at, apart, spread), axis=0)
        variance = jnp.broadcast_to(spread.within, apart.shape)
        return Components(log_ratio, spread.pull * apart, seen.sigma / spread.variance * apart, variance)

    return _sum_of(components, means, (), weights, _Extent(means, means, std, std))


def gaussians(means: Array, covariances: Array, weights: Array | None = None, narrowest: float | None = None) -> Law:
    """x0 ~ N(means[i] [d], covariances[i] [d, d]) with i drawn by weights [k] (equal unless given).

    Its entropy is known for d = 1 and 2. `narrowest` is the least standard deviation in its density, where Gaussians
    overlap into something broader than the narrowest of them.
    """
    means = np.asarray(means, np.float64)
    values, bases = np.linalg.eigh(np.asarray(covariances, np.float64))
    values = np.maximum(values, 0)

    def components(seen: Seen, centres: Array, values: Array, bases: Array, turned: Array) -> Components:
        spread, at, along = spread_of(seen, values), seen.alpha * turned, dot("ijk,i->jk", bases, seen.x)
        apart = along - at
        log_ratio = jnp.sum(log_ratio_of(along, at, apart, spread), axis=0)
        return Components(log_ratio, spread.pull * apart, seen.sigma / spread.variance * apart, spread.within, bases)

    turned = np.einsum("kij,ki->kj", bases, means - _shares(weights, len(means)) @ means)
    narrowest = np.sqrt(values.min()) if narrowest is None else narrowest
    along_axes = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    return _sum_of(components, means, (values, bases, turned), weights, _Extent(means, means, narrowest, along_axes))


def boxes(low: Array, high: Array, std: float = 0.0, weights: Array | None = None) -> Law:
    """x0 is uniform on one of the boxes from low [k, d] to high [k, d], by weights [k], plus std times N(0, I).

    Its entropy is known for d = 1 and 2.
    """
    low, high, std = np.asarray(low, np.float64), np.asarray(high, np.float64), float(std)
    halves = (high - low) / 2

    def components(seen: Seen, centres: Array, halves: Array) -> Components:
        spread = spread_of(seen, jnp.maximum(std, _SHARP * halves) ** 2)
        x, at = seen.x[:, None], seen.alpha * centres
        inside = truncated.normal((at - x) / spread.root, seen.alpha * halves / spread.root)
        width = jnp.where(inside.short, 1.0, 2 * seen.alpha * halves)
        log_ratio = jnp.where(
            inside.short,
            log_ratio_of(x, at, x - at, spread) + inside.tilt,
            inside.log_mass - jnp.log(width) + 0.5 * (x**2 + _LOG_2PI),
        )
        noise = seen.sigma**2 / spread.variance  # its share in all that blurs the box
        shift = noise * halves * inside.place + spread.pull * (x - at)
        variance = (noise * halves) ** 2 * inside.spread + spread.within
        return Components(jnp.sum(log_ratio, axis=0), shift, -seen.sigma / spread.root * inside.mean, variance)

    law = _sum_of(components, (low + high) / 2, (halves,), weights, _Extent(low, high, std, std))

    def entropy(level: Level) -> float:
        if _variance(level, std) == 0:
            return _entropy_of_blocks(low, high, _shares(weights, len(low)))
        return law.entropy(level)

    return law._replace(entropy=entropy)


def product(parts: Sequence[tuple[Sequence[int], Law]]) -> Law:
    """Independent groups of columns, each with its own law: [(columns, law), …]."""
    places = np.argsort(np.concatenate([np.asarray(columns) for columns, _ in parts])).astype(np.int32)

    def each(ask: Callable[[Law], Callable], x: Array, level: Level) -> list:
        return [ask(law)(jnp.stack([x[i] for i in columns]), level) for columns, law in parts]

    def posterior(x: Array, level: Level) -> Moments:
        found = each(_posterior_of, x, level)
        x0, eps = (jnp.concatenate([getattr(part, name) for part in found])[places] for name in ("x0", "eps"))
        covariance = jax.scipy.linalg.block_diag(*(part.covariance for part in found))
        return Moments(x0, eps, covariance[places][:, places])

    return Law(
        lambda x, level: sum(each(lambda law: law.log_density, x, level)),
        lambda level: sum(law.entropy(level) for _, law in parts),
        posterior,
    )


def log_prob(law: Law, x: Array, level: Level) -> Array:
    """log p at each of x [n, d], [n]. The level's fields are scalars or [n, 1]."""
    return _at_each(law.log_density, x, level)


def denoiser(law: Law, *, variance: bool = False) -> Predict:
    """The exact denoiser: E[x0 | x] and the noise that goes with it; with `variance` also that of each column of x0."""
    at = _posterior_of(law)

    def predict(x: Array, level: Level) -> Prediction:
        found = _at_each(lambda x, level: at(x, level)[:2], x, level)
        return Prediction(*found)

    def uncertain(x: Array, level: Level) -> Prediction:
        x0, eps, covariance = _at_each(at, x, level)
        # where x says all, as of points, no variance is left, and none has no logarithm
        least = 1e-6 * (level.sigma / jnp.hypot(level.alpha, level.sigma)) ** 2
        return Prediction(x0, eps, jnp.maximum(jnp.diagonal(covariance, axis1=1, axis2=2), least))

    return uncertain if variance else predict


def posterior(law: Law) -> Callable[[Array, Level], tuple[Array, Array]]:
    """(x [n, d], level) -> the mean [n, d] and the covariance [n, d, d] of x0 given x."""
    at = _posterior_of(law)

    def moments(x: Array, level: Level) -> tuple[Array, Array]:
        found = at(x, level)
        return found.x0, found.covariance

    return partial(_at_each, moments)


def by_differentiation(log_density: Callable[[Array, Level], Array]) -> Callable[[Array, Level], Moments]:
    """The posterior of a law of which nothing but log p is known.

    eps = -sigma grad log p,  E[x0 | x] = (x - sigma eps) / alpha,
    Cov[x0 | x] = (sigma / alpha)^2 (I + sigma^2 Hessian log p).

    Tweedie's formula of the first and second order; Efron 2011, section 2. Where there is much noise both are small
    differences of large numbers: rounding is multiplied by sigma / alpha in x0, and by its square in the covariance.
    So the means are asked at log-SNR −20 at the least and the covariance at −8, in double precision at −60 and −28;
    single precision errs by some hundredths there.
    """

    def posterior(x: Array, level: Level) -> Moments:
        rounding = float(jnp.finfo(x.dtype).eps)
        seen, clear = (
            level._replace(alpha=jnp.maximum(level.alpha, least * level.sigma))
            for least in (400 * rounding, 60 * rounding**0.5)
        )
        eps = -level.sigma * jax.grad(log_density)(x, seen)
        curvature = jnp.eye(len(x), dtype=x.dtype) + level.sigma**2 * jax.hessian(log_density)(x, clear)
        return Moments((x - level.sigma * eps) / seen.alpha, eps, (level.sigma / clear.alpha) ** 2 * curvature)

    return posterior


def _posterior_of(law: Law) -> Callable[[Array, Level], Moments]:
    return by_differentiation(law.log_density) if law.posterior is None else law.posterior


class _Extent(NamedTuple):
    """Where the components of a clean law lie: boxes from low to high [k, d] (or points) with Gaussian edges.

    std is that of the edges, a number or along the axes of each, [k, d]; narrowest is the least one in any direction.
    """

    low: np.ndarray
    high: np.ndarray
    narrowest: float
    std: float | np.ndarray


def _sum_of(
    components: Callable[..., Components],
    centres: np.ndarray,
    others: tuple[np.ndarray, ...],
    weights: Array | None,
    extent: _Extent,
) -> Law:
    """The mixture of components(seen, centres, *others), of which there are k. Arrays given here have k rows; what
    `components` sees has them on the last axis, and the centres [d, k] less the law's mean."""
    shares = _shares(weights, len(centres))
    mean = shares @ centres / shares.sum()
    known = tuple(np.moveaxis(part, 0, -1) for part in (shares, centres - mean, *others))

    def ask(x: Array, level: Level, known: tuple[Array, ...]) -> tuple[Seen, Components, Shares]:
        shares, *parts = known
        seen = preserved(x, level, mean)
        found = components(seen, *parts)
        return seen, found, shares_given(found.log_ratio, shares)

    def log_sum(x: Array, level: Level, known: tuple[Array, ...]) -> Array:
        seen, _, given = ask(x, level, known)
        return given.log_total - jnp.sum(0.5 * (seen.x**2 + _LOG_2PI) + seen.log_norm)

    def in_type_of(x: Array) -> tuple[Array, ...]:
        return tuple(jnp.asarray(part, x.dtype) for part in known)

    def posterior(x: Array, level: Level) -> Moments:
        known = in_type_of(x)
        seen, found, given = ask(x, level, known)
        about, eps, covariance = moments(seen, found, given, known[1])
        return Moments(jnp.asarray(mean, x.dtype) + about, eps, covariance)

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
            share, *near = (jnp.asarray(part, x.dtype)[..., chosen] for part in known)
            near = (jnp.where(counts, share, 0.0), *near)
            return jax.vmap(lambda x: log_sum(x, level, near))(x)

        reach = _REACH * np.sqrt(_variance(level, extent.std))
        return quadrature.entropy(log_p, alpha * extent.low - reach, alpha * extent.high + reach, float(spacing))

    return Law(lambda x, level: log_sum(x, level, in_type_of(x)), entropy, posterior)


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


def _at_each(f: Callable[[Array, Level], Any], x: Array, level: Level) -> Any:
    """f(x [d], a level of scalars) at each of x [n, d], some at a time: a cloud times a law's thousand nodes would fill
    the memory, and in blocks it stays in the processor's cache, which halves the time."""
    levels = jax.tree.map(lambda field: jnp.broadcast_to(jnp.reshape(field, -1), (len(x),)), level)
    return jax.lax.map(lambda one: f(*one), (x, levels), batch_size=_TOGETHER)

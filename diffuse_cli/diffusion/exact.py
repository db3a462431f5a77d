"""Exact denoisers: laws (probability distributions) whose density has a closed form at every noise level.

A law computes, at one point x = alpha x0 + sigma eps [d], log p(x) in nats and the posterior moments: the means of x0
and eps given x, and the covariance of x0. The laws here are mixtures of components with closed forms. With little
signal, x0 depends only on the difference between p and pure noise, which x − sigma eps loses to rounding. So x and its
level are brought to variance preservation, the mean m of x0 is subtracted, and each component is compared by formula
with the law N(m, I), which with noise is N(alpha m, I) at every level: no result is a small difference of large numbers
at either end. In single precision x0, eps and the covariance have four digits from log-SNR −30 to 30, as far as x has
them.

A law keeps its constants as numpy arrays, and converts them to the precision of x at each call: the same law serves
single and double precision in one process.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from diffuse_cli.diffusion import quadrature, truncated
from diffuse_cli.diffusion.components import (
    Components,
    Moments,
    Seen,
    Shares,
    dot,
    log_ratio_of,
    moments,
    seen_of,
    shares_given,
    spread_of,
)
from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import DiffuseError

_TOGETHER = 64  # points that are evaluated at once
_LOG_2PI = float(np.log(2 * np.pi))
_REACH = 7.0  # standard deviations, beyond which a normal density counts as 0: exp(-24)
_SHARP = 1e-9  # the least width of the edge of a box, relative to its half width, so that numbers stay finite
_SPACING = 0.75  # of a quadrature, in standard deviations: its error is then below 1e-5


class Gaussians(NamedTuple):
    """A mixture of the k components N(means[i], covariances[i]) with weights [k], which sum to 1.

    means: [k, d]. covariances: [k, d, d]; [1, d, d] if all are equal. narrowest: the least standard deviation in the
    density.
    """

    means: np.ndarray
    covariances: np.ndarray
    weights: np.ndarray
    narrowest: float


class Law(NamedTuple):
    """The law of alpha x0 + sigma eps at every noise level.

    log_density: (x [d], a level of scalars) -> log p(x), a scalar, in nats.
    entropy: (a level of scalars) -> -E log p(x), a float, in nats; -inf where there is no density, as on a curve
        without noise. It cannot be traced by jax. Raises DiffuseError where it would take too much memory or time.
    posterior: (x [d], a level of scalars) -> Moments. Without it they come from log_density by differentiation, which
        leaves no digits of x0 where there is hardly any signal; see `by_differentiation`.
    gaussians: () -> the Gaussians whose mixture x0 is; None where it is no such mixture.
    """

    log_density: Callable[[Float[Array, " d"], Level], Float[Array, ""]]
    entropy: Callable[[Level], float]
    posterior: Callable[[Float[Array, " d"], Level], Moments] | None = None
    gaussians: Callable[[], Gaussians] | None = None


def gaussian(mean: Float[ArrayLike, " d"], covariance: Float[ArrayLike, "d d"]) -> Law:
    """x0 ~ N(mean, covariance).

    >>> law = gaussian(np.zeros(2), np.eye(2))
    >>> round(law.entropy(Level(np.inf, 1.0, 0.0)), 3)  # log(2 pi e)
    2.838
    """
    return gaussians(np.asarray(mean)[None], np.asarray(covariance)[None])


def mixture(means: Float[ArrayLike, "k d"], std: float, weights: Float[ArrayLike, " k"] | None = None) -> Law:
    """x0 is one of `means`, drawn with `weights` (by default equal), plus std times N(0, I).

    With the nodes of a quadrature along a curve as means, this is the noisy curve; with std = 0 and the training points
    as means, it is the law of a network that has memorised them. The entropy is available for d = 1 and 2.
    """
    means, std = np.asarray(means, np.float64), float(std)

    def components(seen: Seen, centres: Float[Array, "d k"]) -> Components:
        spread, at = spread_of(seen, std**2), seen.alpha * centres
        apart = seen.x[:, None] - at
        log_ratio = jnp.sum(log_ratio_of(seen.x[:, None], at, apart, spread), axis=0)
        variance = jnp.broadcast_to(spread.within, apart.shape)
        return Components(log_ratio, spread.pull * apart, seen.sigma / spread.variance * apart, variance)

    law = _sum_of(components, means, (), weights, _Extent(means, means, std, std))
    covariance = std**2 * np.eye(means.shape[1])[None]
    return law._replace(gaussians=lambda: Gaussians(means, covariance, _probabilities(weights, len(means)), std))


def gaussians(
    means: Float[ArrayLike, "k d"],
    covariances: Float[ArrayLike, "#k d d"],
    weights: Float[ArrayLike, " k"] | None = None,
    narrowest: float | None = None,
) -> Law:
    """x0 ~ N(means[i], covariances[i]) with i drawn with `weights` (by default equal); one covariance may serve all.

    The entropy of several is available for d = 1 and 2. narrowest: the least standard deviation in the density, where
    Gaussians overlap so that it is more than that of the narrowest component.
    """
    means, covariances = np.asarray(means, np.float64), np.asarray(covariances, np.float64)
    count, dim = means.shape
    values, bases = np.linalg.eigh(covariances)
    values, bases = np.broadcast_to(np.maximum(values, 0), (count, dim)), np.broadcast_to(bases, (count, dim, dim))

    def components(
        seen: Seen,
        centres: Float[Array, "d k"],
        values: Float[Array, "d k"],
        bases: Float[Array, "d d k"],
        turned: Float[Array, "d k"],
    ) -> Components:
        spread, at, along = spread_of(seen, values), seen.alpha * turned, dot("ijk,i->jk", bases, seen.x)
        apart = along - at
        log_ratio = jnp.sum(log_ratio_of(along, at, apart, spread), axis=0)
        return Components(log_ratio, spread.pull * apart, seen.sigma / spread.variance * apart, spread.within, bases)

    turned = np.einsum("kij,ki->kj", bases, means - _shares(weights, len(means)) @ means)
    least = float(np.sqrt(values.min())) if narrowest is None else narrowest
    along_axes = np.broadcast_to(np.sqrt(np.diagonal(covariances, axis1=1, axis2=2)), means.shape)
    law = _sum_of(components, means, (values, bases, turned), weights, _Extent(means, means, least, along_axes))

    def entropy(level: Level) -> float:
        if count > 1:
            return law.entropy(level)
        variance = _variance(level, np.sqrt(values))
        return float(0.5 * np.sum(np.log(variance) + _LOG_2PI + 1)) if variance.all() else -np.inf

    parts = partial(Gaussians, means, covariances, _probabilities(weights, count), least)
    return law._replace(entropy=entropy, gaussians=parts)


def boxes(
    low: Float[ArrayLike, "k d"],
    high: Float[ArrayLike, "k d"],
    std: float = 0.0,
    weights: Float[ArrayLike, " k"] | None = None,
) -> Law:
    """x0 is uniform on one of the boxes from `low` to `high`, drawn with `weights`, plus std times N(0, I).

    The entropy is available for d = 1 and 2.

    >>> law = boxes(np.array([[0.0]]), np.array([[2.0]]))
    >>> round(law.entropy(Level(np.inf, 1.0, 0.0)), 3)  # log 2
    0.693
    """
    low, high, std = np.asarray(low, np.float64), np.asarray(high, np.float64), float(std)
    halves = (high - low) / 2

    def components(seen: Seen, centres: Float[Array, "d k"], halves: Float[Array, "d k"]) -> Components:
        spread = spread_of(seen, jnp.maximum(std, _SHARP * halves) ** 2)
        x, at = seen.x[:, None], seen.alpha * centres
        inside = truncated.normal((at - x) / spread.root, seen.alpha * halves / spread.root)
        width = jnp.where(inside.short, 1.0, 2 * seen.alpha * halves)
        log_ratio = jnp.where(
            inside.short,
            log_ratio_of(x, at, x - at, spread) + inside.tilt,
            inside.log_mass - jnp.log(width) + 0.5 * (x**2 + _LOG_2PI),
        )
        noise = seen.sigma**2 / spread.variance  # the share of the noise in the variance of the edges
        shift = noise * halves * inside.place + spread.pull * (x - at)
        variance = (noise * halves) ** 2 * inside.spread + spread.within
        return Components(jnp.sum(log_ratio, axis=0), shift, -seen.sigma / spread.root * inside.mean, variance)

    law = _sum_of(components, (low + high) / 2, (halves,), weights, _Extent(low, high, std, std))

    def entropy(level: Level) -> float:
        if _variance(level, std) == 0:
            return quadrature.entropy_of_blocks(low, high, _shares(weights, len(low)))
        return law.entropy(level)

    return law._replace(entropy=entropy)


def product(parts: Sequence[tuple[Sequence[int], Law]]) -> Law:
    """Independent groups of columns: `parts` is [(columns, law), …], in which every column occurs once."""
    places = np.argsort(np.concatenate([np.asarray(columns) for columns, _ in parts])).astype(np.int32)

    def each(
        function_of: Callable[[Law], Callable[[Float[Array, " d"], Level], Any]], x: Float[Array, " d"], level: Level
    ) -> list[Any]:
        return [function_of(law)(jnp.stack([x[i] for i in columns]), level) for columns, law in parts]

    def posterior(x: Float[Array, " d"], level: Level) -> Moments:
        by_part: list[Moments] = each(_posterior_of, x, level)
        x0, eps = (jnp.concatenate([getattr(part, name) for part in by_part])[places] for name in ("x0", "eps"))
        covariance = jax.scipy.linalg.block_diag(*(part.covariance for part in by_part))
        return Moments(x0, eps, covariance[places][:, places])

    def log_density(x: Float[Array, " d"], level: Level) -> Float[Array, ""]:
        total: Array = sum(each(lambda law: law.log_density, x, level))
        return total

    return Law(log_density, lambda level: sum(law.entropy(level) for _, law in parts), posterior)


def log_prob(law: Law, x: Float[ArrayLike, "n d"], level: Level) -> Float[Array, " n"]:
    """log p at each of x, in nats. The fields of the level are scalars or [n, 1]."""
    log_p: Array = _at_each(law.log_density, x, level)
    return log_p


def classifier(
    laws: Sequence[Law], shares: Float[ArrayLike, " k"]
) -> Callable[[Float[ArrayLike, "n d"], Level], Float[Array, "n k"]]:
    """(x, level) -> log p(c | x) of each of k classes, by Bayes' rule: the exact classifier at every noise level.

    laws: p(x | c) of each class. shares: p(c), which sum to 1. With the score of the whole its slope gives the score of
    a class, s(x | c) = s(x) + ∇ log p(c | x) (Dhariwal & Nichol 2021, section 4.1).

    >>> two = [gaussian(np.array([mean]), np.eye(1)) for mean in (-1.0, 1.0)]
    >>> log_p = jax.jit(classifier(two, np.array([0.5, 0.5])))(np.array([[0.5]]), Level(np.inf, 1.0, 0.0))
    >>> np.float64(np.exp(log_p)).round(3)  # 1 / (1 + e), and the rest
    array([[0.269, 0.731]])
    """

    def log_probabilities(x: Float[ArrayLike, "n d"], level: Level) -> Float[Array, "n k"]:
        given = jnp.stack([log_prob(law, x, level) for law in laws], axis=1)
        with np.errstate(divide="ignore"):
            log_shares = jnp.asarray(np.log(np.asarray(shares, np.float64)), given.dtype)
        return jax.nn.log_softmax(given + log_shares[None], axis=1)

    return log_probabilities


def denoiser(law: Law, *, variance: bool = False) -> Predict:
    """The exact denoiser: the means of x0 and eps given x; with `variance` also the variance of each column of x0."""
    at = _posterior_of(law)

    def predict(x: Float[ArrayLike, "n d"], level: Level) -> Prediction:
        return Prediction(*_at_each(lambda x, level: at(x, level)[:2], x, level))

    def with_variance(x: Float[ArrayLike, "n d"], level: Level) -> Prediction:
        x0, eps, covariance = _at_each(at, x, level)
        # the variance is 0 where x determines x0, as for separate points, and its logarithm must be finite
        least = 1e-6 * (level.sigma / jnp.hypot(level.alpha, level.sigma)) ** 2
        return Prediction(x0, eps, jnp.maximum(jnp.diagonal(covariance, axis1=1, axis2=2), least))

    return with_variance if variance else predict


def posterior(law: Law) -> Callable[[Float[Array, "n d"], Level], tuple[Float[Array, "n d"], Float[Array, "n d d"]]]:
    """(x, level) -> the mean and the covariance of x0 given x, at each of x."""
    at = _posterior_of(law)

    def moments(x: Float[Array, " d"], level: Level) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
        given_x = at(x, level)
        return given_x.x0, given_x.covariance

    return partial(_at_each, moments)


def by_differentiation(
    log_density: Callable[[Float[Array, " d"], Level], Float[Array, ""]],
) -> Callable[[Float[Array, " d"], Level], Moments]:
    """The posterior of a law, from its log-density alone.

    eps = -sigma grad log p,  E[x0 | x] = (x - sigma eps) / alpha,
    Cov[x0 | x] = (sigma / alpha)^2 (I + sigma^2 Hessian log p).

    Tweedie's formula of the first and second order; Efron 2011, section 2. Where there is much noise both are small
    differences of large numbers: rounding errors are multiplied by sigma / alpha in x0, and by its square in the
    covariance. So the means are taken at log-SNR −20 or more and the covariance at −8 or more, in double precision at
    −60 and −28; in single precision the errors there are some hundredths.
    """

    def posterior(x: Float[Array, " d"], level: Level) -> Moments:
        rounding = float(np.finfo(x.dtype).eps)
        for_means, for_covariance = (
            level._replace(alpha=jnp.maximum(level.alpha, least * level.sigma))
            for least in (400 * rounding, 60 * rounding**0.5)
        )
        eps = -level.sigma * jax.grad(log_density)(x, for_means)
        curvature = jnp.eye(len(x), dtype=x.dtype) + level.sigma**2 * jax.hessian(log_density)(x, for_covariance)
        covariance = (level.sigma / for_covariance.alpha) ** 2 * curvature
        return Moments((x - level.sigma * eps) / for_means.alpha, eps, covariance)

    return posterior


def _posterior_of(law: Law) -> Callable[[Float[Array, " d"], Level], Moments]:
    return by_differentiation(law.log_density) if law.posterior is None else law.posterior


class _Extent(NamedTuple):
    """Where the components of a law lie without noise: boxes from low to high [k, d] (or points) with Gaussian edges.

    std: the standard deviation of the edges, a number or one for each axis of each component, [k, d]. narrowest: the
    least standard deviation in any direction.
    """

    low: np.ndarray
    high: np.ndarray
    narrowest: float
    std: float | np.ndarray


def _sum_of(
    components: Callable[..., Components],
    centres: np.ndarray,
    others: tuple[np.ndarray, ...],
    weights: Float[ArrayLike, " k"] | None,
    extent: _Extent,
) -> Law:
    """The mixture of k components(seen, centres, *others).

    `centres` and `others` have k rows. `components` is given them with k as the last axis, and with the mean of the law
    subtracted from the centres.
    """
    shares = _shares(weights, len(centres))
    mean = shares @ centres / shares.sum()
    constants = tuple(np.moveaxis(part, 0, -1) for part in (shares, centres - mean, *others))

    def evaluate(x: Float[Array, " d"], level: Level, constants: Sequence[Array]) -> tuple[Seen, Components, Shares]:
        shares, *parts = constants
        seen = seen_of(x, level, mean)
        each = components(seen, *parts)
        return seen, each, shares_given(each.log_ratio, shares)

    def log_sum(x: Float[Array, " d"], level: Level, constants: Sequence[Array]) -> Float[Array, ""]:
        seen, _, given = evaluate(x, level, constants)
        return given.log_total - jnp.sum(0.5 * (seen.x**2 + _LOG_2PI) + seen.log_norm)

    def in_type_of(x: Float[Array, " d"]) -> tuple[Array, ...]:
        return tuple(jnp.asarray(part, x.dtype) for part in constants)

    def posterior(x: Float[Array, " d"], level: Level) -> Moments:
        typed = in_type_of(x)
        seen, each, given = evaluate(x, level, typed)
        about_mean, eps, covariance = moments(seen, each, given, typed[1])
        return Moments(jnp.asarray(mean, x.dtype) + about_mean, eps, covariance)

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

        def log_p(x: Float[Array, "n d"], chosen: Int[Array, " m"], counts: Bool[Array, " m"]) -> Float[Array, " n"]:
            level = Level(*map(jnp.asarray, (log_snr, alpha, sigma)))
            share, *others_near = (jnp.asarray(part, x.dtype)[..., chosen] for part in constants)
            near = (jnp.where(counts, share, 0.0), *others_near)
            return jax.vmap(lambda x: log_sum(x, level, near))(x)

        reach = _REACH * np.sqrt(_variance(level, extent.std))
        return quadrature.entropy(log_p, alpha * extent.low - reach, alpha * extent.high + reach, float(spacing))

    return Law(lambda x, level: log_sum(x, level, in_type_of(x)), entropy, posterior)


def _shares(weights: Float[ArrayLike, " k"] | None, count: int) -> np.ndarray:
    return np.full(count, 1 / count) if weights is None else np.asarray(weights)


def _probabilities(weights: Float[ArrayLike, " k"] | None, count: int) -> np.ndarray:
    shares = _shares(weights, count)
    return np.asarray(shares / shares.sum())


def _variance(level: Level, std: float | np.ndarray) -> np.ndarray:
    """The variance of x whose x0 has standard deviation std, in double precision."""
    return np.asarray(float(level.alpha) ** 2 * np.square(std) + float(level.sigma) ** 2)


def _at_each(f: Callable[[Float[Array, " d"], Level], Any], x: Float[ArrayLike, "n d"], level: Level) -> Any:
    """f(x [d], a level of scalars) at each of x, in blocks of points.

    All points times the thousand nodes of a law would fill the memory; a block stays in the cache of the processor,
    which halves the time.
    """
    levels = jax.tree.map(lambda field: jnp.broadcast_to(jnp.reshape(field, -1), np.shape(x)[:1]), level)
    return jax.lax.map(lambda one: f(*one), (x, levels), batch_size=_TOGETHER)

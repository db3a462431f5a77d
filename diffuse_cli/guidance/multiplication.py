"""The law of a model times a factor, pi(x) ∝ p(x) h(x): ways to change its denoiser, and the exact product.

With y = x / alpha and s = sigma / alpha (so that y = x0 + s eps), the score of pi with noise is

    ∇ log pi_s(y) = ∇ log p_s(y) + ∇_y log E[h(x0) | y],

and the mean of x0 moves by s² times the last term. This is exact, and needs the whole posterior of x0. A denoiser knows
its mean D(y) and, by its Jacobian, its covariance, and the ways differ in what they put in place of the expectation:

    reconstruct   E h(y + s ε), which is h with the noise of y, as if p were flat
    clean         h(D(y)), as if the posterior had no spread
    smoothed      E h(x0) for x0 ~ N(D(y), C), where C is r² I or the covariance of the posterior

Only the last one is exact for a Gaussian p. For other laws all are biased; `twisted` leads particles by the last one,
and the sampler of this name corrects what is wrong with it by weights. Where the law of x0 is known,
`product.product_law` has the exact denoiser. Factors here are in model space: see `Factor.in_model_space`.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.diffusion.denoisers import Predict, Prediction, Twist
from diffuse_cli.diffusion.process import Level
from diffuse_cli.guidance.base import moved
from diffuse_cli.guidance.factors import Factor, Smoothed

_NOISIEST = -8.0  # log-SNR

Covariance = Literal["isotropic", "jacobian"]


def reconstruct(predict: Predict, factor: Factor) -> Predict:
    """The denoiser whose reverse steps are shifted by ∇ log h. Sohl-Dickstein et al. 2015, section 2.5.

    There the mean of a reverse step moves by its variance times ∇ log r(x_t), for an r that may change slowly with the
    level; adding ∇ log r to the score is the same. Here r is h with the noise of the level, E h(x / alpha + s ε): it
    ends as h, it has a slope where h has none, and its slope is never too steep for the steps there. So the two laws
    are multiplied level by level, and the product of two laws with noise is not their product with noise: for p =
    N(0, 1) and h = exp(-½ (x - a)²) the reverse SDE ends with variance 1/3 in place of 1/2, and the flow with 0.

    Costs what `predict` costs. The result does not know the variance of x0.

    >>> from diffuse_cli.diffusion import exact
    >>> from diffuse_cli.diffusion.process import unscaled
    >>> from diffuse_cli.guidance.factors import gaussian
    >>> predict = exact.denoiser(exact.gaussian(np.zeros(1), np.eye(1)))
    >>> times = jax.jit(reconstruct(predict, gaussian(1, x=1.0, std=1.0)))
    >>> times(np.ones((1, 1)), unscaled(0.0)).x0.tolist()  # at the mean of h nothing moves
    [[0.5]]
    """
    return jax.tree_util.Partial(_reconstruct, predict, factor.smoothed)


def clean(predict: Predict, factor: Factor) -> Predict:
    """The denoiser with ∇_x log h(D(x)) added to its score, through the Jacobian of D.

    As Chung et al. 2023, algorithm 1, whose h is the density of a measurement. Where h has an edge, it is smoothed by
    the `edge` of the factor. What x0 can be besides its mean is left out, so h draws too strongly while there is noise:
    for p = N(0, 1) and h = exp(-½ (x - a)² / v) the reverse SDE ends with mean a (1 - e^(-1/v)) and variance
    v/2 (1 - e^(-2/v)), in place of a / (1 + v) and v / (1 + v).

    Costs one evaluation of `predict` forwards and one backwards. The result does not know the variance of x0.

    >>> from diffuse_cli.diffusion import exact
    >>> from diffuse_cli.diffusion.process import unscaled
    >>> from diffuse_cli.guidance.factors import gaussian
    >>> predict = exact.denoiser(exact.gaussian(np.zeros(1), np.eye(1)))
    >>> times = jax.jit(clean(predict, gaussian(1, x=1.0, std=1.0)))
    >>> round(times(np.zeros((1, 1)), unscaled(0.0)).x0.item(), 4)  # D' = 1/2, and h pulls by 1
    0.5
    """
    return jax.tree_util.Partial(_moved_by_mean, predict, factor.smoothed, np.float32(factor.edge**2), np.float32(0.0))


def smoothed(predict: Predict, factor: Factor, covariance: Covariance = "jacobian") -> Predict:
    """The denoiser with ∇_x log E h(x0) added to its score, x0 ~ N(D(x), C) with C held fixed.

    covariance: `isotropic` is C = r² I, r² = sigma² / (alpha² + sigma²), the posterior of data of unit variance (Song
    et al. 2023); `jacobian` is C = (sigma² / alpha) ∂D/∂x, the covariance of the posterior (Rozet et al. 2024), of
    which the symmetric part without negative eigenvalues is taken. The first is exact for p = N(0, I), the second for
    any Gaussian p.

    `isotropic` costs one evaluation forwards and one backwards, `jacobian` one forwards and one for each column. The
    result does not know the variance of x0.

    >>> from diffuse_cli.diffusion import exact
    >>> from diffuse_cli.diffusion.process import unscaled
    >>> from diffuse_cli.guidance.factors import gaussian
    >>> predict = exact.denoiser(exact.gaussian(np.zeros(1), 3 * np.eye(1)))
    >>> times = jax.jit(smoothed(predict, gaussian(1, x=4.0, std=1.0)))
    >>> round(times(np.zeros((1, 1)), unscaled(0.0)).x0.item(), 4)  # C = 3/4: 4 C / (C + 1)
    1.7143
    """
    if covariance == "jacobian":
        return jax.tree_util.Partial(_moved_by_posterior, predict, factor.smoothed)
    return jax.tree_util.Partial(_moved_by_mean, predict, factor.smoothed, np.float32(0.0), np.float32(1.0))


def twisted(predict: Predict, factor: Factor, covariance: Covariance = "isotropic") -> Predict:
    """The denoiser itself, with a `Twist` for the sampler `twisted`, whose weighted particles sample pi.

    Wu et al. 2023. covariance: that of x0 given x, as in `smoothed`; with `jacobian` the twist is nearer to
    E[h(x0) | x], and the weights are more equal. The costs are those of `smoothed`. Any other sampler takes no notice
    of the twist.

    >>> from diffuse_cli.diffusion import exact
    >>> from diffuse_cli.diffusion.process import unscaled
    >>> from diffuse_cli.guidance.factors import gaussian
    >>> predict = exact.denoiser(exact.gaussian(np.zeros(1), np.eye(1)))
    >>> seen = jax.jit(twisted(predict, gaussian(1, x=1.0, std=1.0)))(np.zeros((1, 1)), unscaled(0.0))
    >>> seen.x0.item(), round(seen.twist.shift.item(), 4), seen.twist.log_h.item()
    (0.0, 0.3333, -0.5)
    """
    way = _twisted_by_posterior if covariance == "jacobian" else _twisted_by_mean
    return jax.tree_util.Partial(way, predict, factor.smoothed, factor.log_h)


def posterior_of(predict: Predict, x: Float[Array, "n d"], level: Level) -> tuple[Prediction, Float[Array, "n d d"]]:
    """The Prediction of a denoiser at x, and the covariance of x0 given x by its Jacobian, (sigma² / alpha) ∂D/∂x.

    Efron 2011, section 2. Of a network it is made symmetric, and its negative eigenvalues are set to 0.
    """

    def mean_of(x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Prediction]:
        p = predict(x, level)
        return p.x0, p

    def along(column: Float[Array, " d"]) -> Float[Array, "n d"]:
        # each row of x0 depends on its own row of x only, so one tangent serves all rows
        change: Array = jax.jvp(mean_of, (x,), (jnp.broadcast_to(column[None], x.shape),), has_aux=True)[1]
        return change

    _, p = mean_of(x)
    jacobian = jnp.moveaxis(jax.vmap(along)(jnp.eye(x.shape[1], dtype=x.dtype)), 0, -1)
    covariance = jnp.reshape(level.sigma**2 / level.alpha, (-1, 1, 1)) * jacobian
    values, basis = jnp.linalg.eigh((covariance + jnp.swapaxes(covariance, 1, 2)) / 2)
    positive = basis * jnp.maximum(values, 0.0)[:, None, :]
    return p, jnp.einsum("nij,nkj->nik", positive, basis, precision="highest")


def _reconstruct(predict: Predict, smoothed: Any, x: Float[Array, "n d"], level: Level) -> Prediction:
    noise = level.sigma / level.alpha
    slope = smoothed(x / level.alpha, _isotropic(noise**2, x)).slope  # by y
    return moved(predict(x, level), noise**2 * slope, level)


def _moved_by_mean(
    predict: Predict, smoothed: Any, constant: Any, share: Any, x: Float[Array, "n d"], level: Level
) -> Prediction:
    p, _, shift = _by_mean(predict, smoothed, constant, share, x, level)
    return moved(p, shift, level)


def _moved_by_posterior(predict: Predict, smoothed: Any, x: Float[Array, "n d"], level: Level) -> Prediction:
    p, _, shift = _by_posterior(predict, smoothed, x, level)
    return moved(p, shift, level)


def _twisted_by_mean(predict: Predict, smoothed: Any, log_h: Any, x: Float[Array, "n d"], level: Level) -> Prediction:
    p, seen, shift = _by_mean(predict, smoothed, 0.0, 1.0, x, level)
    return p._replace(twist=Twist(seen.log_mean, shift, log_h(p.x0)))


def _twisted_by_posterior(
    predict: Predict, smoothed: Any, log_h: Any, x: Float[Array, "n d"], level: Level
) -> Prediction:
    p, seen, shift = _by_posterior(predict, smoothed, x, level)
    return p._replace(twist=Twist(seen.log_mean, shift, log_h(p.x0)))


def _by_mean(
    predict: Predict, smoothed: Any, constant: Any, share: Any, x: Float[Array, "n d"], level: Level
) -> tuple[Prediction, Smoothed, Float[Array, "n d"]]:
    """What the denoiser sees, h for x0 ~ N(D(x), (constant + share r²) I), and the shift of the mean of x0 by it."""

    def mean_of(x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Prediction]:
        p = predict(x, level)
        return p.x0, p

    mean, pull, p = jax.vjp(mean_of, x, has_aux=True)
    variance = constant + share * (level.sigma / jnp.hypot(level.alpha, level.sigma)) ** 2
    seen = smoothed(mean, _isotropic(variance, x))
    return p, *where_it_counts(seen, level.sigma**2 / level.alpha * pull(seen.slope)[0], level)


def _by_posterior(
    predict: Predict, smoothed: Any, x: Float[Array, "n d"], level: Level
) -> tuple[Prediction, Smoothed, Float[Array, "n d"]]:
    """The same for x0 ~ N(D(x), C), C being the covariance of x0 given x: the shift is C ∇ log E h."""
    p, covariance = posterior_of(predict, x, level)
    seen = smoothed(p.x0, covariance)
    shift = jnp.einsum("nij,nj->ni", covariance, seen.slope, precision="highest")
    return p, *where_it_counts(seen, shift, level)


def where_it_counts(seen: Smoothed, shift: Float[Array, "n d"], level: Level) -> tuple[Smoothed, Float[Array, "n d"]]:
    """What h says at this level, and nothing where x has hardly anything of x0.

    There a shift of x0 moves x by less than a fiftieth of it. But the Jacobian of a network, which is hardly trained
    there, is no longer small like alpha, and would be multiplied by sigma² / alpha, that is by thousands.
    """
    counts = jnp.reshape(level.log_snr, (-1, 1)) > _NOISIEST
    nothing = Smoothed(jnp.where(counts[:, 0], seen.log_mean, 0.0), jnp.where(counts, seen.slope, 0.0))
    return nothing, jnp.where(counts, shift, 0.0)


def _isotropic(variance: Float[Array, "#n #1"], like: Float[Array, "n d"]) -> Float[Array, "#n d d"]:
    scales = jnp.reshape(variance, (-1, 1, 1)).astype(like.dtype)
    return scales * jnp.eye(like.shape[1], dtype=like.dtype)[None]

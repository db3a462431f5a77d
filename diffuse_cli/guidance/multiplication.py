"""The law of a model times a factor, pi(x) ∝ p(x) h(x): ways to change its denoiser, and the exact product.

With y = x / alpha and s = sigma / alpha (so that y = x0 + s eps), the score of pi with noise is

    ∇ log pi_s(y) = ∇ log p_s(y) + ∇_y log E[h(x0) | y],

and the mean of x0 moves by s² times the last term. This is exact, and needs the whole posterior of x0. A denoiser knows
its mean D(y) and, by its Jacobian, its covariance, and the ways differ in what they put in place of the expectation:

    reconstruct   E h(y + s ε), which is h with the noise of y, as if p were flat
    clean         h(D(y)), as if the posterior had no spread
    smoothed      E h(x0) for x0 ~ N(D(y), C), where C is r² I or the covariance of the posterior

Only the last one is exact for a Gaussian p. For other laws all are biased; `samplers` of guidance.twisted correct the
last one by weights. Factors here are in model space: see `Factor.in_model_space`.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.guidance.factors import Factor

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
    >>> times = reconstruct(predict, gaussian(1, x=1.0, std=1.0))
    >>> times(jnp.ones((1, 1)), unscaled(jnp.float32(0.0))).x0.tolist()  # at the mean of h nothing moves
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
    >>> times = clean(predict, gaussian(1, x=1.0, std=1.0))
    >>> times(jnp.zeros((1, 1)), unscaled(jnp.float32(0.0))).x0.round(3).tolist()  # D' = 1/2, and h pulls by 1
    [[0.5]]
    """
    return jax.tree_util.Partial(_through_mean, predict, factor.smoothed, np.float32(factor.edge**2), np.float32(0.0))


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
    >>> times = smoothed(predict, gaussian(1, x=4.0, std=1.0))
    >>> times(jnp.zeros((1, 1)), unscaled(jnp.float32(0.0))).x0.round(4).tolist()  # C = 3/4: 4 C / (C + 1)
    [[1.7143]]
    """
    if covariance == "jacobian":
        return jax.tree_util.Partial(_through_posterior, predict, factor.smoothed)
    return jax.tree_util.Partial(_through_mean, predict, factor.smoothed, np.float32(0.0), np.float32(1.0))


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


def guess(level: Level, like: Float[Array, "n d"]) -> Float[Array, "#n d d"]:
    """The covariance r² I of x0 given x, r² = sigma² / (alpha² + sigma²), which data from N(0, I) have."""
    return _isotropic((level.sigma / jnp.hypot(level.alpha, level.sigma)) ** 2, like)


def _reconstruct(predict: Predict, smoothed: Any, x: Float[Array, "n d"], level: Level) -> Prediction:
    noise = _isotropic((level.sigma / level.alpha) ** 2, x)
    return _moved(predict(x, level), smoothed(x / level.alpha, noise).slope / level.alpha, level)


def _through_mean(
    predict: Predict, smoothed: Any, constant: Any, share: Any, x: Float[Array, "n d"], level: Level
) -> Prediction:
    """x0 ~ N(D(x), (constant + share r²) I)."""

    def mean_of(x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Prediction]:
        p = predict(x, level)
        return p.x0, p

    mean, pull, p = jax.vjp(mean_of, x, has_aux=True)
    covariance = constant * jnp.eye(x.shape[1], dtype=x.dtype)[None] + share * guess(level, x)
    return _moved(p, pull(smoothed(mean, covariance.astype(x.dtype)).slope)[0], level)


def _through_posterior(predict: Predict, smoothed: Any, x: Float[Array, "n d"], level: Level) -> Prediction:
    p, covariance = posterior_of(predict, x, level)
    change = jnp.einsum("nij,nj->ni", covariance, smoothed(p.x0, covariance).slope, precision="highest")
    return Prediction(p.x0 + change, p.eps - level.alpha / level.sigma * change)


def _moved(p: Prediction, slope: Float[Array, "n d"], level: Level) -> Prediction:
    """The Prediction with `slope` [n, d] added to its score."""
    return Prediction(p.x0 + level.sigma**2 / level.alpha * slope, p.eps - level.sigma * slope)


def _isotropic(variance: Float[Array, "#n #1"], like: Float[Array, "n d"]) -> Float[Array, "#n d d"]:
    scales = jnp.reshape(variance, (-1, 1, 1)).astype(like.dtype)
    return scales * jnp.eye(like.shape[1], dtype=like.dtype)[None]

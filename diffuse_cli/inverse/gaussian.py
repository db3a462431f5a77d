"""Methods that take x0 given x for normal, N(D(x), C): then y given x is normal, N(A D(x), V) with V = A C Aᵀ + R.

Its slope by x, with C held fixed, moves the mean of x0 given x by

    (sigma² / alpha) (∂D/∂x)ᵀ Aᵀ V⁻¹ (y − A D(x)).

The methods differ in C: `pigdm` has r² I, r² = sigma² / (alpha² + sigma²), that of data of unit variance, and `mmps`
has (sigma² / alpha) ∂D/∂x, which is the covariance of x0 given x (Efron 2011, section 2). Where x0 given x is not
normal, neither is exact; `tds` has the same moves, and weights that correct what is wrong with them. Of a function f
the tangent at D(x) takes the place of A.
"""

from functools import partial
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict, Prediction, Twist
from diffuse_cli.diffusion.process import Level
from diffuse_cli.guidance.base import moved
from diffuse_cli.guidance.factors import Smoothed
from diffuse_cli.guidance.multiplication import where_it_counts
from diffuse_cli.inverse.base import PosteriorMethod
from diffuse_cli.inverse.observed import Observed

_SMOOTH = "dpmpp_2m_sde"  # of second order, and random: what one step does wrong, later noise covers
_ROUNDING = 4  # units of the last place that V is off by

Covariance = Literal["isotropic", "jacobian"]


def pigdm() -> PosteriorMethod:
    """Pseudoinverse-guided diffusion: C = r² I. Song et al. 2023, eqs. 7 and 8.

    Exact for p = N(0, I) in model space.

    >>> pigdm().evaluations(3)
    2
    """
    return PosteriorMethod("pigdm", partial(_told, "isotropic"), sampler=_SMOOTH, steps=100, gradients=1)


def mmps() -> PosteriorMethod:
    """Moment matching posterior sampling: C is the covariance of x0 given x. Rozet et al. 2024, section 4.

    There V is solved by conjugate gradients; here it is computed, by one backward pass for each measured value, and
    made symmetric. Where the Jacobian of a network gives no positive V, that of `pigdm` is taken. Exact for any normal
    p.

    >>> mmps().evaluations(3)
    4
    """
    return PosteriorMethod("mmps", partial(_told, "jacobian"), sampler=_SMOOTH, steps=100, gradients="values")


def tds(
    *,
    particles: Annotated[int, Meta(ge=2, le=1_000_000)] = 1000,
    twist: Literal["mmps", "r2"] = "mmps",
) -> PosteriorMethod:
    """Twisted particles: the moves of `mmps` (or of `pigdm`, twist=r2), and weights. Wu et al. 2023, algorithm 1.

    particles: in a population, the least number. With them the law of the samples tends to the posterior of the chain,
    whatever the twist; a good twist makes the weights even. At the end the likelihood of y takes the place of the
    twist; where a value has no noise, the last twist does, whose width is what is not known of x0 at the last level.

    >>> tds(particles=64).sampler, tds().weighted
    ('twisted:size=64', True)
    """
    told = partial(_twisted, "jacobian" if twist == "mmps" else "isotropic")
    gradients = "values" if twist == "mmps" else 1
    return PosteriorMethod(
        "tds", told, sampler=f"twisted:size={particles}", steps=300, weighted=True, gradients=gradients
    )


def _told(covariance: Covariance, predict: Predict, observed: Observed) -> Predict:
    return jax.tree_util.Partial(_MOVED[covariance], predict, observed)


def _twisted(covariance: Covariance, predict: Predict, observed: Observed) -> Predict:
    return jax.tree_util.Partial(_TWISTED[covariance], predict, observed)


class _Seen(NamedTuple):
    """What a denoiser says, about log p(y | x), and how it moves the mean of x0."""

    prediction: Prediction
    log_mean: Float[Array, " n"]
    shift: Float[Array, "n d"]


def _seen(covariance: Covariance, predict: Predict, observed: Observed, x: Float[Array, "n d"], level: Level) -> _Seen:
    def mean_of(x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Prediction]:
        p = predict(x, level)
        return p.x0, p

    mean, pull, p = jax.vjp(mean_of, x, has_aux=True)
    value, slope = observed.near(mean)
    slope = jnp.broadcast_to(slope, (len(x), *slope.shape[1:]))
    across, scale = jnp.swapaxes(slope, 1, 2), level.sigma**2 / level.alpha  # a number, or [n, 1]
    apart, noise = jnp.asarray(observed.y) - value, jnp.asarray(observed.variance)
    unit = level.sigma**2 / (level.alpha**2 + level.sigma**2)
    flat = jnp.reshape(unit, (-1, 1, 1)) * jnp.matmul(slope, across, precision="highest")
    if covariance == "isotropic":
        log_mean, weight = _normal(apart, flat, noise)
        shift = scale * pull(jnp.matmul(weight[:, None, :], slope, precision="highest")[:, 0])[0]
    else:
        pulled = jax.vmap(lambda row: pull(row)[0], in_axes=1, out_axes=1)(slope)
        cross = jnp.reshape(scale, (-1, 1, 1)) * pulled  # [n, m, d], A C
        within = jnp.matmul(cross, across, precision="highest")
        within = (within + jnp.swapaxes(within, 1, 2)) / 2
        # The Jacobian of a network need not be a covariance; where V has no root, that of pigdm takes its place. Both
        # are one batch: two batches of LAPACK at once may wait for each other for ever on a CPU.
        noise = jnp.broadcast_to(noise, apart.shape)
        twice = [jnp.concatenate(pair) for pair in ((apart, apart), (within, flat), (noise, noise))]
        log_mean, weight = _first_if_finite(*_normal(*twice))
        shift = jnp.matmul(weight[:, None, :], cross, precision="highest")[:, 0]
    counted, shift = where_it_counts(Smoothed(log_mean, shift), shift, level)
    return _Seen(p, counted.log_mean, shift)


def _normal(
    apart: Float[Array, "n m"], within: Float[Array, "n m m"], noise: Float[Array, "#n m"]
) -> tuple[Float[Array, " n"], Float[Array, "n m"]]:
    """log N(apart; 0, V) and V⁻¹ apart, V = within + diag(noise); nan where V is not positive."""
    size = jnp.mean(jnp.diagonal(within, axis1=1, axis2=2), axis=1)[:, None]
    noise = noise + _ROUNDING * float(np.finfo(within.dtype).eps) * jnp.abs(size)
    variance = within + noise[:, :, None] * jnp.eye(noise.shape[1], dtype=within.dtype)[None]
    root = jnp.linalg.cholesky(variance)
    white = jax.scipy.linalg.solve_triangular(root, apart[:, :, None], lower=True)
    weight = jax.scipy.linalg.solve_triangular(jnp.swapaxes(root, 1, 2), white, lower=False)[:, :, 0]
    log_root = jnp.sum(jnp.log(jnp.diagonal(root, axis1=1, axis2=2)), axis=1)
    return -0.5 * jnp.sum(white[:, :, 0] ** 2 + jnp.log(2 * jnp.pi), axis=1) - log_root, weight


def _first_if_finite(
    log_density: Float[Array, " twice"], weight: Float[Array, "twice m"]
) -> tuple[Float[Array, " n"], Float[Array, "n m"]]:
    """Of two ways in one batch, the first; the second in those rows in which the first is not finite."""
    first, second = jnp.split(log_density, 2)
    known = jnp.isfinite(first)
    of_first, of_second = jnp.split(weight, 2)
    return jnp.where(known, first, second), jnp.where(known[:, None], of_first, of_second)


def _moved(
    covariance: Covariance, predict: Predict, observed: Observed, x: Float[Array, "n d"], level: Level
) -> Prediction:
    seen = _seen(covariance, predict, observed, x, level)
    return moved(seen.prediction, seen.shift, level)


def _weighed(
    covariance: Covariance, predict: Predict, observed: Observed, x: Float[Array, "n d"], level: Level
) -> Prediction:
    p, log_mean, shift = _seen(covariance, predict, observed, x, level)
    log_h = jnp.where(jnp.all(observed.variance > 0), observed.log_likelihood(p.x0), log_mean)
    return p._replace(twist=Twist(log_mean, shift, log_h))


# one function for each covariance, since compiled code is found again by the functions in it
_MOVED = {"isotropic": partial(_moved, "isotropic"), "jacobian": partial(_moved, "jacobian")}
_TWISTED = {"isotropic": partial(_weighed, "isotropic"), "jacobian": partial(_weighed, "jacobian")}

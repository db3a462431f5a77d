"""A mixture of Gaussians times a factor, at every noise level, where the factor can be smoothed exactly.

Given x = alpha x0 + sigma eps and the component k, x0 is N(m_k, C_k), so with E_k the mean of h over this law

    p h with noise ∝ Σ w_k N(x; alpha μ_k, alpha² S_k + sigma² I) E_k,
    E[x0 | x] = Σ r_k (m_k + C_k ∇ log E_k),   r_k ∝ w_k N(x; …) E_k,

∇ being the derivative by the mean. For half-planes, and for boxes where the C_k are diagonal, these are closed forms.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.diffusion.components import Moments, dot
from diffuse_cli.diffusion.exact import Gaussians, Law
from diffuse_cli.diffusion.process import Level
from diffuse_cli.guidance.factors import Factor

_DIAGONAL = 1e-9  # off-diagonal elements of a covariance that are 0, relative to its trace


def can_smooth(mixture: Gaussians, h: Factor) -> bool:
    """Whether the factor can be smoothed exactly by all components of a mixture.

    >>> from diffuse_cli.diffusion.exact import gaussian
    >>> from diffuse_cli.guidance.factors import box, halfplane
    >>> slanted = gaussian(np.zeros(2), np.array([[1.0, 0.5], [0.5, 1.0]])).gaussians()
    >>> can_smooth(slanted, halfplane(2, x=1.0)), can_smooth(slanted, box(2, left=0.0))
    (True, False)
    """
    if h.exact_for == "none":
        return False
    off = mixture.covariances * (1 - np.eye(mixture.means.shape[1]))
    size = np.trace(mixture.covariances, axis1=1, axis2=2).max()
    return h.exact_for == "all" or bool(np.abs(off).max() <= _DIAGONAL * size)


def times(mixture: Gaussians, h: Factor, entropy: Callable[[Level], float]) -> tuple[Law, float]:
    """The law p h / Z at every noise level, and log Z. The factor is in the space of the mixture.

    entropy: that of the result. h must be one that `can_smooth`.

    >>> from diffuse_cli.diffusion.exact import denoiser, gaussian
    >>> from diffuse_cli.diffusion.process import unscaled
    >>> from diffuse_cli.guidance.factors import halfplane
    >>> normal = gaussian(np.zeros(1), np.eye(1))
    >>> law, log_z = times(normal.gaussians(), halfplane(1, x=1.0), normal.entropy)
    >>> round(float(np.exp(log_z)), 6)
    0.5
    >>> round(jax.jit(denoiser(law))(np.zeros((1, 1)), unscaled(-30.0)).x0.item(), 4)  # √(2 / π)
    0.7979
    """
    values, bases = np.linalg.eigh(mixture.covariances)
    constants = (mixture.means, np.maximum(values, 0), bases, mixture.weights)
    log_z = _log_mass(mixture, h)

    def seen(x: Float[Array, " d"], level: Level) -> tuple[Array, Array, Array]:
        """Of all components together: log of the density under variance preservation, x0 and eps."""
        means, values, bases, weights = (jnp.asarray(part, x.dtype) for part in constants)
        norm = jnp.hypot(level.alpha, level.sigma)
        alpha, sigma = level.alpha / norm, level.sigma / norm
        variance = alpha**2 * values + sigma**2
        apart = dot(
            "kij,ki->kj", jnp.broadcast_to(bases, (len(means), *bases.shape[1:])), (x / norm)[None] - alpha * means
        )
        posterior = dot("kij,kj,klj->kil", bases, sigma**2 * values / variance, bases)
        mean = means + _turned(bases, alpha * values / variance * apart)
        eps = _turned(bases, sigma / variance * apart)
        log_mean, slope = h.smoothed(mean, posterior)
        # C_k ∇ log E_k, and what goes with it in eps: −alpha / sigma of it, written without a division by sigma
        along = dot("kij,ki->kj", jnp.broadcast_to(bases, (len(means), *bases.shape[1:])), slope)
        shift = _turned(bases, sigma**2 * values / variance * along)
        change = _turned(bases, alpha * sigma * values / variance * along)
        log_each = log_mean - 0.5 * jnp.sum(apart**2 / variance + jnp.log(2 * jnp.pi * variance), axis=1)
        counts = weights > 0
        log_each += jnp.log(jnp.where(counts, weights, 1.0))
        log_each = jnp.where(counts, log_each, -jnp.inf)
        share = jax.nn.softmax(log_each)[:, None]
        total = jax.nn.logsumexp(log_each) - len(x) * jnp.log(norm)
        return total, jnp.sum(share * (mean + shift), axis=0), jnp.sum(share * (eps - change), axis=0)

    def posterior(x: Float[Array, " d"], level: Level) -> Moments:
        _, x0, eps = seen(x, level)
        jacobian = jax.jacfwd(lambda x: seen(x, level)[1])(x)
        return Moments(x0, eps, level.sigma**2 / level.alpha * (jacobian + jacobian.T) / 2)

    return Law(lambda x, level: seen(x, level)[0] - log_z, entropy, posterior), log_z


def _log_mass(mixture: Gaussians, h: Factor) -> float:
    """log of the mean of h over a mixture, in double precision."""
    with jax.enable_x64(True):
        log_mean = np.asarray(jax.jit(h.smoothed)(mixture.means, mixture.covariances).log_mean)
    most = log_mean.max()
    return float(most + np.log(mixture.weights @ np.exp(log_mean - most)))


def _turned(bases: Float[Array, "#k d d"], along: Float[Array, "k d"]) -> Float[Array, "k d"]:
    """Vectors along the axes of each component, in the columns of x."""
    return jnp.einsum("kij,kj->ki", jnp.broadcast_to(bases, (len(along), *bases.shape[1:])), along, precision="highest")

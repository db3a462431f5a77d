"""A mixture of Gaussians with full covariances, fitted by expectation maximisation (Dempster et al. 1977)."""

import time
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.families.base import Family, Fitted, surprise

_ROWS = 20_000  # training points that are used, of more of them the first
_CHOICES = (1, 2, 4, 8, 16, 32, 64)

Components = Annotated[int, Meta(ge=1, le=1000)]


class Mixture(nnx.Module):
    """Σ shares[k] N(means[k], L Lᵀ) with the factors L [k, d, d] of the covariances, and their inverses."""

    def __init__(self, components: int, dim: int) -> None:
        whole = jnp.broadcast_to(jnp.eye(dim), (components, dim, dim))
        self.log_shares = nnx.Param(jnp.full(components, -np.log(components)))
        self.means = nnx.Param(jnp.zeros((components, dim)))
        self.factors, self.inverses = nnx.Param(whole), nnx.Param(whole)

    def log_prob(self, x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log p(x)."""
        inverses = self.inverses[...]
        apart = jnp.einsum("nkj,kij->nki", x[:, None] - self.means[...], inverses)
        log_det = jnp.log(jnp.diagonal(inverses, axis1=1, axis2=2)).sum(axis=-1)
        each = jax.scipy.stats.norm.logpdf(apart).sum(axis=-1) + log_det
        return jax.nn.logsumexp(each + self.log_shares[...], axis=-1)

    def draw(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n independent draws."""
        of_component, of_noise = jax.random.split(key)
        chosen = jax.random.categorical(of_component, self.log_shares[...], shape=(n,))
        means, factors = self.means[...], self.factors[...]
        noise = jax.random.normal(of_noise, (n, means.shape[1]))
        return means[chosen] + jnp.einsum("nij,nj->ni", factors[chosen], noise)


def gmm(*, components: Components | None = None) -> Family:
    """A mixture of `components` Gaussians; unless given, of 1, 2, 4, …, 64 the number with the highest likelihood of
    held-out points. The first 20,000 training points are used. By scikit-learn's GaussianMixture.

    >>> family = gmm(components=2)
    >>> points = np.random.default_rng(0).choice([-2.0, 2.0], (500, 1)) + np.random.default_rng(1).normal(size=(500, 1))
    >>> fitted = family.fit(points, points, 0, None)
    >>> np.sort(np.asarray(fitted.network.means[...]).ravel()).round().tolist()
    [-2.0, 2.0]
    """

    def fit(train: np.ndarray, held_out: np.ndarray, seed: int, seconds: float | None) -> Fitted:
        began, fits = time.perf_counter(), []
        some = np.asarray(train[:_ROWS], np.float64)
        choices = [k for k in _CHOICES if k * (some.shape[1] + 1) <= len(some)] if components is None else [components]
        for count in choices or [1]:
            fits.append(_fit(some, count, seed))
            if seconds is not None and time.perf_counter() - began > seconds / 2:  # the next one takes twice as long
                break
        best = max(fits, key=lambda fitted: fitted.score(np.asarray(held_out, np.float64)))
        return Fitted({"components": str(best.n_components)}, _module(best))

    return Family(
        title="a mixture of Gaussians",
        network=lambda size, rngs: Mixture(components or 1, size.dim),
        draw=lambda network, key, n: network.draw(key, n),
        losses=surprise,
        log_prob=lambda network, x: network.log_prob(x),
        fit=fit,
    )


def _fit(points: np.ndarray, count: int, seed: int) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the held-out likelihood judges what has come of it
        rows = points if len(points) > 1 else np.repeat(points, 2, axis=0)  # it wants two rows at least
        return GaussianMixture(count, random_state=seed, max_iter=200).fit(rows)


def _module(fitted: Any) -> Mixture:
    """The Mixture of a fitted GaussianMixture, whose precisions are P Pᵀ with upper triangles P."""
    network = Mixture(*fitted.means_.shape)
    inverses = np.swapaxes(fitted.precisions_cholesky_, 1, 2)
    network.log_shares[...] = jnp.asarray(np.log(fitted.weights_), jnp.float32)
    network.means[...] = jnp.asarray(fitted.means_, jnp.float32)
    network.inverses[...] = jnp.asarray(inverses, jnp.float32)
    network.factors[...] = jnp.asarray(np.linalg.inv(inverses), jnp.float32)
    return network

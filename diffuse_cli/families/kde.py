"""The kernel density estimate: a Gaussian of one width at each training point (Rosenblatt 1956; Parzen 1962)."""

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.families.base import Family, Fitted, surprise

_LEAST, _MOST = 1e-3, 3.0  # bandwidths among which the best one is searched for
_JUDGING = 2000  # held-out points that decide on the bandwidth
_TOGETHER = 512  # points whose distances from all kernels are held in memory

Bandwidth = Annotated[float, Meta(gt=0, le=100)]


class Kernels(nnx.Module):
    """The points [m, d] at which the kernels stand, and the log of their standard deviation."""

    def __init__(self, points: Float[np.ndarray, "m d"], bandwidth: float) -> None:
        self.points = nnx.Param(jnp.asarray(points, jnp.float32))
        self.log_bandwidth = nnx.Param(jnp.float32(np.log(bandwidth)))

    def log_prob(self, x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log p(x)."""
        points, width = self.points[...], jnp.exp(self.log_bandwidth[...])

        def one(at: Float[Array, " d"]) -> Float[Array, ""]:
            each = jax.scipy.stats.norm.logpdf(at, points, width).sum(axis=-1)
            return jax.nn.logsumexp(each) - jnp.log(len(points))

        log_p: Array = jax.lax.map(one, x, batch_size=_TOGETHER)
        return log_p

    def draw(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n independent draws."""
        of_point, of_noise = jax.random.split(key)
        points = self.points[...]
        chosen = points[jax.random.randint(of_point, (n,), 0, len(points))]
        return chosen + jnp.exp(self.log_bandwidth[...]) * jax.random.normal(of_noise, chosen.shape)


def kde(
    *,
    bandwidth: Bandwidth | None = None,
    points: Annotated[int, Meta(ge=1, le=1_000_000)] = 5000,
) -> Family:
    """A kernel density estimate on the first `points` training points, in model space; unless given, with the
    `bandwidth` of the highest likelihood of held-out points. By scikit-learn's KernelDensity.

    >>> draws = np.random.default_rng(0).standard_normal((1000, 1))
    >>> fitted = kde().fit(draws[:500], draws[500:], 0, None)
    >>> 0.1 < float(fitted.options["bandwidth"]) < 0.6
    True
    """

    def fit(train: np.ndarray, held_out: np.ndarray, _seed: int, _seconds: float | None) -> Fitted:
        some = np.asarray(train[:points], np.float64)
        width = bandwidth or _best_bandwidth(some, np.asarray(held_out[:_JUDGING], np.float64))
        network = Kernels(some, width)
        return Fitted({"bandwidth": f"{width:.4g}", "points": str(len(some))}, network)

    return Family(
        title="a kernel density estimate",
        network=lambda size, rngs: Kernels(np.zeros((points, size.dim)), bandwidth or 1.0),
        draw=lambda network, key, n: network.draw(key, n),
        losses=surprise,
        log_prob=lambda network, x: network.log_prob(x),
        fit=fit,
    )


def _best_bandwidth(points: np.ndarray, held_out: np.ndarray) -> float:
    """The bandwidth with the highest likelihood of held-out points, to a thousandth of it."""
    from scipy.optimize import minimize_scalar
    from sklearn.neighbors import KernelDensity

    def surprise(log_width: float) -> float:
        return -float(KernelDensity(bandwidth=float(np.exp(log_width))).fit(points).score(held_out))

    bounds = np.log([_LEAST, _MOST])
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-2}).x))

"""A curve with round noise about it, which most sets in the plane are: x0 = c(u) + s ξ, u uniform on an interval."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.data.dataset import Dataset, Standardiser, standardise

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Density

Noise = Annotated[float, Meta(ge=0, le=100)]

NODES = 1 << 14
FINEST = 0.005  # the noise of the last level before the clean one, in model space


def noisy_curve(c: Callable[[np.ndarray], np.ndarray], interval: tuple[float, float], noise: float) -> Dataset:
    """The law of c(u) + noise ξ with u ~ U[interval], ξ ~ N(0, I).

    c: [n] parameters -> [n, d] points, data units; it need not have constant speed, nor be in one piece.
    interval: where u lives. noise: the standard deviation s, data units; 0 leaves the bare curve.

    The constants of standardisation come from the midpoint rule along the curve, not from a draw: mean E c(u), and
    variance Var c(u) + s².
    """

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        on_curve = c(rng.uniform(*interval, n))
        return on_curve + noise * rng.standard_normal(on_curve.shape)

    nodes = c(midpoints(interval, NODES))
    bare = standardise(nodes, per_column=False)
    standard = Standardiser(bare.mean, np.hypot(bare.scale, noise))
    return Dataset(draw, nodes.shape[1], standard, exact=lambda: curve_density(c, interval, noise, standard))


def curve_density(
    c: Callable[[np.ndarray], np.ndarray], interval: tuple[float, float], noise: float, standard: Standardiser
) -> "Density":
    """The density of the noisy curve in model space, by the midpoint rule along it.

    p(x) = ∫ N(x; c(u), τ²) du / |interval| at every noise level, τ being the set's own noise and the level's together.
    Nodes stand half a τ apart or closer where τ is smallest, which leaves an error far below single precision's; a bare
    curve has no density of its own, and is taken to be as fine as the finest level that is sampled.
    """
    from diffuse_cli.diffusion import exact

    fine = np.linspace(*interval, NODES)
    speed = np.quantile(np.linalg.norm(np.diff(c(fine), axis=0), axis=1) / (fine[1] - fine[0]), 0.999)  # but for joins
    length = speed * (interval[1] - interval[0])
    count = int(np.ceil(2 * length / max(noise, FINEST * standard.scale[0])))
    nodes = c(midpoints(interval, count + count % 2))  # an even number, so that no cell holds both halves of a set
    return exact.mixture(standard.to_model(nodes), noise / standard.scale[0])


def midpoints(interval: tuple[float, float], count: int) -> np.ndarray:
    """The midpoints [count] of equal cells of an interval."""
    low, high = interval
    return low + (high - low) * (np.arange(count) + 0.5) / count

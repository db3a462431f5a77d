"""A curve with round noise about it, which most sets in the plane are: x0 = c(u) + s ξ, u uniform on an interval."""

from collections.abc import Callable
from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.data.dataset import Dataset, Standardiser, standardise

Noise = Annotated[float, Meta(ge=0, le=100)]

NODES = 1 << 14


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
    return Dataset(draw, nodes.shape[1], Standardiser(bare.mean, np.hypot(bare.scale, noise)))


def midpoints(interval: tuple[float, float], count: int) -> np.ndarray:
    """The midpoints [count] of equal cells of an interval."""
    low, high = interval
    return low + (high - low) * (np.arange(count) + 0.5) / count

"""Wasserstein distances: how far the points of one cloud must move to become the other."""

from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.metrics.base import Metric


def w2(
    *,
    points: Annotated[int, Meta(ge=2, le=10_000)] = 1000,
    blocks: Annotated[int, Meta(ge=1)] = 5,
) -> Metric:
    """The 2-Wasserstein distance by exact optimal assignment (Peyré & Cuturi 2019, eq. 2.2), in units of the space:

        W2² = min over permutations s of (1/n) Σ_i |x_i − y_s(i)|²

    The cost grows as n³, so clouds of more than `points` points are cut into at most `blocks` blocks of that size, and
    W2² is averaged over the blocks; the remaining points are not used. For a good model most of W2 is its noise floor,
    which falls only slowly with the number of points: quote that number with it. Some articles print the square.

    >>> cloud = np.random.default_rng(0).standard_normal((100, 2))
    >>> print(f"{w2()(cloud + np.array([0.6, 0.8]), cloud):.4f}")  # a shift by s gives |s|
    1.0000
    """

    def figures(model: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        from scipy.optimize import linear_sum_assignment
        from scipy.spatial.distance import cdist

        size = min(points, len(model))
        squares = []
        for start in range(0, min(len(model) // size, blocks) * size, size):
            cost = cdist(model[start : start + size], reference[start : start + size], "sqeuclidean")
            squares.append(cost[linear_sum_assignment(cost)].mean())
        return {"w2": np.sqrt(np.mean(squares))}

    return Metric(figures, "w2", points=points)


def sliced_w2(*, directions: Annotated[int, Meta(ge=2, le=4096)] = 128) -> Metric:
    """The sliced 2-Wasserstein distance (Rabin et al. 2012; Bonneel et al. 2015), in units of the space:

        SW2² = mean over directions of W2² between the projections, which are matched by sorting

    The directions are fixed: in the plane equally spaced over the half circle, on a line the line itself, in higher
    dimensions random orthonormal bases from a fixed seed, `directions` rounded up to a multiple of d. A shift by s
    gives exactly |s| / √d.

    >>> cloud = np.random.default_rng(0).standard_normal((100, 2))
    >>> print(f"{sliced_w2()(cloud + np.array([0.6, 0.8]), cloud):.4f}")  # 1 / √2
    0.7071
    """

    def figures(model: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        return {"sliced_w2": np.sqrt(np.mean(_sorted_difference(model, reference, directions) ** 2))}

    return Metric(figures, "sliced_w2")


def sliced_w1(*, directions: Annotated[int, Meta(ge=2, le=4096)] = 128) -> Metric:
    """The sliced 1-Wasserstein distance, in units of the space: the mean over directions of W1 between projections.

    The directions are those of `sliced_w2`. It is printed for the published benchmark of posterior samplers (Cardoso et
    al. 2023), and depends less on a few points that are far away.

    >>> cloud = np.random.default_rng(0).standard_normal((100, 2))
    >>> print(f"{sliced_w1()(cloud + np.array([0.6, 0.8]), cloud):.4f}")  # 2 / π
    0.6366
    """

    def figures(model: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        return {"sliced_w1": np.abs(_sorted_difference(model, reference, directions)).mean()}

    return Metric(figures, "sliced_w1")


def _sorted_difference(model: np.ndarray, reference: np.ndarray, directions: int) -> np.ndarray:
    """The differences [directions, n] of the sorted projections of two clouds: how W matches them on each line."""
    fan = _fan(model.shape[1], directions)
    one, other = (np.sort(fan @ points.T, axis=1) for points in (model, reference))
    return np.asarray(one - other)


def _fan(dim: int, count: int) -> np.ndarray:
    """Unit vectors, [count, dim], or a few more in three and more dimensions."""
    if dim == 1:
        return np.ones((1, 1))
    if dim == 2:
        angle = np.pi * (np.arange(count) + 0.5) / count
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    bases = np.linalg.qr(np.random.default_rng(0).standard_normal((-(-count // dim), dim, dim))).Q
    return bases.reshape(-1, dim)

"""Precision, recall, density and coverage: whether points of one cloud lie where the other has points.

A cloud's place is the union of the balls around its points that reach to their k-th nearest neighbours in the cloud.
The balls shrink as n grows, so none of the four is 1 for a perfect model, nor the same at another n.
"""

import functools
from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.metrics.base import Figures, Metric

Neighbours = Annotated[int, Meta(ge=1, le=1000)]
_MOST_FOR_TREE = 16  # columns; with more, a tree searches nearly every pair, and slower than a matrix product does
_ROWS = 250


def precision(*, k: Neighbours = 5) -> Metric:
    """The share of the model's points in a ball of the reference: are samples real? Kynkäänniemi et al. 2019, eq. 2."""
    return Metric(_figures(k), "precision", worse="smaller", least=k + 1)


def recall(*, k: Neighbours = 5) -> Metric:
    """The share of reference points in a ball of the model: is all there? Kynkäänniemi et al. 2019, eq. 2."""
    return Metric(_figures(k), "recall", worse="smaller", least=k + 1)


def density(*, k: Neighbours = 5) -> Metric:
    """The number of the reference's balls around a model's point, over k, on average. Naeem et al. 2020, section 3.

    About 1 for a perfect model; less where samples stray, and a little more where they crowd in the midst of the data:
    either is a fault.
    """
    return Metric(_figures(k), "density", worse="either", least=k + 1)


def coverage(*, k: Neighbours = 5) -> Metric:
    """The share of the reference's balls in which the model has a point: is all there? Naeem et al. 2020, section 3.

    Unlike recall it cannot be raised by a few stray points of the model with large balls. A perfect model has about
    1 − 2^−k.
    """
    return Metric(_figures(k), "coverage", worse="smaller", least=k + 1)


@functools.cache
def _figures(k: int) -> Figures:
    def figures(model: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        in_reference, real = _inside(reference, _radii(reference, k), model)
        _, recalled = _inside(model, _radii(model, k), reference)
        return {
            "precision": real.mean(),
            "recall": recalled.mean(),
            "density": in_reference.mean() / k,
            "coverage": (in_reference > 0).mean(),
        }

    return figures


def _radii(points: np.ndarray, k: int) -> np.ndarray:
    """The distance [n] from each point to its k-th nearest neighbour among the others, which lies in the ball too."""
    from sklearn.neighbors import NearestNeighbors

    return (1 + 1e-12) * NearestNeighbors(n_neighbors=k).fit(points).kneighbors()[0][:, -1]  # more than rounding takes


def _inside(centres: np.ndarray, radii: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many points lie in each ball, [centres]; and whether each point lies in any ball, [points]."""
    covered = np.zeros(len(points), bool)
    if centres.shape[1] <= _MOST_FOR_TREE:
        from scipy.spatial import cKDTree

        found = cKDTree(points).query_ball_point(centres, radii, return_sorted=False, workers=-1)
        covered[[index for indices in found for index in indices]] = True
        return np.array([len(indices) for indices in found]), covered
    # 2 <c, x> − |c|² − |x|² + r² ≥ 0 as one matrix product, by two columns more
    squares = np.sum(centres**2, axis=1), np.sum(points**2, axis=1)
    rounding = 1e-13 * max(each.max() for each in squares)  # so that a copy of a point lies in a ball of radius 0
    with_radii = np.column_stack([2 * centres, radii**2 + rounding - squares[0], np.ones(len(centres))])
    with_ones = np.column_stack([points, np.ones(len(points)), -squares[1]])
    counts = []
    for start in range(0, len(centres), _ROWS):
        inside = with_radii[start : start + _ROWS] @ with_ones.T >= 0
        counts.append(inside.sum(axis=1))
        covered |= inside.any(axis=0)
    return np.concatenate(counts), covered

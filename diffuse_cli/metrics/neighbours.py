"""Precision, recall, density and coverage: whether points of one cloud lie in the support of the other.

The support of a cloud is estimated by balls around its points, each with the distance to the k-th nearest neighbour in
the cloud as its radius. The balls shrink as n grows, so the four metrics depend on n, and none of them is exactly 1 for
a perfect model.
"""

import functools
from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.metrics.base import Figures, Metric

Neighbours = Annotated[int, Meta(ge=1, le=1000)]
_MOST_FOR_TREE = 16  # columns; with more, a tree visits nearly every pair and is slower than a matrix product
_ROWS = 250  # of that product at once


def precision(*, k: Neighbours = 5) -> Metric:
    """The share of the model's points that lie in a ball of the reference. Kynkäänniemi et al. 2019, eq. 2.

    >>> model, reference = np.array([[0.5], [1.5], [9.0]]), np.array([[0.0], [1.0], [2.0]])
    >>> print(f"{precision(k=1)(model, reference):.3f}")  # 9 lies in no ball of the reference
    0.667
    """
    return Metric(_figures(k), "precision", worse="smaller", least=k + 1)


def recall(*, k: Neighbours = 5) -> Metric:
    """The share of reference points that lie in a ball of the model. Kynkäänniemi et al. 2019, eq. 2.

    >>> model, reference = np.array([[0.5], [1.5], [1.9]]), np.array([[0.0], [1.0], [9.0]])
    >>> print(f"{recall(k=1)(model, reference):.3f}")  # 9 lies in no ball of the model
    0.667
    """
    return Metric(_figures(k), "recall", worse="smaller", least=k + 1)


def density(*, k: Neighbours = 5) -> Metric:
    """The mean number of reference balls that contain a point of the model, divided by k. Naeem et al. 2020, section 3.

    About 1 for a perfect model; less if samples lie far from the data, and more if they concentrate where the data are
    densest. Both are faults.

    >>> model, reference = np.array([[0.5], [1.5], [9.0]]), np.array([[0.0], [1.0], [2.0]])
    >>> print(f"{density(k=1)(model, reference):.3f}")  # (2 + 2 + 0) / 3
    1.333
    """
    return Metric(_figures(k), "density", worse="either", least=k + 1)


def coverage(*, k: Neighbours = 5) -> Metric:
    """The share of the reference's balls that contain a point of the model. Naeem et al. 2020, section 3.

    Unlike recall it is not raised by a few outliers of the model with large balls. A perfect model has about 1 − 2^−k.

    >>> model, reference = np.array([[0.5], [0.5], [0.5]]), np.array([[0.0], [1.0], [2.0]])
    >>> print(f"{coverage(k=1)(model, reference):.3f}")  # the ball around 2 is empty
    0.667
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
    """The distance [n] from each point to its k-th nearest neighbour among the others; that one lies in the ball."""
    from sklearn.neighbors import NearestNeighbors

    distances = np.asarray(NearestNeighbors(n_neighbors=k).fit(points).kneighbors()[0])
    return (1 + 1e-12) * distances[:, -1]  # the factor exceeds rounding


def _inside(centres: np.ndarray, radii: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of points in each ball, [centres], and whether each point lies in any ball, [points]."""
    covered = np.zeros(len(points), bool)
    if centres.shape[1] <= _MOST_FOR_TREE:
        from scipy.spatial import cKDTree

        balls = cKDTree(points).query_ball_point(centres, radii, return_sorted=False, workers=-1)
        covered[[index for indices in balls for index in indices]] = True
        return np.array([len(indices) for indices in balls]), covered
    # 2 <c, x> − |c|² − |x|² + r² ≥ 0 as one matrix product, with two additional columns
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

"""Classifier two-sample tests: can a classifier distinguish the points of the model from those of the truth?"""

import functools
from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.metrics.base import Figures, Metric
from diffuse_cli.metrics.ranks import probability_less

Votes = Annotated[int, Meta(ge=1, le=10_000)]


def c2st(*, k: Votes | None = None) -> Metric:
    """The accuracy of a classifier that distinguishes the clouds: 0.5 for equal laws, 1 for clouds that do not overlap.

    Lopez-Paz & Oquab 2017, eq. 2, with their nearest-neighbour classifier: a point is assigned to the cloud to which
    most of its k nearest neighbours belong, itself excluded (leave-one-out cross-validation). k is about √n by
    default, and odd, so that there are no ties.

    >>> near, far = np.array([[0.0], [1.0], [2.0]]), np.array([[10.0], [11.0], [12.0]])
    >>> c2st(k=1)(near, far)
    1.0
    """
    return Metric(_figures(k), "c2st", least=_least(k))


def c2st_auc(*, k: Votes | None = None) -> Metric:
    """The area under the ROC curve of the classifier of `c2st`: 0.5 for equal laws, 1 for clouds that do not overlap.

    It uses the share of votes for each point, not only the majority, and mostly detects differences with fewer points
    than the accuracy does.

    >>> near, far = np.array([[0.0], [1.0], [2.0]]), np.array([[10.0], [11.0], [12.0]])
    >>> c2st_auc(k=1)(near, far)
    1.0
    """
    return Metric(_figures(k), "c2st_auc", least=_least(k))


def _least(k: int | None) -> int:
    """The least number of points in each cloud for which every point has k others in both clouds together."""
    return 2 if k is None else max(2, k // 2 + 1)


@functools.cache
def _figures(k: int | None) -> Figures:
    def figures(model: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        from sklearn.neighbors import NearestNeighbors

        n = len(model)
        voters = round(np.sqrt(n)) // 2 * 2 + 1 if k is None else k
        nearest = NearestNeighbors(n_neighbors=voters).fit(np.vstack([model, reference]))
        votes = (nearest.kneighbors(return_distance=False) < n).mean(axis=1)  # the share that is the model's
        right = np.mean([_won(votes[:n]), 1 - _won(votes[n:])])
        return {"c2st": float(right), "c2st_auc": probability_less(votes[n:], votes[:n])[0]}

    return figures


def _won(votes: np.ndarray) -> float:
    """The share of points assigned to the model; a tie, which is possible for even k, counts half."""
    return float(np.mean((votes > 0.5) + 0.5 * (votes == 0.5)))

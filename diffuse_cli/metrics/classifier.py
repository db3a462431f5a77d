"""Classifier two-sample tests: can a classifier tell the model's points from the truth's?"""

import functools
from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.metrics.base import Figures, Metric
from diffuse_cli.metrics.ranks import probability_less

Votes = Annotated[int, Meta(ge=1, le=10_000)]


def c2st(*, k: Votes | None = None) -> Metric:
    """The accuracy of a classifier that tells the clouds apart: .5 if it cannot, 1 if it always can.

    Lopez-Paz & Oquab 2017, eq. 2, with their nearest-neighbour classifier: each point is put to the cloud that most of
    its k nearest others belong to, so that no point is judged by itself (cross-fitting with as many folds as points).
    k is about √n unless given, and odd, so that there are no ties.
    """
    return Metric(_figures(k), "c2st", least=_least(k))


def c2st_auc(*, k: Votes | None = None) -> Metric:
    """The area under the ROC curve of the classifier of `c2st`: .5 if it cannot tell the clouds apart, 1 if it can.

    It reads how sure each vote is, not only its winner, and mostly sees faults sooner than the accuracy does.
    """
    return Metric(_figures(k), "c2st_auc", least=_least(k))


def _least(k: int | None) -> int:
    """So many that each of both clouds' points has k others."""
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
        return {"c2st": right, "c2st_auc": probability_less(votes[n:], votes[:n])[0]}

    return figures


def _won(votes: np.ndarray) -> float:
    """The share of points given to the model; an even vote, possible where k was given even, counts half."""
    return float(np.mean((votes > 0.5) + 0.5 * (votes == 0.5)))

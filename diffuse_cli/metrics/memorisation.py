"""Whether a model repeats its training points: are its samples nearer to them than new points of the truth are?"""

from typing import NamedTuple

import numpy as np

from diffuse_cli.metrics.ranks import probability_less


class Memorisation(NamedTuple):
    """Distances to the nearest training point, in units of the space: of samples, and of held-out points.

    median, held_out_median: the middle distance of either.
    close_share: the share of samples nearer than the nearest held-out points are, which are a share `close` of those:
        `close` itself for a model that has not memorised.
    nearer, nearer_stderr: the probability that a sample is nearer than a held-out point: ½ for a model that has not
        memorised, 1 for one that repeats its training set, and less than ½ for one whose samples stray. The standard
        error is NaN where only one point is held out.
    """

    median: float
    held_out_median: float
    close: float
    close_share: float
    nearer: float
    nearer_stderr: float


def memorisation(
    samples: np.ndarray, training: np.ndarray, held_out: np.ndarray, *, close: float = 0.05
) -> Memorisation:
    """Compare samples [n, d] and held-out points [m, d] by their distances to the training points [t, d].

    `nearer` is the statistic of Meehan, Chaudhuri & Dasgupta (2020), taken over the whole space at once. Given the
    training set all distances are independent, so n, m and t may differ; `training` must be the whole set that was
    learned from, and `held_out` none of it.
    """
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=1).fit(training)
    of_samples, of_held_out = (nearest.kneighbors(points)[0][:, 0] for points in (samples, held_out))
    nearer, stderr = probability_less(of_samples, of_held_out)
    return Memorisation(
        median=float(np.median(of_samples)),
        held_out_median=float(np.median(of_held_out)),
        close=close,
        close_share=float(np.mean(of_samples < np.quantile(of_held_out, close))),
        nearer=nearer,
        nearer_stderr=stderr,
    )

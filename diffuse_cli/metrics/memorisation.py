"""Memorisation: whether samples are nearer to the training points than new points of the truth are."""

import math
from typing import NamedTuple

import numpy as np

from diffuse_cli.metrics.noise_floors import LEVEL
from diffuse_cli.metrics.ranks import probability_less


class Memorisation(NamedTuple):
    """Distances to the nearest training point, in units of the space: of samples, and of held-out points.

    median, held_out_median: the median distance of the samples, and of the held-out points.
    close, close_share: the share of samples whose distance is below the quantile `close` of the held-out points'
        distances. For a model that has not memorised it is `close`.
    nearer, nearer_stderr: the probability that a sample is nearer than a held-out point, and its standard error: ½ for
        a model that has not memorised, 1 for a model that repeats its training set, less than ½ for samples far from
        the data. The standard error is NaN where only one point is held out.
    held_out: the number of held-out points. judges: whether they are enough to tell a model that copies half of its
        samples, for which `nearer` is ¾ or more, from one that has not memorised.
    """

    median: float
    held_out_median: float
    close: float
    close_share: float
    nearer: float
    nearer_stderr: float
    held_out: int
    judges: bool


def memorisation(
    samples: np.ndarray, training: np.ndarray, held_out: np.ndarray, *, close: float = 0.05
) -> Memorisation:
    """Compare samples [n, d] and held-out points [m, d] by their distances to the training points [t, d].

    `nearer` is the statistic of Meehan, Chaudhuri & Dasgupta (2020) for the whole space as one cell. Given the training
    set all distances are independent, so n, m and t may differ. `training` must be the whole training set, and
    `held_out` must share no point with it.

    >>> training, held_out = np.array([[0.0], [10.0]]), np.array([[3.0], [6.0]])
    >>> memorisation(training, training, held_out).nearer  # samples that repeat the training points
    1.0
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
        held_out=len(held_out),
        judges=_judges(len(samples), len(held_out)),
    )


def _judges(n: int, m: int) -> bool:
    """Whether a probability of ¾ is told from ½ in 19 of 20 cases, at the level of noise floors, both sides.

    Under ½ the variance of the statistic is (n + m + 1) / 12 n m (Mann & Whitney 1947). So 30 held-out points are
    needed beside many samples.

    >>> [m for m in range(1, 100) if _judges(10_000, m)][0]
    30
    """
    from scipy.special import ndtri

    spread = math.sqrt((n + m + 1) / (12 * n * m))
    return bool((ndtri(1 - LEVEL / 2) + ndtri(0.95)) * spread < 0.25)

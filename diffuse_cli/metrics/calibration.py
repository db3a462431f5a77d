"""Whether draws of x given y are spread as they should be, over many pairs (x, y): ranks, coverage, mean errors.

For pairs from p(x) p(y | x), the rank of x among S draws of p(x | y) is uniform on 0, …, S in every column (Talts et
al. 2018, theorem 1). This holds for draws of p(x) too, which know nothing of y: so ranks are read beside the error of
the mean of the draws, which no method can have below that of the posterior mean.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

BINS = 20  # of a histogram of ranks
_LEVEL = 0.95  # of the band in which a bin lies
_RESAMPLES = 400  # of the pairs, which give the spread of their largest deviation from uniform


class Coverage(NamedTuple):
    """The share of truths inside of the central interval of the draws at a level, and its standard error."""

    level: float
    share: float
    stderr: float

    @property
    def right(self) -> bool:
        """Whether the share is within two standard errors of the level."""
        return abs(self.share - self.level) <= 2 * self.stderr


class MeanError(NamedTuple):
    """How far the means of the draws are from the posterior means, over pairs.

    gap: E |x̂ − m|² / E tr Cov(x | y) = (E |x̂ − x|² − least) / least, least being the error of the posterior mean;
    stderr: its standard error.
    """

    gap: float
    stderr: float


class Calibration(NamedTuple):
    """One method over N pairs.

    ranks: [N, k], each in [0, 1]. coverages: at each level. uniform: the probability that ranks of a perfect method
    deviate from uniform as much. squared_error: E |x̂ − x|² with its standard error. mean_error: None where the exact
    posterior is not known.
    """

    ranks: np.ndarray
    coverages: tuple[Coverage, ...]
    uniform: float
    squared_error: tuple[float, float]
    mean_error: MeanError | None

    def document(self) -> dict[str, Any]:
        """The same for a JSON file, without the ranks but their histogram."""
        return {
            "coverage": [each._asdict() | {"right": each.right} for each in self.coverages],
            "uniform": self.uniform,
            "squared_error": dict(zip(("value", "stderr"), self.squared_error, strict=True)),
            "mmse_gap": self.mean_error and self.mean_error._asdict(),
            "rank_histogram": np.histogram(self.ranks, BINS, (0, 1))[0].tolist(),
        }


def ranks(
    truth: Float[np.ndarray, "N k"], draws: Float[np.ndarray, "N S k"], rng: np.random.Generator
) -> Float[np.ndarray, "N k"]:
    """The rank of each truth among its draws, (number of draws below + u) / (S + 1) with u uniform in [0, 1].

    Uniform on [0, 1] for any S if truth and draws have one law. Draws that are equal to the truth are below it or not
    by chance.

    >>> rng = np.random.default_rng(0)
    >>> ranks(np.zeros((1, 1)), np.array([[[-1.0], [-2.0], [3.0]]]), rng).round(1)  # between 2 / 4 and 3 / 4
    array([[0.7]])
    """
    below = (draws < truth[:, None]).sum(axis=1)
    equal = (draws == truth[:, None]).sum(axis=1)
    below = below + rng.integers(0, equal + 1)
    return np.asarray((below + rng.random(below.shape)) / (draws.shape[1] + 1))


def coverage(ranked: Float[np.ndarray, "N k"], level: float) -> Coverage:
    """The share of ranks in the central interval, which is `level` for a perfect method and any number of draws.

    The columns of one pair depend on each other, so the standard error is that of the means over columns.

    >>> coverage(np.array([[0.1, 0.5], [0.5, 0.6]]), 0.5)
    Coverage(level=0.5, share=0.75, stderr=0.25)
    """
    inside = (np.abs(ranked - 0.5) < level / 2).mean(axis=1)
    spread = max(inside.std(ddof=1), np.sqrt(level * (1 - level) / max(len(inside), 1)) if inside.std() == 0 else 0.0)
    return Coverage(level, float(inside.mean()), float(spread / np.sqrt(len(inside))))


def uniformity(ranked: Float[np.ndarray, "N k"], rng: np.random.Generator) -> float:
    """The probability of so large a deviation from uniform, for a perfect method.

    The deviation is the largest distance from the diagonal of the distribution function of any column, so that columns
    cannot balance each other and a joint rank is not lost among many of single directions. The columns of a pair depend
    on each other in a way that is not known; pairs that are drawn again, with replacement and all columns together,
    have deviations about the observed distribution functions as those of a perfect method are about the diagonal: the
    largest of many, as in Westfall & Young 1993, by a bootstrap over pairs.

    >>> uniformity(np.random.default_rng(0).random((200, 2)), np.random.default_rng(1)) > 0.05
    True
    """
    grid = (np.arange(50) + 0.5) / 50
    below = (ranked[:, :, None] <= grid).reshape(len(ranked), -1).astype(np.float64)  # [N, k · 50]
    observed = below.mean(axis=0)
    counts = rng.multinomial(len(below), np.full(len(below), 1 / len(below)), size=_RESAMPLES)
    others = np.abs(counts @ below / len(below) - observed).max(axis=1)
    return float((1 + (others >= np.abs(observed - np.tile(grid, ranked.shape[1])).max()).sum()) / (1 + _RESAMPLES))


def band(pairs: int) -> tuple[float, float]:
    """Between which counts a bin of a histogram of this many independent ranks lies, with a probability of 95 %.

    >>> band(200)
    (4.0, 16.0)
    """
    from scipy.stats import binom

    low, high = binom.interval(_LEVEL, pairs, 1 / BINS)
    return float(low), float(high)


def mean_error(
    draws: Float[np.ndarray, "N S d"],
    means: Float[np.ndarray, "N d"],
    variances: Float[np.ndarray, " N"],
    effective: Float[np.ndarray, " N"] | None = None,
) -> MeanError:
    """How far the means of the draws are from those of the posterior, over pairs.

    means, variances: of the exact posterior of each pair, the variance summed over columns. effective: how many
    independent draws those of a pair are worth; S unless given. What the chance of the draws adds is subtracted.

    >>> draws = np.random.default_rng(0).standard_normal((500, 50, 1)) + 1.0
    >>> error = mean_error(draws, np.zeros((500, 1)), np.ones(500))
    >>> round(error.gap, 1)
    1.0
    """
    count = draws.shape[1] if effective is None else effective
    chance = draws.var(axis=1, ddof=1).sum(axis=-1) / count
    each = ((draws.mean(axis=1) - means) ** 2).sum(axis=-1) - chance
    least = float(variances.mean())
    gap = float(each.mean()) / least
    spread = (each - gap * variances).std(ddof=1) / np.sqrt(len(each))  # of a ratio of means
    return MeanError(gap, float(spread / least))


def calibrate(
    truth: Float[np.ndarray, "N d"],
    draws: Float[np.ndarray, "N S d"],
    directions: Float[np.ndarray, "k d"],
    rng: np.random.Generator,
    *,
    levels: tuple[float, ...] = (0.5, 0.9),
    moments: tuple[np.ndarray, np.ndarray] | None = None,
    effective: Float[np.ndarray, " N"] | None = None,
) -> Calibration:
    """The Calibration of draws [N, S, d] for the truths [N, d] of N pairs, in one space.

    directions: in which ranks are computed, those that a measurement without noise has not fixed. Where there are
    several, one more rank is that of the distance from the mean of the draws, which sees what single directions do not
    (Modrák et al. 2023). moments: means [N, d] and total variances [N] of the exact posteriors. effective: as in
    `mean_error`.
    """
    along, truth_along = draws @ directions.T, truth @ directions.T
    ranked = ranks(truth_along, along, rng)
    if len(directions) > 1:
        # each point against the mean of all others, the truth among them, so that all of them are alike
        everything = np.concatenate([along, truth_along[:, None]], axis=1)
        others = (everything.sum(axis=1, keepdims=True) - everything) / draws.shape[1]
        away = np.linalg.norm(everything - others, axis=2)
        ranked = np.hstack([ranked, ranks(away[:, -1:], away[:, :-1, None], rng)])
    squares = ((draws.mean(axis=1) - truth) ** 2).sum(axis=1)
    return Calibration(
        ranked,
        tuple(coverage(ranked[:, : len(directions)], level) for level in levels),
        uniformity(ranked, rng),
        (float(squares.mean()), float(squares.std(ddof=1) / np.sqrt(len(squares)))),
        None if moments is None else mean_error(draws, *moments, effective),
    )

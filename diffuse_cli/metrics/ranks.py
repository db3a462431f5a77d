"""The probability that a draw of one kind is less than a draw of another: the area under a ROC curve."""

import numpy as np


def probability_less(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """P(A < B) + ½ P(A = B) from a [n] and b [m], all independent, and its standard error.

    The first is the Mann–Whitney statistic over n m; the second is that of DeLong, DeLong & Clarke-Pearson (1988)
    for one curve: the variance over a of P(a < B), and that over b of P(A < b), each over its number. It is NaN where n
    or m is 1.
    """
    of_a = 1 - _share_below(b, a)
    of_b = _share_below(a, b)
    variance = sum(np.var(each, ddof=1) / len(each) if len(each) > 1 else np.nan for each in (of_a, of_b))
    return float(of_a.mean()), float(np.sqrt(variance))


def _share_below(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The share of values below each limit, equal ones counting half."""
    ordered = np.sort(values)
    return sum(np.searchsorted(ordered, limits, side) for side in ("left", "right")) / (2 * len(values))

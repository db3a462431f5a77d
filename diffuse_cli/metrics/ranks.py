"""The probability that a draw of one kind is less than a draw of another: the area under a ROC curve."""

import numpy as np


def probability_less(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """P(A < B) + ½ P(A = B) from a [n] and b [m], all independent, and its standard error.

    The probability is the Mann–Whitney statistic divided by n m. The standard error is that of DeLong, DeLong &
    Clarke-Pearson (1988) for one curve, the root of Var_a P(a < B) / n + Var_b P(A < b) / m. It is NaN where n or m
    is 1.

    >>> probability_less(np.array([1.0, 2.0]), np.array([1.0, 3.0]))[0]  # (½ + 1 + 0 + 1) / 4
    0.625
    """
    of_a = 1 - _share_below(b, a)
    of_b = _share_below(a, b)
    variance = sum(np.var(each, ddof=1) / len(each) if len(each) > 1 else np.nan for each in (of_a, of_b))
    return float(of_a.mean()), float(np.sqrt(variance))


def _share_below(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The share of `values` below each of `limits`; equal ones count half."""
    ordered = np.sort(values)
    less = np.searchsorted(ordered, limits, "left")
    less_or_equal = np.searchsorted(ordered, limits, "right")
    return (less + less_or_equal) / (2 * len(values))

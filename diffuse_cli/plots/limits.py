"""The limits of axes, and whether columns in different units need scales of their own."""

import numpy as np

from diffuse_cli.plots.columns import Columns

_DIFFERENT_UNITS = 3  # ratio of the ranges of two columns in data units above which each axis has its own scale


def limits_of(kind: str, clouds: list[np.ndarray], columns: Columns, square: bool) -> tuple[np.ndarray, bool]:
    """Limits [axes, 2] that hold every sample, except a few that lie so far out that they would flatten all others.

    Also whether the axes need different scales, because with one scale one of them would be too short.
    """
    values = np.concatenate(clouds)
    if kind == "images":  # noise is cut off, so that what is left of a picture can be seen
        return np.array([(0.0, 1.0), _interval(values.reshape(-1), 0.005, 0.0)]), False
    if kind == "curves":
        return np.array([(0.0, 1.0), _interval(values.reshape(-1), 0.001, 0.15)]), False
    if kind == "space":  # points outside the box are drawn as well, so a tight one makes the best use of the panel
        limits = np.array([_interval(column, 0.005, 0.0) for column in values.T])
        return limits, _differ(limits, columns)
    limits = np.array([range_of(column) for column in values.T])
    sides = np.ptp(limits, axis=1)
    if kind == "plane" and _differ(limits, columns):
        return limits, True
    if kind in ("plane", "projected"):
        least = sides.max() if square else sides.max() * np.array([0.6, 0.45])
        grow = np.maximum(least - sides, 0.0) / 2
        limits += np.stack([-grow, grow], axis=1)
    return limits, False


def _differ(limits: np.ndarray, columns: Columns) -> bool:
    """Whether the units of columns with these limits [axes, 2] differ so much that one scale would hide one of them."""
    sides = np.ptp(limits, axis=1)
    return bool(columns.units == "data" and sides.max() > _DIFFERENT_UNITS * sides.min())


def _interval(values: np.ndarray, tail: float, reach: float) -> tuple[float, float]:
    """The range of `values`, but at most `reach` times the width of their central part beyond it, and a margin."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [tail, 1 - tail])
    reach = reach * (high - low)
    low, high = max(low - reach, values.min()), min(high + reach, values.max())
    # Values that are all equal need an interval of some width too.
    pad = 0.05 * (high - low) or 0.5 * max(abs(high), 1.0)
    return low - pad, high + pad


def range_of(values: np.ndarray) -> tuple[float, float]:
    """The limits of an axis for `values` [n]: all of them, except a few so far out that they would flatten all others.

    Those that are not finite do not count.
    """
    return _interval(values, 0.0025, 0.35)

"""Many lines in one panel: patterns that tell them apart, and names in a key or at their right ends."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

# Six patterns for seven colours: 42 lines before both repeat together, and lines stay apart without colour.
DASHES = ((), (5, 1.8), (1.2, 1.6), (6, 1.6, 1.2, 1.6), (9, 2.5), (2.5, 1.2))
KEY_ROW = 0.24  # inches: the height of a row of a key below a figure
_KEY_LETTER = 0.068  # inches: how wide a letter in it is on average
NAME_SIZE = 8.5  # of a name
NAME_HEIGHT = 0.152  # inches: the height of one, with the gap to the next
_LETTER = 0.058  # inches: how wide a letter is on average
_REACH = 0.16  # inches between the panel and its labels
_LEADER = {"arrowstyle": "-", "linewidth": 0.5, "alpha": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 2}


class Label(NamedTuple):
    """The name of a line that ends at (x, y), data units, and its colour."""

    text: str
    x: float
    y: float
    color: str


def pattern(i: int) -> str | tuple:
    """The line style of the i-th line."""
    return (0, DASHES[i % len(DASHES)]) if DASHES[i % len(DASHES)] else "solid"


def key_shape(names: list[str], inches: float) -> tuple[int, int]:
    """Rows and columns for a key of these names, so wide: as few rows as there is room for, equally long."""
    fits = max(int(inches / (0.7 + _KEY_LETTER * max(map(len, names)))), 1)
    rows = math.ceil(len(names) / fits)
    return rows, math.ceil(len(names) / rows)


def beside(axes: Axes, labels: list[Label], *, height: float) -> None:
    """Write labels at the right of a panel of about `height` inches, each led to from the end of its line.

    Call it when the limits of the axes are final.
    """
    ends = axes.transData.transform([(label.x, label.y) for label in labels])
    ends = axes.transAxes.inverted().transform(ends)
    order = np.argsort(ends[:, 1], kind="stable")
    places = apart(np.clip(ends[order, 1], 0.0, 1.0), NAME_HEIGHT / height)
    for i, place in zip(order, places, strict=True):
        axes.annotate(
            labels[i].text,
            ends[i],
            (1 + _REACH / height, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=labels[i].color,
            fontsize=NAME_SIZE,
            va="center_baseline",
            annotation_clip=False,
            arrowprops=_LEADER | {"color": labels[i].color},
        )


def width(texts: list[str]) -> float:
    """About how many inches such labels take at the right of a panel."""
    return _REACH + _LETTER * max(map(len, texts))


def apart(places: np.ndarray, gap: float) -> np.ndarray:
    """Rising `places` [k], moved as little as possible, in the least squares, to stand `gap` or more from each other.

    That is the isotonic regression of places[i] - i gap, by pooling neighbours out of order (Barlow et al. 1972).
    """
    steps, pools = gap * np.arange(len(places)), []
    for value in places - steps:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (low, n), (high, m) = pools.pop(-2), pools.pop(-1)
            pools.append([(n * low + m * high) / (n + m), n + m])
    return np.concatenate([np.full(count, value) for value, count in pools]) + steps

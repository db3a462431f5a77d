"""Many lines in one panel: line styles that differ, and names in a key or at the right ends of lines."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

# Six line styles and seven colours: 42 lines before a pair repeats, and neighbours differ in a grey print too.
DASHES = ((), (5, 1.8), (1.2, 1.6), (6, 1.6, 1.2, 1.6), (9, 2.5), (2.5, 1.2))
KEY_ROW = 0.24  # inches: the height of a row of a key below a figure
_KEY_LETTER = 0.068  # inches: the mean width of a letter in a key
NAME_SIZE = 8.5  # points: the font size of a name at the end of a line
NAME_HEIGHT = 0.152  # inches: the height of such a name, with the gap to the next
_LETTER = 0.058  # inches: the mean width of a letter in it
_REACH = 0.16  # inches between the panel and the names
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
    """The numbers of rows and columns of a key of these names that is `inches` wide: as few rows as possible."""
    fits = max(int(inches / (0.7 + _KEY_LETTER * max(map(len, names)))), 1)
    rows = math.ceil(len(names) / fits)
    return rows, math.ceil(len(names) / rows)


def beside(axes: Axes, labels: list[Label], *, height: float) -> None:
    """Write labels at the right of a panel about `height` inches high, each connected with the end of its line.

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
    """About how many inches the labels with these texts need at the right of a panel."""
    return _REACH + _LETTER * max(map(len, texts))


def apart(places: np.ndarray, gap: float) -> np.ndarray:
    """The rising `places` [k], moved by the least sum of squares so that neighbours are at least `gap` apart.

    This is the isotonic regression of places[i] - i gap, by pooling adjacent violators (Barlow et al. 1972).
    """
    steps, pools = gap * np.arange(len(places)), []
    for value in places - steps:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (low, n), (high, m) = pools.pop(-2), pools.pop(-1)
            pools.append([(n * low + m * high) / (n + m), n + m])
    return np.concatenate([np.full(count, value) for value, count in pools]) + steps

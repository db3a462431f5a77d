"""Small pictures made of block characters, for a terminal: where points are, and how a number changed."""

from typing import NamedTuple

import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"
SHADES = " ░▒▓█"
USED = BARS + SHADES + "▀"
ROWS = (7, 14)  # lines of a picture: at least, at most
FREE_ROWS = 9
FAR_OUT = 0.002  # of the points, on each side, need not be seen
_RAMP = np.array([[126, 3, 168], [204, 71, 120], [248, 149, 64]])  # few to many points; seen on black and on white
_SPAN = 10.0  # the greatest over the least value from which on a sparkline is on a log scale


class Window(NamedTuple):
    """The part of the plane that a picture shows: low [2] and high [2], and how many characters it has."""

    low: np.ndarray
    high: np.ndarray
    columns: int
    rows: int


def window(clouds: list[np.ndarray], columns: int = 36, *, free: bool = False) -> Window:
    """A window that holds clouds [n, 2], but for a few points far out; a character is twice as high as it is wide.

    Both directions have one scale, unless they are `free` to have their own.
    """
    points = np.concatenate([cloud[np.isfinite(cloud).all(axis=1)] for cloud in clouds])
    points = points if len(points) else np.zeros((1, 2))
    low = np.quantile(points, FAR_OUT, axis=0, method="lower")
    high = np.quantile(points, 1 - FAR_OUT, axis=0, method="higher")
    low, high = np.where(high > low, low, low - 0.5), np.where(high > low, high, high + 0.5)
    middle, size = (low + high) / 2, 1.04 * (high - low)
    if free:
        return Window(middle - size / 2, middle + size / 2, columns, FREE_ROWS)
    rows = int(np.clip(np.rint(columns / 2 * size[1] / size[0]), *ROWS))
    unit = max(size[0] / columns, size[1] / (2 * rows))  # the width of a character
    half = unit * np.array([columns, 2 * rows]) / 2
    return Window(middle - half, middle + half, columns, rows)


def draw_density(points: np.ndarray, shown: Window | None = None) -> str:
    """Where the points [n, 2] are, as lines of ░▒▓█. Those not finite or outside the window are left out."""
    shown = window([points]) if shown is None else shown
    counts = _counts(points, shown, shown.rows)
    level = np.ceil(_strength(counts) * (len(SHADES) - 1)).astype(int)
    return "\n".join("".join(SHADES[each] for each in row) for row in level)


def painted(points: np.ndarray, shown: Window | None = None) -> Text:
    """The same in colours, with two points of the picture in each character, one above the other."""
    shown = window([points]) if shown is None else shown
    strength = _strength(_counts(points, shown, 2 * shown.rows))
    text = Text()
    for number, (upper, lower) in enumerate(zip(strength[::2], strength[1::2], strict=True)):
        text.append("\n" if number else "")
        for above, below in zip(upper, lower, strict=True):
            if above and below:
                text.append("▀", Style(color=_colour(above), bgcolor=_colour(below)))
            elif above or below:
                text.append("▀" if above else "▄", Style(color=_colour(above or below)))
            else:
                text.append(" ")
    return text


def histogram(values: np.ndarray, low: float, high: float, columns: int = 36, rows: int = 6) -> str:
    """How many of the values [n] lie in each of `columns` bins from low to high, as lines of bars."""
    counts = np.histogram(values[np.isfinite(values)], columns, (low, high))[0]
    steps = len(BARS) * rows
    tall = np.ceil(counts / max(counts.max(), 1) * steps).astype(int)
    filled = np.clip(tall - len(BARS) * np.arange(rows)[::-1, None], 0, len(BARS))
    return "\n".join("".join(f" {BARS}"[each] for each in row) for row in filled)


def sparkline(values: np.ndarray, columns: int = 32) -> str:
    """A series [n] in one line, each character the mean of its part; a space where nothing is finite.

    On a log scale where all means are above zero and the greatest is ten times the least.
    """
    parts = np.array_split(np.asarray(values, float), min(columns, len(values)) or 1)
    means = np.array([np.mean(part[np.isfinite(part)]) if np.isfinite(part).any() else np.nan for part in parts])
    known = means[np.isfinite(means)]
    if not len(known):
        return " " * len(means)
    if known.min() > 0 and known.max() > _SPAN * known.min():
        means, known = np.log(means), np.log(known)
    part = (means - known.min()) / (np.ptp(known) or 1.0)
    return "".join(BARS[round(each * (len(BARS) - 1))] if np.isfinite(each) else " " for each in part)


def _counts(points: np.ndarray, shown: Window, rows: int) -> np.ndarray:
    """How many points are in each cell [rows, columns], the upper row first."""
    x, y = points[np.isfinite(points).all(axis=1)].T
    sides = [(shown.low[1], shown.high[1]), (shown.low[0], shown.high[0])]
    counts: np.ndarray = np.histogram2d(y, x, (rows, shown.columns), sides)[0]
    return counts[::-1]


def _strength(counts: np.ndarray) -> np.ndarray:
    """From 0 for no points to 1 for the most; the root, since a few points should be seen beside many."""
    strength: np.ndarray = np.sqrt(counts / max(counts.max(), 1))
    return strength


def _colour(strength: float) -> Color:
    knots = np.linspace(0, 1, len(_RAMP))
    return Color.from_rgb(*(np.interp(strength, knots, channel) for channel in _RAMP.T))

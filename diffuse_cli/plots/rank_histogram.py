"""Ranks of simulation-based calibration: a histogram for each method, and the band of chance."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binom

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.axis_names import mark_unit_interval
from diffuse_cli.plots.layout import TWO_LINES, arrange, panel_rows
from diffuse_cli.plots.panels import SMALL_TEXT, make_scene
from diffuse_cli.plots.style import default_style, too_narrow
from diffuse_cli.plots.user_text import plain

RANK_BINS = 20
_ACROSS = 4  # panels in one row
_SIDE = 2.55  # inches of a panel, in which the words over it have room
_AROUND = 0.5  # inches of a figure beside its panels
_CHANCE = 0.95  # the probability with which a bin of uniform ranks lies in the band
_TOP = 2.2  # times the band's upper end: bins of badly calibrated methods end at the frame


class Ranks(NamedTuple):
    """The ranks [pairs, columns] of the true values among the draws of a method, 0 to the number of draws, and words
    over the panel."""

    name: str
    ranks: np.ndarray
    words: str = ""


def rank_figure(
    methods: Sequence[Ranks],
    *,
    draws: int,
    pairs: float,
    bins: int = RANK_BINS,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """A panel for each method: the density of ranks / draws, the line of uniform ranks, and the band in which a bin of
    uniform ranks lies with 95 %.

    Talts et al. 2018, algorithm 1; the band of one bin is binomial, not simultaneous (Säilynoja et al. 2022 discuss
    both). draws: of each posterior, so that a rank is one of draws + 1 numbers. pairs: how many independent ranks a
    panel is worth; ranks of several columns of one pair are dependent. The first method is drawn in the colour of data.

    Raises UsageError where there is no method, ranks are no integers from 0 to `draws`, or `width` is too small.
    """
    if not methods:
        raise UsageError("there are no ranks to draw.")
    heights = [rank_density(method.ranks, draws, bins) for method in methods]
    whole = max(round(pairs), 1)
    low, high = np.array(binom.interval(_CHANCE, whole, 1 / bins)) * bins / whole
    top = min(max(1.08 * max(map(np.max, heights)), 1.3 * high), max(_TOP * high, 1.08 * heights[0].max()))
    columns = _columns(len(methods), width)
    edges = np.linspace(0, 1, bins + 1)
    with default_style(dark=dark, width=width) as theme:
        unit = np.array([[0.0], [1.0]])
        scene = make_scene([unit], reference=unit, view="points", side=_SIDE, theme=theme)
        layout = panel_rows(-(-len(methods) // columns), columns, scene, theme, above=TWO_LINES)
        for number, (method, height) in enumerate(zip(methods, heights, strict=True)):
            axes = layout.figure.add_subplot(layout.grid[number // columns, number % columns])
            color = theme.model if number else theme.data
            axes.axhspan(low, high, color=theme.fill, alpha=0.55, linewidth=0, zorder=0)
            axes.stairs(np.minimum(height, top), edges, fill=True, color=color, alpha=0.55, linewidth=0)
            axes.stairs(height, edges, baseline=None, color=color, linewidth=1.0)
            axes.axhline(1, color=theme.ink, linewidth=0.9, dashes=(4, 2.5))
            axes.set(xlim=(0, 1), ylim=(0, top))
            mark_unit_interval(axes.xaxis)
            axes.spines[["right", "top"]].set_visible(False)
            axes.set_title(plain(method.name), pad=17 if method.words else 5)
            above = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": SMALL_TEXT}
            axes.annotate(method.words, (0.5, 1), xycoords="axes fraction", color=theme.muted, **above)
            axes.tick_params(labelleft=number % columns == 0, labelbottom=number + columns >= len(methods))
            axes.set_ylabel("density" if number % columns == 0 else "")
            axes.set_xlabel("rank / draws" if number + columns >= len(methods) else "")
        return arrange(layout, "Ranks of the truth among posterior draws", subject)


def _columns(count: int, width: float | None) -> int:
    """How many of `count` panels stand in one row: as many as have room for their words in `width` inches."""
    fits = _ACROSS if width is None else int((width - _AROUND) / _SIDE)
    if width is not None and fits < 1:
        raise too_narrow(width, _SIDE + _AROUND)
    return min(_ACROSS, count, fits)


def rank_density(ranks: np.ndarray, draws: int, bins: int) -> np.ndarray:
    """The density [bins] of ranks on [0, 1]: each rank r is spread over r/(draws + 1) to (r + 1)/(draws + 1).

    So uniform ranks have the density 1 in every bin, also where draws + 1 is no multiple of the number of bins.

    Raises UsageError for ranks that are no integers from 0 to `draws`.

    >>> rank_density(np.arange(11), 10, 4)
    array([1., 1., 1., 1.])
    """
    ranks = np.asarray(ranks)
    whole = ranks.astype(int)
    if ranks.size == 0 or (whole != ranks).any() or whole.min() < 0 or whole.max() > draws:
        raise UsageError(f"ranks among {draws} draws are integers from 0 to {draws}.")
    counts = np.bincount(whole.ravel(), minlength=draws + 1)
    below = np.concatenate([[0.0], np.cumsum(counts)]) / ranks.size
    return np.diff(np.interp(np.linspace(0, 1, bins + 1), np.linspace(0, 1, draws + 2), below)) * bins

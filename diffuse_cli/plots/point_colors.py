"""The colours of points: a point has the same colour in every panel, so that it can be followed through a figure."""

from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.style import Theme
from diffuse_cli.plots.user_text import plain

RAMP_SHADES = 64  # of points that are coloured by an order
_KEY_COLUMNS = 7  # of a legend
HISTOGRAM_SHADES = 8  # bands of a stacked histogram: more would be too thin to see


class PointColors(NamedTuple):
    """A colour for each of n points: `palette[group]`. group [n] are integers, palette [groups, 4] is RGBA in 0..1."""

    group: np.ndarray
    palette: np.ndarray

    def of(self, index: np.ndarray) -> np.ndarray:
        """The colours [m, 4] of the points `index` [m]."""
        return self.palette[self.group[index]]


def one_color(color: str, count: int) -> PointColors:
    """The same colour for all of `count` points."""
    return PointColors(np.zeros(count, int), np.array([to_rgba(color)]))


def by_rank(values: np.ndarray, theme: Theme, shades: int = RAMP_SHADES) -> PointColors:
    """Colours along the theme's ramp by the rank of `values` [n]: each shade has the same number of points."""
    shades = max(min(shades, len(values)), 1)
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    palette = theme.ramp(np.linspace(0, 1, shades)) if shades > 1 else theme.ramp([0.5])
    return PointColors(rank * shades // len(values), palette)


def by_label(labels: np.ndarray, theme: Theme) -> PointColors:
    """One of the theme's class colours for each distinct value of `labels` [n]; shades of the ramp for more than 7."""
    kinds, group = np.unique(labels, return_inverse=True)
    if len(kinds) <= len(theme.classes):
        palette = np.array([to_rgba(color) for color in theme.classes[: len(kinds)]])
    else:
        palette = theme.ramp(np.linspace(0, 1, len(kinds)))
    return PointColors(group.reshape(-1), palette)


def label_key(figure: Figure, labels: np.ndarray, theme: Theme) -> None:
    """A legend below a figure that says which colour of `by_label` stands for which of the labels [n]."""
    kinds = np.unique(labels)
    colors = by_label(kinds, theme).palette
    dots = [Line2D([], [], linestyle="", marker="o", markersize=4, color=color) for color in colors]
    columns = min(len(kinds), _KEY_COLUMNS)
    figure.legend(dots, list(map(plain, kinds.tolist())), loc="outside lower center", ncols=columns)


def point_colors(
    clean: np.ndarray, color_by: np.ndarray | None, theme: Theme, shades: int = RAMP_SHADES
) -> PointColors:
    """The colours of a cloud's points, by their clean places [n, d] or by `color_by` [n].

    By default the colour of a point shows its rank along the first principal axis of the clean cloud. Whole numbers and
    words in `color_by` are labels; other numbers give an order.

    Raises UsageError where `color_by` is not [n].
    """
    if color_by is None:
        mean, axes = principal_axes(clean, 1)
        return by_rank((clean - mean) @ axes[:, 0], theme, shades)
    color_by = np.asarray(color_by)
    if color_by.shape != (len(clean),):
        raise UsageError(f"color_by has shape {color_by.shape}; it needs one value for each of {len(clean)} points.")
    return by_rank(color_by, theme, shades) if color_by.dtype.kind == "f" else by_label(color_by, theme)


def principal_axes(cloud: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean [d] of a cloud [n, d] and its first `count` principal axes [d, count], the widest first.

    The sign of a principal axis is arbitrary; here its largest entry is positive, so that a figure is reproducible.
    """
    finite = cloud[np.isfinite(cloud).all(axis=1)]
    mean = finite.mean(axis=0)
    covariance = np.atleast_2d(np.cov(finite, rowvar=False, bias=True))
    axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :count]
    largest = np.abs(axes).argmax(axis=0)
    return mean, axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1.0, 1.0)

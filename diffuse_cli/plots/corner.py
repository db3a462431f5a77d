"""Samples of a few columns, each pair of columns in a panel of a triangle, and each column alone on its diagonal."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from diffuse_cli.plots.axis_names import name_axis
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.limits import range_of
from diffuse_cli.plots.panels import MOST_POINTS_SHOWN, histogram_density, some_of
from diffuse_cli.plots.style import MARGIN, Theme, ThemedFigure, heading, new_figure

_FEWEST, _MOST = 4, 12  # columns: fewer have a panel of their own, more would be too small to see
_WIDTH = 7.6  # inches of the triangle, of few columns less
_SIDES = (0.72, 1.7)  # inches of a panel, at least and at most
_WIDE = 1.0  # inches of a panel with room for more than two or three numbers
_GAP = 0.07  # inches between panels
_LEFT, _BELOW, _ABOVE = 0.64, 0.46, 0.42  # inches around the triangle
_NAME, _TICK = 9.0, 7.0  # points: the font sizes of names and numbers
_BINS = 24


def in_corner(dim: int, view: str) -> bool:
    """Whether samples of `dim` values are drawn in pairs of columns."""
    return view == "points" and _FEWEST <= dim <= _MOST


def pairs_of_columns(
    data: np.ndarray, model: np.ndarray | None, columns: Columns, title: str, subject: str, theme: Theme
) -> ThemedFigure:
    """A triangle of panels: below the diagonal a scatter of each pair of columns, on it the histogram of each column.

    data [m, d] are blue, samples of a model [n, d], or None, are orange: of both as many points, drawn in random order,
    so that neither hides the other. All panels of a column share its limits, those of the data.
    """
    dim = data.shape[1]
    limits = np.array([range_of(column) for column in data.T])
    clouds = [(data, theme.data, "data"), *([] if model is None else [(model, theme.model, "model")])]
    figure, panels, side = _new_panels(dim, theme)
    points, colors = _mixed([cloud for cloud, _, _ in clouds], [color for _, color, _ in clouds])
    for row in range(dim):
        _draw_alone(panels[row, row], [(cloud[:, row], color) for cloud, color, _ in clouds], limits[row])
        for column in range(row):
            _draw_pair(panels[row, column], points[:, [column, row]], colors, limits[[column, row]], side)
    _name(panels, columns, side)
    keys = [Line2D([], [], marker="o", linestyle="none", color=color, label=name) for _, color, name in clouds]
    if model is not None:
        top = 1 - (_ABOVE - 0.5 * MARGIN) / figure.get_figheight()
        figure.legend(handles=keys, loc="upper right", bbox_to_anchor=(1 - MARGIN / figure.get_figwidth(), top))
    heading(figure, title, f"{subject}, {columns.unit()}").set(y=1 - MARGIN / figure.get_figheight(), va="top")
    return figure


def _new_panels(dim: int, theme: Theme) -> tuple[ThemedFigure, np.ndarray, float]:
    """The figure, its panels [d, d], of which those above the diagonal are None, and their side in inches."""
    least, most = _SIDES
    side = float(np.clip(_WIDTH / dim, least, most))
    around = _LEFT + MARGIN
    if theme.width is not None:
        theme.across(around + dim * side, least=(around + dim * least) / (around + dim * side))
        side = (theme.width - around) / dim
    width, height = around + dim * side, _ABOVE + dim * side + _BELOW
    figure = new_figure(width, height, theme._replace(width=None), layout="none")
    figure.theme = theme
    place = {"left": _LEFT / width, "right": 1 - MARGIN / width, "bottom": _BELOW / height, "top": 1 - _ABOVE / height}
    grid = figure.add_gridspec(dim, dim, **place, wspace=_GAP / (side - _GAP), hspace=_GAP / (side - _GAP))
    panels = np.full((dim, dim), None, object)
    for row in range(dim):
        for column in range(row + 1):
            panels[row, column] = figure.add_subplot(grid[row, column])
    return figure, panels, side


def _mixed(clouds: list[np.ndarray], colors: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The points [k, d] of all clouds in random order, as many of each, and the colour [k] of each."""
    count = min(MOST_POINTS_SHOWN // len(clouds), *map(len, clouds))
    points = np.concatenate([cloud[some_of(len(cloud), count)] for cloud in clouds])
    order = np.random.default_rng(0).permutation(len(points))
    return points[order], np.repeat(colors, count)[order]


def _draw_pair(axes: Axes, points: np.ndarray, colors: np.ndarray, limits: np.ndarray, side: float) -> None:
    area = float(np.clip(0.3 * (72 * side) ** 2 / len(points), 0.8, 9.0))
    axes.scatter(*points.T, s=area, c=colors, alpha=float(np.clip(0.35 + 0.1 * area, 0.4, 0.8)), rasterized=True)
    axes.set(xlim=limits[0], ylim=limits[1])


def _draw_alone(axes: Axes, columns: list[tuple[np.ndarray, str]], limits: np.ndarray) -> None:
    edges, top = np.linspace(*limits, _BINS + 1), 0.0
    for number, (values, color) in enumerate(columns):
        heights = histogram_density(values, edges)
        look = {"fill": True, "alpha": 0.4, "linewidth": 0} if number == 0 else {"baseline": None, "linewidth": 1.1}
        axes.stairs(heights, edges, color=color, **look)
        top = max(top, heights.max())
    axes.set(xlim=limits, ylim=(0, 1.06 * top), yticks=[])
    axes.spines[["left", "right", "top"]].set_visible(False)


def _name(panels: np.ndarray, columns: Columns, side: float) -> None:
    """Names and numbers at the left and the lower edge of the triangle only."""
    dim = len(panels)
    for row in range(dim):
        for column in range(row + 1):
            axes, left, lowest = panels[row, column], column == 0 < row, row == dim - 1
            axes.tick_params(labelsize=_TICK, labelleft=left, labelbottom=lowest)
            for axis in "x" if row == column else "xy":
                axes.locator_params(axis=axis, nbins=3 if side > _WIDE else 2, steps=[1, 2, 5, 10])
            if lowest:
                name_axis(axes.xaxis, columns.names[column], "", 0.92 * (side - _GAP), size=_NAME)
            if left:
                name_axis(axes.yaxis, columns.names[row], "", 0.92 * (side - _GAP), size=_NAME)
    for row in range(1, dim):
        panels[row, 0].yaxis.set_label_coords(-(_LEFT - 0.16) / (side - _GAP), 0.5)
    for column in range(dim):
        panels[-1, column].xaxis.set_label_coords(0.5, -(_BELOW - 0.2) / (side - _GAP))

"""The density of a model beside the exact density, on one scale."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.axis_names import name_axis
from diffuse_cli.plots.background import show_cells
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.layout import arrange, panel_rows
from diffuse_cli.plots.panels import add_panel, frame_plane, keep_outer_labels, make_scene
from diffuse_cli.plots.style import Theme, ThemedFigure, default_style, heading, new_figure, settle

_SIDES = {1: 4.4, 2: 3.1, 3: 2.7}
_WIDTH = 4.8  # inches of a figure of lines
_SHARES = (0.9, 0.6, 0.3)  # shares of the exact mass that lie inside the lines of equal density
_FLAT = 0.01  # of the highest density: cells that differ by less count as equally dense
_APART = 0.05  # least difference of two lines, as a share of the highest density: closer ones would look like one


def density_figure(
    x: np.ndarray,
    y: np.ndarray | None,
    model: np.ndarray | None,
    exact: np.ndarray,
    *,
    truth: str = "exact",
    columns: Columns | None = None,
    of_halves: float | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The density of a model, the exact density, and their difference, in three panels.

    x [nx], y [ny]: the centres of cells, evenly spaced, in data units. model, exact [nx, ny]: the densities there;
    cells where the model's density is NaN stay blank, and the title counts them. Without a model there is one panel.
    Both panels have one scale of shades, and lines of equal density at the same values: inside them lie 30, 60 and 90 %
    of the exact mass. The difference is orange where the model's density is larger and blue where it is smaller; the
    title of its panel gives the total variation distance, half of the integral of the absolute difference. With y None
    the densities are [nx], and both are lines in one panel. truth: the name of the exact density. columns: the names of
    the columns. of_halves: where that density is an estimate, the total variation distance between the estimates from
    two halves of the data: no model can be said to be nearer than that.

    Raises UsageError where shapes do not agree or `width` is too small.
    """
    shape = (len(x),) if y is None else (len(x), len(y))
    for name, p in (("model", model), (truth, exact)):
        if p is not None and np.shape(p) != shape:
            raise UsageError(f"the density {name} has shape {np.shape(p)}; on these places it needs {shape}.")
    with default_style(dark=dark, width=width) as theme:
        if y is None:
            return _on_a_line(x, model, exact, truth, columns_of(1, columns, "data"), subject, theme)
        panels = [(truth, exact)] if model is None else [("model", model), (truth, exact), ("difference", None)]
        corners = np.array([[x[0], y[0]], [x[-1], y[-1]]])
        side = _SIDES[len(panels)]
        scene = make_scene([corners], reference=corners, view="points", side=side, theme=theme, columns=columns)
        scene = scene._replace(limits=corners.T)
        layout = panel_rows(1, len(panels), scene, theme)
        levels = _levels(exact)
        for column, (name, p) in enumerate(panels):
            axes = add_panel(layout.figure, layout.grid[0, column], scene)
            frame_plane(axes, scene)
            if name == "difference":
                draw_difference(axes, x, y, model - exact, exact.max(), theme)
                axes.set_title(_elsewhere(model, exact, of_halves))
            else:
                draw_density(axes, x, y, p, exact.max(), theme.model if name == "model" else theme.data, theme)
                axes.contour(x, y, p.T, levels=levels, colors=[theme.ink], linewidths=0.4, alpha=0.6, zorder=2)
                axes.set_title(name)
            keep_outer_labels(axes, left=column == 0)
        return arrange(layout, "Density", subject)


def _levels(p: np.ndarray) -> np.ndarray:
    """The rising densities above which each of _SHARES of the mass lies; of nearly equal ones only one.

    Where a tenth of the mass is in cells as dense as a level, its line would be the pattern of their rounding errors.
    It is moved below them, to the edge of what is flat.
    """
    falling = np.sort(p.reshape(-1))[::-1]
    mass = np.cumsum(falling)
    levels = falling[np.searchsorted(mass, np.array(_SHARES) * mass[-1])]
    near = _FLAT * falling[0]
    flat = [falling[np.abs(falling - level) < near].sum() > 0.1 * mass[-1] for level in levels]
    levels = np.where(flat, np.maximum(levels - near, near), levels)
    apart = np.diff(levels, prepend=-np.inf) > _APART * falling[0]
    return levels[apart]


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the mass that two densities on the same cells have in different places."""
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)


def _elsewhere(model: np.ndarray, exact: np.ndarray, of_halves: float | None) -> str:
    """The total variation between two densities, in words; unknown where cells are blank."""
    if blank := int(np.isnan(model).sum()):
        return f"difference, {blank} cells unknown"
    apart = 100 * total_variation(model, exact)
    if of_halves is None:
        return f"difference, {apart:.2g} % of the mass"
    return f"difference, {apart:.2g} %; data's halves: {100 * of_halves:.2g} %"


def draw_density(axes: Axes, x: np.ndarray, y: np.ndarray, p: np.ndarray, top: float, color: str, theme: Theme) -> None:
    """An image on the scale from 0 to `top`, in the theme's paper and a colour."""
    shades = LinearSegmentedColormap.from_list("shades", [theme.paper, color])
    show_cells(axes, x, y, p, cmap=shades, limits=(0, top))
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))


def draw_difference(axes: Axes, x: np.ndarray, y: np.ndarray, p: np.ndarray, top: float, theme: Theme) -> None:
    """An image of a difference on the scale from −top to `top`, orange where it is above 0 and blue below."""
    shades = LinearSegmentedColormap.from_list("difference", [theme.data, theme.paper, theme.model])
    show_cells(axes, x, y, p, cmap=shades, limits=(-top, top))
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))


def _on_a_line(
    x: np.ndarray,
    model: np.ndarray | None,
    exact: np.ndarray,
    truth: str,
    column: Columns,
    subject: str,
    theme: Theme,
) -> ThemedFigure:
    figure = new_figure(_WIDTH, 3.2, theme)
    axes = figure.add_subplot()
    axes.fill_between(x, exact, color=theme.data, alpha=0.35, linewidth=0, label=truth)
    if model is not None:
        axes.plot(x, model, color=theme.model, linewidth=1.5, label="model")
    axes.set(xlim=(x[0], x[-1]), ylabel=f"density, per {column.units} unit")
    axes.set_ylim(0)
    name_axis(axes.xaxis, column.names[0], column.unit(), _WIDTH - 0.8)
    axes.spines[["right", "top"]].set_visible(False)
    axes.legend(loc="best")
    heading(figure, "Density", subject)
    return settle(figure)

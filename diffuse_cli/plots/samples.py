"""Samples of a model beside the data."""

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.corner import in_corner, pairs_of_columns
from diffuse_cli.plots.layout import arrange, panel_rows
from diffuse_cli.plots.opacity import showing_density
from diffuse_cli.plots.panels import (
    MOST_POINTS_SHOWN,
    add_panel,
    checked_cloud,
    draw_cloud,
    drawn_of,
    histogram_density,
    keep_outer_labels,
    make_scene,
)
from diffuse_cli.plots.point_colors import by_label, label_keys, one_color
from diffuse_cli.plots.style import Theme, ThemedFigure, default_style, heading, new_figure, settle

_CURVES = 5


def samples_figure(
    model: np.ndarray,
    data: np.ndarray,
    *,
    view: str = "points",
    exact: tuple[np.ndarray, np.ndarray] | None = None,
    columns: Columns | None = None,
    labels: tuple[np.ndarray, np.ndarray] | None = None,
    truth: str = "Data",
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """Samples of the model and the data with the same limits, in data units. The data are blue, the model orange.

    model [n, d], data [m, d]. In one dimension both histograms share one panel, and `exact` (x [k], p [k]) adds the
    exact density of the data as a line. Otherwise there are two panels, with the same number of points, that of the
    smaller cloud, and one opacity, so that their densities can be compared by eye. Data of more than 3 columns are
    projected on their first two principal axes. labels: the names of the labels of the data [m] and of those that the
    samples [n] were told, which colour both panels, with a legend, where there are two panels. view: "points", or
    "curves" where a sample is a function on [0, 1]. truth: what the data are, over their panel.

    Raises UsageError where shapes do not agree or `width` is too small, DiffuseError where no point is finite.
    """
    model, data = checked_cloud(model, "model"), checked_cloud(data, "data")
    if model.shape[1] != data.shape[1]:
        raise UsageError(f"a sample of the model has {model.shape[1]} values, one of the data {data.shape[1]}.")
    columns = columns_of(data.shape[1], columns, "data")
    with default_style(dark=dark, width=width) as theme:
        if data.shape[1] == 1 and view == "points":
            return _overlay(model, data, exact, columns, subject, theme)
        if in_corner(data.shape[1], view):
            return pairs_of_columns(data, model, columns, "Samples", subject, theme)
        return _side_by_side(model, data, view, columns, labels, (truth, "Model"), subject, theme)


def _overlay(
    model: np.ndarray,
    data: np.ndarray,
    exact: tuple[np.ndarray, np.ndarray] | None,
    columns: Columns,
    subject: str,
    theme: Theme,
) -> ThemedFigure:
    side = 4.4
    scene = make_scene([data, model], reference=data, view="points", side=side, theme=theme, columns=columns)
    figure = new_figure(side + 0.4, 3.4, theme)
    axes = add_panel(figure, figure.add_gridspec(1, 1)[0, 0], scene)
    draw_cloud(axes, data, scene, one_color(theme.data, len(data)))
    axes.patches[-1].set(alpha=0.4, label="data")
    heights = histogram_density(model, scene.edges)
    axes.stairs(heights, scene.edges, baseline=None, color=theme.model, linewidth=1.5, label="model")
    if exact is not None:
        x, p = (np.asarray(part, dtype=float).reshape(-1) for part in exact)
        axes.plot(x, p, color=theme.ink, linewidth=0.9, dashes=(4, 2), label="exact density")
        axes.set_ylim(0, max(scene.top, 1.06 * p.max()))
    heading(figure, "Samples", subject)
    figure.legend(loc="outside lower center", ncols=3)
    return settle(figure)


def _side_by_side(
    model: np.ndarray,
    data: np.ndarray,
    view: str,
    columns: Columns,
    labels: tuple[np.ndarray, np.ndarray] | None,
    names: tuple[str, str],
    subject: str,
    theme: Theme,
) -> ThemedFigure:
    look = {"view": view, "side": 3.1, "theme": theme, "columns": columns}
    most = min(MOST_POINTS_SHOWN, len(model), len(data))
    scene = make_scene([data, model], reference=data, frame=data, most=most, **look)
    scene = showing_density(scene, data)
    layout = panel_rows(1, 2, scene, theme)
    for column, (name, cloud, color) in enumerate(zip(names, (data, model), (theme.data, theme.model), strict=True)):
        axes = add_panel(layout.figure, layout.grid[0, column], scene)
        colors = one_color(color, len(cloud)) if labels is None else by_label(labels[column], theme)
        draw_cloud(axes, cloud, drawn_of(cloud, scene, _CURVES), colors)
        axes.set_title(name, color=color, x=scene.middle)
        if scene.kind != "space":
            keep_outer_labels(axes, left=column == 0)
    if scene.kind == "curves":  # the histogram of the data, as a line over that of the model
        values = histogram_density(data, scene.edges)
        outline = {"orientation": "horizontal", "baseline": None, "color": theme.data, "linewidth": 0.9}
        axes.child_axes[0].stairs(values, scene.edges, **outline)
    return arrange(layout, "Samples", subject, [] if labels is None else label_keys(labels[0], theme))

"""Several datasets side by side, each with its own limits: the data, and below them the samples of a model."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.corner import in_corner, pairs_of_columns
from diffuse_cli.plots.layout import ONE_LINE, Rows, arrange, panel_rows
from diffuse_cli.plots.opacity import showing_density
from diffuse_cli.plots.panels import (
    BESIDE,
    MOST_POINTS_SHOWN,
    Scene,
    add_panel,
    checked_cloud,
    draw_cloud,
    drawn_of,
    keep_outer_labels,
    make_scene,
)
from diffuse_cli.plots.point_colors import PointColors, by_label, label_keys, one_color
from diffuse_cli.plots.style import Theme, default_style
from diffuse_cli.plots.user_text import fitted, plain

MOST_SETS = 12
_ACROSS = 6  # panels in a row at most
_CURVES = 4
_NAMES = 0.2  # inches for the name of an axis without numbers
_SIDES = {1: 3.6, 2: 3.0, 3: 2.6, 4: 2.2, 5: 1.9, 6: 1.7}


class Column(NamedTuple):
    """The points of one column: data [m, d], and samples of a model [n, d] or None, both in data units and one view.

    columns: the names of the columns of a user's file, which are written beside its panels; None for others. labels:
    the names of the labels of the data [m] and of the model's samples [n] (None without a model), which colour them.
    """

    data: np.ndarray
    model: np.ndarray | None = None
    view: str = "points"
    columns: Columns | None = None
    labels: tuple[np.ndarray, np.ndarray | None] | None = None


def collection_figure(
    columns: Sequence[tuple[str, Column]], *, subject: str = "", dark: bool = False, width: float | None = None
) -> Figure:
    """A grid of panels: for each name its data, and below them the samples of its model. Data are blue, models orange.

    columns: 1 to 12 names, each with its Column. Where no column has a model, the panels stand in rows of up to six.
    The panels of one column share their limits, the number of points and their opacity; only a single one has ticks,
    since datasets differ in their units. A single one of 4 to 12 columns is drawn in pairs of columns.

    Raises UsageError where shapes do not agree or `width` is too small, DiffuseError where no point is finite.
    """
    if not 1 <= len(columns) <= MOST_SETS:
        raise UsageError(f"there are {len(columns)} sets; a grid takes 1 to {MOST_SETS}.")
    columns = [(name, _checked(name, column)) for name, column in columns]
    modelled = any(column.model is not None for _, column in columns)
    across = len(columns) if modelled else min(len(columns), _ACROSS)
    rows = 2 if modelled else -(-len(columns) // across)
    title = "Data and model" if modelled else "Data"
    with default_style(dark=dark, width=width) as theme:
        (_, first), single = columns[0], len(columns) == 1
        if single and in_corner(first.data.shape[1], first.view):
            named = columns_of(first.data.shape[1], first.columns, "data")
            return pairs_of_columns(first.data, first.model, named, title, columns[0][0], theme)
        side = _SIDES[min(across, _ACROSS)]
        scenes = [_scene(column, side, theme) for _, column in columns]
        # All panels have the size of the highest. That of curves shares its cell with the histogram at its side, unless
        # there are only curves, for which the layout keeps room.
        highest = max(scenes, key=lambda scene: (scene.kind != "curves", scene.height))
        names = 0.0 if single or not any(column.columns for _, column in columns) else _NAMES
        again = (0.0 if modelled else ONE_LINE) + names
        layout = panel_rows(rows, across, highest, theme, again=again, beside=names)
        for number, ((name, column), scene) in enumerate(zip(columns, scenes, strict=True)):
            row, place = (0, number) if modelled else divmod(number, across)
            named = "ticks" if single else "names" if column.columns else ""
            data_colors, model_colors = _colors(column, theme)
            axes = _draw(layout, row, place, column.data, scene, data_colors, named)
            axes.set_title(plain(fitted(name, scene.side, rcParams["axes.titlesize"])), x=scene.middle)
            if column.model is not None:
                _draw(layout, 1, place, column.model, scene, model_colors, named)
                if scene.kind != "space":
                    keep_outer_labels(axes, left=True, bottom=False)
            if modelled and number == 0:
                _name_rows(layout.figure.axes, theme)
        kinds = {tuple(np.unique(column.labels[0])) for _, column in columns if column.labels is not None}
        keys = label_keys(np.array(*kinds), theme) if len(kinds) == 1 else []  # names that all of them share
        return arrange(layout, title, ", ".join(filter(None, [subject, "data units"])), keys)


def _colors(column: Column, theme: Theme) -> tuple[PointColors, PointColors]:
    """The colours of the data and of the model's samples."""
    model = column.data if column.model is None else column.model
    if column.labels is None:
        return one_color(theme.data, len(column.data)), one_color(theme.model, len(model))
    of_data, of_model = column.labels
    return by_label(of_data, theme), by_label(of_data if of_model is None else of_model, theme)


def _checked(name: str, column: Column) -> Column:
    data = checked_cloud(column.data, f"the data of {name}")
    model = None if column.model is None else checked_cloud(column.model, f"the model of {name}")
    if model is not None and model.shape[1] != data.shape[1]:
        raise UsageError(f"{name}: a sample of the model has {model.shape[1]} values, one of the data {data.shape[1]}.")
    return column._replace(data=data, model=model)


def _scene(column: Column, side: float, theme: Theme) -> Scene:
    clouds = [column.data] if column.model is None else [column.data, column.model]
    look = {"view": column.view, "side": side, "theme": theme, "square": True, "columns": column.columns}
    most = min(MOST_POINTS_SHOWN, *map(len, clouds))
    return showing_density(make_scene(clouds, reference=column.data, frame=column.data, most=most, **look), column.data)


def _draw(layout: Rows, row: int, place: int, cloud: np.ndarray, scene: Scene, colors: PointColors, named: str) -> Axes:
    """Draw a cloud into a cell. named: "ticks" for axes with names and numbers, "names" without numbers, or empty."""
    cell = layout.grid[row, place]
    if scene.kind == "curves" and layout.scene.kind != "curves":
        cell = cell.subgridspec(1, 2, width_ratios=[1, BESIDE[0] + BESIDE[2] - 1], wspace=0)[0]
    axes = add_panel(layout.figure, cell, scene)
    draw_cloud(axes, cloud, drawn_of(cloud, scene, _CURVES), colors)
    if named != "ticks" and scene.kind != "space":
        axes.set(xticks=[], yticks=[])
        if not named:
            axes.set(xlabel="", ylabel="")
    return axes


def _name_rows(panels: list[Axes], theme: Theme) -> None:
    """Write 'data' and 'model' at the left of the panels of the first column, which may be of any kind."""
    for axes, name, color in zip(panels, ("data", "model"), (theme.data, theme.model), strict=False):
        if label := axes.get_ylabel():
            axes.set_ylabel(f"{name}\n{label}")
            continue
        beside = {"xytext": (-10, 0), "textcoords": "offset points", "rotation": 90, "ha": "center", "va": "center"}
        axes.annotate(name, (0, 0.5), xycoords="axes fraction", color=color, **beside)

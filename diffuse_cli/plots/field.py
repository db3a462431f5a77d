"""Vector fields in the plane, or on a line, at a few noise levels: the field of a model beside the exact one."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.arrows import draw_arrows
from diffuse_cli.plots.axis_names import name_axis
from diffuse_cli.plots.background import Background, draw_background
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.layout import TWO_LINES, Rows, arrange, panel_rows
from diffuse_cli.plots.panels import add_panel, frame_plane, keep_outer_labels, make_scene
from diffuse_cli.plots.strips import PANEL_SIDES, draw_title, level_titles
from diffuse_cli.plots.style import Theme, ThemedFigure, default_style, heading, new_figure, settle

MOST_FIELDS = 6
_HEAVY = 6  # panels: in a figure with more of them arrows are pixels, since vectors would be slow to open
STYLES = ("arrows", "streams")


class Field(NamedTuple):
    """A model's field and the exact one, each [k, nx, ny, 2] or None, at k noise levels and places x [nx], y [ny].

    On a line y is None, and the fields are [k, nx, 1].

    usual [k]: the root mean square over the noised data of the exact field, or of the model's where there is no exact
    one; it is the unit of the arrows' lengths. error [k]: the root mean square of the difference, divided by `usual`,
    or None. density: a Background for each level, on a line an array [k, nx], or None.
    """

    x: np.ndarray
    y: np.ndarray | None
    model: np.ndarray | None
    exact: np.ndarray | None
    usual: np.ndarray
    error: np.ndarray | None = None
    density: list[Background] | np.ndarray | None = None


def field_figure(
    field: Field,
    *,
    name: str,
    t: np.ndarray,
    log_snr: np.ndarray,
    style: str = "arrows",
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """Rows of panels: the field of a model, the exact field, and their difference; a column for each noise level.

    A field that is None has no row; the difference needs both. The arrows of a model and of the exact field have one
    scale in a column: the length `field.usual` is drawn as half the distance between two arrows, and longer vectors
    grow ever more slowly, so that a field that is large far from the data does not hide the rest. Arrows of the
    difference are as many times longer as their title says, and fade with the density, since no network is trained
    where there are no data. name: of the field, for the title. style: "arrows" or "streams"; the difference always has
    arrows. columns: the names of the columns. On a line the fields are lines over the density.

    Raises UsageError where shapes do not agree, the style is unknown, there are more than 6 levels or `width` is too
    small.
    """
    t, log_snr = np.atleast_1d(t), np.atleast_1d(log_snr)
    field = _checked(field, len(t))
    if style not in STYLES:
        raise UsageError(f"the style of a field is one of {', '.join(STYLES)}, not {style!r}.")
    titles, title = level_titles(log_snr, t), f"{name} at {len(t)} noise level{'s' * (len(t) > 1)}"
    with default_style(dark=dark, width=width) as theme:
        if field.y is None:
            return _on_a_line(field, titles, title, columns_of(1, columns, "model"), subject, theme)
        corners = np.array([[field.x[0], field.y[0]], [field.x[-1], field.y[-1]]])
        side = PANEL_SIDES[len(t)]
        shared = {"columns": columns_of(2, columns, "model"), "square": True}
        scene = make_scene([corners], reference=corners, view="points", side=side, theme=theme, **shared)
        rows = _rows(field, theme)
        words = any(label == "difference" for label, *_ in rows) and field.error is not None
        layout = panel_rows(len(rows), len(t), scene, theme, above=TWO_LINES, again=TWO_LINES if words else 0.0)
        for row, (label, values, color) in enumerate(rows):
            way = "arrows" if label == "difference" else style
            for column in range(len(t)):
                axes = add_panel(layout.figure, layout.grid[row, column], scene)
                frame_plane(axes, scene)
                if field.density is not None:
                    draw_background(axes, field.density[column], theme)
                unit = field.usual[column]
                if label == "difference" and field.error is not None:
                    unit = unit * field.error[column]
                _draw(axes, field, values[column], unit, way, color)
                if label == "difference" and field.density is not None:
                    axes.collections[-1].set_alpha(_shares(field, field.density[column]))
                axes.collections[-1].set_rasterized(len(rows) * len(t) > _HEAVY)
                _name(axes, layout, row, column, label, titles[column] if row == 0 else _words(field, label, column))
        return arrange(layout, title, subject)


def _rows(field: Field, theme: Theme) -> list[tuple[str, np.ndarray, str]]:
    """Name, values and colour of each row of the figure."""
    rows = [("model", field.model, theme.model), ("exact", field.exact, theme.data)]
    rows = [row for row in rows if row[1] is not None]
    if len(rows) == 2:
        rows.append(("difference", field.model - field.exact, theme.ink))
    return rows


def _words(field: Field, label: str, column: int) -> str:
    if label != "difference" or field.error is None:
        return ""
    error = field.error[column]
    return f"{100 * error:.2g} % of exact\narrows × {1 / max(error, 1e-12):.2g}"


def _name(axes: Axes, layout: Rows, row: int, column: int, label: str, title: str) -> None:
    draw_title(axes, title, layout.scene)
    axes.set_ylabel(f"{label}\n{axes.get_ylabel()}")
    keep_outer_labels(axes, left=column == 0, bottom=row == layout.rows - 1)


def _draw(axes: Axes, field: Field, values: np.ndarray, usual: float, style: str, color: str) -> None:
    if style == "streams":
        u, v = values[..., 0].T, values[..., 1].T
        look = {"density": 0.5, "minlength": 0.2, "linewidth": 0.7, "arrowsize": 0.6, "zorder": 2}
        axes.streamplot(field.x, field.y, u, v, color=color, **look)
        return
    draw_arrows(axes, field.x, field.y, values, usual, color)


def _shares(field: Field, density: Background) -> np.ndarray:
    """The opacity [nx ny] of arrows, in the order of a quiver: sqrt(p / max p), the shade of the density behind them.

    Where there are no data no network is trained, and its difference from the exact field means nothing.
    """
    x, y, p = (np.asarray(part, float) for part in density)
    along_x = np.array([np.interp(field.x, x, row) for row in p.T])
    at_arrows = np.array([np.interp(field.y, y, column) for column in along_x.T])
    return np.sqrt(np.clip(at_arrows / max(p.max(), 1e-300), 0, 1)).T.ravel()


def _on_a_line(
    field: Field, titles: list[str], title: str, column: Columns, subject: str, theme: Theme
) -> ThemedFigure:
    """A panel for each level: the field as a line over the place, and the density below it."""
    columns = len(titles)
    figure = new_figure(PANEL_SIDES[columns] * columns + 0.4, 3.2, theme)
    panels = figure.subplots(1, columns, squeeze=False, sharey=False)[0]
    for number, (axes, words) in enumerate(zip(panels, titles, strict=True)):
        axes.axhline(0, color=theme.frame, linewidth=0.7)
        if field.exact is not None:
            axes.plot(field.x, field.exact[number, :, 0], color=theme.data, linewidth=2.2, label="exact")
        if field.model is not None:
            look = {"linewidth": 1.2, "dashes": (4, 1.5), "label": "model"}
            axes.plot(field.x, field.model[number, :, 0], color=theme.model, **look)
        reach = 4 * field.usual[number]
        axes.set(xlim=(field.x[0], field.x[-1]), ylim=(-reach, reach), title=words.replace("\n", ",  "))
        if field.density is not None:
            p = field.density[number] / field.density[number].max()
            axes.fill_between(field.x, -reach, -reach + 0.5 * reach * p, color=theme.fill, alpha=0.5, linewidth=0)
        axes.spines[["right", "top"]].set_visible(False)
        name_axis(axes.xaxis, column.names[0], column.unit(), 0.75 * PANEL_SIDES[columns])
    panels[0].set_ylabel(f"field, {column.unit()}")
    heading(figure, title, subject)
    keys = [line for line in panels[0].lines if not line.get_label().startswith("_")]
    density = Line2D([], [], color=theme.fill, linewidth=5, alpha=0.5, label="density")
    figure.legend(handles=[*keys, density], loc="outside lower center", ncols=3)
    return settle(figure)


def _checked(field: Field, levels: int) -> Field:
    if not 1 <= levels <= MOST_FIELDS:
        raise UsageError(f"there are {levels} noise levels; a figure of fields takes 1 to {MOST_FIELDS}.")
    places = (len(field.x), 1) if field.y is None else (len(field.x), len(field.y), 2)
    for name, values in (("model", field.model), ("exact", field.exact)):
        if values is not None and np.shape(values) != (levels, *places):
            raise UsageError(f"the field of the {name} has shape {np.shape(values)}; it needs {(levels, *places)}.")
    if field.model is None and field.exact is None:
        raise UsageError("there is no field to draw.")
    return field

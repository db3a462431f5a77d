"""Vector fields in the plane, or on a line, at a few noise levels: what a network says beside what is exact."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffuse_cli.errors import UsageError
from diffuse_cli.plots import background as behind
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.layout import ONE_LINE, TWO_LINES, Rows, arrange, panel_rows
from diffuse_cli.plots.panels import add_panel, frame_plane, keep_outer_labels, make_scene
from diffuse_cli.plots.strips import SIDES, draw_title, level_titles
from diffuse_cli.plots.style import HouseFigure, Theme, heading, house_style, new_figure, settle

MOST_PANELS = 6
HEAVY = 6  # panels of arrows in one figure, which as vectors would be slow to open
STYLES = ("arrows", "streams")
LONGEST = 0.95  # of the distance between two arrows
TYPICAL = 0.5  # of it: an arrow as long as the field is usually


class Field(NamedTuple):
    """values [k, nx, ny, 2] at k noise levels, at the places x [nx], y [ny]; on a line [k, nx, 1], with y None.

    usual: [k], the root mean square of the exact field where the data are, or of the model's where there is no exact
    one, by which arrows are measured. error: [k],
    that of the model's distance from it in parts of `usual`, or None. density: a Background for each level; on a line
    [k, nx].
    """

    x: np.ndarray
    y: np.ndarray | None
    model: np.ndarray | None
    exact: np.ndarray | None
    usual: np.ndarray
    error: np.ndarray | None = None
    density: list[Background] | np.ndarray | None = None


def field_figure(
    found: Field,
    *,
    name: str,
    t: np.ndarray,
    log_snr: np.ndarray,
    style: str = "arrows",
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The field that a model has, the exact one below it, and their difference below both, a column for each level.

    Of one that is None there is no row, and without both no difference. All arrows of a column have one scale: half
    the distance between two of them stands for the usual length of the exact field there; longer ones grow ever more
    slowly, so that a field that is large where there are no data does not hide the rest. name: of the field, in the
    field's own notation. style: "arrows" or "streams"; the difference has arrows. On a line fields are drawn as lines
    over the density.

    Raises UsageError where shapes do not agree.
    """
    t, log_snr = np.atleast_1d(t), np.atleast_1d(log_snr)
    found = _checked(found, len(t))
    if style not in STYLES:
        raise UsageError(f"the style of a field is one of {', '.join(STYLES)}, not {style!r}.")
    titles, title = level_titles(log_snr, t), f"{name} at {len(t)} noise level{'s' * (len(t) > 1)}"
    with house_style(dark=dark, width=width) as theme:
        if found.y is None:
            return _on_a_line(found, titles, title, subject, theme)
        corners = np.array([[found.x[0], found.y[0]], [found.x[-1], found.y[-1]]])
        side = SIDES[len(t)]
        scene = make_scene([corners], reference=corners, view="points", side=side, theme=theme, square=True)
        rows = _rows(found, theme)
        words = any(label == "difference" for label, *_ in rows) and found.error is not None
        made = panel_rows(len(rows), len(t), scene, theme, above=TWO_LINES, again=ONE_LINE if words else 0.0)
        for row, (label, values, colour) in enumerate(rows):
            way = "arrows" if label == "difference" else style
            for column in range(len(t)):
                axes = add_panel(made.figure, made.grid[row, column], scene)
                frame_plane(axes, scene)
                if found.density is not None:
                    behind.draw_background(axes, found.density[column], theme)
                _draw(axes, found, values[column], found.usual[column], way, colour)
                axes.collections[-1].set_rasterized(len(rows) * len(t) > HEAVY)
                _name(axes, made, row, column, label, titles[column] if row == 0 else _words(found, label, column))
        return arrange(made, title, subject)


def _rows(found: Field, theme: Theme) -> list[tuple[str, np.ndarray, str]]:
    """Name, values and colour of each row that there is."""
    rows = [("model", found.model, theme.model), ("exact", found.exact, theme.data)]
    rows = [row for row in rows if row[1] is not None]
    if len(rows) == 2:
        rows.append(("difference", found.model - found.exact, theme.ink))
    return rows


def _words(found: Field, label: str, column: int) -> str:
    if label != "difference" or found.error is None:
        return ""
    return f"{100 * found.error[column]:.2g} % of exact"


def _name(axes: Axes, made: Rows, row: int, column: int, label: str, title: str) -> None:
    draw_title(axes, title, made.scene)
    axes.set_ylabel(f"{label}\n{axes.get_ylabel()}")
    keep_outer_labels(axes, left=column == 0, bottom=row == made.rows - 1)


def _draw(axes: Axes, found: Field, values: np.ndarray, usual: float, style: str, colour: str) -> None:
    u, v = values[..., 0].T, values[..., 1].T
    if style == "streams":
        look = {"density": 0.5, "minlength": 0.2, "linewidth": 0.7, "arrowsize": 0.6, "zorder": 2}
        axes.streamplot(found.x, found.y, u, v, color=colour, **look)
        return
    apart = min(found.x[1] - found.x[0], found.y[1] - found.y[0])
    relative = np.hypot(u, v) / max(usual, 1e-12)
    longest, typical = LONGEST, TYPICAL
    grow = longest / (relative + longest / typical - 1) / max(usual, 1e-12) * apart
    # scale and units of data: an arrow of (a, b) reaches from (x, y) to (x + a, y + b)
    head = {"width": 0.006, "headwidth": 3.4, "headlength": 4, "headaxislength": 3.4}
    look = {"angles": "xy", "scale_units": "xy", "scale": 1, "pivot": "mid", "zorder": 2} | head
    axes.quiver(found.x, found.y, u * grow, v * grow, color=colour, minlength=0.3, **look)


def _on_a_line(found: Field, titles: list[str], title: str, subject: str, theme: Theme) -> HouseFigure:
    """A panel for each level: the field as a line over the place, and the density below it."""
    columns = len(titles)
    figure = new_figure(SIDES[columns] * columns + 0.4, 3.2, theme)
    panels = figure.subplots(1, columns, squeeze=False, sharey=False)[0]
    for column, (axes, words) in enumerate(zip(panels, titles, strict=True)):
        axes.axhline(0, color=theme.frame, linewidth=0.7)
        if found.exact is not None:
            axes.plot(found.x, found.exact[column, :, 0], color=theme.data, linewidth=2.2, label="exact")
        if found.model is not None:
            look = {"linewidth": 1.2, "dashes": (4, 1.5), "label": "model"}
            axes.plot(found.x, found.model[column, :, 0], color=theme.model, **look)
        reach = 4 * found.usual[column]
        axes.set(xlim=(found.x[0], found.x[-1]), ylim=(-reach, reach), xlabel="$x$", title=words.replace("\n", ",  "))
        if found.density is not None:
            p = found.density[column] / found.density[column].max()
            axes.fill_between(found.x, -reach, -reach + 0.5 * reach * p, color=theme.fill, alpha=0.5, linewidth=0)
        axes.spines[["right", "top"]].set_visible(False)
    heading(figure, title, subject)
    keys = [line for line in panels[0].lines if not line.get_label().startswith("_")]
    density = Line2D([], [], color=theme.fill, linewidth=5, alpha=0.5, label="density")
    figure.legend(handles=[*keys, density], loc="outside lower center", ncols=3)
    return settle(figure)


def _checked(found: Field, levels: int) -> Field:
    if not 1 <= levels <= MOST_PANELS:
        raise UsageError(f"there are {levels} noise levels; a figure of fields takes 1 to {MOST_PANELS}.")
    places = (len(found.x), 1) if found.y is None else (len(found.x), len(found.y), 2)
    for name, values in (("model", found.model), ("exact", found.exact)):
        if values is not None and np.shape(values) != (levels, *places):
            raise UsageError(f"the field of the {name} has shape {np.shape(values)}; it needs {(levels, *places)}.")
    if found.model is None and found.exact is None:
        raise UsageError("there is no field to draw.")
    return found

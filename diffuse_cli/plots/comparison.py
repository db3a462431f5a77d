"""Samplers compared: quality against network evaluations, and the samples that each makes from the same noise."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.layout import TWO_LINES, arrange, panel_rows
from diffuse_cli.plots.lines import KEY_ROW, key_shape, pattern
from diffuse_cli.plots.panels import SMALL_TEXT, Scene, add_panel, checked_cloud, make_scene
from diffuse_cli.plots.point_colors import HISTOGRAM_SHADES, RAMP_SHADES, PointColors, point_colors
from diffuse_cli.plots.strips import draw_row
from diffuse_cli.plots.style import Theme, default_style, heading, new_figure, settle
from diffuse_cli.plots.user_text import plain

_SIDE = 2.3  # inches of a panel of end points
_COLUMNS = 3
_WIDTHS, _HEIGHT = (4.5, 7.8, 10.8), 3.4  # inches of one, two and three panels
_NOTE_LETTER = 0.062  # inches: the mean width of a letter of a note
_FLOOR = ("noise floor", "reach of chance")
_SHOWN = 400  # points in one panel, few enough to see each of them
_FAR = 5.0  # ratio of the largest to the smallest value from which on an axis is logarithmic
_USEFUL = 3.0  # standard deviations of the data: a sample that is farther off is no approximation
_MARKS = "s^Dv"  # of solvers beside students, whose marks are round
_DISTANCES = {"gaps": "each sample against the model's flow", "maps": "each sample against the exact map"}


class Line(NamedTuple):
    """The results of one sampler at k rising numbers of network evaluations.

    evals [k]. values [k]: the metric, NaN where samples were not finite. differs [k]: whether the metric distinguishes
    the samples from the truth. gaps [k]: the distance from the flow of the same denoiser, the root mean square over
    points; None for a sampler that does not follow the flow. maps [k]: the distance from the exact flow map of the
    data's law, likewise; None also where it is unknown. medians [k]: that distance, the median over points.
    """

    evals: np.ndarray
    values: np.ndarray
    differs: np.ndarray
    gaps: np.ndarray | None = None
    maps: np.ndarray | None = None
    medians: np.ndarray | None = None


class Ends(NamedTuple):
    """The samples cloud [m, d] that a sampler makes of m points of noise.

    words: the second line of the panel's title. aims: whether the sampler approximates the exact flow, so that each
    sample has an exact end to be compared with.
    """

    cloud: np.ndarray
    words: str
    aims: bool


def quality_figure(
    samplers: Mapping[str, Line],
    *,
    metric: str,
    floor: float,
    interval: tuple[float, float],
    notes: Sequence[str] = (),
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """Panels over network evaluations: a metric with its noise floor, and distances of samples from exact ends.

    samplers: name -> Line. metric: its name, the label of the axis. floor: the noise floor, the metric between two
    draws of the truth, a dashed line. interval: (low, high), infinite on a side without a limit; values between them
    are indistinguishable from the truth: this range is shaded, and marks in it are hollow. There is a panel of the
    distances from the model's flow, and one of those from the exact map, where any sampler has them. notes: lines over
    the key, such as what cannot be drawn.

    Raises UsageError where there is no sampler, shapes do not agree or `width` is too small, DiffuseError where no
    value is finite.
    """
    _check(samplers)
    with default_style(dark=dark, width=width) as theme:
        looks = _looks(samplers, theme)
        panels = ["values", *_distances(samplers)]
        judged = _Judged(metric, floor, interval)
        return _panels(panels, samplers, looks, judged, theme, notes, "Quality against network evaluations", subject)


def students_figure(
    students: Mapping[str, Line],
    solvers: Mapping[str, Line],
    *,
    metric: str,
    floor: float,
    interval: tuple[float, float],
    notes: Sequence[str] = (),
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """Students beside solvers over network evaluations: distances from the exact map, and a metric with its floor.

    students, solvers: name -> Line; solvers are grey. Of a Line with medians these are a thin line. Where a solver is
    farther off than three standard deviations of the data and all students, its line leaves the panel. All else is as
    in `quality_figure`; where no Line has `maps`, there is only the panel of the metric.

    Raises UsageError and DiffuseError like `quality_figure`.
    """
    lines = {**students, **solvers}
    _check(lines)
    with default_style(dark=dark, width=width) as theme:
        looks = _looks(lines, theme)
        for i, name in enumerate(solvers):
            looks[name] |= {"color": theme.muted, "linewidth": 0.9, "marker": _MARKS[i % len(_MARKS)]}
        panels = [*(["maps"] if "maps" in _distances(lines) else []), "values"]
        judged = _Judged(metric, floor, interval)
        figure = _panels(
            panels, lines, looks, judged, theme, notes, "Students: quality against network evaluations", subject
        )
        for kind, axes in zip(panels, figure.axes, strict=True):
            shown = [getattr(line, kind) for line in students.values() if getattr(line, kind) is not None]
            most = np.nanmax(np.concatenate([*shown, [_USEFUL]]))
            axes.set_ylim(top=min(axes.get_ylim()[1], 1.2 * most))
        return figure


def ends_figure(
    panels: Mapping[str, Ends],
    *,
    view: str = "points",
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The ends of the same m points of noise, a panel for each name; the others are compared with the first.

    panels: name -> Ends, in model units. columns: the names of the columns.

    In all panels the colour of a point shows its place in the first one. In a plane, panels whose sampler approximates
    the exact flow have a line from each point's place in the first panel to its place in theirs.

    Raises UsageError where there is no panel, shapes do not agree or `width` is too small, DiffuseError where no point
    is finite.
    """
    if len({np.shape(each.cloud) for each in panels.values()}) != 1:
        raise UsageError("clouds of end points need to be [m, d], of the same points in the same space.")
    clouds = [checked_cloud(each.cloud, name) for name, each in panels.items()]
    chosen = np.sort(np.random.default_rng(0).permutation(len(clouds[0]))[:_SHOWN])
    first, *_ = clouds = [cloud[chosen] for cloud in clouds]
    titles = [f"{plain(name)}\n{each.words}" for name, each in panels.items()]
    with default_style(dark=dark, width=width) as theme:
        look = {"view": view, "side": _SIDE, "theme": theme, "columns": columns_of(first.shape[1], columns, "model")}
        scene = make_scene(clouds, reference=first, frame=first, **look)
        colors = point_colors(first, None, theme, HISTOGRAM_SHADES if scene.kind == "histogram" else RAMP_SHADES)
        columns = min(_COLUMNS, len(clouds))
        layout = panel_rows(-(-len(clouds) // columns), columns, scene, theme, above=TWO_LINES)
        axes = [add_panel(layout.figure, layout.grid[i // columns, i % columns], scene) for i in range(len(clouds))]
        for start in range(0, len(clouds), columns):
            row = slice(start, start + columns)
            last = start + columns >= len(clouds)
            draw_row(axes[row], clouds[row], titles[row], scene, colors, last_row=last, normal=False)
        for panel, cloud, each in zip(axes, clouds, panels.values(), strict=True):
            if each.aims and scene.kind in ("plane", "projected"):
                _draw_gap_lines(panel, first, cloud, scene, colors)
        return arrange(layout, "Where the same noise ends", subject)


class _Judged(NamedTuple):
    """A metric, its noise floor, and the interval of values that are indistinguishable from the truth."""

    metric: str
    floor: float
    interval: tuple[float, float]


def _check(lines: Mapping[str, Line]) -> None:
    if not lines:
        raise UsageError("there is no sampler to draw.")
    for name, line in lines.items():
        if len({(1, *np.shape(part)) for part in line if part is not None}) > 1 or np.ndim(line.evals) != 1:
            raise UsageError(f"{name}: evaluations, values and gaps need to be [k], of the same k.")
    if not any(np.isfinite(line.values).any() for line in lines.values()):
        raise DiffuseError("no figure of any sampler is finite, so there is nothing to draw.")


def _distances(lines: Mapping[str, Line]) -> list[str]:
    """The kinds of distances that any of the lines has."""
    return [kind for kind in _DISTANCES if any(getattr(line, kind) is not None for line in lines.values())]


def _looks(names: Iterable[str], theme: Theme) -> dict[str, dict]:
    return {
        name: {
            "color": theme.classes[i % len(theme.classes)],
            "linestyle": pattern(i),
            "linewidth": 1.3,
            "marker": "o",
            "markersize": 3.6,
        }
        for i, name in enumerate(names)
    }


def _panels(
    kinds: Sequence[str],
    lines: Mapping[str, Line],
    looks: Mapping[str, dict],
    judged: _Judged,
    theme: Theme,
    notes: Sequence[str],
    title: str,
    subject: str,
) -> Figure:
    """The figure with panels of these kinds: "values" of the metric, and distances."""
    width = _WIDTHS[len(kinds) - 1]
    rows, columns = key_shape([*lines, *_FLOOR], width)
    noted = [line for note in notes for line in textwrap.wrap(note, int(theme.across(width) / _NOTE_LETTER))]
    figure = new_figure(width, _HEIGHT + KEY_ROW * (rows + 0.7 * len(noted)), theme)
    panels = dict(zip(kinds, figure.subplots(1, len(kinds), squeeze=False)[0], strict=True))
    _draw_values(panels["values"], lines, looks, judged.metric, theme)
    values = np.concatenate([line.values for line in lines.values()])
    key = _draw_floor(panels["values"], values, judged.floor, judged.interval, theme)
    distances = [kind for kind in kinds if kind != "values"]
    for kind in distances:
        _draw_distances(panels[kind], lines, looks, kind)
    for kind in distances[1:]:  # on one scale, since they are to be compared
        panels[kind].sharey(panels[distances[0]])
        panels[kind].tick_params(labelleft=False)
        panels[kind].set_ylabel("")
    for axes in panels.values():
        _scale_evaluations(axes, np.concatenate([line.evals for line in lines.values()]))
    heading(figure, title, subject)
    key = [Line2D([], [], label=plain(name), **look) for name, look in looks.items()] + key
    legend = figure.legend(handles=key, loc="outside lower center", ncols=columns, handlelength=2.6)
    if noted:
        legend.set_title("\n".join(map(plain, noted)), prop={"size": SMALL_TEXT})
        legend.get_title().set_color(theme.muted)
    return settle(figure)


def _draw_values(
    axes: Axes, samplers: Mapping[str, Line], looks: Mapping[str, dict], metric: str, theme: Theme
) -> None:
    for name, line in samplers.items():
        look = looks[name]
        axes.plot(line.evals, line.values, **look | {"marker": ""})
        face = [look["color"] if differs else theme.paper for differs in line.differs]
        edges = {"edgecolors": look["color"], "linewidths": 1.0}
        axes.scatter(line.evals, line.values, s=18, c=face, marker=look["marker"], **edges, zorder=3)
    axes.set_title("samples against the data")
    axes.set_ylabel(metric)


def _draw_floor(
    axes: Axes, values: np.ndarray, floor: float, interval: tuple[float, float], theme: Theme
) -> list[Artist]:
    """Set the scale of the values and draw the noise floor and its interval. Returns the artists for the key."""
    values, (low, high) = np.append(values[np.isfinite(values)], floor), interval
    line = axes.axhline(floor, color=theme.ink, linewidth=0.9, dashes=(4, 2.5), zorder=1, label=_FLOOR[0])
    if values.min() > 0 and values.max() > _FAR * values.min() and low == -np.inf:
        axes.set_yscale("log")
    elif np.isfinite(high) and values.max() > _FAR * high > 0:  # unbiased figures lie on both sides of zero
        axes.set_yscale("symlog", linthresh=high)
        axes.set_ylim(min(values.min(), 0) - high / 2, 2 * values.max())
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top)
    look = {"color": theme.fill, "alpha": 0.35, "linewidth": 0, "zorder": 0, "label": _FLOOR[1]}
    return [line, axes.axhspan(max(low, bottom), min(high, top), **look)]


def _draw_distances(axes: Axes, lines: Mapping[str, Line], looks: Mapping[str, dict], kind: str) -> None:
    for name, line in lines.items():
        if (distances := getattr(line, kind)) is not None:
            axes.plot(line.evals, distances, **looks[name])
        if kind == "maps" and line.medians is not None:
            axes.plot(line.evals, line.medians, **looks[name] | {"linewidth": 0.6, "marker": ""})
    axes.set(yscale="log", ylabel="distance, root mean square")
    axes.set_title(_DISTANCES[kind])


def _scale_evaluations(axes: Axes, evals: np.ndarray) -> None:
    axes.set(xscale="log", xlabel="network evaluations")
    axes.set_xlim(evals.min() / 1.15, evals.max() * 1.15)
    axes.xaxis.set_major_locator(FixedLocator(_apart(np.unique(evals))))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.spines[["right", "top"]].set_visible(False)


def _apart(evals: np.ndarray) -> list[float]:
    """Some of the rising numbers `evals`, the last among them, far enough apart for labels on a logarithmic axis."""
    values = [evals[-1]]
    for value in evals[-2::-1]:
        if values[-1] > 1.25 * value:
            values.append(value)
    return values


def _draw_gap_lines(axes: Axes, exact: np.ndarray, cloud: np.ndarray, scene: Scene, colors: PointColors) -> None:
    """Lines from the exact ends to those points of `cloud` that are inside the limits; others would cover the panel."""
    pairs = np.stack([exact, cloud], axis=1)
    if scene.basis is not None:
        pairs = (pairs - scene.basis[0]) @ scene.basis[1]
    low, high = scene.limits.T
    inside = np.flatnonzero(((pairs[:, 1] >= low) & (pairs[:, 1] <= high)).all(axis=1))
    look = {"colors": colors.of(inside), "linewidths": 0.6, "alpha": 0.6, "zorder": 0}
    axes.add_collection(LineCollection(pairs[inside], **look), autolim=False)

"""Samplers compared: quality against network evaluations, and the samples that each makes from the same noise."""

import textwrap
from collections.abc import Mapping, Sequence
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
_WIDTH, _HEIGHT = 7.8, 3.4  # inches of two panels
_NOTE_LETTER = 0.062  # inches: the mean width of a letter of a note
_FLOOR = ("noise floor", "reach of chance")
_SHOWN = 400  # points in one panel, few enough to see each of them
_FAR = 5.0  # ratio of the largest to the smallest value from which on an axis is logarithmic


class Line(NamedTuple):
    """The results of one sampler at k rising numbers of network evaluations.

    evals [k]. values [k]: the metric, NaN where samples were not finite. differs [k]: whether the metric distinguishes
    the samples from the truth. gaps [k]: the distance from the exact flow, the root mean square over points; None for
    a sampler that does not follow the flow.
    """

    evals: np.ndarray
    values: np.ndarray
    differs: np.ndarray
    gaps: np.ndarray | None = None


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
    """Two panels over network evaluations: a metric with its noise floor, and the distance from the exact flow.

    samplers: name -> Line. metric: its name, the label of the axis. floor: the noise floor, the metric between two
    draws of the truth, a dashed line. interval: (low, high), infinite on a side without a limit; values between them
    are indistinguishable from the truth: this range is shaded, and marks in it are hollow. If no sampler has gaps,
    there is only the first panel. notes: lines over the key, such as what cannot be drawn.

    Raises UsageError where there is no sampler, shapes do not agree or `width` is too small, DiffuseError where no
    value is finite.
    """
    if not samplers:
        raise UsageError("there is no sampler to draw.")
    for name, line in samplers.items():
        if len({(1, *np.shape(part)) for part in line if part is not None}) > 1 or np.ndim(line.evals) != 1:
            raise UsageError(f"{name}: evaluations, values and gaps need to be [k], of the same k.")
    values = np.concatenate([line.values for line in samplers.values()])
    if not np.isfinite(values).any():
        raise DiffuseError("no figure of any sampler is finite, so there is nothing to draw.")
    followed = any(line.gaps is not None for line in samplers.values())
    with default_style(dark=dark, width=width) as theme:
        width = _WIDTH if followed else 0.57 * _WIDTH
        rows, columns = key_shape([*samplers, *_FLOOR], width)
        lines = [line for note in notes for line in textwrap.wrap(note, int(theme.across(width) / _NOTE_LETTER))]
        figure = new_figure(width, _HEIGHT + KEY_ROW * (rows + 0.7 * len(lines)), theme)
        panels = figure.subplots(1, 1 + followed, squeeze=False)[0]
        looks = {
            name: {"color": theme.classes[i % len(theme.classes)], "linestyle": pattern(i), "linewidth": 1.3}
            for i, name in enumerate(samplers)
        }
        _draw_values(panels[0], samplers, looks, metric, theme)
        key = _draw_floor(panels[0], values, floor, interval, theme)
        if followed:
            _draw_gaps(panels[1], samplers, looks)
        for axes in panels:
            _scale_evaluations(axes, np.concatenate([line.evals for line in samplers.values()]))
        heading(figure, "Quality against network evaluations", subject)
        marked = {"marker": "o", "markersize": 3.6}
        key = [Line2D([], [], label=plain(name), **marked, **look) for name, look in looks.items()] + key
        legend = figure.legend(handles=key, loc="outside lower center", ncols=columns, handlelength=2.6)
        if lines:
            legend.set_title("\n".join(map(plain, lines)), prop={"size": SMALL_TEXT})
            legend.get_title().set_color(theme.muted)
        return settle(figure)


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


def _draw_values(
    axes: Axes, samplers: Mapping[str, Line], looks: Mapping[str, dict], metric: str, theme: Theme
) -> None:
    for name, line in samplers.items():
        axes.plot(line.evals, line.values, **looks[name])
        face = [looks[name]["color"] if differs else theme.paper for differs in line.differs]
        axes.scatter(line.evals, line.values, s=18, c=face, edgecolors=looks[name]["color"], linewidths=1.0, zorder=3)
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


def _draw_gaps(axes: Axes, samplers: Mapping[str, Line], looks: Mapping[str, dict]) -> None:
    for name, line in samplers.items():
        if line.gaps is not None:
            axes.plot(line.evals, line.gaps, marker="o", markersize=3.6, **looks[name])
    axes.set(yscale="log", ylabel="distance, root mean square")
    axes.set_title("each sample against the exact flow")


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

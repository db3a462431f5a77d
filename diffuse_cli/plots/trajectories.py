"""The paths of a few hundred points between noise and data."""

from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.axis_names import name_axis
from diffuse_cli.plots.background import Background, corners_of, draw_background
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.layout import ONE_LINE, arrange, panel_rows
from diffuse_cli.plots.panels import (
    Scene,
    add_panel,
    checked_cloud,
    coordinates,
    frame_plane,
    frame_space,
    keep_outer_labels,
    make_scene,
)
from diffuse_cli.plots.point_colors import PointColors, point_colors
from diffuse_cli.plots.style import Theme, ThemedFigure, default_style, heading, new_figure, settle
from diffuse_cli.plots.user_text import plain

_SIDE = 4.8  # inches: the width of a single panel
_MANY = 3.3  # inches: the width of one of several panels
_HEIGHT = 2.8  # inches: the height of a panel over time
_MOST_PANELS = 4
HEAVY = 3000  # pieces of lines: in a panel with more of them paths are pixels, since vectors would be slow to open
_OPACITY = 0.6
_FAINTEST = 0.08  # the opacity of a path in pure noise, as a share of that near the data, where paths fade
_APART = 80  # paths of a single value: with more of them each is drawn fainter
_START, _END = 9.0, 7.0  # areas of the marks, square points


class Paths(NamedTuple):
    """x [k, n, d]: the same n points at k times t [k], in the order in which they move."""

    x: np.ndarray
    t: np.ndarray


def trajectories_figure(
    paths: dict[str, Paths],
    *,
    color_by: np.ndarray | str = "time",
    background: Background | None = None,
    fade: bool = False,
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The paths of points from noise to data, a panel for each name; a ring marks the start of a path, a dot its end.

    paths: name -> Paths, 1 to 4 of them, in model units. In the plane and in space a path is a line; a single value is
    drawn over time; samples of more than three values are projected on the first two principal axes of the ends of the
    first Paths.
    color_by: "time", or "place" for the place of a path's end along the first principal axis of all ends, or n labels.
    background: a density behind the plane, or behind time (x) and value (y).
    fade: whether a path is the fainter the noisier it is, for the paths of random samplers, which cross the whole panel
    before they come near the data. columns: the names of the columns.

    Raises UsageError where shapes do not agree or `width` is too small, DiffuseError where no end is finite.
    """
    paths = {name: _checked(name, *each) for name, each in paths.items()}
    if not 1 <= len(paths) <= _MOST_PANELS:
        raise UsageError(f"there are {len(paths)} sets of paths; a figure takes 1 to {_MOST_PANELS}.")
    first = next(iter(paths.values()))
    columns = columns_of(first.x.shape[2], columns, "model")
    with default_style(dark=dark, width=width) as theme:
        if first.x.shape[2] == 1:
            return _over_time(paths, color_by, background, fade, columns, subject, theme)
        frames = [frame for each in paths.values() for frame in (each.x[0], each.x[-1])]
        if background is not None and first.x.shape[2] == 2:
            frames.append(corners_of(background))
        side = _SIDE if len(paths) == 1 else _MANY
        shared = {"columns": columns, "square": True}
        scene = make_scene(frames, reference=first.x[-1], view="points", side=side, theme=theme, **shared)
        layout = panel_rows(1, len(paths), scene, theme, above=ONE_LINE if len(paths) > 1 else 0.05)
        for column, (name, each) in enumerate(paths.items()):
            axes = add_panel(layout.figure, layout.grid[0, column], scene)
            shares = _shares(each, fade)
            _draw(axes, coordinates(each.x, scene.basis), _path_colors(each, color_by, theme), shares, scene)
            if len(paths) > 1:
                axes.set_title(plain(name))
            if background is not None and scene.kind != "space":
                draw_background(axes, background, theme)
            if scene.kind != "space":
                keep_outer_labels(axes, left=column == 0)
        return arrange(layout, "Trajectories: noise → data", subject, _keys(theme, color_by))


def _checked(name: str, x: np.ndarray, t: np.ndarray) -> Paths:
    x, t = np.asarray(x, float), np.asarray(t, float)
    if x.ndim != 3 or len(x) < 2 or t.shape != x.shape[:1]:
        raise UsageError(f"{name} has shape {x.shape} for times {t.shape}; paths are [k, n, d] at times [k], k > 1.")
    checked_cloud(x[-1], name)
    return Paths(x, t)


def _by_time(color_by: np.ndarray | str) -> bool:
    return isinstance(color_by, str) and color_by == "time"


def _path_colors(paths: Paths, color_by: np.ndarray | str, theme: Theme) -> PointColors | None:
    """The colour of each path; None if colours change along the path."""
    if _by_time(color_by):
        return None
    return point_colors(paths.x[-1], None if isinstance(color_by, str) else color_by, theme)


def _shares(paths: Paths, fade: bool) -> np.ndarray | None:
    """The opacity [k - 1] of pieces of paths, from _FAINTEST at the noisiest time to 1; None if they do not fade."""
    if not fade:
        return None
    middle = (paths.t[1:] + paths.t[:-1]) / 2
    clean = 1 - (middle - paths.t.min()) / (np.ptp(paths.t) or 1.0)
    return _FAINTEST + (1 - _FAINTEST) * clean**1.5


def _draw(axes: Axes, x: np.ndarray, colors: PointColors | None, shares: np.ndarray | None, scene: Scene) -> None:
    """Draw paths [k, n, 2 or 3], their starts and their ends."""
    _add_lines(axes, x, colors, shares, scene.theme)
    _mark(axes, x[0], x[-1], colors, scene.theme)
    (frame_space if scene.kind == "space" else frame_plane)(axes, scene)


def add_paths(axes: Axes, x: np.ndarray, scene: Scene) -> None:
    """Add paths [k, n, 2] to a panel, the ramp along each, with marks at their starts and ends."""
    _add_lines(axes, x, None, None, scene.theme)
    _mark(axes, x[0], x[-1], None, scene.theme)


def _add_lines(
    axes: Axes,
    x: np.ndarray,
    colors: PointColors | None,
    shares: np.ndarray | None,
    theme: Theme,
    opacity: float = _OPACITY,
) -> None:
    """Draw paths [k, n, 2 or 3] as lines: a colour for each path, or without colours the ramp along the path."""
    k, n, d = x.shape
    if colors is not None and shares is None:
        pieces, line_colors = x.swapaxes(0, 1), colors.of(np.arange(n))
    else:
        pieces = np.stack([x[:-1], x[1:]], axis=2).reshape(-1, 2, d)
        if colors is None:
            line_colors = np.repeat(theme.ramp((np.arange(k - 1) + 0.5) / (k - 1)), n, axis=0)
        else:
            line_colors = np.tile(colors.of(np.arange(n)), (k - 1, 1))
    line_colors[:, 3] = opacity if shares is None else opacity * np.repeat(shares, n)
    lines = (Line3DCollection if d == 3 else LineCollection)(pieces, colors=line_colors, linewidth=0.7)
    lines.set(rasterized=(k - 1) * n > HEAVY, zorder=1, capstyle="butt")  # round caps would be visible as dots
    axes.add_collection(lines, autolim=False)


def _mark(axes: Axes, start: np.ndarray, end: np.ndarray, colors: PointColors | None, theme: Theme) -> None:
    of = (theme.ramp([0.0]), theme.ramp([1.0])) if colors is None else 2 * (colors.of(np.arange(len(end))),)
    deep = {"depthshade": False} if end.shape[1] == 3 else {}
    axes.scatter(*start.T, s=_START, facecolors="none", edgecolors=of[0], linewidths=0.6, zorder=2, **deep)
    axes.scatter(*end.T, s=_END, c=of[1], zorder=3, **deep)


def _keys(theme: Theme, color_by: np.ndarray | str) -> list[Artist]:
    start, end = (theme.ramp([0.0])[0], theme.ramp([1.0])[0]) if _by_time(color_by) else (theme.muted, theme.muted)
    look = {"linestyle": "none", "markersize": 4.5}
    return [
        Line2D([], [], marker="o", markerfacecolor="none", markeredgecolor=start, label="noise", **look),
        Line2D([], [], marker="o", color=end, markeredgewidth=0, label="sample", **look),
    ]


def _over_time(
    paths: dict[str, Paths],
    color_by: np.ndarray | str,
    background: Background | None,
    fade: bool,
    columns: Columns,
    subject: str,
    theme: Theme,
) -> ThemedFigure:
    """Paths of one value over time, from noise at the left to data at the right."""
    side = 6.2 if len(paths) == 1 else _MANY
    figure = new_figure(side * len(paths) + 0.6, _HEIGHT + 0.8, theme)
    panels = figure.subplots(1, len(paths), squeeze=False, sharey=True)[0]
    reach = max(np.nanmax(np.abs(each.x)) for each in paths.values())
    for axes, (name, each) in zip(panels, paths.items(), strict=True):
        x = np.stack([np.broadcast_to(each.t[:, None], each.x.shape[:2]), each.x[:, :, 0]], axis=2)
        colors = _path_colors(each, color_by, theme)
        _add_lines(axes, x, colors, _shares(each, fade), theme, min(_OPACITY, _APART / each.x.shape[1]))
        _mark(axes, x[0], x[-1], colors, theme)
        axes.set(xlim=(max(each.t) + 0.01, min(each.t) - 0.01), ylim=(-1.05 * reach, 1.05 * reach), xlabel="$t$")
        axes.spines[["right", "top"]].set_visible(False)
        if len(paths) > 1:
            axes.set_title(plain(name))
        if background is not None:
            draw_background(axes, background, theme, strong=True)
    name_axis(panels[0].yaxis, columns.names[0], columns.unit(), 0.8 * _HEIGHT)
    heading(figure, "Trajectories: noise → data", subject)
    figure.legend(handles=_keys(theme, color_by), loc="outside lower center", ncols=2)
    return settle(figure)

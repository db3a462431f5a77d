"""Strips of panels, one for each noise level: the forward process from data to noise, or the reverse process."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.formats import Look
from diffuse_cli.plots.layout import ONE_LINE, TWO_LINES, arrange, panel_rows
from diffuse_cli.plots.panels import (
    NORMAL_LABELS,
    Scene,
    add_panel,
    checked_cloud,
    draw_cloud,
    keep_outer_labels,
    kind_of,
    make_scene,
)
from diffuse_cli.plots.point_colors import HISTOGRAM_SHADES, RAMP_SHADES, PointColors, point_colors
from diffuse_cli.plots.style import Theme, ThemedFigure, default_style

_MOST_PANELS = 12
_ONE_ROW = 6  # panels at most; more stand in two rows
PANEL_SIDES = {1: 3.4, 2: 2.9, 3: 2.5, 4: 2.1, 5: 1.8, 6: 1.6}


def forward_strip(
    frames: np.ndarray,
    log_snr: np.ndarray,
    *,
    t: np.ndarray | None = None,
    titles: list[str] | None = None,
    view: str = "points",
    color_by: np.ndarray | None = None,
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The forward process as a strip: data at the left, noise at the right.

    frames [k, n, d]: the same n samples at k noise levels, 1 <= k <= 12, in model units (where the noise is N(0, I)).
    log_snr [k]: the log-SNR of each frame, +inf for clean data. t [k]: the time of each frame, written in its title;
    whole numbers are steps of a chain, words are written unchanged. titles [k]: titles of the frames, instead of those
    from t and log_snr.
    view: "points", or "curves" where a sample is a function on [0, 1]: a few curves, and beside them the histogram of
    the values of one of them, which approaches the standard normal density.
    color_by [n]: labels (whole numbers or words) or an order (floats) to colour the points by; by default their place
    along the first principal axis of the data. columns: the names of the columns. subject: written after the title,
    such as the dataset's name.

    Raises UsageError where shapes do not agree or `width` is too small, DiffuseError where no point is finite.
    """
    heads = _titles(log_snr, t, titles)
    return _strip(frames, heads, 0, "Forward: data → noise", view, color_by, columns, subject, Look(dark, width))


def reverse_strip(
    frames: np.ndarray,
    log_snr: np.ndarray,
    *,
    t: np.ndarray | None = None,
    titles: list[str] | None = None,
    view: str = "points",
    color_by: np.ndarray | None = None,
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The reverse process as a strip: noise at the left, samples of the model at the right.

    The arguments are those of `forward_strip`, with frames and levels from noise to data. The colour of a sample shows
    its place in the last frame, so the first frame shows which part of the noise becomes which part of the data.

    Raises UsageError where shapes do not agree or `width` is too small, DiffuseError where no point is finite.
    """
    heads = _titles(log_snr, t, titles)
    return _strip(frames, heads, -1, "Reverse: noise → data", view, color_by, columns, subject, Look(dark, width))


def both_strips(
    ahead: np.ndarray,
    back: np.ndarray,
    log_snr: np.ndarray,
    *,
    t: np.ndarray | None = None,
    titles: list[str] | None = None,
    view: str = "points",
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The forward process above the reverse one, at the same noise levels, at which both should look alike.

    ahead [k, n, d]: noised data. back [k, n, d]: the states of the reverse process. Both are given from data (left) to
    noise (right), so the lower row is read from right to left. The other arguments are those of `forward_strip`; the
    colour of a point shows its place at the clean end of its row.

    Raises UsageError where shapes do not agree or `width` is too small, DiffuseError where no point is finite.
    """
    heads = _titles(log_snr, t, titles)
    rows = [_checked(frames, len(heads)) for frames in (ahead, back)]
    kind = kind_of(view, rows[0].shape[2])
    with default_style(dark=dark, width=width) as theme:
        across = len(heads)
        clouds, side = [*rows[0], *rows[1]], PANEL_SIDES.get(across, PANEL_SIDES[_ONE_ROW])
        scene = _scene(clouds, rows[0][0], view, side, columns, theme)
        layout = panel_rows(2, across, scene, theme, above=_above(heads), again=0.0)
        for row, (name, frames) in enumerate(zip(("forward →", "← reverse"), rows, strict=True)):
            panels = [add_panel(layout.figure, layout.grid[row, column], scene) for column in range(across)]
            colors = point_colors(frames[0], None, theme, _shades(kind))
            draw_row(panels, frames, [heads, across * [""]][row], scene, colors, last_row=row == 1)
            if kind != "space":
                panels[0].set_ylabel(f"{name}\n{panels[0].get_ylabel()}")
        return arrange(layout, "Forward above, reverse below", subject, _normal_line(panels[-1]))


def draw_row(
    panels: list[Axes],
    frames: np.ndarray,
    titles: list[str],
    scene: Scene,
    colors: PointColors,
    *,
    last_row: bool = True,
    normal: bool = True,
) -> None:
    """Draw one row of a strip: frames [k, n, d] into k panels. Only the outer panels get tick labels and axis names.

    last_row: whether the panels are the lowest of their columns. normal: whether each panel shows the standard normal
    density too.
    """
    for column, (axes, frame, title) in enumerate(zip(panels, frames, titles, strict=True)):
        draw_cloud(axes, frame, scene, colors, normal=normal)
        draw_title(axes, title, scene)
        if scene.kind == "space":
            continue
        keep_outer_labels(axes, left=column == 0, bottom=last_row)


def draw_title(axes: Axes, title: str, scene: Scene) -> None:
    """Write the title of a panel: its first line, and below it the second in a fainter colour."""
    first, _, second = title.partition("\n")
    axes.set_title(first, x=scene.middle, pad=18 if second else 5)
    if second:
        above = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "va": "baseline"}
        axes.annotate(second, (scene.middle, 1), xycoords="axes fraction", color=scene.theme.muted, **above)


def _strip(
    frames: np.ndarray,
    titles: list[str],
    clean: int,
    title: str,
    view: str,
    color_by: np.ndarray | None,
    columns: Columns | None,
    subject: str,
    look: Look,
) -> ThemedFigure:
    frames = _checked(frames, len(titles))
    kind = kind_of(view, frames.shape[2])
    rows = _rows(len(frames))
    with default_style(**look._asdict()) as theme:
        side = PANEL_SIDES[len(rows[0])]
        scene = _scene(list(frames), frames[clean], view, side, columns, theme)
        colors = point_colors(frames[clean], color_by, theme, _shades(kind))
        layout = panel_rows(len(rows), len(rows[0]), scene, theme, above=_above(titles))
        for row, chosen in enumerate(rows):
            panels = [add_panel(layout.figure, layout.grid[row, column], scene) for column in range(len(chosen))]
            draw_row(panels, frames[chosen], [titles[i] for i in chosen], scene, colors, last_row=row == len(rows) - 1)
        return arrange(layout, title, subject, _normal_line(panels[-1]))


def _scene(
    clouds: list[np.ndarray], clean: np.ndarray, view: str, side: float, columns: Columns | None, theme: Theme
) -> Scene:
    """The Scene of frames in model units."""
    columns = columns_of(clean.shape[1], columns, "model")
    shared = {"side": side, "theme": theme, "columns": columns, "square": True, "follow": True}
    frame = clean if view == "images" else None  # ink and paper are those of clean pictures
    return make_scene(clouds, reference=clean, view=view, frame=frame, **shared)


def _shades(kind: str) -> int:
    return HISTOGRAM_SHADES if kind == "histogram" else RAMP_SHADES


def _above(titles: list[str]) -> float:
    """The inches that the titles of a row take."""
    return TWO_LINES if any("\n" in title for title in titles) else ONE_LINE


def _normal_line(panel: Axes) -> list[Line2D]:
    """The entries of the key: the line of the standard normal density in a panel, if it has one."""
    lines = [line for axes in (panel, *panel.child_axes) for line in axes.lines]
    return [line for line in lines if line.get_label() in NORMAL_LABELS][:1]


def _rows(count: int) -> list[list[int]]:
    """The indices of the frames of each row: one row of up to six, else two, the first at least as long."""
    if count <= _ONE_ROW:
        return [list(range(count))]
    half = (count + 1) // 2
    return [list(range(half)), list(range(half, count))]


def _checked(frames: np.ndarray, levels: int) -> np.ndarray:
    frames = np.asarray(frames, dtype=float)
    if frames.ndim != 3 or not 1 <= len(frames) <= _MOST_PANELS:
        raise UsageError(f"frames has shape {frames.shape}; a strip needs [k, n, d] with 1 to {_MOST_PANELS} frames.")
    if len(frames) != levels:
        raise UsageError(f"{len(frames)} frames but {levels} titles or noise levels; a strip needs one for each frame.")
    for number, frame in enumerate(frames):
        checked_cloud(frame, f"frame {number + 1}")
    return frames


def _titles(log_snr: np.ndarray, t: np.ndarray | None, titles: list[str] | None) -> list[str]:
    return level_titles(log_snr, t) if titles is None else list(titles)


def level_titles(log_snr: np.ndarray, t: np.ndarray | None) -> list[str]:
    """A title for each noise level [k]: its time t, if given, and below it alpha_bar.

    Raises UsageError where `t` and `log_snr` have different lengths.
    """
    levels = np.atleast_1d(np.asarray(log_snr, dtype=float))
    with np.errstate(over="ignore"):
        below = [rf"$\bar\alpha_t = {shortened(value)}$" for value in 1 / (1 + np.exp(-levels))]
    if t is None:
        return below
    t = np.atleast_1d(np.asarray(t))
    if len(t) != len(levels):
        raise UsageError(f"{len(t)} times but {len(levels)} noise levels; a strip needs one of each for a frame.")
    written = {"i": "$t = {}$", "u": "$t = {}$", "U": "{}"}.get(t.dtype.kind, "$t = {:.2f}$")
    above = [written.format(value) for value in t]
    return [f"{first}\n{second}" for first, second in zip(above, below, strict=True)]


def shortened(value: float) -> str:
    """A number in [0, 1] as mathtext, with enough decimals to differ from 0 and from 1."""
    if value in (0.0, 1.0) or value > 1 - 5e-5:
        return f"{round(value)}"
    for decimals in (2, 3, 4):
        text = f"{value:.{decimals}f}"
        if 0 < float(text) < 1:
            return text
    mantissa, exponent = f"{value:.0e}".split("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}"

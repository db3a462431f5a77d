"""One cloud of samples [n, d] in one panel. The kind of drawing follows from d and the view:

    d = 1           a histogram, as a density
    d = 2           a scatter with equal scales, or one scale for each axis where columns have different units
    d = 3           a scatter in space
    d > 3           a scatter of the first two principal coordinates of a reference cloud
    view "images"   a sample is a picture: a sheet of some of them
    view "curves"   a sample is a function on [0, 1]: a few curves, and the histogram of the values of all samples, or
                    of one curve that is drawn in every panel

A `Scene` holds what all panels of a figure must share to be comparable: limits, bins, projection, the samples that are
drawn. `make_scene` computes it from all clouds, then `draw_cloud` draws each of them.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import proj3d

from diffuse_cli.datasets.dataset import VIEWS
from diffuse_cli.errors import DiffuseError, UsageError, unknown
from diffuse_cli.plots.axis_names import name_axis
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.limits import limits_of
from diffuse_cli.plots.point_colors import PointColors, principal_axes
from diffuse_cli.plots.style import Theme

MOST_POINTS_SHOWN = 4000  # points in one panel: more are not easier to see, and slow to draw
_RASTERISE_ABOVE = 5000  # points in one figure: as vectors they would make an SVG large and slow to open
SHEET, SMALL_SHEET, _LARGE = 36, 16, 2.6  # pictures in one panel, in a small one, and the inches of a large one
SMALL_TEXT = 8.5  # points: the font size of notes in a panel
NORMAL_LABELS = (r"$\mathcal{N}(0, 1)$", r"$\mathcal{N}(0, I)$, $2\sigma$")
_NORMAL_LINE = {"linewidth": 0.9, "label": NORMAL_LABELS[0]}
_NORMAL_CIRCLE = {"linewidth": 0.7, "dashes": (5, 4), "label": NORMAL_LABELS[1]}
_SPACE_TICK = 7.0  # points: the font size of numbers at the edges of a space
_SPACE_AROUND = 0.7  # inches of a panel's side that numbers and names need around the box of a space
_NAMED = 0.88  # of a panel's width that the name of its axis may take beside that of its neighbour
BESIDE = (1.03, 0.0, 0.3, 1.0)  # the histogram of the values of curves, in fractions of the axes of the curves


class Scene(NamedTuple):
    """What the panels of one figure share.

    kind: "histogram", "plane", "space", "projected", "curves" or "images". limits [axes, 2]: of the value for a
    histogram, of u and the value for curves and pictures, of each coordinate for points. columns: what the axes are
    called. free: whether the two axes of a plane, or the three of a space, have different scales, because their units
    differ. basis: mean [d] and axes [d, 2] of the projection, or None. edges [bins + 1]: the bins of the histogram.
    top: the upper end of its axis. most: how many points a panel shows at most. curves: the indices of the samples that
    are drawn as curves or pictures. followed: the index of the one whose values the histogram shows, None for the
    values of all samples. side: the width of a panel in inches. rasterise: whether points are pixels in an SVG or PDF
    too. opacity: of the points of a plane; None for what suits their number.
    """

    kind: str
    limits: np.ndarray
    columns: Columns
    free: bool
    basis: tuple[np.ndarray, np.ndarray] | None
    edges: np.ndarray
    top: float
    most: int
    curves: np.ndarray
    followed: int | None
    side: float
    rasterise: bool
    theme: Theme
    opacity: float | None = None

    @property
    def height(self) -> float:
        """The height in inches of a panel as wide as `side`."""
        if self.free and self.kind == "plane":
            return 0.8 * self.side
        if self.kind in ("plane", "projected"):
            return self.side * float(np.ptp(self.limits[1]) / np.ptp(self.limits[0]))
        return self.side * {"histogram": 0.75, "curves": 0.8, "space": 1.0, "images": 1.0}[self.kind]

    @property
    def middle(self) -> float:
        """The middle of a panel as a fraction of its axes' width: curves have a histogram beyond their right end."""
        return (BESIDE[0] + BESIDE[2]) / 2 if self.kind == "curves" else 0.5


def kind_of(view: str, dim: int) -> str:
    """How samples of `dim` values are drawn: "histogram", "plane", "space", "projected", "curves" or "images".

    Raises UsageError for an unknown view, for the view "curves" of samples of one value, and for the view "images" of
    samples that are no square.
    """
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if view == "curves":
        if dim < 2:
            raise UsageError("the view 'curves' needs samples of at least 2 values; these have 1. Known: points.")
        return "curves"
    if view == "images":
        if math.isqrt(dim) ** 2 != dim:
            raise UsageError(f"the view 'images' needs samples of a square number of values; these have {dim}.")
        return "images"
    return {1: "histogram", 2: "plane", 3: "space"}.get(dim, "projected")


def checked_cloud(cloud: np.ndarray, what: str) -> np.ndarray:
    """`cloud` as float [n, d]. Raises UsageError for another shape, DiffuseError where no sample is finite."""
    cloud = np.asarray(cloud, dtype=float)
    if cloud.ndim != 2 or 0 in cloud.shape:
        raise UsageError(f"{what} has shape {cloud.shape}; it needs to be [n, d], n samples of d values.")
    if not np.isfinite(cloud).all(axis=1).any():
        raise DiffuseError(f"{what} holds no finite sample, so there is nothing to draw.")
    return cloud


def make_scene(
    clouds: list[np.ndarray],
    *,
    reference: np.ndarray,
    view: str,
    side: float,
    theme: Theme,
    columns: Columns | None = None,
    square: bool = False,
    most: int = MOST_POINTS_SHOWN,
    curves: int = 4,
    follow: bool = False,
    frame: np.ndarray | None = None,
) -> Scene:
    """The Scene of a figure of these clouds.

    clouds: each [n, d]. reference [m, d]: the cloud whose principal axes and order are used. view: "points" or
    "curves". side: the width of a panel in inches, which decides the size of points. columns: the names and the units
    of the columns, by default data units. square: whether both axes of a plane have the same range, unless the data
    units of columns differ. most: how many points a panel shows at most. curves: how many curves are drawn.
    follow: whether the histogram shows the values of one curve. frame [k, d]: the points that the limits hold, by
    default those of all clouds.

    Raises UsageError like `kind_of` and `columns_of`.
    """
    kind = kind_of(view, reference.shape[1])
    columns = columns_of(reference.shape[1], columns, "data")
    basis = principal_basis(reference, columns) if kind == "projected" else None
    held = clouds if frame is None else [frame]
    limits, free = limits_of(kind, [coordinates(cloud, basis) for cloud in held], columns, square)
    count = max(len(cloud) for cloud in clouds)
    some = spread(reference, pictures_in(side) if kind == "images" else curves)
    followed = int(some[-1]) if follow and kind == "curves" else None
    values = count * reference.shape[1] if kind in ("curves", "images") else count
    if followed is not None:
        values = reference.shape[1]
    edges = np.linspace(*limits[-1], int(np.clip(2.5 * values ** (1 / 3), 12, 60)) + 1)
    return Scene(
        kind=kind,
        limits=limits,
        columns=columns,
        free=free,
        basis=basis,
        edges=edges,
        top=_highest(clouds, followed, edges) if kind in ("histogram", "curves") else 1.0,
        most=most,
        curves=some,
        followed=followed,
        side=side,
        rasterise=min(count, most) * len(clouds) > _RASTERISE_ABOVE,
        theme=theme,
    )


def principal_basis(reference: np.ndarray, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """The mean [d] and the first two principal axes [d, 2]; in data units those of columns in standard deviations,
    since otherwise the column with the largest numbers would be all that is seen."""
    if columns.units == "model":
        return principal_axes(reference, 2)
    finite = reference[np.isfinite(reference).all(axis=1)]
    std = finite.std(axis=0)
    std = np.where(std > 0, std, 1.0)
    _, axes = principal_axes((reference - finite.mean(axis=0)) / std, 2)
    return finite.mean(axis=0), axes / std[:, None]


def _highest(clouds: list[np.ndarray], followed: int | None, edges: np.ndarray) -> float:
    """The upper end of the histograms' axis: the highest density of any cloud, and 6 % more."""
    return 1.06 * max(
        histogram_density(cloud if followed is None else cloud[followed], edges).max() for cloud in clouds
    )


def add_panel(figure: Figure, place: SubplotSpec, scene: Scene) -> Axes:
    """Empty axes at a place of a grid, in three dimensions if the scene is a space."""
    return figure.add_subplot(place, projection="3d" if scene.kind == "space" else None)


def draw_cloud(axes: Axes, cloud: np.ndarray, scene: Scene, colors: PointColors, *, normal: bool = False) -> None:
    """Draw one cloud [n, d] with its colours. `normal` adds the standard normal density, a line or circle."""
    if scene.kind == "histogram":
        _draw_histogram(axes, cloud[:, 0], scene, colors, normal)
    elif scene.kind == "images":
        _draw_sheet(axes, cloud, scene, colors)
    elif scene.kind == "curves":
        _draw_curves(axes, cloud, scene, colors, normal)
    elif scene.kind == "space":
        _draw_space(axes, cloud, scene, colors)
    else:
        _draw_plane(axes, cloud, scene, colors, normal)
    words = note_left_out(cloud, scene)
    if words:
        axes.annotate(words, (0.97, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=SMALL_TEXT)


def histogram_density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The density [bins] of all finite `values` in the bins between `edges` [bins + 1]; its integral is 1."""
    counts = np.histogram(values[np.isfinite(values)], edges)[0]
    return counts / (max(counts.sum(), 1) * np.diff(edges))


def bands(values: np.ndarray, scene: Scene, colors: PointColors) -> np.ndarray:
    """The heights [groups + 1, bins] between the bands of a histogram of `values` [n] that is stacked by colour."""
    inside = np.isfinite(values) & (values >= scene.edges[0]) & (values <= scene.edges[-1])
    parts = [inside & (colors.group == group) for group in range(len(colors.palette))]
    heights = [histogram_density(values[part], scene.edges) * part.sum() / max(inside.sum(), 1) for part in parts]
    return np.cumsum([np.zeros(len(scene.edges) - 1), *heights], axis=0)


def normal_density(x: np.ndarray) -> np.ndarray:
    """The density of N(0, 1) at x […]."""
    return np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)


def pictures_in(side: float) -> int:
    """How many pictures a panel of so many inches shows."""
    return SHEET if side >= _LARGE else SMALL_SHEET


def drawn_of(cloud: np.ndarray, scene: Scene, curves: int) -> Scene:
    """The scene that draws so many `curves` of this cloud, or a sheet of its pictures."""
    return scene._replace(curves=spread(cloud, pictures_in(scene.side) if scene.kind == "images" else curves))


def spread(cloud: np.ndarray, count: int) -> np.ndarray:
    """The indices of `count` samples evenly spread in rank along the first principal axis of a cloud [n, d]."""
    mean, axes = principal_axes(cloud, 1)
    order = np.argsort((cloud - mean) @ axes[:, 0])
    count = min(count, len(order))
    return order[(2 * np.arange(count) + 1) * len(order) // (2 * count)]


def coordinates(cloud: np.ndarray, basis: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    """The coordinates of samples […, d] that a panel shows: unchanged, or projected by a scene's basis, […, 2]."""
    return cloud if basis is None else (cloud - basis[0]) @ basis[1]


def note_left_out(cloud: np.ndarray, scene: Scene) -> str:
    """A note that counts the samples [n, d] that a panel cannot show: outside its limits, or not finite."""
    values = coordinates(cloud, scene.basis)
    values = values[np.isfinite(values).all(axis=1)]
    words = [f"{len(cloud) - len(values)} not finite"] if len(values) < len(cloud) else []
    if scene.kind not in ("curves", "images", "space"):
        low, high = scene.limits.T
        outside = int(((values < low) | (values > high)).any(axis=1).sum())
        words += [f"{outside} outside the frame"] if outside else []
    return "\n".join(words)


def shown(count: int, scene: Scene) -> np.ndarray:
    """The indices [at most scene.most] of the points that a panel shows, of `count` points."""
    return some_of(count, scene.most)


def some_of(count: int, most: int) -> np.ndarray:
    """The indices, rising, of `most` of `count` points, or of all if they are fewer."""
    # A fixed draw, not every k-th sample: a file may be sorted, or have a period.
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def marks(count: int, side: float) -> tuple[float, float]:
    """The area in square points and the opacity of `count` marks in a panel of `side` inches."""
    area = float(np.clip(0.22 * (72 * side) ** 2 / max(count, 1), 0.9, 16.0))
    return area, float(np.clip(0.45 + 0.13 * area, 0.45, 0.85))


def _draw_plane(axes: Axes, cloud: np.ndarray, scene: Scene, colors: PointColors, normal: bool) -> None:
    points, some = coordinates(cloud, scene.basis), shown(len(cloud), scene)
    size, alpha = marks(len(some), scene.side)
    alpha = alpha if scene.opacity is None else scene.opacity
    if normal:
        turn = np.linspace(0, 2 * np.pi, 200)
        x, y = coordinates(np.zeros((1, cloud.shape[1])), scene.basis)[0]
        axes.plot(x + 2 * np.cos(turn), y + 2 * np.sin(turn), color=scene.theme.muted, **_NORMAL_CIRCLE)
    axes.scatter(*points[some].T, s=size, c=colors.of(some), alpha=alpha, rasterized=scene.rasterise, zorder=1)
    frame_plane(axes, scene)


def frame_plane(axes: Axes, scene: Scene) -> None:
    """Set the limits, scales and axis names of a plane."""
    axes.set(xlim=scene.limits[0], ylim=scene.limits[1])
    axes.set_aspect("auto" if scene.free else "equal", adjustable="box")
    axes.locator_params(nbins=6, steps=[1, 2, 5, 10])
    _name_axes(scene, axes.xaxis, axes.yaxis)


def _name_axes(scene: Scene, *measured: Axis) -> None:
    """Name the axes on which samples are measured: those of the columns, in their order."""
    for axis, name in zip(measured, scene.columns.of_axes(scene.kind), strict=True):
        inches = _NAMED * scene.side if axis.axis_name == "x" else scene.height
        name_axis(axis, name, scene.columns.unit(scene.kind), inches)


def _draw_space(axes: Axes, points: np.ndarray, scene: Scene, colors: PointColors) -> None:
    some = shown(len(points), scene)
    size, alpha = marks(len(some), scene.side)
    # No shading by depth: a point keeps its colour when it moves towards the back.
    looks = {"s": size, "alpha": alpha, "rasterized": scene.rasterise, "depthshade": False}
    axes.scatter(*points[some].T, c=colors.of(some), **looks)
    frame_space(axes, scene)


def keep_outer_labels(axes: Axes, *, left: bool, bottom: bool = True) -> None:
    """Remove tick labels and axis names, except at the left and bottom panels of a grid that shares its limits."""
    if not left:
        axes.set_ylabel("")
        axes.tick_params(labelleft=False)
    if not bottom:
        axes.set_xlabel("")
        axes.tick_params(labelbottom=False)


def frame_space(axes: Axes, scene: Scene) -> None:
    """Set the limits and the viewing direction of a space, and let its box fill the panel."""
    axes.set(xlim=scene.limits[0], ylim=scene.limits[1], zlim=scene.limits[2])
    axes.set_proj_type("ortho")
    axes.view_init(elev=14, azim=-68)
    for axis, name in zip((axes.xaxis, axes.yaxis, axes.zaxis), scene.columns.names, strict=True):
        axis.pane.set(facecolor="none", edgecolor=scene.theme.frame, linewidth=0.5)
        axis.line.set(color=scene.theme.frame, linewidth=0.7)
        axis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        axis.set_tick_params(labelsize=_SPACE_TICK, pad=-4)
        axis.labelpad = -9
        name_axis(axis, name, "", 0.55 * scene.side, size=SMALL_TEXT)
    axes.grid(visible=False)
    axes.text2D(0.0, 0.0, scene.columns.unit(), transform=axes.transAxes, fontsize=SMALL_TEXT, color=scene.theme.muted)
    sides = np.ones(3) if scene.free else np.ptp(scene.limits, axis=1)
    _fill_panel(axes, scene.limits, sides, 1 - _SPACE_AROUND / scene.side)


def _fill_panel(axes: Axes, limits: np.ndarray, sides: np.ndarray, share: float) -> None:
    """Scale the box with the limits [3, 2], and `sides` [3] in this ratio, to fill this share of the panel."""
    axes.set_box_aspect(sides)
    corners = np.array(list(itertools.product(*limits)))
    x, y, _ = proj3d.proj_transform(*corners.T, axes.get_proj())
    reach = max(np.abs(x).max() / axes.viewLim.xmax, np.abs(y).max() / axes.viewLim.ymax)
    axes.set_box_aspect(sides, zoom=share / reach)


def _draw_histogram(axes: Axes, values: np.ndarray, scene: Scene, colors: PointColors, normal: bool) -> None:
    """A histogram stacked by colour: its outline is the density of all values, its bands are the groups."""
    edges = bands(values, scene, colors)
    for base, top, color in zip(edges[:-1], edges[1:], colors.palette, strict=True):
        axes.stairs(top, scene.edges, baseline=base, fill=True, color=color, linewidth=0)
    if normal:
        grid = np.linspace(*scene.limits[0], 200)
        axes.plot(grid, normal_density(grid), color=scene.theme.ink, **_NORMAL_LINE)
    axes.set(xlim=scene.limits[0], ylim=(0, scene.top), yticks=[])
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.locator_params(axis="x", nbins=6, steps=[1, 2, 5, 10])
    _name_axes(scene, axes.xaxis)


def _draw_sheet(axes: Axes, samples: np.ndarray, scene: Scene, colors: PointColors) -> None:
    """Some samples as small pictures, in a square: paper at the lowest value, the colour at the highest."""
    pixels, across = math.isqrt(samples.shape[1]), math.isqrt(pictures_in(scene.side))
    step = pixels + 1
    sheet = np.full((across * step - 1, across * step - 1), np.nan)
    for number, index in enumerate(scene.curves):
        row, column = (step * place for place in divmod(number, across))
        sheet[row : row + pixels, column : column + pixels] = samples[index].reshape(pixels, pixels)
    ink = colors.palette[0] if len(colors.palette) == 1 else scene.theme.ink
    shades = LinearSegmentedColormap.from_list("ink", [scene.theme.paper, ink])
    low, high = scene.limits[-1]
    axes.imshow(sheet, cmap=shades, vmin=low, vmax=high, interpolation="nearest", aspect="equal")
    axes.set(xticks=[], yticks=[])


def _draw_curves(axes: Axes, samples: np.ndarray, scene: Scene, colors: PointColors, normal: bool) -> None:
    u = np.linspace(0, 1, samples.shape[1])
    for index in scene.curves:
        look = {"linewidth": 0.9} if scene.followed is None else {"linewidth": 0.7, "alpha": 0.45}
        if index == scene.followed:  # the histogram is that of its values, which are drawn as dots
            look = {"linewidth": 1.1, "marker": ".", "markersize": 2.5, "zorder": 3}
        axes.plot(u, samples[index], color=colors.of(index), **look)
    axes.set(xlim=scene.limits[0], ylim=scene.limits[1], xlabel="u", xticks=[0, 1])
    axes.locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
    _name_axes(scene, axes.yaxis)
    axes.spines[["right", "top"]].set_visible(False)
    beside = axes.inset_axes(BESIDE, sharey=axes)
    color = colors.palette[0] if len(colors.palette) == 1 else scene.theme.fill
    if scene.followed is not None:
        color = colors.of(scene.followed)
    heights = histogram_density(samples if scene.followed is None else samples[scene.followed], scene.edges)
    beside.stairs(heights, scene.edges, orientation="horizontal", fill=True, color=color, alpha=0.6, linewidth=0)
    if normal:
        grid = np.linspace(*scene.limits[1], 200)
        beside.plot(normal_density(grid), grid, color=scene.theme.ink, **_NORMAL_LINE)
    beside.set(xlim=(0, scene.top), xticks=[])
    beside.tick_params(axis="y", left=False, labelleft=False)
    beside.spines[["right", "top", "bottom"]].set_visible(False)

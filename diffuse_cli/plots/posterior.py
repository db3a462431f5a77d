"""Posteriors of points: the prior and what was measured, the exact posterior, and the samples of each method."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.axis_names import name_axis
from diffuse_cli.plots.background import Background, draw_background
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.layout import TWO_LINES, Rows, arrange, panel_rows
from diffuse_cli.plots.limits import range_of
from diffuse_cli.plots.measurement_shape import MeasurementShape, along, draw_measurement, held_points
from diffuse_cli.plots.panels import (
    Scene,
    checked_cloud,
    coordinates,
    draw_cloud,
    frame_plane,
    histogram_density,
    keep_outer_labels,
    make_scene,
    principal_basis,
)
from diffuse_cli.plots.point_colors import one_color
from diffuse_cli.plots.strips import draw_title
from diffuse_cli.plots.style import Theme, default_style
from diffuse_cli.plots.user_text import plain

_SIDE = 3.0  # inches
_NARROW = 2.4  # inches of a histogram, of which there are up to _ACROSS in one row
_ACROSS = 3
_MOST = 1000  # points in a panel
_HELD = 50  # a point of the measurement counts as this share of the prior: 1 / 50
_ROOM = 0.4  # of the range of the prior, on each side, in which samples of a method are shown too
_ENDS = (0.02, 0.98)  # quantiles of these samples
_OPACITY = 0.35  # of points, through which a density is seen
_BINS = 40  # of the histogram of a coordinate
_WHOLE = 0.999  # a direction with a larger entry than this is a column


class MethodSamples(NamedTuple):
    """The samples [n, d] of a method, and words over its panel."""

    name: str
    samples: np.ndarray
    words: str = ""


class ExactPosterior(NamedTuple):
    """Draws [m, d] of p(x | y), and its density in the plane, None where it has none or it is not known."""

    samples: np.ndarray
    density: Background | None = None


class _Shown(NamedTuple):
    """All clouds of a figure in the coordinates that it draws."""

    prior: np.ndarray
    exact: ExactPosterior | None
    methods: list[MethodSamples]
    shape: MeasurementShape


def posterior_figure(
    prior: np.ndarray,
    shape: MeasurementShape,
    exact: ExactPosterior | None,
    methods: Sequence[MethodSamples],
    *,
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The prior with the measurement, and the exact posterior; then a row for each method: its samples over the exact
    posterior, and the histogram of one coordinate over that of the exact posterior; data units.

    The coordinate is the direction that a single line leaves free, else that in which the posterior is widest. One
    column: histograms alone, three in a row. Three and more: the two widest principal coordinates of the posterior,
    without the measurement. exact: None where it is unknown. All panels of points have the limits of the prior, the
    measurement, and samples that are not far from them.

    Raises UsageError where shapes disagree or `width` is too small, DiffuseError where no sample is finite.
    """
    shown = _checked(prior, shape, exact, methods)
    dim = shown.prior.shape[1]
    columns = columns_of(dim, columns, "data")
    with default_style(dark=dark, width=width) as theme:
        keys = [] if exact is None else [Line2D([], [], color=theme.data, linewidth=1.2, label="exact posterior")]
        keys.append(Patch(color=theme.model, alpha=0.6, linewidth=0, label="method"))
        drawn = _histograms(shown, columns, theme) if dim == 1 else _planes(shown, columns, theme)
        return arrange(drawn, "Posterior samples", subject, keys)


def _checked(
    prior: np.ndarray, shape: MeasurementShape, exact: ExactPosterior | None, methods: Sequence[MethodSamples]
) -> _Shown:
    prior = checked_cloud(prior, "the prior")
    if exact is not None:
        exact = exact._replace(samples=checked_cloud(exact.samples, "the exact posterior"))
    named = [each._replace(samples=checked_cloud(each.samples, f"the samples of {each.name}")) for each in methods]
    for cloud in [each.samples for each in named] + ([] if exact is None else [exact.samples]):
        if cloud.shape[1] != prior.shape[1]:
            raise UsageError(f"a sample has {cloud.shape[1]} values, one of the prior {prior.shape[1]}.")
    dim = prior.shape[1]
    if dim <= 2 and any(np.shape(line.normal) != (dim,) for line in shape.lines):
        raise UsageError(f"the normal of a measured line needs {dim} values.")
    if dim == 1 and (shape.point is not None or shape.likelihood is not None):
        raise UsageError("a measurement of one column is drawn as a line, not as a point or a likelihood.")
    return _Shown(prior, exact, named, shape)


def _posterior_cloud(shown: _Shown) -> np.ndarray:
    """Draws of the exact posterior, or of all methods where it is unknown, or of the prior where there are none."""
    if shown.exact is not None:
        return shown.exact.samples
    return np.concatenate([each.samples for each in shown.methods]) if shown.methods else shown.prior


def _projected(shown: _Shown, columns: Columns) -> _Shown:
    basis = principal_basis(_posterior_cloud(shown), columns)
    exact = None if shown.exact is None else ExactPosterior(coordinates(shown.exact.samples, basis))
    methods = [each._replace(samples=coordinates(each.samples, basis)) for each in shown.methods]
    return _Shown(coordinates(shown.prior, basis), exact, methods, MeasurementShape())


def _planes(shown: _Shown, columns: Columns, theme: Theme) -> Rows:
    """Rows of two panels: points in the plane, and the histogram of one coordinate."""
    flat = len(columns.names) == 2
    if not flat:
        shown = _projected(shown, columns)
    clouds = [shown.prior, *(each.samples for each in shown.methods)]
    look = {"columns": columns if flat else Columns(("PC 1", "PC 2"), "model"), "most": _MOST}
    scene = make_scene(
        clouds, reference=shown.prior, view="points", side=_SIDE, theme=theme, frame=_frame(shown), **look
    )
    scene = scene._replace(opacity=_OPACITY)
    if not flat:  # its axes are named after principal coordinates in standard deviations
        scene = scene._replace(kind="projected", columns=columns)
    layout = panel_rows(1 + len(shown.methods), 2, scene, theme)
    coordinate = _Coordinate.of(shown, scene)
    rows = len(shown.methods)
    _first_row(layout, shown, theme, last=not rows)
    for row, method in enumerate(shown.methods, start=1):
        axes = layout.figure.add_subplot(layout.grid[row, 0])
        _draw_exact(axes, shown.exact, scene, theme, behind=True)
        draw_cloud(axes, method.samples, scene, one_color(theme.model, len(method.samples)))
        draw_title(axes, plain(method.words), scene)
        axes.set_ylabel(f"{plain(method.name)}\n{axes.get_ylabel()}")
        keep_outer_labels(axes, left=True, bottom=row == rows)
        axes = layout.figure.add_subplot(layout.grid[row, 1])
        coordinate.draw(axes, method.samples, shown.exact, theme)
        if row == rows:
            coordinate.name(axes, scene)
    return layout


def _frame(shown: _Shown) -> np.ndarray:
    """Points that the limits hold: the prior, and, so often that they do not count as outliers, the measurement and the
    ends of each method's samples, if these are not too far away."""
    low, high = shown.prior.min(axis=0), shown.prior.max(axis=0)
    room = _ROOM * (high - low)
    ends = [
        np.clip(np.nanquantile(each.samples, _ENDS, axis=0), low - room, high + room)
        for each in shown.methods
        if np.isfinite(each.samples).all(axis=1).any()
    ]
    held = np.concatenate([held_points(shown.shape, shown.prior), *ends])
    return np.concatenate([shown.prior, np.repeat(held, 1 + len(shown.prior) // _HELD, axis=0)])


def _first_row(layout: Rows, shown: _Shown, theme: Theme, *, last: bool) -> None:
    """The prior with the measurement, and the exact posterior where it is known."""
    scene = layout.scene
    axes = layout.figure.add_subplot(layout.grid[0, 0])
    draw_cloud(axes, shown.prior, scene, one_color(theme.muted, len(shown.prior)))
    draw_measurement(axes, shown.shape, theme)
    draw_title(axes, "prior and measurement" if shown.shape.drawn else "prior", scene)
    axes.set_ylabel(f"{'prior' if shown.exact is None else 'exact'}\n{axes.get_ylabel()}")
    keep_outer_labels(axes, left=True, bottom=last)
    if shown.exact is not None:
        axes = layout.figure.add_subplot(layout.grid[0, 1])
        _draw_exact(axes, shown.exact, scene, theme, behind=False)
        draw_title(axes, "exact posterior", scene)
        keep_outer_labels(axes, left=False, bottom=last)


def _draw_exact(axes: Axes, exact: ExactPosterior | None, scene: Scene, theme: Theme, *, behind: bool) -> None:
    """The density of the exact posterior, and its draws: over it, and where it has none, also behind other points."""
    frame_plane(axes, scene)
    if exact is None:
        return
    if exact.density is not None:
        draw_background(axes, exact.density, theme, strong=True)
    if not behind or exact.density is None:
        draw_cloud(axes, exact.samples, scene, one_color(theme.data, len(exact.samples)))
        if behind:
            for note in axes.texts:  # of points outside the frame: it is for the method's samples
                note.remove()


class _Coordinate(NamedTuple):
    """One coordinate of points in the plane: direction [2], edges [bins + 1] of its histogram, its axis and height."""

    direction: np.ndarray
    edges: np.ndarray
    top: float

    @classmethod
    def of(cls, shown: _Shown, scene: Scene) -> "_Coordinate":
        """The direction that is not measured, or that in which the posterior is widest."""
        direction = along(shown.shape, _posterior_cloud(shown))
        clouds = [each.samples for each in shown.methods]
        clouds += [] if shown.exact is None else [shown.exact.samples]
        inside = [_within(cloud, scene) @ direction for cloud in clouds]
        values = np.concatenate(inside) if inside else shown.prior @ direction
        edges = np.linspace(*range_of(values if len(values) else shown.prior @ direction), _BINS + 1)
        heights = [histogram_density(cloud @ direction, edges).max() for cloud in clouds]
        # one cloud in a single bin must not flatten all others
        usual = heights[-1] if shown.exact is not None else float(np.median(heights or [1.0]))
        return cls(direction, edges, 1.06 * min(max(heights or [1.0]), 2.2 * usual))

    def draw(self, axes: Axes, samples: np.ndarray, exact: ExactPosterior | None, theme: Theme) -> None:
        """The histogram of a method's samples, filled, and that of the exact posterior, a line."""
        heights = histogram_density(samples @ self.direction, self.edges)
        axes.stairs(heights, self.edges, fill=True, color=theme.model, alpha=0.6, linewidth=0)
        if exact is not None:
            draws = histogram_density(exact.samples @ self.direction, self.edges)
            axes.stairs(draws, self.edges, baseline=None, color=theme.data, linewidth=1.2)
        axes.set(xlim=(self.edges[0], self.edges[-1]), ylim=(0, self.top), yticks=[])
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.locator_params(axis="x", nbins=6, steps=[1, 2, 5, 10])
        axes.tick_params(labelbottom=False)

    def name(self, axes: Axes, scene: Scene) -> None:
        """Name the axis: a column, or the sum of columns that it is."""
        names = scene.columns.of_axes(scene.kind)
        axes.tick_params(labelbottom=True)
        if np.abs(self.direction).max() > _WHOLE:
            text = names[int(np.abs(self.direction).argmax())]
        else:
            a, b = self.direction
            text = f"{a:.2g} {names[0]} {'−' if b < 0 else '+'} {abs(b):.2g} {names[1]}".replace("-", "−", int(a < 0))
        name_axis(axes.xaxis, text, scene.columns.unit(scene.kind), 0.88 * scene.side)


def _within(cloud: np.ndarray, scene: Scene) -> np.ndarray:
    """The samples that the panels of points show."""
    low, high = scene.limits.T
    return cloud[((cloud >= low) & (cloud <= high)).all(axis=1)]


def _histograms(shown: _Shown, columns: Columns, theme: Theme) -> Rows:
    """Histograms of one column, three in a row: the prior, the exact posterior, each method."""
    exact = [] if shown.exact is None else [("exact posterior", shown.exact.samples, theme.data)]
    panels = [("prior and measurement" if shown.shape.drawn else "prior", shown.prior, theme.fill), *exact]
    for each in shown.methods:
        panels.append((f"{plain(each.name)}\n{plain(each.words)}", each.samples, theme.model))
    clouds = [cloud for _, cloud, _ in panels]
    look = {"view": "points", "side": _NARROW, "theme": theme, "columns": columns}
    scene = make_scene(clouds, reference=shown.prior, frame=_frame(shown), **look)
    across = min(_ACROSS, len(panels))
    layout = panel_rows(-(-len(panels) // across), across, scene, theme, above=TWO_LINES)
    for number, (title, cloud, color) in enumerate(panels):
        axes = layout.figure.add_subplot(layout.grid[number // across, number % across])
        draw_cloud(axes, cloud, scene, one_color(color, len(cloud)))
        if number == 0:
            draw_measurement(axes, shown.shape, theme)
        elif number > len(exact) > 0:
            draws = histogram_density(exact[0][1][:, 0], scene.edges)
            axes.stairs(draws, scene.edges, baseline=None, color=theme.data, linewidth=1.2)
        draw_title(axes, title, scene)
        keep_outer_labels(axes, left=True, bottom=number + across >= len(panels))
    return layout

"""One point at a few noise levels: the noised point, the denoiser's estimate of x0, and the exact posterior of x0."""

import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Patch

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.axis_names import name_axis
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.panels import checked_cloud, kind_of
from diffuse_cli.plots.point_colors import principal_axes
from diffuse_cli.plots.strips import shortened
from diffuse_cli.plots.style import Theme, default_style, heading, new_figure, settle

MOST_EXPLAINED = 12
_COLUMNS = 4
_SIDES = {1: 4.0, 2: 3.0, 3: 2.6, 4: 2.3}
_SMALL = 8.5
_UPPER, _LOWER = -0.09, -0.24  # heights below a density of height 1 at which x0 and x, and mean and x0_hat, are drawn
_KEY = 1.65  # inches: the width of one entry of the key
_MOST_POINTS = 1500  # of the cloud that are drawn: it is only a background


class Panels(NamedTuple):
    """The points that are drawn at k noise levels, all in model space.

    x0 [d]: the clean point. x [k, d]: the noised point. x0_hat [k, d]: a denoiser's estimate of x0. mean [k, d] and
    covariance [k, d, d]: those of the exact posterior of x0 given x.
    """

    x0: np.ndarray
    x: np.ndarray
    x0_hat: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray


class Density(NamedTuple):
    """Densities of data of one value, at places [m]: of the data [m], and of the posterior of x0 given x [k, m]."""

    places: np.ndarray
    data: np.ndarray
    posterior: np.ndarray


def explanation_figure(
    panels: Panels,
    cloud: np.ndarray,
    *,
    t: np.ndarray,
    log_snr: np.ndarray,
    density: Density | None = None,
    view: str = "points",
    answer: str = "the model's answer",
    exact: str = "exact",
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """A panel for each noise level: the clean point, the noised point, the denoiser's estimate, the exact posterior.

    cloud [n, d]: draws of the data, drawn faintly in the background. The posterior is drawn as its mean and standard
    deviation: in the plane an ellipse, with the view "curves" a curve and a band. Samples of more than two values are
    projected on the first two principal axes of the cloud. Data of one value need `density`, which is drawn too.
    t, log_snr [k]. answer, exact: names of the denoiser's estimate and of the posterior in the key. columns: the names
    of the columns.

    Raises UsageError where shapes do not agree, there are more than 12 panels, `density` is missing or `width` is too
    small, and DiffuseError where no point of the cloud is finite.
    """
    cloud, t, log_snr = checked_cloud(cloud, "cloud"), np.atleast_1d(t), np.atleast_1d(log_snr)
    panels = _checked(panels, cloud.shape[1], len(t))
    kind = kind_of(view, cloud.shape[1])
    if kind == "histogram" and density is None:
        raise UsageError("points on a line are explained by their densities; none was given.")
    columns = columns_of(cloud.shape[1], columns, "model")
    if kind in ("space", "projected"):
        mean, axes = principal_axes(cloud, 2)
        panels, cloud = _projected(panels, mean, axes), (cloud - mean) @ axes
    with default_style(dark=dark, width=width) as theme:
        limits = _limits(kind, panels, cloud)
        figure, grid = _new_panels(len(t), kind, limits, theme)
        for number, axes in enumerate(grid.flat):
            if number >= len(t):
                axes.remove()
                continue
            at = Panels(panels.x0, *(part[number] for part in panels[1:]))
            if kind == "histogram":
                _draw_line(axes, at, density._replace(posterior=density.posterior[number]), theme)
            elif kind == "curves":
                _draw_curves(axes, at, theme)
            else:
                _draw_plane(axes, at, cloud, theme)
            alpha_bar = shortened(1 / (1 + np.exp(-log_snr[number])))
            axes.set_title(f"$t = {t[number]:g}$   " + rf"$\bar\alpha_t = {alpha_bar}$")
            _set_limits(axes, kind, limits)
            if kind != "curves" and not _inside(at.x0_hat, limits):
                _note_outside(axes, answer)
        _name_axes(grid, "projected" if kind == "space" else kind, columns)
        heading(figure, "What can be known of one point", subject)
        _add_legend(figure, _keys(kind, theme, answer, exact))
        return settle(figure)


def _note_outside(axes: Axes, answer: str) -> None:
    look = {"xycoords": "axes fraction", "ha": "center", "va": "top", "fontsize": _SMALL}
    axes.annotate(f"{answer} is outside", (0.5, 0.98), **look)


def _checked(panels: Panels, dim: int, count: int) -> Panels:
    if not 1 <= count <= MOST_EXPLAINED:
        raise UsageError(f"there are {count} noise levels; a figure takes 1 to {MOST_EXPLAINED}.")
    wanted = ((dim,), (count, dim), (count, dim), (count, dim), (count, dim, dim))
    panels = Panels(*(np.asarray(part, float) for part in panels))
    for name, part, shape in zip(Panels._fields, panels, wanted, strict=True):
        if part.shape != shape:
            raise UsageError(f"{name} has shape {part.shape}; for {count} levels of {dim} values it needs {shape}.")
    return panels


def _projected(panels: Panels, mean: np.ndarray, axes: np.ndarray) -> Panels:
    points = [(part - mean) @ axes for part in panels[:-1]]
    return Panels(*points, axes.T @ panels.covariance @ axes)


def _new_panels(count: int, kind: str, limits: np.ndarray, theme: Theme) -> tuple[Figure, np.ndarray]:
    """A figure and its axes [rows, columns], at least `count` of them."""
    rows = math.ceil(count / _COLUMNS)
    columns = math.ceil(count / rows)
    side = _SIDES[columns]
    tall = {"histogram": 0.7, "curves": 0.75}.get(kind, float(np.ptp(limits[1]) / np.ptp(limits[0])))
    figure = new_figure(columns * side + 0.4, rows * (tall * (side - 0.12) + 0.5) + 0.72, theme)
    return figure, figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)


def _limits(kind: str, panels: Panels, cloud: np.ndarray) -> np.ndarray:
    """Limits [2, 2] that hold the data, x and the mean. An x0_hat far away may lie outside; the panel then says so."""
    if kind == "curves":
        held = np.concatenate([panels.x0, panels.x.ravel(), panels.mean.ravel()])
        return np.array([(0.0, 1.0), _padded(held)])
    held = np.concatenate([np.quantile(cloud, [0.002, 0.998], axis=0), panels.x0[None], panels.x, panels.mean])
    if kind == "histogram":
        return np.array([_padded(held[:, 0]), (-0.34, 1.08)])
    limits = np.array([_padded(column) for column in held.T])
    sides = np.ptp(limits, axis=1)
    grow = np.maximum(0.6 * sides.max() - sides, 0)[:, None] / 2
    return limits + grow * np.array([-1, 1])


def _set_limits(axes: Axes, kind: str, limits: np.ndarray) -> None:
    axes.set(xlim=limits[0], ylim=limits[1])
    for axis in {"histogram": "x", "curves": "y"}.get(kind, "xy"):
        axes.locator_params(axis=axis, nbins=5, steps=[1, 2, 5, 10])


def _inside(point: np.ndarray, limits: np.ndarray) -> bool:
    low, high = limits[: len(point)].T
    return bool(((point >= low) & (point <= high)).all())


def _padded(values: np.ndarray) -> tuple[float, float]:
    low, high = values.min(), values.max()
    pad = 0.06 * (high - low) or 0.5
    return low - pad, high + pad


def _looks(theme: Theme) -> dict[str, dict[str, Any]]:
    """The look of each point, in drawing order: the dot fits into the triangle, the square into the circle."""
    hollow = {"markerfacecolor": "none", "markeredgewidth": 1.5, "linestyle": "none"}
    full = {"markeredgewidth": 0, "linestyle": "none"}
    return {
        "x0": hollow | {"marker": "o", "markersize": 9, "color": theme.ink},
        "x": full | {"marker": "s", "markersize": 5, "color": theme.ink},
        "x0_hat": hollow | {"marker": "^", "markersize": 11, "color": theme.model},
        "mean": full | {"marker": "o", "markersize": 5, "color": theme.data},
    }


def _lines(theme: Theme) -> dict[str, dict[str, Any]]:
    """The look of each curve, in drawing order."""
    return {
        "x": {"color": theme.muted, "linewidth": 0.5, "marker": ".", "markersize": 2.5, "alpha": 0.7},
        "x0": {"color": theme.ink, "linewidth": 1.3},
        "x0_hat": {"color": theme.model, "linewidth": 2.2},
        "mean": {"color": theme.data, "linewidth": 1.3, "dashes": (3, 2)},
    }


def _keys(kind: str, theme: Theme, answer: str, exact: str) -> list[Any]:
    """The entries of the key."""
    words = {
        "x0": "clean, $x_0$",
        "x": "noised, $x_t$",
        "x0_hat": f"{answer}, $\\hat x_0$",
        "mean": rf"{exact} mean, $1\sigma$",
    }
    looks = _lines(theme) if kind == "curves" else _looks(theme)
    keys = [Line2D([], [], label=words[name], **looks[name]) for name in words]
    if kind == "histogram":
        keys += [Patch(color=theme.fill, alpha=0.55, linewidth=0, label="density of the data")]
        keys += [Line2D([], [], color=theme.data, linewidth=1.3, label=f"{exact} density of $x_0$ given $x_t$")]
    return keys


def _add_legend(figure: Figure, keys: list[Any]) -> None:
    """Below the panels, in one row if it is wide enough."""
    shapes = (len(keys), math.ceil(len(keys) / 2), 2)
    beside = next((beside for beside in shapes if figure.get_figwidth() > _KEY * beside), 1)
    figure.legend(handles=keys, loc="outside lower center", ncols=beside)


def _name_axes(grid: np.ndarray, kind: str, columns: Columns) -> None:
    """Names and numbers at the outer panels only; the last row may be shorter than the others."""
    names, side = columns.of_axes(kind), _SIDES[grid.shape[1]]
    if kind != "histogram":
        for axes in grid[:, 0]:
            name_axis(axes.yaxis, names[-1], columns.unit(kind), 0.7 * side)
    for column in grid.T:
        lowest = [axes for axes in column if axes.figure is not None][-1]
        if kind == "curves":
            lowest.set_xlabel("u")
        else:
            name_axis(lowest.xaxis, names[0], columns.unit(kind), 0.85 * side)
        lowest.tick_params(labelbottom=True)


def _draw_plane(axes: Axes, at: Panels, cloud: np.ndarray, theme: Theme) -> None:
    shown = (
        cloud if len(cloud) <= _MOST_POINTS else cloud[np.random.default_rng(0).choice(len(cloud), _MOST_POINTS, False)]
    )
    axes.scatter(*shown.T, s=2.5, color=theme.fill, alpha=0.55, zorder=1, rasterized=True)
    axes.plot(*np.stack([at.x0, at.x], axis=1), color=theme.muted, linewidth=0.9, linestyle=(0, (1, 2)), zorder=2)
    axes.plot(*np.stack([at.x, at.x0_hat], axis=1), color=theme.model, linewidth=1.0, zorder=2)
    axes.plot(*np.stack([at.x, at.mean], axis=1), color=theme.data, linewidth=1.0, dashes=(4, 2), zorder=2)
    values, turn = np.linalg.eigh(at.covariance)
    width, height = 2 * np.sqrt(np.maximum(values[::-1], 0))
    angle = np.degrees(np.arctan2(turn[1, -1], turn[0, -1]))
    look = {"edgecolor": theme.data, "linewidth": 1.3, "fill": False, "zorder": 3}
    axes.add_patch(Ellipse(at.mean, width, height, angle=angle, **look))
    for name, look in _looks(theme).items():
        axes.plot(*getattr(at, name)[:, None], zorder=4, **look)
    axes.set_aspect("equal", adjustable="box")


def _draw_line(axes: Axes, at: Panels, density: Density, theme: Theme) -> None:
    """Both densities, each scaled to a fixed height; below them the points, and the mean ± the standard deviation."""
    places, data, posterior = density
    axes.fill_between(places, 0.5 * data / data.max(), color=theme.fill, alpha=0.55, linewidth=0)
    axes.plot(places, posterior / posterior.max(), color=theme.data, linewidth=1.3)
    axes.axhline(0, color=theme.frame, linewidth=0.7)
    std = math.sqrt(max(float(at.covariance[0, 0]), 0))
    axes.plot(at.mean[0] + std * np.array([-1, 1]), [_LOWER, _LOWER], color=theme.data, linewidth=1.3)
    heights = {"x0": _UPPER, "x": _UPPER, "mean": _LOWER, "x0_hat": _LOWER}
    for name, look in _looks(theme).items():
        axes.plot(getattr(at, name), heights[name], **look)
    axes.set_yticks([])
    axes.spines[["left", "right", "top"]].set_visible(False)


def _draw_curves(axes: Axes, at: Panels, theme: Theme) -> None:
    u = np.linspace(0, 1, len(at.x0))
    std = np.sqrt(np.maximum(np.diagonal(at.covariance), 0))
    axes.fill_between(u, at.mean - std, at.mean + std, color=theme.data, alpha=0.22, linewidth=0)
    for name, look in _lines(theme).items():
        axes.plot(u, getattr(at, name), **look)
    axes.set_xticks([0, 1])
    axes.spines[["right", "top"]].set_visible(False)

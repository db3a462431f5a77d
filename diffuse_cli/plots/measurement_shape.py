"""What a measurement says, drawn over points in the plane or over a histogram."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse

from diffuse_cli.plots.background import Background
from diffuse_cli.plots.point_colors import principal_axes
from diffuse_cli.plots.style import Theme

_REACH = 2.0  # standard deviations of the noise on each side
_CONTOURS = (0.135, 0.607)  # of the largest likelihood: e^-2 and e^-1/2, two and one standard deviations of a Gaussian


class MeasuredLine(NamedTuple):
    """A measurement of one direction, normal [d] · x = value, with noise of this standard deviation; 0 if exact."""

    normal: np.ndarray
    value: float
    std: float = 0.0


class MeasuredPoint(NamedTuple):
    """A measurement of each coordinate: the values [2] and the standard deviations [2] of their noise."""

    value: np.ndarray
    std: np.ndarray


class MeasurementShape(NamedTuple):
    """How a measurement is drawn, in data units: lines, a point, or the likelihood p(y | x) on a grid.

    All may be empty. Over one column a line is the place of the value; a point and a likelihood need two.
    """

    lines: Sequence[MeasuredLine] = ()
    point: MeasuredPoint | None = None
    likelihood: Background | None = None

    @property
    def drawn(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.lines) or self.point is not None or self.likelihood is not None


def along(shape: MeasurementShape, posterior: np.ndarray) -> np.ndarray:
    """The direction [2] that a single measured line leaves free, else the widest one of posterior draws [n, 2]; its
    largest entry is positive.

    >>> along(MeasurementShape([MeasuredLine(np.array([2.0, 0.0]), 1.0)]), np.zeros((3, 2))).round(3) + 0.0
    array([0., 1.])
    """
    if len(shape.lines) == 1:
        a, b = np.asarray(shape.lines[0].normal, float)
        direction = np.array([-b, a]) / np.hypot(a, b)
    else:
        direction = principal_axes(posterior, 1)[1][:, 0]
    return direction * np.sign(direction[np.abs(direction).argmax()])


def held_points(shape: MeasurementShape, prior: np.ndarray) -> np.ndarray:
    """Points [k, d] of a measurement that a frame must hold: of each line the one that is nearest to the prior's mean,
    and the circle around a measured point."""
    mean = prior[np.isfinite(prior).all(axis=1)].mean(axis=0)
    points = [np.empty((0, prior.shape[1]))]
    for normal, value, _ in shape.lines:
        normal = np.asarray(normal, float)
        points.append((mean + (value - normal @ mean) / (normal @ normal) * normal)[None])
    if shape.point is not None:
        value, std = (np.asarray(part, float) for part in shape.point)
        points += [(value - _REACH * std)[None], (value + _REACH * std)[None]]
    return np.concatenate(points)


def draw_measurement(axes: Axes, shape: MeasurementShape, theme: Theme) -> None:
    """Draw the measurement: an exact line or a band of 2 std on each side, a point with its circle of 2 std, contours
    of the likelihood. The limits of the axes are final, and stay."""
    limits = axes.get_xlim(), axes.get_ylim()
    for line in shape.lines:
        _draw_line(axes, line, theme)
    if shape.point is not None:
        value, std = (np.asarray(part, float) for part in shape.point)
        size = 2 * _REACH * std
        axes.add_patch(Ellipse(tuple(value), *size, fill=False, edgecolor=theme.ink, linewidth=1.1, zorder=3))
        axes.scatter(*value, s=22, color=theme.ink, edgecolors=theme.paper, linewidths=0.7, zorder=4)
    if shape.likelihood is not None:
        x, y, p = (np.asarray(part, float) for part in shape.likelihood)
        levels = np.array(_CONTOURS) * np.nanmax(p)
        axes.contour(x, y, p.T, levels=levels, colors=theme.ink, linewidths=[0.8, 1.2], zorder=3)
    axes.set(xlim=limits[0], ylim=limits[1])


def _draw_line(axes: Axes, line: MeasuredLine, theme: Theme) -> None:
    normal = np.atleast_1d(np.asarray(line.normal, float))
    length = np.linalg.norm(normal)
    place, half = line.value / length, _REACH * line.std / length
    look = {"color": theme.ink, "linewidth": 1.2, "zorder": 3}
    band = {"color": theme.ink, "alpha": 0.13, "linewidth": 0, "zorder": 2}
    if len(normal) == 1:
        place *= np.sign(normal[0])
        axes.axvline(place, **look)
        axes.axvspan(place - half, place + half, **band)
        return
    unit = normal / length
    free = np.array([-unit[1], unit[0]])
    corners = np.array([(x, y) for x in axes.get_xlim() for y in axes.get_ylim()])
    reach = np.abs(corners @ free).max() * np.array([-1.0, 1.0])  # the line crosses the whole frame
    low, middle, high = (np.outer(reach, free) + (place + step) * unit for step in (-half, 0.0, half))
    axes.plot(*middle.T, **look)
    if half > 0:
        axes.fill(*np.concatenate([low, high[::-1]]).T, **band)

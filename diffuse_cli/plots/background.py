"""A density as the background of a panel: an image in shades from the colour of the paper to a faint grey."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.style import Theme

_STRENGTH = 0.5  # the power of the density that is drawn: its square root, so that tails are visible too


class Background(NamedTuple):
    """A density p [nx, ny] at the centres of cells along x [nx] and y [ny], both evenly spaced."""

    x: np.ndarray
    y: np.ndarray
    p: np.ndarray


def draw_background(axes: Axes, background: Background, theme: Theme, *, strong: bool = False) -> None:
    """Draw a density as an image, the densest cell the darkest, without changing the limits of the axes.

    strong: use a darker shade, for panels in which the density matters as much as what is drawn over it.

    Raises UsageError where shapes do not agree.
    """
    x, y, p = _checked(background)
    shown = (np.nan_to_num(p) / max(np.nanmax(p), 1e-300)) ** _STRENGTH
    limits = axes.get_xlim(), axes.get_ylim()
    haze = LinearSegmentedColormap.from_list("haze", [theme.paper, theme.muted if strong else theme.fill])
    show_cells(axes, x, y, shown, cmap=haze, limits=(0, 1), zorder=0)
    axes.set(xlim=limits[0], ylim=limits[1])


def corners_of(background: Background) -> np.ndarray:
    """Two corners [2, 2] of the box that holds a density but for its tails.

    Raises UsageError where shapes do not agree.
    """
    x, y, p = _checked(background)
    dense = p > 0.05 * np.nanmax(p)
    across, up = x[dense.any(axis=1)], y[dense.any(axis=0)]
    return np.array([[across[0], up[0]], [across[-1], up[-1]]])


def _checked(background: Background) -> Background:
    x, y, p = (np.asarray(part, float) for part in background)
    if p.shape != (len(x), len(y)):
        raise UsageError(f"a background of {len(x)} by {len(y)} cells needs p of that shape, not {p.shape}.")
    return Background(x, y, p)


def show_cells(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    *,
    cmap: Colormap,
    limits: tuple[float, float],
    zorder: float = 1,
) -> None:
    """An image of values [nx, ny] in cells with the centres x [nx] and y [ny]; limits: the values at the two ends of
    the colour map."""
    axes.imshow(
        values.T,
        extent=(*_edges(x), *_edges(y)),
        origin="lower",
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="bilinear",
        aspect=axes.get_aspect(),
        zorder=zorder,
    )


def _edges(middles: np.ndarray) -> tuple[float, float]:
    """The outer edges of evenly spaced cells whose centres are `middles` [n]."""
    half = (middles[-1] - middles[0]) / (len(middles) - 1) / 2
    return middles[0] - half, middles[-1] + half

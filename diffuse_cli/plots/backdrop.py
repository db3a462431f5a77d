"""A density behind what a panel is about: from the paper to a faint shade."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.style import Theme

STRENGTH = 0.5  # the power of the density that is shown: its square root, so that tails are seen too


class Backdrop(NamedTuple):
    """A density p [nx, ny] in the middles of cells along x [nx] and y [ny], each evenly spaced."""

    x: np.ndarray
    y: np.ndarray
    p: np.ndarray


def draw(axes: Axes, backdrop: Backdrop, theme: Theme, *, strong: bool = False) -> None:
    """Draw it as an image, the densest cell the strongest, and leave the limits of the axes as they are.

    strong: it is as much what the panel is about as what is drawn over it.

    Raises UsageError where shapes do not agree.
    """
    x, y, p = (np.asarray(part, float) for part in backdrop)
    if p.shape != (len(x), len(y)):
        raise UsageError(f"a backdrop of {len(x)} by {len(y)} cells needs p of that shape, not {p.shape}.")
    shown = (np.nan_to_num(p) / max(np.nanmax(p), 1e-300)) ** STRENGTH
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(
        shown.T,
        extent=(*edges(x), *edges(y)),
        origin="lower",
        cmap=LinearSegmentedColormap.from_list("haze", [theme.paper, theme.muted if strong else theme.fill]),
        vmin=0,
        vmax=1,
        interpolation="bilinear",
        aspect=axes.get_aspect(),
        zorder=0,
    )
    axes.set(xlim=limits[0], ylim=limits[1])


def edges(middles: np.ndarray) -> tuple[float, float]:
    """The outer edges of evenly spaced cells with these middles [n]."""
    half = (middles[-1] - middles[0]) / (len(middles) - 1) / 2
    return middles[0] - half, middles[-1] + half

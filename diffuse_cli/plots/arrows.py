"""Arrows of a vector field in the plane, whose lengths are bounded, so that a large value does not hide the rest."""

import numpy as np
from matplotlib.axes import Axes

LONGEST = 0.95  # the limit of an arrow's length, as a share of the distance between two arrows
TYPICAL = 0.5  # the length of an arrow where the field has its usual size, as a share of that distance


def draw_arrows(axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, usual: float, color: str) -> None:
    """Draw a field [nx, ny, 2] at the places x [nx] and y [ny]: a vector of the length `usual` is TYPICAL long, and
    longer ones grow ever more slowly."""
    u, v = values[..., 0].T, values[..., 1].T
    apart = min(x[1] - x[0], y[1] - y[0])
    relative = np.hypot(u, v) / max(usual, 1e-12)
    grow = LONGEST / (relative + LONGEST / TYPICAL - 1) / max(usual, 1e-12) * apart
    # In units of the data: an arrow of (a, b) reaches from (x, y) to (x + a, y + b).
    head = {"width": 0.006, "headwidth": 3.4, "headlength": 4, "headaxislength": 3.4}
    look = {"angles": "xy", "scale_units": "xy", "scale": 1, "pivot": "mid", "zorder": 2} | head
    axes.quiver(x, y, u * grow, v * grow, color=color, minlength=0.3, **look)

"""The latent plane of an autoencoder: encodings of the data, their law, and the laws that stand for it."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.density import draw_density, draw_difference, total_variation
from diffuse_cli.plots.layout import arrange, panel_rows
from diffuse_cli.plots.panels import (
    Scene,
    add_panel,
    checked_cloud,
    draw_cloud,
    frame_plane,
    keep_outer_labels,
    make_scene,
)
from diffuse_cli.plots.point_colors import label_keys, point_colors
from diffuse_cli.plots.style import Theme, default_style
from diffuse_cli.plots.trajectories import add_paths

_SIDE = 3.0
_NORMAL = r"prior $\mathcal{N}(0, I)$"


class LatentPlane(NamedTuple):
    """A latent plane as arrays. x [nx], y [ny]: the centres of cells, evenly spaced, in the units of the latents.

    posterior: the aggregate posterior q(z) [nx, ny]. model: p(z) of a diffusion there; None of a VAE alone. paths:
    [k, n, 2] from noise to latents; None likewise.
    """

    x: np.ndarray
    y: np.ndarray
    posterior: np.ndarray
    model: np.ndarray | None = None
    paths: np.ndarray | None = None

    @property
    def prior(self) -> np.ndarray:
        """N(0, I) [nx, ny]."""
        return np.exp(-0.5 * (self.x[:, None] ** 2 + self.y**2)) / (2 * np.pi)


def latent_figure(
    encodings: np.ndarray,
    plane: LatentPlane,
    *,
    color_by: np.ndarray | None = None,
    columns: Columns,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """Panels: the encodings [n, 2]; their law q(z); the prior N and the hole q(z) − N; for a diffusion also p(z), what
    is left of the hole, q(z) − p(z), and paths from noise to latents.

    All densities have one scale of shades. The title of a difference gives the total variation distance. color_by [n]:
    labels, or numbers that give an order, as in `point_colors`.

    Raises UsageError where shapes do not agree or `width` is too small, DiffuseError where no encoding is finite.
    """
    encodings = checked_cloud(encodings, "the encodings")
    shape = len(plane.x), len(plane.y)
    for name, p in (("posterior", plane.posterior), ("model", plane.model)):
        if p is not None and p.shape != shape:
            raise UsageError(f"the density {name} has shape {p.shape}; on these places it needs {shape}.")
    with default_style(dark=dark, width=width) as theme:
        corners = np.array([[plane.x[0], plane.y[0]], [plane.x[-1], plane.y[-1]]])
        scene = make_scene([encodings], reference=encodings, view="points", side=_SIDE, theme=theme, columns=columns)
        scene = scene._replace(limits=corners.T)
        names = ["encodings", "posterior", "prior", "hole"]
        if plane.model is not None:
            names = ["encodings", "posterior", "model", "hole", "left", "paths"]
        across = len(names) // 2
        layout = panel_rows(2, across, scene, theme)
        for number, name in enumerate(names):
            row, column = divmod(number, across)
            axes = add_panel(layout.figure, layout.grid[row, column], scene)
            frame_plane(axes, scene)
            if name == "encodings":
                draw_cloud(axes, encodings, scene, point_colors(encodings, color_by, theme))
                axes.set_title("encodings of the data")
            else:
                _draw(name, axes, plane, scene, theme)
            keep_outer_labels(axes, left=column == 0, bottom=row == 1)
        has_labels = color_by is not None and color_by.dtype.kind != "f"
        return arrange(layout, "Latent plane", subject, label_keys(color_by, theme) if has_labels else [])


def _draw(name: str, axes: Axes, plane: LatentPlane, scene: Scene, theme: Theme) -> None:
    """One of the panels that show densities or paths."""
    q, p = plane.posterior, plane.model
    top = q.max()
    if name == "posterior":
        draw_density(axes, plane.x, plane.y, q, top, theme.data, theme)
        axes.set_title("their law $q(z)$")
    elif name in ("prior", "model"):
        shown = plane.prior if name == "prior" else p
        draw_density(axes, plane.x, plane.y, shown, top, theme.model, theme)
        axes.set_title(_NORMAL if name == "prior" else "$p(z)$ of the diffusion")
    elif name == "paths":
        add_paths(axes, plane.paths, scene)
        axes.set_title(r"noise $\to$ latents")
    else:
        other, words = (plane.prior, r"hole, $\mathcal{N} - q$") if name == "hole" else (p, "left of it, $p - q$")
        draw_difference(axes, plane.x, plane.y, other - q, top, theme)
        axes.set_title(f"{words}: {100 * total_variation(other, q):.2g} % of the mass")

"""Gaussians mixed, a few of them at chosen places: sets of which everything is known in closed form.

std is the standard deviation of each in the units in which their places are given; `scale` then multiplies all.
"""

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, Scale, scaled
from diffuse_cli.datasets.gaussian_mixture import gaussian_mixture

Std = Annotated[float, Meta(gt=0, le=1000)]


def bimodal(
    *,
    distance: Annotated[float, Meta(ge=0, le=1000)] = 4.0,
    std: Std = 0.5,
    weight: Annotated[float, Meta(ge=0, le=1)] = 0.5,
) -> Dataset:
    """p(x) = (1 − weight) N(x; −distance/2, std²) + weight N(x; distance/2, std²).

    The smallest set on which a denoiser has something to decide. `weight` is the share of the right-hand mode, class 1,
    and `std` the standard deviation of either. Draws are [n, 1], data units.
    """
    places = np.array([[-distance / 2], [distance / 2]])
    return gaussian_mixture(places, std**2 * np.eye(1), np.arange(2), np.array([1 - weight, weight]))


def eight_gaussians(
    *, std: Std | None = None, scale: Scale = 1.0, variant: Literal["plain", "ffjord"] = "plain"
) -> Dataset:
    """Eight round Gaussians on a circle of radius 1, (cos 2πi/8, sin 2πi/8), as often one as the other.

    Each is a class, i counting from the right against the clock; std is 0.1 unless said. Draws are [n, 2].
    variant=ffjord is the set of Grathwohl et al. 2019: radius 4 / 1.414, and std an eighth of it.
    """
    own_std, factor = (0.125, 4 / 1.414) if variant == "ffjord" else (0.1, 1.0)
    angle = 2 * np.pi * np.arange(8) / 8
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    made = gaussian_mixture(places, (own_std if std is None else std) ** 2 * np.eye(2), np.arange(8))
    return scaled(made, factor * scale)


def grid_gaussians(*, side: Annotated[int, Meta(ge=2, le=16)] = 5, std: Std = 0.1, scale: Scale = 1.0) -> Dataset:
    """Round Gaussians on a square grid of `side` × `side` places, 1 apart and centred at 0, as often one as the other.

    Each is a class, counted by rows from the lower left. Draws are [n, 2].
    """
    along = np.arange(side) - (side - 1) / 2
    y, x = np.meshgrid(along, along, indexing="ij")
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    return scaled(gaussian_mixture(places, std**2 * np.eye(2), np.arange(side**2)), scale)

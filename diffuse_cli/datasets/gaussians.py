"""Mixtures of a few round Gaussians, whose density, score and posterior have closed forms.

std is the standard deviation of each Gaussian, in the units of their means; `scale` then multiplies all.
"""

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, Scale, named, scaled
from diffuse_cli.datasets.gaussian_mixture import gaussian_mixture

Std = Annotated[float, Meta(gt=0, le=1000)]

_COMPASS = ("east", "north_east", "north", "north_west", "west", "south_west", "south", "south_east")


def bimodal(
    *,
    distance: Annotated[float, Meta(ge=0, le=1000)] = 4.0,
    std: Std = 0.5,
    weight: Annotated[float, Meta(ge=0, le=1)] = 0.5,
) -> Dataset:
    """p(x) = (1 − weight) N(x; −distance/2, std²) + weight N(x; distance/2, std²).

    The smallest dataset on which a denoiser has to choose between modes. `weight` is the share of the right-hand mode,
    class `right`, and `std` the standard deviation of each mode. Draws are [n, 1], data units.

    >>> dataset = bimodal(distance=4.0, std=0.5)
    >>> dataset.standard.scale**2  # (distance / 2)² + std²
    array([4.25])
    """
    places = np.array([[-distance / 2], [distance / 2]])
    mixture = gaussian_mixture(places, std**2 * np.eye(1), np.arange(2), np.array([1 - weight, weight]))
    return named(mixture, "left", "right")


def eight_gaussians(
    *, std: Std | None = None, scale: Scale = 1.0, variant: Literal["plain", "ffjord"] = "plain"
) -> Dataset:
    """Eight round Gaussians of equal weight with means (cos 2πi/8, sin 2πi/8), i = 0, …, 7, on the unit circle.

    Each is a class with label i, named by the compass: `east` (0), `north_east`, `north`, …; std is 0.1 by default.
    Draws are [n, 2]. variant=ffjord is the dataset of Grathwohl et al. 2019: radius 4 / 1.414, and std an eighth of the
    radius.

    >>> points, labels = eight_gaussians().classes.draw(np.random.default_rng(0), 10_000)
    >>> points[labels == 2].mean(axis=0).round(1) + 0.0
    array([0., 1.])
    """
    default_std, factor = (0.125, 4 / 1.414) if variant == "ffjord" else (0.1, 1.0)
    angle = 2 * np.pi * np.arange(8) / 8
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    mixture = gaussian_mixture(places, (default_std if std is None else std) ** 2 * np.eye(2), np.arange(8))
    return named(scaled(mixture, factor * scale), *_COMPASS)


def overlap(*, std: Std = 0.5, scale: Scale = 1.0) -> Dataset:
    """Six round Gaussians along a zigzag, in two classes that overlap: means (−2.5 + i, (−1)ⁱ / 2), i = 0, …, 5.

    The means above, i = 0, 2, 4, are those of the class `upper` (0), the means below of `lower` (1). At the default std
    the best classifier is right about 88 % of the time, so that the laws ∝ p(x|c)^w p(x)^(1−w) differ visibly from
    p(x|c). Draws are [n, 2].

    >>> points, labels = overlap(std=0.1).classes.draw(np.random.default_rng(0), 1000)
    >>> bool(((points[:, 1] > 0) == (labels == 0)).all())
    True
    """
    i = np.arange(6)
    places = np.stack([i - 2.5, np.where(i % 2 == 0, 0.5, -0.5)], axis=1)
    return named(scaled(gaussian_mixture(places, std**2 * np.eye(2), i % 2), scale), "upper", "lower")


def grid_gaussians(
    *,
    side: Annotated[int, Meta(ge=2, le=16)] = 5,
    dim: Annotated[int, Meta(ge=2, le=1024)] = 2,
    std: Std = 0.1,
    scale: Scale = 1.0,
    uneven: Annotated[int, Meta(ge=0)] | None = None,
) -> Dataset:
    """Round Gaussians on a square grid of `side` × `side` means, 1 apart, centred at 0, of equal weight.

    Each is a class, counted by rows from the lower left. Draws are [n, dim]; in more than two columns a mean repeats
    its pair (x, y, x, y, …), which makes the least problem of its kind with many columns. uneven: a seed; the weights
    are then squares of normal numbers. With side=5, std=0.125, scale=8 and uneven this is the prior of Cardoso et al.
    2023 (section 4): 25 Gaussians of variance 1 with means (8i, 8j, 8i, 8j, …), i, j = −2, …, 2.

    >>> grid_gaussians(side=2).classes.shares
    array([0.25, 0.25, 0.25, 0.25])
    >>> grid_gaussians(side=2, dim=5).draw(np.random.default_rng(0), 3).shape
    (3, 5)
    """
    along = np.arange(side) - (side - 1) / 2
    y, x = np.meshgrid(along, along, indexing="ij")
    places = np.resize(np.stack([x.ravel(), y.ravel()]), (dim, side**2)).T
    weights = None
    if uneven is not None:
        squares = np.random.default_rng(uneven).standard_normal(side**2) ** 2
        weights = squares / squares.sum()
    return scaled(gaussian_mixture(places, std**2 * np.eye(dim), np.arange(side**2), weights), scale)

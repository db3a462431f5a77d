"""Two Gaussians on a line: the smallest set on which a denoiser has something to decide."""

from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.data.dataset import Dataset, Standardiser


def bimodal(
    *,
    distance: Annotated[float, Meta(ge=0, le=1000)] = 4.0,
    std: Annotated[float, Meta(gt=0, le=1000)] = 0.5,
    weight: Annotated[float, Meta(ge=0, le=1)] = 0.5,
) -> Dataset:
    """p(x) = (1 − weight) N(x; −distance/2, std²) + weight N(x; distance/2, std²).

    `weight` is the share of the right-hand mode, `std` the standard deviation of either. Draws are [n, 1], data units.
    """
    mean = (weight - 0.5) * distance
    variance = std**2 + weight * (1 - weight) * distance**2

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        side = np.where(rng.random((n, 1)) < weight, 0.5, -0.5)
        return side * distance + std * rng.standard_normal((n, 1))

    standard = Standardiser(np.array([mean]), np.array([np.sqrt(variance)]))

    def density():
        from diffuse_cli.diffusion import exact

        modes = standard.to_model(np.array([[-distance / 2], [distance / 2]]))
        return exact.mixture(modes, std / standard.scale[0], np.array([1 - weight, weight]))

    return Dataset(draw, 1, standard, exact=density)

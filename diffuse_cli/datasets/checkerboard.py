"""The dark squares of a checkerboard."""

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, Scale, Standardiser, scaled
from diffuse_cli.datasets.noisy_curve import Noise

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law


def checkerboard(
    *,
    squares: Annotated[int, Meta(ge=2, le=16)] = 4,
    noise: Noise = 0.0,
    scale: Scale = 1.0,
    variant: Literal["plain", "ffjord"] = "plain",
) -> Dataset:
    """Uniform on the dark squares of a board of `squares` × `squares`, of which the one at the lower left is dark.

    A square has side 1 and the board is centred at 0; then noise · ξ, ξ ~ N(0, I), is added in the same units, and all
    is multiplied by `scale`. Draws are [n, 2]. variant=ffjord is the dataset of Grathwohl et al. 2019: squares of
    side 2.

    >>> row, column = np.floor(checkerboard().draw(np.random.default_rng(0), 1000)).T
    >>> bool(((row + column) % 2 == 0).all())
    True
    """
    row, column = np.nonzero(np.add.outer(np.arange(squares), np.arange(squares)) % 2 == 0)
    corners = np.stack([column, row], axis=1) - squares / 2

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return corners[rng.integers(len(corners), size=n)] + rng.random((n, 2)) + noise * rng.standard_normal((n, 2))

    standard = Standardiser(corners.mean(axis=0) + 0.5, np.sqrt(corners.var(axis=0) + 1 / 12 + noise**2))

    def density() -> "Law":
        from diffuse_cli.diffusion import exact

        return exact.boxes(standard.to_model(corners), standard.to_model(corners + 1), noise / standard.scale[0])

    return scaled(Dataset(draw, 2, standard, exact=density), (2.0 if variant == "ffjord" else 1.0) * scale)

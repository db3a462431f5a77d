"""A fractal tree: each branch carries two smaller ones."""

import itertools
from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, Scale, named, scaled
from diffuse_cli.datasets.gaussian_mixture import gaussian_mixture

_PIECES = 4  # Gaussians along a branch; the standard deviation of each is half of its piece, for an even sum


def tree(
    *,
    depth: Annotated[int, Meta(ge=1, le=8)] = 5,
    angle: Annotated[float, Meta(ge=0, le=120)] = 35.0,
    ratio: Annotated[float, Meta(ge=0.4, le=0.9)] = 0.7,
    std: Annotated[float, Meta(ge=0.005, le=1)] = 0.06,
    scale: Scale = 1.0,
) -> Dataset:
    """A binary tree with `depth` levels of branches; the trunk has length 1 and ends in two branches, as each branch.

    A branch is turned by ±`angle` degrees against its parent, and `ratio` times as long and as thick; the thickness of
    the trunk is the standard deviation `std`. A branch is a row of four Gaussians, and its share of the points is
    proportional to its length times its thickness, so that all branches are equally dense. `scale` multiplies all.
    Draws are [n, 2].

    The classes are the left (0) and the right (1) half of the tree; a point of the trunk is of either with probability
    one half.

    >>> points, labels = tree(angle=60.0).classes.draw(np.random.default_rng(0), 10_000)
    >>> bool(points[labels == 0, 0].mean() < 0 < points[labels == 1, 0].mean())
    True
    """
    turn = np.radians(angle)
    top = np.array([0.0, 1.0])
    half = [(np.zeros(2), 0.0, 1.0), *_bough(top, turn, ratio, ratio, turn, depth - 1)]
    starts, headings, sizes = (np.array(column) for column in zip(*half, strict=True))
    along = np.stack([np.sin(headings), np.cos(headings)], axis=1)
    across = np.stack([along[:, 1], -along[:, 0]], axis=1)
    reach = (np.arange(_PIECES) + 0.5) / _PIECES
    means = (starts[:, None] + reach[:, None] * (sizes[:, None] * along)[:, None]).reshape(-1, 2)
    spread = np.stack([along / (2 * _PIECES), std * across], axis=2) * sizes[:, None, None]
    covariances = np.repeat(spread @ spread.transpose(0, 2, 1), _PIECES, axis=0)
    areas = sizes**2
    areas[0] /= 2  # the halves share the trunk
    weights = np.repeat(areas, _PIECES)
    mirror = np.array([-1.0, 1.0])
    mixture = gaussian_mixture(
        np.concatenate([means * mirror, means]),
        np.concatenate([covariances * np.outer(mirror, mirror), covariances]),
        np.repeat([0, 1], len(means)),
        np.tile(weights, 2) / (2 * weights.sum()),
    )
    return named(scaled(mixture, scale), "left", "right")


Branch = tuple[np.ndarray, float, float]  # its start [2], its angle from the vertical in radians, its length


def _bough(start: np.ndarray, heading: float, size: float, ratio: float, turn: float, more: int) -> list[Branch]:
    """A branch, and `more` levels of branches on it."""
    end = start + size * np.array([np.sin(heading), np.cos(heading)])
    smaller = [_bough(end, heading + side, size * ratio, ratio, turn, more - 1) for side in (-turn, turn) if more]
    return [(start, heading, size), *itertools.chain(*smaller)]

"""Several sets in one plane, each with its own label."""

import re
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Dataset, Scale, named, numbered, scaled
from diffuse_cli.datasets.gaussian_mixture import gaussian_mixture
from diffuse_cli.errors import UsageError

_MOST = 16
_IN_A_ROW = 3  # as many sets, or fewer, stand side by side; more form a square
_SIDE = 2.0  # of the square into which each set fits
_OUTSIDE = 0.002  # the share of a set that may lie beyond each side of its square
_PLUS = re.compile(r"\+(?=\s*[A-Za-z])")  # between two names, and not in a number like 1e+3


class _Shape(NamedTuple):
    """A set as a mixture of k Gaussians in its square about 0, and where it comes from: x -> (x − middle) · factor."""

    dataset: Dataset
    means: np.ndarray
    covariances: np.ndarray
    weights: np.ndarray
    narrowest: float
    middle: np.ndarray
    factor: float


def shapes(
    *,
    sets: str = "moons+swiss_roll+heart",
    gap: Annotated[float, Meta(ge=0, le=10)] = 0.5,
    scale: Scale = 1.0,
) -> Dataset:
    """Other sets of the plane, equally large and equally often, one label each: `shapes:moons+swiss_roll+heart`.

    Each set is moved and scaled so that it just fits into a square of side 2 (but for 0.2 % of its points beyond a
    side). Up to three squares stand side by side, and more in rows and columns, read from the upper left; `gap` is
    between neighbours, the middle is at 0, and `scale` then multiplies all. Draws are [n, 2].

    sets: the names of the sets with + between them; they are the names of the labels too, of two equal ones the second
    is numbered. A set may have options: `shapes:moons:noise=0.2+heart`; if there is a comma, the whole stands in double
    quotes. It must be a Gaussian mixture, as all sets of the plane are that have no edges.

    Raises UsageError for fewer than two sets or more than 16, and for a set that is unknown or has no such law.

    >>> dataset = shapes(sets="heart+line:noise=0.1+heart")
    >>> dataset.classes.names
    ('heart', 'line', 'heart2')
    >>> points, labels = dataset.classes.draw(np.random.default_rng(0), 1000)
    >>> bool((points[labels == 2, 0] > 1).all())
    True
    """
    texts = [text.strip() for text in _PLUS.split(sets)]
    if not 2 <= len(texts) <= _MOST:
        raise UsageError(f"dataset shapes: {sets!r} names {len(texts)} set(s); give 2 to {_MOST}, like moons+heart")
    parts = [_shape(text) for text in texts]
    places = _places(len(parts)) * (_SIDE + gap)

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(len(parts), size=n)
        points = np.empty((n, 2))
        for label, (part, place) in enumerate(zip(parts, places, strict=True)):
            chosen = np.flatnonzero(labels == label)
            if len(chosen):
                points[chosen] = place + part.factor * (part.dataset.draw(rng, len(chosen)) - part.middle)
        return points, labels

    mixture = gaussian_mixture(
        np.concatenate([part.means + place for part, place in zip(parts, places, strict=True)]),
        np.concatenate([part.covariances for part in parts]),
        np.repeat(np.arange(len(parts)), [len(part.means) for part in parts]),
        np.concatenate([part.weights for part in parts]) / len(parts),
        draw,
        narrowest=min(part.narrowest for part in parts),
    )
    return named(scaled(mixture, scale), *numbered([catalog.parse("dataset", text).name for text in texts]))


def _shape(text: str) -> _Shape:
    """A set, and the square that it fits into."""
    choice = catalog.parse("dataset", text)
    if choice.own or choice.name in ("file", "image", "shapes"):
        raise UsageError(f"dataset shapes: {choice.name} is not one of the built-in sets that it puts side by side")
    dataset = catalog.build("dataset", text, trust=False)
    if dataset.dim != 2:
        raise UsageError(f"dataset shapes: {text} has {dataset.dim} columns, and a set in the plane has two")
    gaussians = dataset.exact().gaussians
    if gaussians is None:
        raise UsageError(
            f"dataset shapes: {text} has edges, so that it is no Gaussian mixture, which a set must be here"
        )
    means, covariances, weights, narrowest = gaussians()
    mean, unit = dataset.standard
    low, high = (mean + unit * end for end in _reach(means, weights))
    factor, middle = _SIDE / (high - low).max(), (low + high) / 2
    return _Shape(
        dataset,
        factor * (mean + unit * means - middle),
        np.broadcast_to(covariances, (len(means), 2, 2)) * (factor * unit[0]) ** 2,
        weights,
        factor * unit[0] * narrowest,
        middle,
        factor,
    )


def _reach(means: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """The lower and the upper ends [2] of the means, but for a small share of the weights beyond each."""
    order = np.argsort(means, axis=0)
    below = np.cumsum(weights[order], axis=0)
    ends = [(below > _OUTSIDE).argmax(axis=0), (below >= 1 - _OUTSIDE).argmax(axis=0)]
    return [np.array([means[order[end[axis], axis], axis] for axis in range(2)]) for end in ends]


def _places(count: int) -> np.ndarray:
    """The middles [count, 2] of so many squares of side 1, row by row from the upper left, about 0."""
    columns = count if count <= _IN_A_ROW else int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    row, column = np.divmod(np.arange(count), columns)
    return np.stack([column - (columns - 1) / 2, (rows - 1) / 2 - row], axis=1)

"""Scenes: small and big shapes at places in the plane, with words for each, and the exact law of every sentence."""

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from diffuse_cli.datasets.dataset import Dataset, Scale, Standardiser, scaled, standardise
from diffuse_cli.datasets.given import Given
from diffuse_cli.datasets.noisy_curve import Curve, Noise, close_nodes

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law

_PLACES = {"left": (-2.5, 0.0), "right": (2.5, 0.0), "top": (0.0, 2.5), "bottom": (0.0, -2.5)}
_SIZES = {"small": 0.5, "big": 1.0}


def _moon(u: np.ndarray) -> np.ndarray:
    """The upper half of a circle, its middle at the centre."""
    return np.stack([np.cos(np.pi * u), np.sin(np.pi * u) - 0.5], axis=1)


def _ring(u: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(2 * np.pi * u), np.sin(2 * np.pi * u)], axis=1)


def _square(u: np.ndarray) -> np.ndarray:
    """The outline of a square of side 1.6, from one corner around to it."""
    corners = 0.8 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    side = np.minimum((4 * u).astype(int), 3)
    along = (4 * u - side)[:, None]
    return (1 - along) * corners[side] + along * corners[side + 1]


def _line(u: np.ndarray) -> np.ndarray:
    """A diagonal of length 2."""
    return np.stack([2 * u - 1, 2 * u - 1], axis=1) / np.sqrt(2)


_SHAPES: dict[str, Curve] = {"moon": _moon, "ring": _ring, "square": _square, "line": _line}
_WORDS = (*_PLACES, *_SIZES, *_SHAPES)
_COUNTS = (len(_PLACES), len(_SIZES), len(_SHAPES))
_UNSAID = -1
_STARTS = np.cumsum([0, *_COUNTS[:-1]])
_NO_WORDS = np.full(3, _UNSAID)
_NAMES = tuple(_SHAPES)
_PIECES = {"square": 4}  # between corners, where an outline is smooth


def scenes(*, noise: Noise = 0.1, scale: Scale = 1.0) -> Dataset:
    """A shape, small or big, at a place: moon, ring, square or line; left, right, top or bottom.

    All 32 are as likely. A point is centre + size · c(u) + noise ξ, c(u) on the outline of the shape, u ~ U[0, 1], ξ ~
    N(0, I). The three words of its place, size and shape are given with it. A sentence says some of them: the law of
    the points of which it is true, p(x | words), is the mixture of all scenes with these words, in equal shares, since
    training says each word as often whatever the scene (`diffusion.conditions.drop`). Draws are [n, 2], times `scale`.

    >>> points, words = scenes().given.draw(np.random.default_rng(0), 1000)
    >>> bool((points[words[:, 0] == 0][:, 0] < 0).all())  # word 0 is left
    True
    """
    cells = {scene: _outline(scene, noise) for scene in np.ndindex(*_COUNTS)}
    every = _mixture(list(cells.values()))
    bare = standardise(every.points, per_column=False, weights=every.weights)
    standard = Standardiser(bare.mean, np.hypot(bare.scale, noise))

    def law_of(words: np.ndarray) -> "Law":
        from diffuse_cli.diffusion import exact

        means = _mixture([cells[scene] for scene in _true_of(words)])
        return exact.mixture(standard.to_model(means.points), noise / standard.scale[0], means.weights)

    def draw_of(rng: np.random.Generator, n: int, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scenes = np.array(_true_of(words))[rng.integers(len(_true_of(words)), size=n)]
        points, u = np.empty((n, 2)), rng.random(n)
        for scene in np.unique(scenes, axis=0):
            rows = (scenes == scene).all(axis=1)
            points[rows] = _placed(u[rows], *scene.tolist())
        return points + noise * rng.standard_normal((n, 2)), scenes + _STARTS

    given = Given(
        _WORDS,
        lambda rng, n: draw_of(rng, n, _NO_WORDS),
        exact=law_of,
        draw_at=lambda rng, n, words: draw_of(rng, n, words)[0],
        places=_COUNTS,
    )
    whole = Dataset(
        lambda rng, n: draw_of(rng, n, _NO_WORDS)[0], 2, standard, exact=lambda: law_of(_NO_WORDS), given=given
    )
    return scaled(whole, scale)


class _Nodes(NamedTuple):
    """Points [k, 2] with weights [k]: a quadrature along outlines."""

    points: np.ndarray
    weights: np.ndarray


def _true_of(words: np.ndarray) -> list[tuple[int, ...]]:
    """The scenes, each as the places of its words among those of their kind, that have all these words [3]."""
    return [
        scene
        for scene in np.ndindex(*_COUNTS)
        if all(word in (_UNSAID, number + start) for word, number, start in zip(words, scene, _STARTS, strict=True))
    ]


def _placed(u: np.ndarray, place: int, size: int, shape: int) -> np.ndarray:
    """The outline of a scene at u [n]."""
    curve, factor = list(_SHAPES.values())[shape], list(_SIZES.values())[size]
    return np.array(list(_PLACES.values())[place]) + factor * curve(u)


def _outline(scene: tuple[int, ...], noise: float) -> _Nodes:
    """Nodes that are so close that the scene is their mixture with noise, but for rounding."""
    place, size, shape = scene
    alone = Standardiser(np.zeros(2), np.ones(2))
    along = partial(_placed, place=place, size=size, shape=shape)
    u, weights = close_nodes(along, (0.0, 1.0), noise, alone, _PIECES.get(_NAMES[shape], 1))
    return _Nodes(along(u), weights)


def _mixture(parts: list[_Nodes]) -> _Nodes:
    """All of these in equal shares."""
    points, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
    return _Nodes(points, weights / len(parts))

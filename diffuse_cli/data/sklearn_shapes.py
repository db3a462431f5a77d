"""The shapes that scikit-learn draws. It is imported where one is built, since that takes longer than the drawing."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.data.dataset import Dataset, Standardiser, law
from diffuse_cli.data.noisy_curve import Noise, curve_density, noisy_curve

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Density

VERTICES = (1 << 14) + 1


def moons(*, noise: Noise = 0.05) -> Dataset:
    """Two interleaved half circles of radius 1, half of the points on each: scikit-learn's `make_moons`.

    (cos t, sin t) and (1 − cos t, ½ − sin t), t ~ U[0, π], plus noise ξ, ξ ~ N(0, I). Draws are [n, 2]; noise is a
    standard deviation in data units.
    """
    from sklearn.datasets import make_moons

    outline, _ = make_moons(n_samples=(VERTICES, VERTICES), shuffle=False)
    return noisy_curve(_along(outline[:VERTICES], outline[VERTICES:]), (0.0, 2.0), noise)


def circles(*, noise: Noise = 0.05, factor: Annotated[float, Meta(ge=0, lt=1)] = 0.5) -> Dataset:
    """A circle of radius `factor` inside one of radius 1, half of the points on each: scikit-learn's `make_circles`.

    R (cos t, sin t), R = 1 or `factor`, t ~ U[0, 2π], plus noise ξ, ξ ~ N(0, I). Draws are [n, 2]; noise is a standard
    deviation in data units.
    """
    from sklearn.datasets import make_circles

    outline, _ = make_circles(n_samples=(VERTICES, VERTICES), shuffle=False, factor=factor)
    outer, inner = outline[:VERTICES], outline[VERTICES:]  # each stops one vertex short of where it began
    return noisy_curve(_along(np.vstack([outer, outer[:1]]), np.vstack([inner, inner[:1]])), (0.0, 2.0), noise)


def swiss_roll(*, noise: Noise = 0.5, dim: Literal[2, 3] = 2) -> Dataset:
    """A rolled-up strip, scikit-learn's `make_swiss_roll`.

    (t cos t, y, t sin t), t ~ U[1.5π, 4.5π], y ~ U[0, 21], plus noise ξ, ξ ~ N(0, I).

    dim=2 is the roll seen from its side, the first and third coordinates. Draws are [n, dim], the radius running from
    4.7 to 14.1 and neighbouring turns 2π apart; noise is a standard deviation in these units.
    """
    from sklearn.datasets import make_swiss_roll

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return _seen(make_swiss_roll(n, noise=noise, random_state=np.random.RandomState(rng.bit_generator))[0], dim)

    def spiral(u: np.ndarray) -> np.ndarray:
        t = 1.5 * np.pi * (1 + 2 * u)
        return np.stack([t * np.cos(t), t * np.sin(t)], axis=1)

    return _strip(draw, spiral, (0.0, 1.0), 21.0, noise)


def s_curve(*, noise: Noise = 0.05, dim: Literal[2, 3] = 2) -> Dataset:
    """A strip bent like an S, scikit-learn's `make_s_curve`.

    (sin t, y, sign(t) (cos t − 1)), t ~ U[−1.5π, 1.5π], y ~ U[0, 2], plus noise ξ, ξ ~ N(0, I).

    dim=2 is the strip seen from its side, the first and third coordinates: two three-quarter circles of radius 1. Draws
    are [n, dim]; noise is a standard deviation in data units.
    """
    from sklearn.datasets import make_s_curve

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return _seen(make_s_curve(n, noise=noise, random_state=np.random.RandomState(rng.bit_generator))[0], dim)

    def bend(t: np.ndarray) -> np.ndarray:
        return np.stack([np.sin(t), np.sign(t) * (np.cos(t) - 1)], axis=1)

    return _strip(draw, bend, (-1.5 * np.pi, 1.5 * np.pi), 2.0, noise)


def _strip(
    draw: Callable[[np.random.Generator, int], np.ndarray],
    c: Callable[[np.ndarray], np.ndarray],
    interval: tuple[float, float],
    width: float,
    noise: float,
) -> Dataset:
    """A strip over the curve c, or only its side view: in 3-D the second column is uniform on [0, width] on its own."""
    made = law(draw)

    def density() -> "Density":
        from diffuse_cli.diffusion import exact

        mean, scale = made.standard
        side = [0, 2] if made.dim == 3 else [0, 1]
        curve = curve_density(c, interval, noise, Standardiser(mean[side], scale[side]))
        if made.dim == 2:
            return curve
        ends = (np.array([[end]]) for end in ((0.0 - mean[1]) / scale[1], (width - mean[1]) / scale[1]))
        return exact.product([(side, curve), ([1], exact.boxes(*ends, noise / scale[1]))])

    return made._replace(exact=density)


def _seen(points: np.ndarray, dim: int) -> np.ndarray:
    return points if dim == 3 else points[:, [0, 2]]


def _along(first: np.ndarray, second: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """c(u) running along `first` for u in [0, 1) and along `second` for u in [1, 2]; both are outlines [vertices, 2].

    scikit-learn sets its moons and circles at equal steps, not at random, so two of its draws resemble each other more
    than independent ones can. Its outline at many vertices, joined by straight lines, lets u be drawn independently;
    the lines stray from the arcs by less than 2e-8.
    """
    outlines = np.stack([first, second])
    segments = outlines.shape[1] - 1

    def c(u: np.ndarray) -> np.ndarray:
        which = (u >= 1).astype(int)
        place = (u - which) * segments
        left = np.minimum(place.astype(int), segments - 1)
        share = (place - left)[:, None]
        return (1 - share) * outlines[which, left] + share * outlines[which, left + 1]

    return c

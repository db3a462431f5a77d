"""Curves in the plane, each given by a closed formula, with round noise.

Every dataset is scale · (c(u) + noise ξ), u uniform on the given interval, ξ ~ N(0, I). Draws are [n, 2]; noise is a
standard deviation in the units of c, which are those of the data where scale is 1. Points are uniform in u, so they are
denser where the curve is traversed slowly.
"""

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, Scale, named, scaled
from diffuse_cli.datasets.noisy_curve import Noise, noisy_curve

_TURN = (0.0, 2 * np.pi)

_Count = Annotated[int, Meta(ge=1, le=32)]
_Degrees = Annotated[float, Meta(ge=-360, le=360)]


def line(*, noise: Noise = 0.05, angle: _Degrees = 30.0, scale: Scale = 1.0) -> Dataset:
    """A straight segment of length 2: c(u) = u (cos φ, sin φ), u in [−1, 1]. `angle` is φ in degrees.

    >>> x, y = line(noise=0.0, angle=45.0).draw(np.random.default_rng(0), 100).T
    >>> bool(np.allclose(x, y))
    True
    """
    direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])

    def c(u):
        return u[:, None] * direction

    return scaled(noisy_curve(c, (-1.0, 1.0), noise), scale)


def sine(*, noise: Noise = 0.05, waves: Annotated[float, Meta(gt=0, le=32)] = 2.0, scale: Scale = 1.0) -> Dataset:
    """A sine wave: c(u) = (u, sin(waves · u)), u in [−π, π]. `waves` is the number of periods.

    >>> x, y = sine(noise=0.0, waves=3.0).draw(np.random.default_rng(0), 100).T
    >>> bool(np.allclose(y, np.sin(3 * x)))
    True
    """

    def c(u):
        return np.stack([u, np.sin(waves * u)], axis=1)

    return scaled(noisy_curve(c, (-np.pi, np.pi), noise), scale)


def lissajous(
    *, noise: Noise = 0.03, a: _Count = 3, b: _Count = 2, phase: _Degrees = 90.0, scale: Scale = 1.0
) -> Dataset:
    """A Lissajous figure: c(u) = (sin(a u + δ), sin(b u)), u in [0, 2π]. `phase` is δ in degrees.

    >>> circle = lissajous(noise=0.0, a=1, b=1, phase=90.0).draw(np.random.default_rng(0), 100)
    >>> bool(np.allclose(np.linalg.norm(circle, axis=1), 1))
    True
    """
    delta = np.radians(phase)

    def c(u):
        return np.stack([np.sin(a * u + delta), np.sin(b * u)], axis=1)

    return scaled(noisy_curve(c, _TURN, noise), scale)


def rose(*, noise: Noise = 0.03, petals: _Count = 5, scale: Scale = 1.0) -> Dataset:
    """A rose: c(u) = r (cos u, sin u), r = |cos(petals · u / 2)|, u in [π / petals, π / petals + 2π].

    With the absolute value any number of petals is possible, all of equal width; for a multiple of 4 this is the
    classical rose r = cos(k u) with k = petals / 2. The petals are the classes, counted counterclockwise; the last one
    points to the right.

    >>> points, labels = rose(noise=0.0, petals=4).classes.draw(np.random.default_rng(0), 1000)
    >>> bool((points[labels == 3, 0] > 0).all())
    True
    """

    def c(u):
        r = np.abs(np.cos(petals * u / 2))
        return np.stack([r * np.cos(u), r * np.sin(u)], axis=1)

    between = np.pi / petals
    return scaled(noisy_curve(c, (between, between + 2 * np.pi), noise, pieces=petals), scale)


def heart(*, noise: Noise = 0.03, scale: Scale = 1.0) -> Dataset:
    """A heart of width 2: c(u) = (16 sin³ u, 13 cos u − 5 cos 2u − 2 cos 3u − cos 4u) / 16, u in [0, 2π].

    >>> x, y = heart(noise=0.0).draw(np.random.default_rng(0), 10_000).T
    >>> print(f"{x.min():.2f} to {x.max():.2f}")
    -1.00 to 1.00
    """

    def c(u):
        x = 16 * np.sin(u) ** 3
        y = 13 * np.cos(u) - 5 * np.cos(2 * u) - 2 * np.cos(3 * u) - np.cos(4 * u)
        return np.stack([x, y], axis=1) / 16

    return scaled(noisy_curve(c, _TURN, noise), scale)


def trefoil(*, noise: Noise = 0.1, scale: Scale = 1.0) -> Dataset:
    """The projection of a trefoil knot, radius 3: c(u) = (sin u + 2 sin 2u, cos u − 2 cos 2u), u in [0, 2π].

    >>> points = trefoil(noise=0.0).draw(np.random.default_rng(0), 10_000)
    >>> print(f"{np.linalg.norm(points, axis=1).max():.2f}")
    3.00
    """

    def c(u):
        return np.stack([np.sin(u) + 2 * np.sin(2 * u), np.cos(u) - 2 * np.cos(2 * u)], axis=1)

    return scaled(noisy_curve(c, _TURN, noise), scale)


def rings(*, noise: Noise | None = None, scale: Scale = 1.0, variant: Literal["plain", "ffjord"] = "plain") -> Dataset:
    """Four concentric circles, a quarter of the points on each; they are the classes `innermost`, `inner`, `outer` and
    `outermost`:

        c(u) = R (cos 2πu, sin 2πu), R = (1 + ⌊u⌋) / 4, u in [0, 4]

    noise is 0.02 by default. variant=ffjord is the dataset of Grathwohl et al. 2019, three times as large and with
    noise 0.08 / 3, which is 0.08 after scaling; angles are drawn at random and are not on a grid.

    >>> points, labels = rings(noise=0.0).classes.draw(np.random.default_rng(0), 100)
    >>> bool(np.allclose(np.linalg.norm(points, axis=1), (1 + labels) / 4))
    True
    """

    def c(u):
        radius = (1 + np.minimum(np.floor(u), 3)) / 4
        return radius[:, None] * np.stack([np.cos(2 * np.pi * u), np.sin(2 * np.pi * u)], axis=1)

    default_noise, factor = (0.08 / 3, 3.0) if variant == "ffjord" else (0.02, 1.0)
    bare = noisy_curve(c, (0.0, 4.0), default_noise if noise is None else noise, pieces=4)
    return named(scaled(bare, factor * scale), "innermost", "inner", "outer", "outermost")

"""Curves in the plane, one closed formula each, with round noise about them.

Every set is c(u) + noise ξ, u uniform on the interval given, ξ ~ N(0, I): draws are [n, 2], noise is a standard
deviation in data units. Points are uniform in u, so they lie thicker where the curve is traversed slowly.
"""

from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.data.dataset import Dataset
from diffuse_cli.data.noisy_curve import Noise, noisy_curve

TURN = (0.0, 2 * np.pi)

Count = Annotated[int, Meta(ge=1, le=32)]
Degrees = Annotated[float, Meta(ge=-360, le=360)]


def line(*, noise: Noise = 0.05, angle: Degrees = 30.0) -> Dataset:
    """A straight segment of length 2: c(u) = u (cos φ, sin φ), u in [−1, 1]. `angle` is φ in degrees."""
    direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])

    def c(u):
        return u[:, None] * direction

    return noisy_curve(c, (-1.0, 1.0), noise)


def sine(*, noise: Noise = 0.05, waves: Annotated[float, Meta(gt=0, le=32)] = 2.0) -> Dataset:
    """A sine wave: c(u) = (u, sin(waves · u)), u in [−π, π]. `waves` is how many periods are seen."""

    def c(u):
        return np.stack([u, np.sin(waves * u)], axis=1)

    return noisy_curve(c, (-np.pi, np.pi), noise)


def lissajous(*, noise: Noise = 0.03, a: Count = 3, b: Count = 2, phase: Degrees = 90.0) -> Dataset:
    """A Lissajous figure: c(u) = (sin(a u + δ), sin(b u)), u in [0, 2π]. `phase` is δ in degrees."""
    delta = np.radians(phase)

    def c(u):
        return np.stack([np.sin(a * u + delta), np.sin(b * u)], axis=1)

    return noisy_curve(c, TURN, noise)


def rose(*, noise: Noise = 0.03, petals: Count = 5) -> Dataset:
    """A rose: c(u) = r (cos u, sin u), r = |cos(petals · u / 2)|, u in [0, 2π].

    The modulus gives any number of petals, each as wide as the next; for a multiple of 4 it changes nothing, and this
    is the classical rose r = cos(k u) with k = petals / 2.
    """

    def c(u):
        r = np.abs(np.cos(petals * u / 2))
        return np.stack([r * np.cos(u), r * np.sin(u)], axis=1)

    return noisy_curve(c, TURN, noise)


def heart(*, noise: Noise = 0.03) -> Dataset:
    """A heart 2 wide: c(u) = (16 sin³ u, 13 cos u − 5 cos 2u − 2 cos 3u − cos 4u) / 16, u in [0, 2π]."""

    def c(u):
        x = 16 * np.sin(u) ** 3
        y = 13 * np.cos(u) - 5 * np.cos(2 * u) - 2 * np.cos(3 * u) - np.cos(4 * u)
        return np.stack([x, y], axis=1) / 16

    return noisy_curve(c, TURN, noise)


def trefoil(*, noise: Noise = 0.1) -> Dataset:
    """The shadow of a trefoil knot, of radius 3: c(u) = (sin u + 2 sin 2u, cos u − 2 cos 2u), u in [0, 2π]."""

    def c(u):
        return np.stack([np.sin(u) + 2 * np.sin(2 * u), np.cos(u) - 2 * np.cos(2 * u)], axis=1)

    return noisy_curve(c, TURN, noise)

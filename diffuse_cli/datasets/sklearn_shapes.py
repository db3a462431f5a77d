"""The shapes that scikit-learn draws. It is imported where one is built, since that takes longer than the drawing.

noise is a standard deviation in the units of scikit-learn's shape; `scale` then multiplies all. variant=ffjord takes
the noise and the size of the sets of Grathwohl et al. 2019 (FFJORD), whose likelihoods many articles quote; noise, if
said, is still in scikit-learn's units.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, Draw, Scale, Standardiser, scaled
from diffuse_cli.datasets.noisy_curve import Curve, Noise, curve_density, noisy_curve

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law

Variant = Literal["sklearn", "ffjord"]

_VERTICES = (1 << 14) + 1


def moons(*, noise: Noise | None = None, scale: Scale = 1.0, variant: Variant = "sklearn") -> Dataset:
    """Two interleaved half circles of radius 1, half of the points on each: scikit-learn's `make_moons`.

    (cos t, sin t) and (1 − cos t, ½ − sin t), t ~ U[0, π], plus noise ξ, ξ ~ N(0, I); noise is 0.05 unless said. They
    are the classes 0 and 1. Draws are [n, 2]. variant=ffjord: noise 0.1, and all is 2 x − (1, 0.2).
    """
    from sklearn.datasets import make_moons

    own_noise, factor, shift = (0.1, 2.0, np.array([-1.0, -0.2])) if variant == "ffjord" else (0.05, 1.0, 0.0)
    outline, _ = make_moons(n_samples=(_VERTICES, _VERTICES), shuffle=False)
    along = _along(outline[:_VERTICES], outline[_VERTICES:])
    made = noisy_curve(along, (0.0, 2.0), own_noise if noise is None else noise, pieces=2)
    return scaled(made, factor * scale, shift * scale)


def circles(
    *,
    noise: Noise | None = None,
    factor: Annotated[float, Meta(ge=0, lt=1)] = 0.5,
    scale: Scale = 1.0,
    variant: Variant = "sklearn",
) -> Dataset:
    """A circle of radius `factor` inside one of radius 1, half of the points on each: scikit-learn's `make_circles`.

    R (cos t, sin t), R = 1 or `factor`, t ~ U[0, 2π], plus noise ξ, ξ ~ N(0, I); noise is 0.05 unless said. The outer
    one is class 0, the inner one class 1. Draws are [n, 2]. variant=ffjord: noise 0.08, three times as large.
    """
    from sklearn.datasets import make_circles

    own_noise, times = (0.08, 3.0) if variant == "ffjord" else (0.05, 1.0)
    outline, _ = make_circles(n_samples=(_VERTICES, _VERTICES), shuffle=False, factor=factor)
    outer, inner = outline[:_VERTICES], outline[_VERTICES:]  # each stops one vertex short of where it began
    along = _along(np.vstack([outer, outer[:1]]), np.vstack([inner, inner[:1]]))
    return scaled(noisy_curve(along, (0.0, 2.0), own_noise if noise is None else noise, pieces=2), times * scale)


def swiss_roll(
    *, noise: Noise | None = None, dim: Literal[2, 3] = 2, scale: Scale = 1.0, variant: Variant = "sklearn"
) -> Dataset:
    """A rolled-up strip, scikit-learn's `make_swiss_roll`.

    (t cos t, y, t sin t), t ~ U[1.5π, 4.5π], y ~ U[0, 21], plus noise ξ, ξ ~ N(0, I); noise is 0.5 unless said.

    dim=2 is the roll seen from its side, the first and third coordinates. Draws are [n, dim], the radius running from
    4.7 to 14.1 and neighbouring turns 2π apart. variant=ffjord: noise 1, all divided by 5 (published with dim=2).
    """
    from sklearn.datasets import make_swiss_roll

    own_noise, factor = (1.0, 0.2) if variant == "ffjord" else (0.5, 1.0)
    noise = own_noise if noise is None else noise

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return make_swiss_roll(n, noise=noise, random_state=np.random.RandomState(rng.bit_generator))[0]

    def spiral(u: np.ndarray) -> np.ndarray:
        t = 1.5 * np.pi * (1 + 2 * u)
        return np.stack([t * np.cos(t), t * np.sin(t)], axis=1)

    return scaled(_strip(draw, spiral, (0.0, 1.0), 21.0, noise, dim), factor * scale)


def s_curve(*, noise: Noise = 0.05, dim: Literal[2, 3] = 2, scale: Scale = 1.0) -> Dataset:
    """A strip bent like an S, scikit-learn's `make_s_curve`.

    (sin t, y, sign(t) (cos t − 1)), t ~ U[−1.5π, 1.5π], y ~ U[0, 2], plus noise ξ, ξ ~ N(0, I).

    dim=2 is the strip seen from its side, the first and third coordinates: two three-quarter circles of radius 1. Draws
    are [n, dim].
    """
    from sklearn.datasets import make_s_curve

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return make_s_curve(n, noise=noise, random_state=np.random.RandomState(rng.bit_generator))[0]

    def bend(t: np.ndarray) -> np.ndarray:
        return np.stack([np.sin(t), np.sign(t) * (np.cos(t) - 1)], axis=1)

    return scaled(_strip(draw, bend, (-1.5 * np.pi, 1.5 * np.pi), 2.0, noise, dim), scale)


def _strip(draw: Draw, c: Curve, interval: tuple[float, float], width: float, noise: float, dim: int) -> Dataset:
    """A strip over the curve c, or only its side view: in 3-D the second column is uniform on [0, width] on its own.

    `draw` gives all three columns.
    """
    side = noisy_curve(c, interval, noise)
    if dim == 2:
        return side._replace(draw=lambda rng, n: draw(rng, n)[:, [0, 2]])
    across = width**2 / 12 + noise**2
    mean = np.insert(side.standard.mean, 1, width / 2)
    standard = Standardiser(mean, np.full(3, np.sqrt((np.sum(side.standard.scale**2) + across) / 3)))

    def density() -> "Law":
        from diffuse_cli.diffusion import exact

        mean, scale = standard
        curve = curve_density(c, interval, noise, Standardiser(mean[[0, 2]], scale[[0, 2]]))
        ends = (np.array([[end]]) for end in ((0.0 - mean[1]) / scale[1], (width - mean[1]) / scale[1]))
        return exact.product([([0, 2], curve), ([1], exact.boxes(*ends, noise / scale[1]))])

    return Dataset(draw, 3, standard, exact=density)


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

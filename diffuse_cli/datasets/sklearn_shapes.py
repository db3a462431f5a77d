"""Datasets of scikit-learn's shapes. It is imported when a dataset is built, since the import takes longer than a draw.

noise is a standard deviation in the units of scikit-learn's shape; `scale` then multiplies all. variant=ffjord takes
the noise and the size of the datasets of Grathwohl et al. 2019 (FFJORD), whose likelihoods many articles quote; a given
noise is still in scikit-learn's units.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, Draw, Scale, Standardiser, named, scaled
from diffuse_cli.datasets.noisy_curve import Curve, Noise, curve_density, noisy_curve

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law

Variant = Literal["sklearn", "ffjord"]
_Along = Callable[[np.ndarray, np.ndarray], np.ndarray]  # x [n], z [n], of the strip seen from its side -> lengths [n]

_VERTICES = (1 << 14) + 1


def moons(*, noise: Noise | None = None, scale: Scale = 1.0, variant: Variant = "sklearn") -> Dataset:
    """Two interleaved half circles of radius 1, half of the points on each: scikit-learn's `make_moons`.

    (cos t, sin t) and (1 − cos t, ½ − sin t), t ~ U[0, π], plus noise ξ, ξ ~ N(0, I); noise is 0.05 by default. The
    half circles are the classes `upper` (0) and `lower` (1). Draws are [n, 2]. variant=ffjord: noise 0.1, then
    x -> 2 x − (1, 0.2).

    >>> points, labels = moons(noise=0.0).classes.draw(np.random.default_rng(0), 100)
    >>> centres = np.array([[0.0, 0.0], [1.0, 0.5]])
    >>> bool(np.allclose(np.linalg.norm(points - centres[labels], axis=1), 1))
    True
    """
    from sklearn.datasets import make_moons

    default_noise, factor, shift = (0.1, 2.0, np.array([-1.0, -0.2])) if variant == "ffjord" else (0.05, 1.0, 0.0)
    outline, _ = make_moons(n_samples=(_VERTICES, _VERTICES), shuffle=False)
    along = _along(outline[:_VERTICES], outline[_VERTICES:])
    dataset = noisy_curve(along, (0.0, 2.0), default_noise if noise is None else noise, pieces=2)
    return named(scaled(dataset, factor * scale, shift * scale), "upper", "lower")


def circles(
    *,
    noise: Noise | None = None,
    factor: Annotated[float, Meta(ge=0, lt=1)] = 0.5,
    scale: Scale = 1.0,
    variant: Variant = "sklearn",
) -> Dataset:
    """A circle of radius `factor` inside one of radius 1, half of the points on each: scikit-learn's `make_circles`.

    R (cos t, sin t), R = 1 or `factor`, t ~ U[0, 2π], plus noise ξ, ξ ~ N(0, I); noise is 0.05 by default. The outer
    circle is the class `outer` (0), the inner one `inner` (1). Draws are [n, 2]. variant=ffjord: noise 0.08, then
    x -> 3 x.

    >>> points, labels = circles(noise=0.0, factor=0.5).classes.draw(np.random.default_rng(0), 100)
    >>> bool(np.allclose(np.linalg.norm(points, axis=1), np.where(labels == 0, 1.0, 0.5)))
    True
    """
    from sklearn.datasets import make_circles

    default_noise, times = (0.08, 3.0) if variant == "ffjord" else (0.05, 1.0)
    outline, _ = make_circles(n_samples=(_VERTICES, _VERTICES), shuffle=False, factor=factor)
    outer, inner = outline[:_VERTICES], outline[_VERTICES:]  # each stops one vertex short of where it began
    along = _along(np.vstack([outer, outer[:1]]), np.vstack([inner, inner[:1]]))
    dataset = noisy_curve(along, (0.0, 2.0), default_noise if noise is None else noise, pieces=2)
    return named(scaled(dataset, times * scale), "outer", "inner")


def swiss_roll(
    *, noise: Noise | None = None, dim: Literal[2, 3] = 2, scale: Scale = 1.0, variant: Variant = "sklearn"
) -> Dataset:
    """A rolled-up strip, scikit-learn's `make_swiss_roll`.

    (t cos t, y, t sin t), t ~ U[1.5π, 4.5π], y ~ U[0, 21], plus noise ξ, ξ ~ N(0, I); noise is 0.5 by default.

    dim=2 is the first and the third coordinate, the roll seen from its side. Draws are [n, dim]; the radius is between
    4.7 and 14.1, and neighbouring turns are 2π apart. variant=ffjord: noise 1, then x -> x / 5 (published for dim=2).

    >>> radius = np.linalg.norm(swiss_roll(noise=0.0).draw(np.random.default_rng(0), 10_000), axis=1)
    >>> print(f"{radius.min():.1f} to {radius.max():.1f}")
    4.7 to 14.1
    """
    from sklearn.datasets import make_swiss_roll

    default_noise, factor = (1.0, 0.2) if variant == "ffjord" else (0.5, 1.0)
    noise = default_noise if noise is None else noise

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return make_swiss_roll(n, noise=noise, random_state=np.random.RandomState(rng.bit_generator))[0]

    def spiral(u: np.ndarray) -> np.ndarray:
        t = 1.5 * np.pi * (1 + 2 * u)
        return np.stack([t * np.cos(t), t * np.sin(t)], axis=1)

    strip = _strip(draw, spiral, (0.0, 1.0), 21.0, noise, dim)
    return scaled(strip._replace(inner=_unrolled(_along_roll)), factor * scale)


def s_curve(*, noise: Noise = 0.05, dim: Literal[2, 3] = 2, scale: Scale = 1.0) -> Dataset:
    """A strip bent like an S, scikit-learn's `make_s_curve`.

    (sin t, y, sign(t) (cos t − 1)), t ~ U[−1.5π, 1.5π], y ~ U[0, 2], plus noise ξ, ξ ~ N(0, I).

    dim=2 is the first and the third coordinate, the strip seen from its side: two three-quarter circles of radius 1.
    Draws are [n, dim].

    >>> x, y = s_curve(noise=0.0).draw(np.random.default_rng(0), 100).T
    >>> bool(np.allclose(np.hypot(x, np.abs(y) - 1), 1))
    True
    """
    from sklearn.datasets import make_s_curve

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return make_s_curve(n, noise=noise, random_state=np.random.RandomState(rng.bit_generator))[0]

    def bend(t: np.ndarray) -> np.ndarray:
        return np.stack([np.sin(t), np.sign(t) * (np.cos(t) - 1)], axis=1)

    strip = _strip(draw, bend, (-1.5 * np.pi, 1.5 * np.pi), 2.0, noise, dim)
    return scaled(strip._replace(inner=_unrolled(_along_s)), scale)


def _strip(draw: Draw, c: Curve, interval: tuple[float, float], width: float, noise: float, dim: int) -> Dataset:
    """A strip over the curve c: in 3-D the second column is independent, uniform on [0, width] plus noise.

    `draw` gives all three columns; with dim=2 the second one is left out.
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


def _unrolled(along: _Along) -> Callable[[np.ndarray], np.ndarray]:
    """`Dataset.inner` of a strip: the length along it, seen from its side, and in 3-D the height, its second column."""

    def inner(points: np.ndarray) -> np.ndarray:
        return np.column_stack([along(points[:, 0], points[:, -1]), points[:, 1:-1]])

    return inner


def _along_roll(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The length of the spiral (t cos t, t sin t) from t = 1.5π to the turn that a point is nearest to, at its angle.

    The angle is less noisy than the radius, which only says which turn it is: turns are 2π apart.
    """
    angle = np.arctan2(z, x)
    t = angle + 2 * np.pi * np.round((np.hypot(x, z) - angle) / (2 * np.pi))

    def length(t):
        return (t * np.sqrt(1 + t**2) + np.arcsinh(t)) / 2

    return length(t) - length(1.5 * np.pi)


def _along_s(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The length of the S from its end at t = −1.5π: t + 1.5π, with t the angle on the arc that a point is nearest to.

    An arc is three quarters of a circle; the middle of the quarter that is missing divides its two ends.
    """
    side = np.where(z > 0, -1.0, 1.0)
    angle = np.arctan2(side * x, 1 - np.abs(z))
    return side * np.where(angle < -np.pi / 4, angle + 2 * np.pi, angle) + 1.5 * np.pi


def _along(first: np.ndarray, second: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The curve c(u) along `first` for u in [0, 1) and along `second` for u in [1, 2]; both are outlines [vertices, 2].

    scikit-learn places the points of its moons and circles at equal steps, so two of its draws are not independent.
    Here its outline at many vertices is joined by straight lines, and u is drawn independently; the distance of these
    lines from the arcs is less than 2e-8.
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

"""Two spirals, one inside the other."""

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Classes, Dataset, Scale, Standardiser, labelled, named, scaled, standardise
from diffuse_cli.datasets.noisy_curve import PANELS, Noise, close_nodes, nodes

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law


def two_spirals(
    *,
    noise: Noise = 0.1,
    turns: Annotated[float, Meta(gt=0, le=8)] = 1.5,
    scale: Scale = 1.0,
    variant: Literal["plain", "ffjord"] = "plain",
) -> Dataset:
    """Two opposite arms of an Archimedean spiral, half of the points on each:

        c(t) = ± t (−cos t, sin t) / 3,   t = 2π turns √u,   u ~ U[0, 1]

    plus noise ξ, ξ ~ N(0, I), in the same units; `scale` then multiplies all. Draws are [n, 2]. The arms are classes,
    named by their sign: `plus` (0) and `minus` (1).

    variant=ffjord is the dataset of Grathwohl et al. 2019, which also adds U[0, ½] / 3 to each coordinate of a point,
    and subtracts it on the second arm.

    >>> radius = np.linalg.norm(two_spirals(noise=0.0).draw(np.random.default_rng(0), 10_000), axis=1)
    >>> print(f"{radius.max():.2f}")  # 2π · 1.5 / 3
    3.14
    """
    jitter = 0.5 / 3 if variant == "ffjord" else 0.0
    end = 2 * np.pi * turns

    def c(t: np.ndarray) -> np.ndarray:
        return t[:, None] * np.stack([-np.cos(t), np.sin(t)], axis=1) / 3

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        arm = rng.integers(2, size=n)
        moved = c(end * np.sqrt(rng.random(n))) + jitter * rng.random((n, 2))
        return np.where(arm[:, None] == 0, moved, -moved) + noise * rng.standard_normal((n, 2)), arm

    t, weights = nodes((0.0, end), PANELS)
    middles, weights = c(t) + jitter / 2, np.tile(t * weights, 2)
    about_0 = standardise(np.concatenate([middles, -middles]), per_column=False, weights=weights)
    standard = Standardiser(np.zeros(2), np.sqrt(about_0.scale**2 + jitter**2 / 12 + noise**2))

    def law_of(*arms: int) -> "Law":
        from diffuse_cli.diffusion import exact

        at = np.linspace(0, end, 1 << 14)
        lengths = _length(at)

        def place(s: np.ndarray) -> np.ndarray:
            return np.interp(s, lengths, at)

        s, weights = close_nodes(lambda s: c(place(s)), (0.0, lengths[-1]), noise, standard)
        t = place(s)
        weights = np.tile(weights * t / np.hypot(1, t), len(arms))  # t is drawn t dt times, and ds = hypot(1, t) dt
        weights /= weights.sum()
        signs = np.repeat(np.array([1, -1])[list(arms)], len(t))[:, None]
        on_arms, std = signs * np.tile(c(t), (len(arms), 1)) / standard.scale[0], noise / standard.scale[0]
        if not jitter:
            return exact.mixture(on_arms, std, weights)
        ends = on_arms + signs * jitter / standard.scale[0]
        return exact.boxes(np.minimum(on_arms, ends), np.maximum(on_arms, ends), std, weights)

    classes = Classes(np.array([0.5, 0.5]), draw, lambda label: law_of(label))
    return named(scaled(labelled(classes, standard, lambda: law_of(0, 1)), scale), "plus", "minus")


def _length(t: np.ndarray) -> np.ndarray:
    """The length of the spiral from its centre to c(t), times 3."""
    return (t * np.hypot(1, t) + np.arcsinh(t)) / 2

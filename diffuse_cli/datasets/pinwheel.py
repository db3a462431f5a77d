"""A pinwheel: Gaussians drawn out along the radius and bent into blades."""

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, Scale, scaled
from diffuse_cli.datasets.gaussian_mixture import gaussian_mixture

Width = Annotated[float, Meta(ge=0.02, le=1)]

_FAR = 5.5  # standard deviations of the radius that nodes reach to


def pinwheel(
    *,
    arms: Annotated[int, Meta(ge=1, le=16)] = 5,
    radial_std: Width = 0.3,
    tangential_std: Width = 0.1,
    rate: Annotated[float, Meta(ge=0, le=0.5)] = 0.25,
    scale: Scale = 1.0,
    variant: Literal["plain", "ffjord"] = "plain",
) -> Dataset:
    """The pinwheel of Johnson et al. 2016 (SVAE), in its units times scale:

        x = (a cos θ + b sin θ, −a sin θ + b cos θ),   θ = 2π i / arms + rate · eᵃ
        a ~ N(1, radial_std²),   b ~ N(0, tangential_std²),   each arm i with the same probability; it is class i

    radial_std and tangential_std are the length and the width of the blades, rate is their twist. Draws are [n, 2].
    variant=ffjord is the dataset of Grathwohl et al. 2019, twice as large.

    >>> points, labels = pinwheel(arms=3).classes.draw(np.random.default_rng(0), 6)
    >>> points.shape, pinwheel(arms=4).classes.shares
    ((6, 2), array([0.25, 0.25, 0.25, 0.25]))

    Its law is that of small Gaussians along the arms: a is itself a mixture of N(a_k, κ²), and the points with a from
    one of these are taken to be Gaussian, with the mean and covariance that they have. With κ a sixth of the narrower
    standard deviation, or less where the twist is strong, that leaves a KL divergence of some 1e-6 nats, as long as
    blades are so narrow that they do not fold: rate · eᵃ b > −1 where there are points.
    """
    turns = 2 * np.pi * np.arange(arms) / arms

    def place(a: np.ndarray, b: np.ndarray, arm: np.ndarray) -> np.ndarray:
        theta = turns[arm] + rate * np.exp(a)
        return np.stack([a * np.cos(theta) + b * np.sin(theta), b * np.cos(theta) - a * np.sin(theta)], axis=-1)

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        arm = rng.integers(arms, size=n)
        a, b = 1 + radial_std * rng.standard_normal(n), tangential_std * rng.standard_normal(n)
        return place(a, b, arm), arm

    kappa = min(radial_std, tangential_std) / (6 * max(1, 4 * rate))
    nodes = np.arange(-_FAR * radial_std, _FAR * radial_std + kappa, kappa)
    weights = np.exp(-0.5 * nodes**2 / (radial_std**2 - kappa**2))
    z, w = np.polynomial.hermite_e.hermegauss(3)
    arm, node, i, j = np.meshgrid(np.arange(arms), 1 + nodes, np.arange(3), np.arange(3), indexing="ij")
    points = place(node + kappa * z[i], tangential_std * z[j], arm).reshape(arms * len(nodes), 9, 2)
    at = np.outer(w, w).ravel() / w.sum() ** 2
    means = np.einsum("p,kpd->kd", at, points)
    apart = points - means[:, None]
    mixture = gaussian_mixture(
        means,
        np.einsum("p,kpd,kpe->kde", at, apart, apart),
        np.repeat(np.arange(arms), len(nodes)),
        np.tile(weights / (arms * weights.sum()), arms),
        draw,
        narrowest=min(radial_std, tangential_std) / 2,
    )
    return scaled(mixture, (2.0 if variant == "ffjord" else 1.0) * scale)

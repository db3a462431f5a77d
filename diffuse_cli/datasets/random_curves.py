"""Curves as vectors: each sample is one smooth random function, evaluated at `dim` places."""

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Dataset, Standardiser
from diffuse_cli.datasets.two_shapes import two_shapes
from diffuse_cli.errors import UsageError

_TERMS, _DECAY = 8, 1.5


def curves(
    *,
    dim: Annotated[int, Meta(ge=2, le=1024)] = 64,
    terms: Annotated[int, Meta(ge=1, le=64)] = _TERMS,
    decay: Annotated[float, Meta(ge=0, le=8)] = _DECAY,
    noise: Annotated[float, Meta(ge=1e-4, le=100)] = 0.02,
    kind: Literal["fourier", "two_shapes"] = "fourier",
) -> Dataset:
    """Random Fourier series on [0, 1], at the places t_i = i / (dim − 1); with kind=two_shapes bumps and steps
    (`datasets.two_shapes`), which have no `terms` or `decay`.

        f(t) = Σ_{k=1..terms} a_k (A_k cos πkt + B_k sin πkt) + noise ξ(t),   A_k, B_k, ξ(t) ~ N(0, 1) independent
        a_k ∝ k^(−decay),   Σ a_k² = 1

    The series has period 2, so the two ends of a curve differ. The law is exactly Gaussian in R^dim, with mean 0 and
    covariance Σ_k a_k² cos πk(t_i − t_j) + noise² δ_ij. Without noise this matrix would have rank 2 · terms at most, so
    noise may be small but not 0. Draws are [n, dim]; every value has variance 1 + noise².

    >>> dataset = curves(dim=16, noise=0.1)
    >>> print(f"{(dataset.standard.scale**2).mean():.2f}", dataset.draw(np.random.default_rng(0), 3).shape)
    1.01 (3, 16)
    """
    if kind == "two_shapes":
        if (terms, decay) != (_TERMS, _DECAY):
            raise UsageError("terms and decay are of the Fourier series; leave them out with kind=two_shapes")
        return two_shapes(dim, noise)
    order = np.arange(1, terms + 1)
    amplitude = order**-decay / np.sqrt(np.sum(order ** (-2 * decay)))
    angle = np.pi * order[:, None] * np.linspace(0, 1, dim)
    series = np.vstack([amplitude[:, None] * np.cos(angle), amplitude[:, None] * np.sin(angle)])

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        smooth = rng.standard_normal((n, 2 * terms)) @ series
        return smooth + noise * rng.standard_normal((n, dim))

    def density():
        from diffuse_cli.diffusion import exact

        return exact.gaussian(np.zeros(dim), (series.T @ series + noise**2 * np.eye(dim)) / (1 + noise**2))

    standard = Standardiser(np.zeros(dim), np.full(dim, np.sqrt(1 + noise**2)))
    return Dataset(draw, dim, standard, view="curves", exact=density)

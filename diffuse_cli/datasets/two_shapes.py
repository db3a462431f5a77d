"""Curves of two kinds, a bump and a step: not Gaussian, but a mixture of two Gaussian laws."""

import numpy as np

from diffuse_cli.datasets.dataset import Classes, Dataset, Standardiser, labelled, named

_WIDTH, _STEEP = 0.12, 0.06  # of the bump, and of the step
_SPREAD = 0.3  # standard deviation of the height of each, and of its place
_NAMES = ("bump", "step")


def two_shapes(dim: int, noise: float) -> Dataset:
    """A bump or a step, equally often, on u ∈ [0, 1] at `dim` places, each with a height and a place of its own:

        bump: (1 + s A) b(u) + s B w b'(u), b(u) = exp(−(u − ½)² / 2 w²)      step: (1 + s A) h(u) + s B, h = tanh
        A, B ~ N(0, 1), and noise · N(0, 1) on each value

    The places of bumps are moved to first order, so that each kind is exactly Gaussian: two directions and the noise.
    Labels are bump and step. One scale for all columns.
    """
    u = np.linspace(0, 1, dim) - 0.5
    bump, step = np.exp(-(u**2) / (2 * _WIDTH**2)), np.tanh(u / _STEEP)
    means = np.stack([bump, step])
    directions = _SPREAD * np.stack([[bump, -u / _WIDTH * bump], [step, np.ones(dim)]])
    mean = means.mean(axis=0)
    variance = (means - mean) ** 2 + (directions**2).sum(axis=1) + noise**2
    scale = float(np.sqrt(variance.mean()))

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(2, size=n)
        smooth = np.einsum("nk,nkd->nd", rng.standard_normal((n, 2)), directions[labels])
        return means[labels] + smooth + noise * rng.standard_normal((n, dim)), labels

    def law(kinds: list[int]):
        from diffuse_cli.diffusion import exact

        covariances = np.einsum("nki,nkj->nij", directions[kinds], directions[kinds]) + noise**2 * np.eye(dim)
        return exact.gaussians(
            (means[kinds] - mean) / scale, covariances / scale**2, np.full(len(kinds), 1 / len(kinds))
        )

    classes = Classes(np.full(2, 0.5), draw, lambda label: law([label]))
    dataset = labelled(classes, Standardiser(mean, np.full(dim, scale)), lambda: law([0, 1]))
    return named(dataset._replace(view="curves"), *_NAMES)

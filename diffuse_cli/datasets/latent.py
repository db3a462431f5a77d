"""The encodings of a dataset as a dataset: what a model in the latent space of an autoencoder learns."""

from typing import NamedTuple, Protocol

import numpy as np

from diffuse_cli.datasets.dataset import Dataset, Standardiser, standardise
from diffuse_cli.errors import UsageError

_REFERENCE = 1 << 16  # draws that decide the constants of standardisation


class Encoder(Protocol):
    """What encodes the points of a dataset: q(z | x) with an independent normal law in each latent."""

    def encode(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [n, d] in data units -> mean and standard deviation [n, k] of their latents."""


class Latent(NamedTuple):
    """Whose encodings a dataset has: those of the points `of`, by an encoder."""

    of: Dataset
    encoder: Encoder

    def draw(self, rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
        """A latent z ~ q(z | x) [n, k] for each of the points [n, d], in data units."""
        mean, std = self.encoder.encode(points)
        return mean + std * rng.standard_normal(mean.shape)


def encodings(of: Dataset, encoder: Encoder, standard: Standardiser | None = None) -> Dataset:
    """The Dataset of the latents of `of`: x is drawn, and z from q(z | x); its law is the aggregate posterior q(z).

    standard: its constants; by default those of a fixed draw, each latent with its own scale. Labels stay those of x.
    Of a user's file the points are the means of q. No law is known. Raises UsageError for data with given columns or
    words.

    >>> from diffuse_cli.datasets.gaussians import bimodal
    >>> class Halved:
    ...     def encode(self, points):
    ...         return points / 2, np.full_like(points, 1e-9)
    >>> encodings(bimodal(), Halved()).draw(np.random.default_rng(0), 3).shape
    (3, 1)
    """
    if of.given is not None:
        raise UsageError("a latent space can be conditional on labels, and these data have given columns or words")
    latent = Latent(of, encoder)

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return latent.draw(rng, of.draw(rng, n))

    def draw_labelled(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        if of.classes is None:
            raise ValueError("these data have no classes")
        points, labels = of.classes.draw(rng, n)
        return latent.draw(rng, points), labels

    if standard is None:
        standard = standardise(draw(np.random.default_rng(0), _REFERENCE), per_column=True)
    return Dataset(
        draw,
        standard.dim,
        standard,
        points=None if of.points is None else encoder.encode(of.points)[0],
        classes=of.classes and of.classes._replace(draw=draw_labelled, exact=None),
        columns=tuple(f"z{number + 1}" for number in range(standard.dim)),
        origin=of.origin,
        labels=of.labels,
        latent=latent,
    )

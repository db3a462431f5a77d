"""What a dataset is: a law that can be drawn from, and the constants that carry it to model space and back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Density


class Standardiser(NamedTuple):
    """data = mean + scale · model, column by column. `mean` and `scale` are [d], in data units."""

    mean: np.ndarray
    scale: np.ndarray

    def to_model(self, x):
        """Points [..., d] from data units to model space, where their variance is about 1."""
        return (x - self.mean) / self.scale

    def to_data(self, x):
        """Points [..., d] from model space back to data units."""
        return self.mean + self.scale * x


class Dataset(NamedTuple):
    """A law on R^d.

    draw: (rng, n) -> [n, d] independent draws, float64, data units.
    dim: d.
    standard: the constants of standardisation. They belong to the law, not to one training set, so that runs with other
        seeds and sizes share one model space and their likelihoods can be compared.
    view: how a person would want to see it: as points (d columns), or each sample as one curve (a vector of d values).
    points: the finite set [n, d] behind a user's file; None for a law with as many draws as one likes.
    exact: makes the law's density in model space, at every noise level. Of a user's file it is the mixture on its
        points, which is what a network would learn that has memorised them.
    """

    draw: Callable[[np.random.Generator, int], np.ndarray]
    dim: int
    standard: Standardiser
    view: Literal["points", "curves"] = "points"
    points: np.ndarray | None = None
    exact: Callable[[], "Density"] | None = None


def standardise(points: np.ndarray, *, per_column: bool) -> Standardiser:
    """The constants that give `points` [n, d] zero mean and unit variance.

    One scale for all columns keeps angles and a curve's round noise as they are; `per_column` gives each column its
    own, for columns measured in different units, none of which may then be constant.
    """
    mean = points.mean(axis=0)
    variance = points.var(axis=0) if per_column else np.full(points.shape[1], points.var(axis=0).mean())
    return Standardiser(mean, np.sqrt(variance))


def law(
    draw: Callable[[np.random.Generator, int], np.ndarray], *, view: Literal["points", "curves"] = "points"
) -> Dataset:
    """A Dataset from its draw function, standardised by the moments of one fixed large draw."""
    reference = draw(np.random.default_rng(0), 1 << 16)
    return Dataset(draw, reference.shape[1], standardise(reference, per_column=False), view)

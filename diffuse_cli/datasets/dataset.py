"""What a dataset is: a law that can be drawn from, and the constants that carry it to model space and back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law

Scale = Annotated[float, Meta(gt=0, le=1000)]

Draw = Callable[[np.random.Generator, int], np.ndarray]  # (rng, n) -> [n, d] independent draws, data units
LabelledDraw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]  # … and labels [n] with them


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


class Classes(NamedTuple):
    """The parts that a law is mixed from, by label 0, …, k − 1.

    shares: [k], how often each is drawn; they sum to 1.
    draw: (rng, n) -> (points [n, d] in data units, labels [n], integers). The dataset's own draw is this one without
        the labels.
    exact: label -> the law of that part alone, in the model space of the whole: p(x) = Σ shares[c] p(x | c).
    """

    shares: np.ndarray
    draw: LabelledDraw
    exact: Callable[[int], "Law"]


class Dataset(NamedTuple):
    """A law on R^d.

    draw: (rng, n) -> [n, d] independent draws, float64, data units.
    dim: d.
    standard: the constants of standardisation. They belong to the law, not to one training set, so that runs with other
        seeds and sizes share one model space and their likelihoods can be compared.
    view: how a person would want to see it: as points (d columns), or each sample as one curve (a vector of d values).
    points: the finite set [n, d] behind a user's file; None for a law with as many draws as one likes.
    exact: makes the Law (diffusion/exact.py) in model space: its density at every noise level. None where nobody knows
        it; the exact denoiser of a file is the mixture on its training points (models.build.law_of).
    classes: the labelled parts that the law is mixed from; None where it is of one piece.
    """

    draw: Draw
    dim: int
    standard: Standardiser
    view: Literal["points", "curves"] = "points"
    points: np.ndarray | None = None
    exact: Callable[[], "Law"] | None = None
    classes: Classes | None = None


def standardise(points: np.ndarray, *, per_column: bool, weights: np.ndarray | None = None) -> Standardiser:
    """The constants that give `points` [n, d], with `weights` [n] (equal unless given), zero mean and unit variance.

    One scale for all columns keeps angles and a curve's round noise as they are; `per_column` gives each column its
    own, for columns measured in different units, none of which may then be constant.
    """
    mean = np.average(points, axis=0, weights=weights)
    variance = np.average((points - mean) ** 2, axis=0, weights=weights)
    return Standardiser(mean, np.sqrt(variance if per_column else np.full(points.shape[1], variance.mean())))


def law(draw: Draw, *, view: Literal["points", "curves"] = "points") -> Dataset:
    """A Dataset from its draw function, standardised by the moments of one fixed large draw."""
    reference = draw(np.random.default_rng(0), 1 << 16)
    return Dataset(draw, reference.shape[1], standardise(reference, per_column=False), view)


def labelled(classes: Classes, standard: Standardiser, exact: Callable[[], "Law"]) -> Dataset:
    """The Dataset of a law that is mixed from classes."""
    return Dataset(lambda rng, n: classes.draw(rng, n)[0], len(standard.mean), standard, exact=exact, classes=classes)


def scaled(dataset: Dataset, by: float, shift: np.ndarray | float = 0.0) -> Dataset:
    """The law of shift + by · x: its own noise is scaled with it, and in model space nothing changes."""

    def moved(x):
        return shift + by * x

    def draw_labelled(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        points, labels = dataset.classes.draw(rng, n)
        return moved(points), labels

    return dataset._replace(
        draw=lambda rng, n: moved(dataset.draw(rng, n)),
        standard=Standardiser(moved(dataset.standard.mean), by * dataset.standard.scale),
        points=None if dataset.points is None else moved(dataset.points),
        classes=dataset.classes and dataset.classes._replace(draw=draw_labelled),
    )

"""Datasets whose law is uniform on boxes, with or without round noise."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from diffuse_cli.datasets.dataset import Classes, Dataset, Standardiser, labelled

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law


def box_mixture(
    low: np.ndarray,
    high: np.ndarray,
    noise: float,
    *,
    weights: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> Dataset:
    """Uniform on the box from low[i] to high[i], i with probability ∝ weights[i], plus noise · ξ, ξ ~ N(0, I).

    low, high: [k, d], data units. noise: a standard deviation in the same units. weights: [k], not negative; by default
    the volumes, so that the density is the same in all boxes. labels: [k], integers 0, 1, … without gaps: boxes with
    equal labels form a class; without it there are no classes.

    The constants of standardisation are computed from the law, with one scale for all columns.

    >>> half = box_mixture(np.zeros((1, 1)), np.full((1, 1), 6.0), noise=1.0)
    >>> half.standard.mean, half.standard.scale**2  # 36 / 12 + 1
    (array([3.]), array([4.]))
    """
    count, dim = low.shape
    weights = np.prod(high - low, axis=1) if weights is None else weights
    weights = weights / weights.sum()
    groups = np.zeros(count, int) if labels is None else labels

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        which = rng.choice(count, n, p=weights)
        inside = low[which] + (high - low)[which] * rng.random((n, dim))
        return inside + noise * rng.standard_normal((n, dim)), groups[which]

    middles = (low + high) / 2
    mean = weights @ middles
    squares = ((middles - mean) ** 2 + (high - low) ** 2 / 12).sum(axis=1)
    standard = Standardiser(mean, np.full(dim, np.sqrt(weights @ squares / dim + noise**2)))

    def law_of(chosen: np.ndarray) -> "Law":
        from diffuse_cli.diffusion import exact

        ends = standard.to_model(low[chosen]), standard.to_model(high[chosen])
        return exact.boxes(*ends, noise / standard.scale[0], weights[chosen] / weights[chosen].sum())

    classes = Classes(np.bincount(groups, weights=weights), draw, lambda label: law_of(groups == label))
    dataset = labelled(classes, standard, lambda: law_of(np.full(count, True)))
    return dataset if labels is not None else dataset._replace(classes=None)


def stacked(rows: Iterable[Iterable[tuple[float, float, float]]]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes from rows of height 1, each a list of (left end, right end, weight of its unit of area), from below.

    Returns the ends of the boxes, (left, lower, right, upper) each, [k, 4], and the weights of their area, [k]. What is
    equal in one row and the next is one box.

    >>> stacked([[(0.0, 1.0, 0.5)], [(0.0, 1.0, 0.5), (2.0, 3.0, 1.0)]])[0]
    array([[0., 0., 1., 2.],
           [2., 1., 3., 2.]])
    """
    boxes: list[list[float]] = []
    weights: list[float] = []
    before: dict[tuple[float, float, float], int] = {}  # what the last row has, and in which box it is
    for height, row in enumerate(rows):
        here = {}
        for span in row:
            left, right, weight = span
            if span in before:
                here[span] = before[span]
                boxes[here[span]][3] = height + 1
            else:
                here[span] = len(boxes)
                boxes.append([left, height, right, height + 1])
                weights.append(weight)
        before = here
    return np.array(boxes, float).reshape(-1, 4), np.array(weights, float)

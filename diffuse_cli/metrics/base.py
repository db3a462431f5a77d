"""Metric: a number that compares two clouds of points, and the direction in which it moves for a worse model."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from diffuse_cli.errors import DiffuseError, UsageError

Figures = Callable[[np.ndarray, np.ndarray], Mapping[str, float]]


class Metric(NamedTuple):
    """A number that compares two clouds, model and reference, both [n, d] float64 in one space: standardise them first.

    figures: (model, reference) -> numbers by name. Metrics that share their computation have the same function here,
        which is then called once for all of them.
    figure: the name of this metric among these numbers.
    worse: whether a worse model has a larger or a smaller number, or either.
    points: the number of points compared at once, if larger clouds are cut into parts; None compares whole clouds.
    least: the least number of points in each cloud for which the metric is defined.

    >>> mean_gap = Metric(lambda model, reference: {"gap": abs(model.mean() - reference.mean())}, "gap")
    >>> mean_gap(np.zeros((4, 1)), np.ones((4, 1)))
    1.0
    """

    figures: Figures
    figure: str
    worse: Literal["larger", "smaller", "either"] = "larger"
    points: int | None = None
    least: int = 2

    def __call__(self, model: np.ndarray, reference: np.ndarray) -> float:
        """The metric of the clouds model [n, d] and reference [n, d].

        Raises UsageError and DiffuseError like `measure`.
        """
        return measure({self.figure: self}, model, reference)[self.figure]


def measure(metrics: Mapping[str, Metric], model: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """All metrics of the clouds model [n, d] and reference [n, d], by their names; shared computations are done once.

    Raises UsageError if the clouds differ in shape or are too small for a metric, and DiffuseError if any point is not
    finite.
    """
    model, reference = (np.asarray(points, np.float64) for points in (model, reference))
    if model.ndim != 2 or model.shape != reference.shape or len(model) < 2:
        raise UsageError(
            f"metrics compare two clouds of the same shape [n, d], n at least 2; "
            f"these have {list(model.shape)} and {list(reference.shape)}"
        )
    for what, points in (("model", model), ("reference", reference)):
        if bad := int(np.sum(~np.isfinite(points).all(axis=1))):
            raise DiffuseError(f"{bad} of {len(points)} points of the {what} are not finite: nothing can be measured")
    for name, metric in metrics.items():
        if len(model) < metric.least:
            raise UsageError(f"{name} needs at least {metric.least} points in each cloud; there are {len(model)}")
    functions = {metric.figures: None for metric in metrics.values()}  # each one once, in order
    results = {figures: figures(model, reference) for figures in functions}
    return {name: float(results[metric.figures][metric.figure]) for name, metric in metrics.items()}

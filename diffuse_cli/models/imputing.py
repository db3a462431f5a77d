"""Imputation: each missing cell of a table drawn from its law given the other cells of its row."""

import numpy as np
from jaxtyping import Float

from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.inverse.observed import observe_rows
from diffuse_cli.models.model import Model
from diffuse_cli.models.solving import Way, check_model, draw_posterior

_AT_ONCE = 16_384  # samples


def impute(
    model: Model, points: Float[np.ndarray, "n d"], way: Way, *, draws: int, seed: int
) -> Float[np.ndarray, "draws n d"]:
    """Draws of the rows, data units, with the missing cells (nan) drawn given the others; those are left as they are.

    All rows with gaps are solved for together, each with its own measurement, without noise, of the cells that it has.
    Of a method with particles each row has a population.

    Raises UsageError for a method or a model that cannot be told a measurement.
    """
    check_model(model)
    missing = np.isnan(points)
    gaps = np.flatnonzero(missing.any(axis=1))
    filled = np.broadcast_to(points, (draws, *points.shape)).copy()
    rows = min(max(_AT_ONCE // draws, 1), len(gaps))
    for start in range(0, len(gaps), rows):
        chosen = gaps[np.minimum(np.arange(start, start + rows), len(gaps) - 1)]  # the last one again, for one shape
        found = _draws_of_rows(model, points[chosen], way.in_populations(draws), draws, seed + start)
        filled[:, chosen] = np.where(missing[chosen], found, points[chosen])
    return filled


def _draws_of_rows(
    model: Model, points: Float[np.ndarray, "n d"], way: Way, draws: int, seed: int
) -> Float[np.ndarray, "draws n d"]:
    given = ~np.isnan(points)
    matrix = given[:, None, :] * np.eye(model.dim)
    # a cell that is missing is a row of zeros, which measures nothing
    std = np.where(given, 0.0, model.standard.scale)
    matrix_of_each, y, std_of_each = (
        np.repeat(part, draws, axis=0) for part in (matrix, np.where(given, points, 0.0), std)
    )
    observed = observe_rows(matrix_of_each, y, std_of_each, model.standard)
    measurement = Measurement("the cells of each row", matrix[0], std[0])
    drawn = draw_posterior(model, measurement, observed, way, len(points) * draws, seed)
    return np.swapaxes(drawn.samples.reshape(len(points), draws, model.dim), 0, 1)


def outside(model: Model, points: Float[np.ndarray, "n d"]) -> int:
    """How many rows have a cell outside of the range of the training points, where the model knows nothing."""
    if model.walls is None:
        return 0
    low, high = (model.standard.to_data(wall) for wall in model.walls)
    return int(((points < low) | (points > high)).any(axis=1).sum())

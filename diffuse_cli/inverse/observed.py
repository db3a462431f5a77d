"""A measurement as denoisers and samplers see it: in model space, as a pytree whose numbers are data of compiled code.

With data = mean + scale · model, y = A data + noise is y − A mean = (A scale) model + noise. Each value is divided by
its unit, the length of its row of A scale over that of A: then a value that is measured in a column of the data has the
variance of that column, about 1, and all values can be summed.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.inverse.measurement import Function, Measurement

Numbers = Array | np.ndarray

_NO_NOISE = 1e-5  # in a row of length 1: noise below it counts as this where directions are separated


class Linear(NamedTuple):
    """The measurement near given points: its value there, and the slope A of it; one A may serve all points."""

    value: Float[Array, "n m"]
    slope: Float[Numbers, "#n m d"]


class Separated(NamedTuple):
    """A linear measurement along orthonormal directions, with independent noise along each.

    basis: its rows are these directions, rows of zeros where nothing is measured. values: the coordinates that are
    measured along them. std: the standard deviation of each.
    """

    basis: Float[Numbers, "#n r d"]
    values: Float[Numbers, "#n r"]
    std: Float[Numbers, "#n r"]


class Observed(NamedTuple):
    """y = f(x0) + noise in model space, in the units of the head of this file.

    y: one for all points, or one for each. variance: of the noise. matrix: A, or None for a function; one for all
    points, or one for each. forward: f, x0 [n, d] -> [n, m], a pytree; None for a matrix. separated: for a matrix.
    log_unit: the sum of the logs of the units, by which densities of y are smaller in the units of the data.
    """

    y: Float[Numbers, "#n m"]
    variance: Float[Numbers, "#n m"]
    matrix: Float[Numbers, "#n m d"] | None
    separated: Separated | None
    log_unit: float | Array
    forward: Any = None

    def near(self, x0: Float[Array, "n d"]) -> Linear:
        """The measurement near x0: of a matrix itself, of a function its tangent."""
        if self.matrix is not None:
            return Linear(jnp.matmul(self.matrix, x0[:, :, None], precision="highest")[:, :, 0], self.matrix)
        value, along = jax.linearize(self.forward, x0)

        def change(column: Float[Array, " d"]) -> Float[Array, "n m"]:
            # each row of f(x0) depends on its own row only, so one tangent serves all rows
            tangent: Array = along(jnp.broadcast_to(column[None], x0.shape))
            return tangent

        return Linear(value, jnp.moveaxis(jax.vmap(change)(jnp.eye(x0.shape[1], dtype=x0.dtype)), 0, -1))

    def log_likelihood(self, x0: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log p(y | x0), in the units of the head of this file; it needs noise in all values."""
        apart = self.y - self.near(x0).value
        return -0.5 * jnp.sum(apart**2 / self.variance + jnp.log(2 * jnp.pi * self.variance), axis=-1)


def observe(
    measurement: Measurement, standard: Standardiser, values: Float[np.ndarray, "#n m"] | None = None
) -> Observed:
    """The measurement in model space. values: y of each point in place of the measured one, data units.

    >>> measurement = Measurement("x", np.array([[2.0, 0.0]]), np.array([0.5]), np.array([5.0]))
    >>> seen = observe(measurement, Standardiser(np.array([1.0, 0.0]), np.array([3.0, 3.0])))
    >>> seen.y.tolist(), seen.matrix.tolist()  # (5 − 2) / 3, with a slope of 2
    ([[1.0]], [[[2.0, 0.0]]])
    """
    y = np.atleast_2d(measurement.known_values if values is None else values)
    if measurement.matrix is not None:
        return observe_rows(measurement.matrix[None], y, measurement.std[None], standard)
    if measurement.function is None:
        raise ValueError("a measurement needs a matrix or a function")
    unit = float(np.sqrt(np.mean(standard.scale**2)))
    forward = jax.tree_util.Partial(partial(_in_model_space, measurement.function), *standard, unit)
    variance = (measurement.std[None] / unit) ** 2
    return Observed(y / unit, variance, None, None, y.shape[1] * float(np.log(unit)), forward)


def observe_rows(
    matrix: Float[np.ndarray, "#n m d"],
    y: Float[np.ndarray, "#n m"],
    std: Float[np.ndarray, "#n m"],
    standard: Standardiser,
) -> Observed:
    """A linear measurement of each point by itself, y = A x + noise in data units, in model space.

    A row of zeros measures nothing; it needs noise.
    """
    scaled = matrix * standard.scale
    length, in_model = np.linalg.norm(matrix, axis=-1), np.linalg.norm(scaled, axis=-1)
    unit = np.where(length > 0, in_model / np.where(length > 0, length, 1.0), 1.0)
    a, std = scaled / unit[..., None], std / unit
    y = (y - matrix @ standard.mean) / unit
    log_unit = float(np.log(unit).sum(axis=-1).mean())
    return Observed(y, std**2, a, _separated(a, y, std), log_unit)


def _separated(a: np.ndarray, y: np.ndarray, std: np.ndarray) -> Separated:
    """By the singular values of the measurement in units of its noise."""
    noise = np.maximum(std, _NO_NOISE * np.linalg.norm(a, axis=-1))
    left, sizes, basis = np.linalg.svd(a / noise[..., None], full_matrices=False)
    measured = sizes > _NO_NOISE
    width = np.where(measured, 1 / np.where(measured, sizes, 1.0), 0.0)
    values = width * (np.swapaxes(left, -1, -2) @ (y / noise)[..., None])[..., 0]
    return Separated(basis * measured[..., None], values, np.where(width > 2 * _NO_NOISE, width, 0.0))


def _in_model_space(
    function: Function, mean: Array, scale: Array, unit: Array, x0: Float[Array, "n d"]
) -> Float[Array, "n m"]:
    value: Array = function(mean[None] + scale[None] * x0) / unit
    return value

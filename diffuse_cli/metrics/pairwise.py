"""Distances that are means over all pairs of points: the energy distance and the maximum mean discrepancy.

Both are U-statistics: a point is never paired with itself, so their expectation is the distance of the two laws. For
equal laws it is 0, and about half of all draws give a negative value. Both behave like squared distances: a shift twice
as large makes them about four times as large.
"""

import functools
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from msgspec import Meta

from diffuse_cli.errors import DiffuseError
from diffuse_cli.metrics.base import Figures, Metric

_BLOCK = 1000  # points; the distances within a block fit into the processor's cache
_FOR_MEDIAN = 2000  # points of the reference for the median heuristic


def energy() -> Metric:
    """The energy distance 2 E|X − Y| − E|X − X'| − E|Y − Y'| of Székely & Rizzo (2013), unbiased.

    In units of the space. Sums of 1000 terms are in single precision, sums of these in double precision.

    >>> round(energy()(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])), 4)  # 2 · 2 − 1 − 1
    2.0
    """
    return Metric(_figures(None), "energy")


def mmd(*, bandwidth: Annotated[float, Meta(gt=0)] | None = None) -> Metric:
    """The squared maximum mean discrepancy, unbiased: MMD²_u of Gretton et al. (2012), eq. 3, a number without unit.

    The kernel is k(x, y) = exp(−|x − y|² / 2h²), with h = bandwidth, or by the median heuristic: the median distance
    within the reference (its first 2000 points), never the model, so that all models are judged by one kernel.

    The metric raises DiffuseError where that median is 0: more than half of all pairs of the reference coincide.

    >>> apart = mmd(bandwidth=1.0)(np.array([[0.0], [0.0]]), np.array([[9.0], [9.0]]))
    >>> round(apart, 4)  # k = 1 within each cloud, and 0 between the clouds: 1 + 1 − 2 · 0
    2.0
    """
    return Metric(_figures(bandwidth), "mmd")


@functools.cache
def _figures(bandwidth: float | None) -> Figures:
    def figures(model: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        h = _median_distance(reference) if bandwidth is None else bandwidth
        # distances do not depend on the origin, but single precision does
        x, y = (np.asarray(points - reference.mean(axis=0), np.float32) for points in (model, reference))
        between, within_x, within_y = _mean_between(x, y, h), _mean_within(x, h), _mean_within(y, h)
        distance, kernel = 2 * between - within_x - within_y
        return {"energy": distance, "mmd": -kernel}

    return figures


def _median_distance(points: np.ndarray) -> float:
    from scipy.spatial.distance import pdist

    median = float(np.median(pdist(points[:_FOR_MEDIAN])))
    if median == 0:
        raise DiffuseError(
            "mmd: the median distance within the reference is 0; give the kernel's width, mmd:bandwidth=…"
        )
    return median


def _mean_between(x: np.ndarray, y: np.ndarray, h: float) -> np.ndarray:
    """The means [2] of |x_i − y_j| and k(x_i, y_j) over all i, j."""
    return sum((_sums(a, b, h) for a in _blocks(x) for b in _blocks(y)), np.zeros(2)) / (len(x) * len(y))


def _mean_within(x: np.ndarray, h: float) -> np.ndarray:
    """The means [2] of |x_i − x_j| and k(x_i, x_j) over all i ≠ j."""
    blocks = _blocks(x)
    same = sum((_sums(a, a, h, same=True) for a in blocks), np.zeros(2))
    apart = [_sums(a, b, h) for i, a in enumerate(blocks) for b in blocks[:i]]
    return (same + 2 * sum(apart, np.zeros(2))) / (len(x) * (len(x) - 1))


def _blocks(x: np.ndarray) -> list[np.ndarray]:
    return [x[start : start + _BLOCK] for start in range(0, len(x), _BLOCK)]


def _sums(a: np.ndarray, b: np.ndarray, h: float, *, same: bool = False) -> np.ndarray:
    return np.array([np.asarray(rows, np.float64).sum() for rows in _row_sums(a, b, np.float32(h), same=same)])


@functools.partial(jax.jit, static_argnames="same")
def _row_sums(a: Array, b: Array, h: Array, *, same: bool) -> tuple[Array, Array]:
    """Σ_j |a_i − b_j| and Σ_j k(a_i, b_j), each [len(a)]; with `same`, b is a and the pairs i = j are left out."""
    product = jnp.matmul(a, b.T, precision="highest")
    squared = jnp.maximum(jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)[None] - 2 * product, 0)
    counted = ~jnp.eye(len(a), dtype=bool) if same else None
    # two sums, and not one sum of a stacked array, which would be written to memory
    distance = jnp.sum(jnp.sqrt(squared), axis=1, where=counted)
    return distance, jnp.sum(jnp.exp(-squared / (2 * h**2)), axis=1, where=counted)

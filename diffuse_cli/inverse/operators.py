"""Matrices of measurements, [m, d], in data units."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from diffuse_cli.errors import UsageError, unknown


def of_columns(names: Sequence[str], columns: Sequence[str]) -> Float[np.ndarray, "m d"]:
    """The rows that pick these columns, by name. Raises UsageError for a name that is unknown or given twice.

    >>> of_columns(["y"], ("x", "y"))
    array([[0., 1.]])
    """
    for name in names:
        if name not in columns:
            raise unknown("column", name, columns)
    if len(set(names)) < len(names):
        raise UsageError(f"column {next(name for name in names if list(names).count(name) > 1)} is observed twice")
    return np.eye(len(columns))[[list(columns).index(name) for name in names]]


def mask(dim: int, missing: float, rng: np.random.Generator) -> Float[np.ndarray, "m d"]:
    """The rows that pick all columns but this share of them, chosen at random; at least one is kept and one is missing.

    >>> mask(4, 0.5, np.random.default_rng(0)).sum(axis=1)
    array([1., 1.])
    """
    if dim < 2:
        raise UsageError("a mask needs at least two columns")
    kept = min(max(round((1 - missing) * dim), 1), dim - 1)
    return np.eye(dim)[np.sort(rng.permutation(dim)[:kept])]


def blur(dim: int, width: float) -> Float[np.ndarray, "d d"]:
    """Each value averaged with its neighbours, with Gaussian weights of this standard deviation, in columns.

    >>> blur(3, 0.5).sum(axis=1)
    array([1., 1., 1.])
    """
    place = np.arange(dim)
    weights = np.exp(-0.5 * ((place[:, None] - place) / width) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def random_rows(dim: int, count: int, rng: np.random.Generator) -> Float[np.ndarray, "m d"]:
    """Rows of independent N(0, 1 / d), the measurements of compressed sensing (Candès & Tao 2006).

    >>> random_rows(64, 8, np.random.default_rng(0)).shape
    (8, 64)
    """
    return np.asarray(rng.standard_normal((count, dim)) / np.sqrt(dim))


def checked(matrix: Float[np.ndarray, "m k"], dim: int, words: str) -> Float[np.ndarray, "m d"]:
    """A matrix of a user. Raises UsageError where it does not fit data of so many columns.

    >>> checked(np.ones((1, 3)), 2, "a.csv")
    Traceback (most recent call last):
    diffuse_cli.errors.UsageError: a.csv has 3 columns, and the data have 2; a row measures all columns of a point
    """
    if matrix.shape[1] != dim:
        turned = "; turn it round" if matrix.shape[0] == dim else ""
        raise UsageError(
            f"{words} has {matrix.shape[1]} column{'s' * (matrix.shape[1] != 1)}, and the data have {dim}; a row "
            f"measures all columns of a point{turned}"
        )
    return matrix


def spread_over(values: Sequence[float], count: int, what: str) -> Float[np.ndarray, " m"]:
    """One value for all, or one for each of `count`. Raises UsageError for another number of them.

    >>> spread_over([0.1], 3, "--noise")
    array([0.1, 0.1, 0.1])
    """
    if len(values) not in (1, count):
        measured = "1 value is measured" if count == 1 else f"{count} values are measured"
        raise UsageError(f"{what} has {len(values)} numbers, and {measured}; give one, or one for each")
    return np.broadcast_to(np.asarray(values, float), (count,)).copy()

"""What is measured of a point: y = f(x) + noise, in the units of the data."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from diffuse_cli.errors import UsageError

Function = Callable[[Any], Any]  # points [n, d] -> [n, m], written with jax.numpy

_FEW = 4  # values that a title has room for
_INDEPENDENT = 1e-5  # of the largest singular value: less is lost in single precision


class Measurement(NamedTuple):
    """y = A x + noise, or y = f(x) + noise, with noise ~ N(0, diag(std²)); all in data units.

    words: what is measured, for titles. matrix [m, d]: A; None for a function. std [m]: of the noise; 0 for none.
    values [m]: y; None where it is not known yet (`of_signal` makes it). function: f, x [n, d] -> [n, m], written with
    jax.numpy; None for a matrix. signal [d]: the point that was measured, where it is known.

    >>> noisy = Measurement("x", np.array([[1.0, 0.0]]), np.array([0.1]), np.array([0.5]))
    >>> noisy.predicted(np.array([[2.0, 7.0]]))
    array([[2.]])
    """

    words: str
    matrix: np.ndarray | None
    std: np.ndarray
    values: np.ndarray | None = None
    function: Function | None = None
    signal: np.ndarray | None = None

    @property
    def known_values(self) -> Float[np.ndarray, " m"]:
        """y. Raises UsageError where it is not known."""
        if self.values is None:
            raise UsageError(f"{self.words}: no value was measured")
        return self.values

    @property
    def title(self) -> str:
        """What is measured, with the values if there are few: x = 0.5."""
        if self.values is None or len(self.values) > _FEW:
            return self.words
        return f"{self.words} = {', '.join(f'{value:.4g}' for value in self.values)}"

    @property
    def exact(self) -> bool:
        """Whether something is measured without noise."""
        return bool((self.std == 0).any())

    def predicted(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n m"]:
        """f(x), what would be measured of x [n, d] without noise."""
        if self.matrix is not None:
            return np.asarray(x @ self.matrix.T)
        if self.function is None:
            raise ValueError("a measurement needs a matrix or a function")
        return np.asarray(self.function(x), np.float64)

    def drawn(self, x: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Float[np.ndarray, "n m"]:
        """One y of each of x [n, d], with its noise."""
        predicted = self.predicted(x)
        return predicted + self.std * rng.standard_normal(predicted.shape)

    def of_signal(self, signal: Float[np.ndarray, " d"], rng: np.random.Generator) -> "Measurement":
        """The measurement of this point, with noise."""
        return self._replace(values=self.drawn(signal[None], rng)[0], signal=signal)


def stacked(parts: Sequence[Measurement]) -> Measurement:
    """Several linear measurements of one point as one. Raises UsageError where the values of some only are known."""
    if len(parts) == 1:
        return parts[0]
    matrices = [part.matrix for part in parts if part.matrix is not None]
    values = [part.values for part in parts if part.values is not None]
    if len(matrices) < len(parts):
        raise UsageError("a function is measured alone; leave out the other measurements")
    if 0 < len(values) < len(parts):
        without = ", ".join(part.words for part in parts if part.values is None)
        raise UsageError(f"{without}: no value, and the others have some; give all values, or none")
    words, std = ", ".join(part.words for part in parts), np.concatenate([part.std for part in parts])
    known = np.concatenate(values) if values else None
    return Measurement(words, np.concatenate(matrices), std, known)


def check_linear(matrix: Float[np.ndarray, "m d"], std: Float[np.ndarray, " m"], words: str) -> None:
    """Raise UsageError where V = A S Aᵀ + R would be singular: rows without noise that depend on each other.

    >>> check_linear(np.array([[1.0, 0.0], [2.0, 0.0]]), np.zeros(2), "x twice")
    Traceback (most recent call last):
    diffuse_cli.errors.UsageError: x twice: of the 2 values without noise only 1 are independent; give --noise
    """
    without = matrix[std == 0]
    if not len(without):
        return
    values = np.linalg.svd(without, compute_uv=False)
    independent = int((values > _INDEPENDENT * max(values.max(initial=0.0), np.finfo(float).tiny)).sum())
    if independent < len(without):
        raise UsageError(
            f"{words}: of the {len(without)} values without noise only {independent} are independent; give --noise"
        )

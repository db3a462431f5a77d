"""The exact density of a decoder: the integral over its latents, by quadrature on a grid."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

MOST_LATENTS = 2
_CHUNK = 8192  # nodes that are decoded together
_MOST_NODES = 4_000_000
_REACH = 6.0  # standard deviations of the prior, and of encodings, that the grid covers
_SPACING = 0.9  # of the narrowest q(z | x): the error of the trapezoidal rule is then below 1e-9 for a Gaussian

Decode = Callable[[Any], Any]


class Integral(NamedTuple):
    """log p(x) of n points in nats, and the largest difference from what every other node alone gives, which is more
    than the error."""

    log_p: Float[np.ndarray, " n"]
    error: float


class _Grid(NamedTuple):
    """The axes of a grid of latents; `spacing` is that between its nodes along each."""

    axes: tuple[np.ndarray, ...]
    spacing: np.ndarray

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The nodes [m, k] in parts, and which of them belong to every other diagonal [m]."""
        shape = tuple(map(len, self.axes))
        for first in range(0, int(np.prod(shape)), _CHUNK):
            places = np.unravel_index(np.arange(first, min(first + _CHUNK, int(np.prod(shape)))), shape)
            nodes = np.stack([axis[place] for axis, place in zip(self.axes, places, strict=True)], axis=-1)
            yield nodes, np.sum(places, axis=0) % 2 == 0


def log_integral(
    decode: Decode,
    noise: Float[np.ndarray, " s"],
    log_prior: Callable[[np.ndarray], np.ndarray],
    x: Float[np.ndarray, "n d"],
    encoded: tuple[np.ndarray, np.ndarray],
) -> Integral:
    """log ∫ p(z) N(x; decode(z), noise²) dz for one or two latents; `noise` is one number or one for each column.

    encoded: mean and std [n, k] of q(z | x), which say where the grid has to be and how fine. All nodes count for each
    x, so that nothing is missed where the encoder is wrong. The trapezoidal rule converges faster than any power for
    such integrands. Sums are in double precision: the differences of squares cancel.

    >>> decode, log_prior = lambda z: z, lambda z: -0.5 * (z**2).sum(-1) - 0.5 * np.log(2 * np.pi)
    >>> half = np.full((1, 1), 0.5**0.5)
    >>> exact = -0.5 * np.log(2 * np.pi * 2)  # log N(0; 0, 1 + 1)
    >>> abs(log_integral(decode, np.ones(1), log_prior, np.zeros((1, 1)), (0 * half, half)).log_p[0] - exact) < 1e-6
    True
    """
    grid, scaled = _grid(*encoded), np.asarray(x, np.float64) / noise
    constant = -0.5 * (scaled**2).sum(axis=-1) - np.log(np.broadcast_to(noise, x.shape[1:])).sum()
    constant -= 0.5 * x.shape[1] * np.log(2 * np.pi)
    decoder = jax.jit(decode)
    whole, half = (np.full(len(x), -np.inf) for _ in range(2))
    for nodes, even in grid.chunks():
        means = np.asarray(_padded(decoder, nodes), np.float64) / noise
        inside = log_prior(nodes) - 0.5 * (means**2).sum(axis=-1)
        exponents = scaled @ means.T + inside
        whole = np.logaddexp(whole, _log_sum(exponents))
        half = np.logaddexp(half, _log_sum(exponents[:, even]))
    cell = float(np.log(grid.spacing).sum())
    return Integral(whole + constant + cell, float(np.abs(whole - half - np.log(2)).max()))


def _log_sum(exponents: np.ndarray) -> np.ndarray:
    """log Σ exp over the last axis."""
    top: np.ndarray = exponents.max(axis=-1, initial=-np.inf)
    with np.errstate(invalid="ignore"):  # −∞ − −∞, where all of a part are beyond the prior
        inside = np.exp(exponents - top[:, None]).sum(axis=-1)
    return np.where(np.isfinite(top), top + np.log(inside, where=inside > 0, out=np.full_like(top, -np.inf)), -np.inf)


def _padded(decoder: Decode, nodes: np.ndarray) -> np.ndarray:
    """The decoded nodes; the last part is filled up, so that one program is compiled."""
    missing = _CHUNK - len(nodes)
    filled = np.pad(nodes, ((0, missing), (0, 0))).astype(np.float32)
    return np.asarray(decoder(filled))[: len(nodes)]


def _grid(mean: np.ndarray, std: np.ndarray) -> _Grid:
    """The grid that covers the prior and all encodings, as fine as the narrowest encoding; coarser where it would have
    too many nodes."""
    low = np.minimum(-_REACH, (mean - _REACH * std).min(axis=0))
    high = np.maximum(_REACH, (mean + _REACH * std).max(axis=0))
    spacing = _SPACING * std.min(axis=0)
    too_many = float(np.prod((high - low) / spacing)) / _MOST_NODES
    spacing = spacing * max(1.0, too_many ** (1 / mean.shape[1]))
    axes = tuple(np.arange(a, b + s, s) for a, b, s in zip(low, high, spacing, strict=True))
    return _Grid(axes, spacing)

"""The exact density of a decoder: the integral over its latents, by quadrature on a grid."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

MOST_LATENTS = 2
_TILE = 4096  # nodes that are decoded together: a square of the plane, or a piece of the line
_MOST_NODES = 2_000_000
_REACH = 6.0  # standard deviations of the prior, and of encodings, that the grid covers
_SPACING, _NARROW = 1.2, 0.05  # times the std of q(z | x) below which few are: an error of 2e-6 for a Gaussian
_TOLERATED = 1e-3  # nats: grids become finer until their error is smaller, if that is possible
_NEGLIGIBLE = 45.0  # nats below the value at the encoding: 2 million such nodes are a part in 10¹³

Decode = Callable[[Any], Any]


class Integral(NamedTuple):
    """log p(x) of n points in nats, and the mean difference from what every other node alone gives, which is more than
    the error."""

    log_p: Float[np.ndarray, " n"]
    error: float


def log_integral(
    decode: Decode,
    noise: Float[np.ndarray, " s"],
    log_prior: Callable[[np.ndarray], np.ndarray],
    x: Float[np.ndarray, "n d"],
    encoded: tuple[np.ndarray, np.ndarray],
) -> Integral:
    """log ∫ p(z) N(x; decode(z), noise²) dz for one or two latents; `noise` is one number or one for each column.

    encoded: mean and std [n, k] of q(z | x), which say where the grid has to be and how fine it is at first. The
    trapezoidal rule converges faster than any power for such integrands. A tile of the grid is left out for an x only
    where it is too far from x for any of its nodes to count, so that nothing is missed where the encoder is wrong. Sums
    are in double precision: the differences of squares cancel.

    >>> decode, log_prior = lambda z: z, lambda z: -0.5 * (z**2).sum(-1) - 0.5 * np.log(2 * np.pi)
    >>> half = np.full((1, 1), 0.5**0.5)
    >>> exact = -0.5 * np.log(2 * np.pi * 2)  # log N(0; 0, 1 + 1)
    >>> found = log_integral(decode, np.ones(1), log_prior, np.zeros((1, 1)), (0 * half, half))
    >>> round(float(found.log_p[0] - exact), 5)
    0.0
    """
    scaled, decoder = np.asarray(x, np.float64) / noise, jax.jit(decode)
    least = _at_encodings(decoder, noise, log_prior, scaled, encoded[0]) - _NEGLIGIBLE
    spacing = _SPACING * np.quantile(encoded[1], _NARROW, axis=0)
    while True:
        axes, spacing, finest = _axes(*encoded, spacing)
        integral = _on_grid(decoder, noise, log_prior, scaled, least, axes, float(np.log(spacing).sum()))
        if finest or integral.error < _TOLERATED:
            return integral
        spacing = spacing / 2


def _on_grid(
    decoder: Decode,
    noise: np.ndarray,
    log_prior: Callable[[np.ndarray], np.ndarray],
    scaled: np.ndarray,
    least: np.ndarray,
    axes: tuple[np.ndarray, ...],
    log_cell: float,
) -> Integral:
    """The integral on one grid. scaled: x in units of the noise; least: what a node has to reach to count for each."""
    whole, half = (np.full(len(scaled), -np.inf) for _ in range(2))
    for nodes, even in _tiles(axes):
        log_p = log_prior(nodes)
        if not np.isfinite(log_p).any():
            continue
        means = _decoded(decoder, nodes) / noise
        near = _counts(scaled, means, float(log_p.max())) > least
        if not near.any():
            continue
        exponents = _exponents(scaled[near], means, log_p)
        whole[near] = np.logaddexp(whole[near], _log_sum(exponents))
        half[near] = np.logaddexp(half[near], _log_sum(exponents[:, even]))
    dim = scaled.shape[1]
    constant = -np.log(np.broadcast_to(noise, dim)).sum() - 0.5 * dim * np.log(2 * np.pi)
    return Integral(whole + constant + log_cell, float(np.abs(whole - half - np.log(2)).mean()))


def _exponents(scaled: np.ndarray, means: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """log p(z) − |x − decode(z)|² / 2 [n, m], for x and means in units of the noise."""
    inside: np.ndarray = scaled @ means.T + (log_p - 0.5 * (means**2).sum(axis=-1))
    exponents: np.ndarray = inside - 0.5 * (scaled**2).sum(axis=-1)[:, None]
    return exponents


def _counts(scaled: np.ndarray, means: np.ndarray, log_p: float) -> np.ndarray:
    """The largest value [n] that the integrand can have for each x at nodes with these means, by the triangle
    inequality from the middle of the tile; log_p: the largest of the prior there."""
    middle = means.mean(axis=0)
    radius = np.sqrt(((means - middle) ** 2).sum(axis=-1).max())
    distance = np.sqrt(((scaled - middle) ** 2).sum(axis=-1))
    bound: np.ndarray = log_p - 0.5 * np.maximum(distance - radius, 0) ** 2
    return bound


def _at_encodings(
    decoder: Decode, noise: np.ndarray, log_prior: Callable[[np.ndarray], np.ndarray], scaled: np.ndarray, z: np.ndarray
) -> np.ndarray:
    """The integrand [n] of each x at the mean of its own encoding."""
    means = np.concatenate([_decoded(decoder, z[first : first + _TILE]) for first in range(0, len(z), _TILE)]) / noise
    at: np.ndarray = log_prior(z) - 0.5 * ((scaled - means) ** 2).sum(axis=-1)
    return at


def _log_sum(exponents: np.ndarray) -> np.ndarray:
    """log Σ exp over the last axis."""
    top = np.maximum(exponents.max(axis=-1, initial=-np.inf), -1e300)
    with np.errstate(divide="ignore"):
        total: np.ndarray = top + np.log(np.exp(exponents - top[:, None]).sum(axis=-1))
    return total


def _decoded(decoder: Decode, nodes: np.ndarray) -> np.ndarray:
    """The decoded nodes [m, d]; fewer than those of a tile are filled up, so that one program is compiled."""
    filled = np.pad(nodes, ((0, _TILE - len(nodes)), (0, 0))).astype(np.float32)
    return np.asarray(decoder(filled), np.float64)[: len(nodes)]


def _axes(mean: np.ndarray, std: np.ndarray, spacing: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray, bool]:
    """The axes of a grid that covers the prior and all encodings, its spacing along each, wider than asked for where
    the nodes would be too many, and whether no finer one is possible."""
    low = np.minimum(-_REACH, (mean - _REACH * std).min(axis=0))
    high = np.maximum(_REACH, (mean + _REACH * std).max(axis=0))
    too_many = float(np.prod((high - low) / spacing)) / _MOST_NODES
    spacing = spacing * max(1.0, too_many ** (1 / mean.shape[1]))
    finest = 2 ** mean.shape[1] * too_many > 1
    return tuple(np.arange(a, b + s, s) for a, b, s in zip(low, high, spacing, strict=True)), spacing, finest


def _tiles(axes: tuple[np.ndarray, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The nodes [m, k] in tiles, and which of them belong to every other diagonal [m]."""
    side = round(_TILE ** (1 / len(axes)))
    for firsts in product(*(range(0, len(axis), side) for axis in axes)):
        places = np.meshgrid(*(np.arange(a, min(a + side, len(axis))) for a, axis in zip(firsts, axes, strict=True)))
        flat = [place.ravel() for place in places]
        nodes = np.stack([axis[place] for axis, place in zip(axes, flat, strict=True)], axis=-1)
        yield nodes, np.sum(flat, axis=0) % 2 == 0

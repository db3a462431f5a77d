"""Mixtures that are near to a density on a grid: equal Gaussians where it is smooth, boxes where it has edges.

Nearness is KL(grid ‖ mixture) in nats, on the cells of the grid. A smooth density has some hundreds of Gaussians with a
KL below 1e-4, and its denoiser then is as quick as that of a noisy curve; boxes are a hundred times slower.
"""

from typing import NamedTuple

import numpy as np

_APART = 1.25  # standard deviations between the centres of neighbouring Gaussians: equal ones then sum to 1 ± 6e-6
_STEPS, _FIRST = 40, 10  # of expectation maximisation; after the first ones hopeless widths are given up
_HOPELESS = 0.01  # the KL, in nats, that further steps do not make small
_NOTHING = 1e-30  # smaller masses are 0, as numbers near the end of double precision are slow
_OUTSIDE = 1e-12  # the mass of a row or a column of cells, less of which is left out at the border
_REACH = 12.0  # standard deviations, beyond which a kernel is 0 for the same reason
_WIDTHS = (16.0, 11.0, 8.0, 5.6, 4.0, 2.8, 2.0, 1.4)  # standard deviations that are tried, in cells
_NEAR = 2e-5  # the KL, in nats, at which no narrower Gaussians are tried
_LEFT_OUT = 1e-7  # the mass of the lightest Gaussians, which are left out
_LEVELS = 6  # so often cells are merged two by two, or four by four in the plane
_LOG_PRICES = (-60.0, 5.0)


class Gaussians(NamedTuple):
    """Centres [k, d] and weights [k] of Gaussians with one standard deviation, and KL(grid ‖ mixture) in nats."""

    centres: np.ndarray
    std: float
    weights: np.ndarray
    kl: float


class Boxes(NamedTuple):
    """Corners low and high [k, d] and weights [k] of boxes that do not overlap, and KL(grid ‖ mixture) in nats."""

    low: np.ndarray
    high: np.ndarray
    weights: np.ndarray
    kl: float


def gaussians(axes: tuple[np.ndarray, ...], masses: np.ndarray, most: int) -> Gaussians:
    """At most so many equal Gaussians on a lattice, whose weights maximise the likelihood of the masses on the grid.

    axes: the centres of the cells along each axis. masses: the probability of each cell. The weights follow by
    expectation maximisation (Dempster, Laird & Rubin 1977), which for Gaussians at fixed places is the deconvolution of
    Richardson (1972) and Lucy (1974). Of several standard deviations the widest with a KL below 2e-5 is taken, or the
    one with the least.
    """
    cell = max(axis[1] - axis[0] for axis in axes)
    axes, masses = _cropped(axes, np.where(masses > _NOTHING, masses, 0.0))
    best = _fitted(axes, masses, _WIDTHS[0] * cell)
    for width in _WIDTHS[1:]:
        if best.kl < _NEAR:
            break
        fitted = _fitted(axes, masses, width * cell)
        if len(fitted.weights) > most:
            break
        best = min(best, fitted, key=lambda each: each.kl)
    return best


def boxes(low: np.ndarray, widths: np.ndarray, masses: np.ndarray, most: int) -> Boxes:
    """At most so many boxes, each a square block of cells; low [d] and widths [d] are those of the grid and of a cell.

    They are the leaves of a tree in which cells are merged two by two (four by four in the plane), pruned by the loss
    of each merger in nats (Breiman et al. 1984, section 3.3).
    """
    padded = np.pad(masses / masses.sum(), [(0, -size % (1 << _LEVELS)) for size in masses.shape])
    low_price, high_price = _LOG_PRICES
    leaves = _leaves(padded, 0.0)
    if _count(leaves) > most:
        while high_price - low_price > 0.01:
            price = (low_price + high_price) / 2
            few = _count(_leaves(padded, float(np.exp(price)))) <= most
            low_price, high_price = (low_price, price) if few else (price, high_price)
        leaves = _leaves(padded, float(np.exp(high_price)))
    places = [np.argwhere(leaf) for leaf in leaves]
    sides = np.concatenate([np.full(len(place), 1 << level) for level, place in enumerate(places)])[:, None]
    corners = np.concatenate(places) * sides
    weights = np.concatenate([leaf[leaf > 0] for leaf in leaves])
    kl = _negative_entropy(padded).sum() - np.sum(weights * np.log(weights / sides[:, 0] ** masses.ndim))
    return Boxes(low + corners * widths, low + (corners + sides) * widths, weights, float(kl))


def _cropped(axes: tuple[np.ndarray, ...], masses: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The part of the grid that holds all but a negligible mass: around all data, most of it lies beside one class."""
    numbers = range(masses.ndim)
    margins = [masses.sum(axis=tuple(other for other in numbers if other != axis)) for axis in numbers]
    ends = [np.flatnonzero(margin > _OUTSIDE)[[0, -1]] for margin in margins]
    parts = tuple(slice(first, last + 1) for first, last in ends)
    return tuple(axis[part] for axis, part in zip(axes, parts, strict=True)), masses[parts]


def _fitted(axes: tuple[np.ndarray, ...], masses: np.ndarray, std: float) -> Gaussians:
    """The Gaussians with this standard deviation, after `_STEPS` steps from the masses near their centres."""
    lattice = [np.arange(axis[0], axis[-1] + _APART * std, _APART * std) for axis in axes]
    kernels = [_kernel(axis, nodes, std) for axis, nodes in zip(axes, lattice, strict=True)]
    weights = _apply([kernel.T for kernel in kernels], masses)
    weights /= weights.sum()
    within = _apply([kernel.sum(axis=0)[:, None] for kernel in kernels], np.ones((1,) * masses.ndim))
    for step in range(_STEPS):
        q = _apply(kernels, weights)
        if step == _FIRST and _kl(masses, q) > _HOPELESS:
            break
        weights = weights * _apply([kernel.T for kernel in kernels], _ratio(masses, q)) / within
        weights /= weights.sum()
    order = np.sort(weights, axis=None)
    kept = weights > order[np.searchsorted(np.cumsum(order), _LEFT_OUT)]
    weights = np.where(kept, weights, 0.0) / weights[kept].sum()
    centres = np.stack(np.meshgrid(*lattice, indexing="ij"), axis=-1)
    return Gaussians(centres[kept], std, weights[kept], _kl(masses, _apply(kernels, weights)))


def _kernel(axis: np.ndarray, nodes: np.ndarray, std: float) -> np.ndarray:
    """The mass [cells, nodes] of a Gaussian at each node in each cell, by its density at the centre of the cell."""
    width = (axis[1] - axis[0]) / std
    z = (axis[:, None] - nodes) / std
    return np.where(np.abs(z) < _REACH, width / np.sqrt(2 * np.pi) * np.exp(-0.5 * np.minimum(z**2, _REACH**2)), 0.0)


def _apply(matrices: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    """One matrix along each axis of the values."""
    first = matrices[0] @ values
    return np.asarray(first if len(matrices) == 1 else first @ matrices[1].T)


def _ratio(masses: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.where(masses > 0, masses / np.maximum(q, 1e-300), 0.0)


def _kl(masses: np.ndarray, q: np.ndarray) -> float:
    return float(np.sum(masses * np.log(np.where(masses > 0, _ratio(masses, q), 1.0))))


def _negative_entropy(masses: np.ndarray) -> np.ndarray:
    return np.where(masses > 0, masses * np.log(np.where(masses > 0, masses, 1.0)), 0.0)


def _count(leaves: list[np.ndarray]) -> int:
    return sum(int(np.count_nonzero(leaf)) for leaf in leaves)


def _pooled(values: np.ndarray) -> np.ndarray:
    """Sums over 2 (or 2 × 2) neighbouring cells."""
    halves = [part for size in values.shape for part in (size // 2, 2)]
    return np.asarray(values.reshape(halves).sum(axis=tuple(range(1, 2 * values.ndim, 2))))


def _leaves(masses: np.ndarray, price: float) -> list[np.ndarray]:
    """The leaves of the tree that minimises KL(cells ‖ leaves) + price · leaves.

    An array of masses for each level, from single cells to blocks of 2^level along each axis; 0 where no leaf is.
    """
    level_masses, whole = [masses], [np.ones(masses.shape, bool)]
    surprise, cost = _negative_entropy(masses), price * (masses > 0)
    for level in range(1, _LEVELS + 1):
        mass, surprise, apart = _pooled(level_masses[-1]), _pooled(surprise), _pooled(cost)
        loss = surprise - _negative_entropy(mass) + mass * level * masses.ndim * np.log(2)
        together = np.maximum(loss, 0.0) + price * (mass > 0)
        level_masses.append(mass)
        whole.append(together <= apart)
        cost = np.minimum(together, apart)
    leaves, alive = [], np.ones(level_masses[-1].shape, bool)
    for mass, merged in zip(reversed(level_masses), reversed(whole), strict=True):
        leaves.append(np.where(alive & merged, mass, 0.0))
        alive = alive & ~merged
        for axis in range(masses.ndim):
            alive = alive.repeat(2, axis=axis)
    return leaves[::-1]

"""Laws on a grid: densities in one or two dimensions that have a formula but no closed form for their mass.

Two kinds are made here, both in model space: a tilted law, p(x | c)^w p(x)^(1 − w) / Z, which classifier-free guidance
of scale w is said to sample (Ho & Salimans 2022, section 3.2), and a product p h / Z with a factor h. A sum over the
centres of the cells is a quadrature by the midpoint rule; for a smooth density that vanishes at the border its error
falls faster than any power of the cells' size, so Z and the entropy have far more digits than the picture of the cells
suggests. Draws are uniform within their cell.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.diffusion import exact, grid_fit
from diffuse_cli.diffusion.gaussian_posterior import refuse_no_mass
from diffuse_cli.diffusion.process import CLEAN, Level
from diffuse_cli.errors import DiffuseError

_BLOCK = 1 << 16  # cells that are evaluated together
_MOST_CELLS = 1 << 22
_USUAL_CELLS = {1: 4096, 2: 512}  # along each axis, by the number of axes
_PER_STD = 5  # cells in the least standard deviation of a density
_BORDER = 1e-3  # the most mass that the outermost cells of a tilted law may have
_MOST_GAUSSIANS = 1 << 14
_SMOOTH = 1e-3  # the KL, in nats, up to which a mixture of Gaussians is taken without a look at boxes
_SOFT = 0.25  # the standard deviation of the edges of boxes, in the width of a cell
_BLOCKS = {1: 128, 2: 32}  # of a histogram along each axis, by the number of axes
_FEWEST_EXPECTED = 5  # points in a block of a histogram; those with fewer are put together
_FLOORS = 32


class HistogramKL(NamedTuple):
    """How far a histogram of n points is from a law, in nats, beside what independent draws of the law itself show.

    kl: Σ f log(f / q) over the blocks, f being the shares of the points and q those of the law. floor, floor_std: the
    mean and the standard deviation of the same for n draws of the law; the mean is about (blocks − 1) / 2n.
    blocks: the number of blocks, of which one is all that the law hardly reaches.
    """

    kl: float
    floor: float
    floor_std: float
    blocks: int


class GridLaw(NamedTuple):
    """A density that is constant in each cell of a grid in one or two dimensions, model space.

    low, high: the corners [d] of the grid. log_p: the log of the density in each cell, [cells] or [cells, cells'], in
    the order of the columns of x; -inf where there is none. The density has mass 1. log_z: the log of the mass of the
    density before it was normalised, ∫ exp(log_density) dx, model space.
    """

    low: np.ndarray
    high: np.ndarray
    log_p: np.ndarray
    log_z: float

    @property
    def widths(self) -> np.ndarray:
        """The sides [d] of a cell."""
        return np.asarray((self.high - self.low) / self.log_p.shape)

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """The centres of the cells along each axis."""
        return _axes(self.low, self.high, self.log_p.shape)

    @property
    def masses(self) -> np.ndarray:
        """The probability of each cell, in the shape of log_p."""
        return np.asarray(np.exp(self.log_p + np.log(self.widths).sum()))

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """n independent draws [n, d], model space: a cell by the inverse of the cumulated masses, and a place in it."""
        total = np.cumsum(self.masses)
        cells = np.searchsorted(total, total[-1] * rng.random(n), side="right")
        places = np.stack(np.unravel_index(cells, self.log_p.shape), axis=1)
        return np.asarray(self.low + (places + rng.random(places.shape)) * self.widths)

    def log_prob(self, x: Float[np.ndarray, "n d"]) -> np.ndarray:
        """The log of the density [n] at x, in nats; -inf outside of the grid."""
        cells, inside = self._cells_of(x)
        return np.where(inside, self.log_p[tuple(cells.T)], -np.inf)

    def entropy(self) -> float:
        """−∫ p log p, in nats, model space."""
        return self._mean_of(-self.log_p)

    def kl(self, log_q: np.ndarray) -> float:
        """KL(self ‖ q) = ∫ p log(p / q), in nats, for the log of a normalised density in each cell; inf if q lacks any.

        Raises ValueError if log_q is on another grid.
        """
        if log_q.shape != self.log_p.shape:
            raise ValueError(f"a density on cells of shape {log_q.shape} beside one of shape {self.log_p.shape}")
        return self._mean_of(self.log_p - np.where(np.isneginf(self.log_p), 0.0, log_q))

    def histogram_kl(self, x: Float[np.ndarray, "n d"], rng: np.random.Generator) -> HistogramKL:
        """How far points x [n, d], model space, are from this law: KL of their histogram, and its floor.

        A histogram of n points is never equal to the law, so the KL alone says nothing: compare it with the floor. The
        grid is divided into 32 by 32 blocks (128 in one dimension); those in which fewer than 5 points are expected
        are one block together with all outside of the grid, so that the figure is finite whatever the points.
        """
        n, shape = len(x), self.log_p.shape
        sides = _BLOCKS[len(shape)]
        block = [-(-size // sides) for size in shape]
        places = [index // size for index, size in zip(np.indices(shape), block, strict=True)]
        number = np.ravel_multi_index(places, (sides,) * len(shape))
        share = np.bincount(number.ravel(), weights=self.masses.ravel())
        usual = n * share >= _FEWEST_EXPECTED
        cells, inside = self._cells_of(x)
        counts = np.bincount(number[tuple(cells.T)][inside], minlength=len(share))[usual]
        q = np.append(share[usual], max(1 - share[usual].sum(), 1e-12))

        def kl(counts: np.ndarray) -> np.ndarray:
            f = counts / n
            return np.asarray(np.sum(f * np.log(np.where(f > 0, f, 1.0) / q), axis=-1))

        floors = kl(rng.multinomial(n, q / q.sum(), size=_FLOORS))
        return HistogramKL(
            float(kl(np.append(counts, n - counts.sum()))), float(floors.mean()), float(floors.std(ddof=1)), len(q)
        )

    def law(self, most: int = _MOST_GAUSSIANS) -> exact.Law:
        """A Law with this density, up to a small KL, which has its density and denoiser at every noise level.

        It is a mixture of at most so many equal Gaussians where the density is smooth, or of a quarter as many boxes,
        each of which costs much more time, where they are nearer to it. The edges of boxes are softened by a quarter of
        a cell's width, so that the density is positive everywhere, and the score exists without noise. The entropy at
        the clean level is that of the grid.
        """
        masses = self.masses / self.masses.sum()
        smooth = grid_fit.gaussians(self.axes, masses, most)
        if smooth.kl < _SMOOTH or smooth.kl < (sharp := grid_fit.boxes(self.low, self.widths, masses, most // 4)).kl:
            law = exact.mixture(smooth.centres, smooth.std, smooth.weights)
        else:
            law = exact.boxes(sharp.low, sharp.high, _SOFT * float(self.widths.min()), sharp.weights)

        def entropy(level: Level) -> float:
            if float(level.sigma) == 0:
                return self.entropy() + len(self.low) * float(np.log(float(level.alpha)))
            return law.entropy(level)

        return law._replace(entropy=entropy)

    def _cells_of(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cell [n, d] of each of x, the nearest one for points outside of the grid; and whether x is inside [n]."""
        inside = np.all((x >= self.low) & (x <= self.high), axis=1)
        place = np.where(inside[:, None], (x - self.low) / self.widths, 0.0).astype(int)
        return np.minimum(place, np.array(self.log_p.shape) - 1), inside

    def _mean_of(self, values: np.ndarray) -> float:
        masses = self.masses
        return float(np.sum(masses[masses > 0] * values[masses > 0]))


class Grid(NamedTuple):
    """A grid of cells: its corners low and high [d], and the number of cells along each of d axes."""

    low: np.ndarray
    high: np.ndarray
    cells: tuple[int, ...]


def around(x: Float[np.ndarray, "n d"], narrowest: float | None = None) -> Grid:
    """A Grid for densities whose draws are like x [n, d], model space, with room of a quarter of their range each side.

    The cells are about square. There are 512 along the longer of two axes, or 4096 along one; more where `narrowest`,
    the least standard deviation in the density, asks for it: a cell is a fifth of it or less, or as small as the number
    of cells allows, which is 4 million.

    Raises DiffuseError unless d is 1 or 2.

    >>> around(np.array([[-1.0], [1.0]])).high
    array([1.5])
    """
    dim = x.shape[1]
    if dim not in _USUAL_CELLS:
        raise DiffuseError(f"a density on a grid needs one or two columns, and here there are {dim}")
    low, high = x.min(axis=0), x.max(axis=0)
    room = 0.25 * np.maximum(high - low, 1e-3)
    low, high = low - room, high + room
    longest = float((high - low).max())
    wanted = 0 if not narrowest else int(np.ceil(_PER_STD * longest / narrowest))
    along_it = min(max(_USUAL_CELLS[dim], wanted), int(_MOST_CELLS ** (1 / dim)))
    return Grid(low, high, tuple(np.ceil(along_it * (high - low) / longest).astype(int).tolist()))


def on_grid(
    log_density: Callable[[Float[Array, "n d"]], Float[Array, " n"]],
    low: Float[np.ndarray, " d"],
    high: Float[np.ndarray, " d"],
    cells: int | tuple[int, ...],
    what: str = "the density",
) -> GridLaw:
    """The GridLaw of a density that need not be normalised, from its logs at the centres of the cells.

    log_density: a function that jax can trace; it is computed in double precision. cells: their number along each axis.
    what: a name for the errors.

    Raises DiffuseError where there is no mass, or no number, and unless there are one or two axes.

    >>> law = on_grid(lambda x: -(x[:, 0] ** 2) / 2, np.array([-8.0]), np.array([8.0]), 400)
    >>> round(law.log_z, 6), round(law.entropy(), 6)  # ½ log 2π, and ½ more
    (0.918939, 1.418939)
    """
    return _normalised(_values(log_density, low, high, cells), low, high, what)


def tilted(
    conditional: exact.Law,
    unconditional: exact.Law,
    w: float,
    low: Float[np.ndarray, " d"],
    high: Float[np.ndarray, " d"],
    cells: int | tuple[int, ...],
    level: Level = CLEAN,
) -> GridLaw:
    """The law π_w ∝ p(x | c)^w p(x)^(1 − w); Ho & Salimans 2022, section 3.2, whose own w is this one less 1.

    w = 1 is the conditional law, w = 0 the unconditional one. For w ≥ 0 it has a finite mass Z, since
    p(x) ≥ p(c) p(x | c); for w < 0 that depends on the tails. level: the noise level at which both densities are taken.

    Raises DiffuseError where the law is not within the grid, or has no finite mass.

    >>> c, u = exact.gaussian(np.ones(1), np.eye(1)), exact.gaussian(np.zeros(1), np.eye(1))
    >>> law = tilted(c, u, 2.0, np.array([-8.0]), np.array([10.0]), 600)
    >>> round(float(law.axes[0] @ law.masses), 6)  # w μ_c + (1 − w) μ
    2.0
    """

    def log_density(x: Float[Array, "n d"]) -> Float[Array, " n"]:
        at = Level(*(jnp.asarray(field, x.dtype) for field in level))
        given, whole = (exact.log_prob(law, x, at) for law in (conditional, unconditional))
        # 0 · (−inf) and (−inf) − (−inf) are no numbers; where a density with a positive power is 0, so is π_w
        first = w * given if w else jnp.zeros_like(given)
        second = (1 - w) * whole if w != 1 else jnp.zeros_like(whole)
        nothing = (jnp.isneginf(given) & (w > 0)) | (jnp.isneginf(whole) & ((w < 1) | jnp.isneginf(given)))
        return jnp.where(nothing, -jnp.inf, jnp.where(nothing, 0.0, first) + jnp.where(nothing, 0.0, second))

    law = on_grid(log_density, low, high, cells, f"the law tilted by w = {w:g}")
    border = _on_border(law.masses)
    if border > _BORDER:
        raise DiffuseError(
            f"the law tilted by w = {w:g} has {border:.1%} of its mass at the border of the grid: "
            + ("for w < 0 its mass need not be finite" if w < 0 else "take a larger grid")
        )
    return law


def multiplied(
    law: exact.Law,
    log_h: Callable[[Float[Array, "n d"]], Float[Array, " n"]],
    low: Float[np.ndarray, " d"],
    high: Float[np.ndarray, " d"],
    cells: int | tuple[int, ...],
    level: Level = CLEAN,
) -> GridLaw:
    """The law p h / Z of a law times a factor; log_z is the log of Z = E_p h, with p in model space.

    log_h: (x [n, d] in model space) -> [n], a function that jax can trace; -inf where h is 0.

    Raises DiffuseError where the product has no mass: Z is below 1e-30 of the largest h (or of 1, if that is more).

    >>> law = multiplied(exact.gaussian(np.zeros(1), np.eye(1)), lambda x: jnp.where(x[:, 0] > 0, 0.0, -jnp.inf),
    ...                  np.array([-8.0]), np.array([8.0]), 400)
    >>> round(float(np.exp(law.log_z)), 6)
    0.5
    """

    def both(x: Float[Array, "n d"]) -> Float[Array, "n 2"]:
        log_p = exact.log_prob(law, x, Level(*(jnp.asarray(field, x.dtype) for field in level)))
        return jnp.stack([log_p, log_h(x)], axis=1)

    log_p, log_factor = np.moveaxis(_values(both, low, high, cells), -1, 0)
    product = _normalised(log_p + log_factor, low, high, "the product")
    refuse_no_mass(product.log_z - max(0.0, float(log_factor.max())))
    return product


def _normalised(log_p: np.ndarray, low: np.ndarray, high: np.ndarray, what: str) -> GridLaw:
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if np.isnan(log_p).any() or np.isposinf(log_p).any():
        raise DiffuseError(
            f"{what} is no number somewhere: without noise there may be no density; take a noisier level"
        )
    most = log_p.max()
    if np.isneginf(most):
        raise DiffuseError(f"{what} has no mass from {low.round(3)} to {high.round(3)}: Z = 0")
    volume = np.log((high - low) / log_p.shape).sum()
    log_z = float(most + np.log(np.exp(log_p - most).sum()) + volume)
    return GridLaw(low, high, log_p - log_z, log_z)


def _axes(low: np.ndarray, high: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(a + (b - a) * (np.arange(n) + 0.5) / n for a, b, n in zip(low, high, shape, strict=True))


def _values(
    function: Callable[[Float[Array, "n d"]], Float[Array, "n ..."]],
    low: np.ndarray,
    high: np.ndarray,
    cells: int | tuple[int, ...],
) -> np.ndarray:
    """The function at the centres of the cells, [*cells, *k], in double precision, in blocks of one size."""
    shape = (cells,) * len(low) if isinstance(cells, int) else tuple(cells)
    if len(low) not in _USUAL_CELLS or np.prod(shape) > _MOST_CELLS:
        raise DiffuseError(f"a density on a grid of {' × '.join(map(str, shape))} cells is out of reach")
    centres = np.stack(np.meshgrid(*_axes(low, high, shape), indexing="ij"), axis=-1).reshape(-1, len(shape))
    size = min(_BLOCK, len(centres))
    padded = np.concatenate([centres, np.repeat(centres[-1:], -len(centres) % size, axis=0)])
    with jax.enable_x64(True):
        compiled = jax.jit(function)
        parts = [np.asarray(compiled(part)) for part in padded.reshape(-1, size, len(shape))]
    values = np.concatenate(parts)[: len(centres)].astype(np.float64)
    return values.reshape(shape + values.shape[1:])


def _on_border(masses: np.ndarray) -> float:
    """The mass of the outermost cells."""
    inner = masses[(slice(1, -1),) * masses.ndim]
    return float(masses.sum() - inner.sum())

"""Log-likelihood under a denoiser, by the probability-flow ODE. Song et al. 2021 (score SDE), eq. 39 and appendix D.2.

The flow dx/dphi = v of `diffusion/flow.py` carries a density along, which changes by d log p(x(phi)) / dphi = -div v;
so from the clean level to the last one

    log p(x(0)) = log N(x(phi_T); 0, I) + ∫ div v dphi,    phi from 0 to phi_T.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from diffuse_cli.diffusion import probability_flow
from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level, Process, Scaling
from diffuse_cli.errors import UsageError

TOLERANCE = 1e-5
MAX_STEPS = 500  # of the default tolerance, where 70 are many
PROBES = 8
SPACING = 0.05  # of a grid, model space; of the built-in sets the finest noise is 0.036 there, the usual 0.07

_WAVES = 4  # along each column of a grid
_EXACT_UP_TO = 3  # dimensions: there d products with the Jacobian cost less than an estimate that is any good
_BLOCK = 128  # points solved together on a CPU: all wait for the slowest, so few, yet enough for fast matrix products
_LARGE_BLOCK = 1 << 14  # … and on an accelerator, which would wait for its instructions


class Likelihood(NamedTuple):
    """log_p: [n], nats, model space; NaN where the solver failed.
    stderr: [n], the standard error of log_p that comes from the probes; 0 where the divergence is exact.
    evals: network evaluations for one point, the mean; with each came its derivatives in all directions asked for.
    failed: the number of points without an answer.
    probes: how many estimated the divergence; 0 for the exact one.
    """

    log_p: np.ndarray
    stderr: np.ndarray
    evals: int
    failed: int
    probes: int


class GridDensity(NamedTuple):
    """axes: the cells' centres along each column, d arrays.
    log_p: [cells of the first column, of the second], nats, model space; NaN where the solver failed.
    volume: of one cell.
    failed: the number of cells without an answer.
    """

    axes: tuple[np.ndarray, ...]
    log_p: np.ndarray
    volume: float
    failed: int

    @property
    def mass(self) -> float:
        """∫ p over the grid by the midpoint rule; NaN if any cell is without an answer."""
        return float(np.exp(self.log_p.astype(np.float64)).sum() * self.volume)


class Mass(NamedTuple):
    """∫ p over a grid; NaN where the solver failed at any of its points.

    error: by how much it may be off because p has detail finer than the grid, estimated.
    failed: the number of points without an answer.
    """

    value: float
    error: float
    failed: int

    @property
    def resolved(self) -> bool:
        """Whether the grid is close enough for p, to a hundredth; one that misses p altogether is not."""
        return self.error < 0.01 * self.value


def frozen_below(predict: Predict, finest: Level) -> Predict:
    """The denoiser with its score, a function of x / alpha, taken at `finest` for all cleaner levels as well.

    Less noise than it was trained on a network knows nothing about. eps = -sigma score then falls in proportion to
    sigma / alpha, so that at the clean level eps is 0 and x0 is x. `finest` has scalar fields.
    """
    return jax.tree_util.Partial(_freeze, predict, finest)


def _freeze(predict: Predict, finest: Level, x: Array, level: Level) -> Prediction:
    below = level.log_snr > finest.log_snr
    asked = jax.tree.map(lambda field, limit: jnp.where(below, limit, field), level, finest)
    p = predict(x * (asked.alpha / level.alpha), asked)
    eps = p.eps * (level.sigma / level.alpha * (asked.alpha / asked.sigma))
    # not for all levels, since x - sigma eps has no digits left where hardly any signal is
    return Prediction(jnp.where(below, (x - level.sigma * eps) / level.alpha, p.x0), eps)


def log_likelihood(
    predict: Predict,
    process: Process,
    x0: Array,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    probes: int | None = None,
    key: Array | None = None,
) -> Likelihood:
    """log p of each of x0 [n, d], model space, nats.

    predict: a pytree (jax.tree_util.Partial); its score is frozen below the finest level, t = 1/T. Other weights of
        one structure, another schedule, tolerance or number of points compile nothing.
    tolerance: the error allowed to one step, absolute and relative, in each coordinate and each term of the divergence.
        Every point has steps of its own. With the default, log p of a network on moons errs by 6e-5 nats in the root
        mean square, and by less than 1e-3 at each of 10,000 points.
    max_steps: after as many a point has failed.
    probes: 0 for the exact divergence; 2 or more to estimate it with as many vectors of random signs for each point,
        kept along the whole of its path (Hutchinson 1990; Grathwohl et al. 2019, section 3.1). By default 0 up to three
        dimensions and 8 above. The estimate of log p is unbiased; that of p is not.
    key: of the probes, key(0) if not given. A point's probes depend on its row in x0, and on no other point.

    Raises UsageError where the numbers have no meaning.
    """
    x0 = np.asarray(x0, jnp.result_type(float))
    if x0.ndim != 2 or not x0.size:
        raise UsageError(f"a likelihood needs points, one in each row, not an array of shape {x0.shape}")
    if probes is None:
        probes = 0 if x0.shape[1] <= _EXACT_UP_TO else PROBES
    if probes < 0 or probes == 1:
        raise UsageError(f"probes is {probes}; use 0 for the exact divergence, or 2 and more to estimate it")
    least = 4 * float(np.finfo(x0.dtype).eps)
    if not least <= tolerance < 1:
        raise UsageError(f"tolerance is {tolerance:g}; in {x0.dtype} it must be at least {least:.1g}, and less than 1")
    if max_steps < 1:
        raise UsageError(f"max_steps is {max_steps}; it must be at least 1")
    key = jax.random.key(0) if key is None else key
    ends = process.levels_at([1 / process.timesteps, 1.0]).log_snr
    solve = partial(_solve, predict, process.scaling, ends, tolerance, key, probes=probes, max_steps=max_steps)
    log_p, stderr, steps = _in_blocks(solve, x0)
    return Likelihood(log_p, stderr, round(probability_flow.EVALS * steps.mean()), int(np.isnan(log_p).sum()), probes)


def grid(low: Array, high: Array, cells: tuple[int, ...]) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The centres of cells from low [d] to high [d]: along each axis, and all places [cells of the first, …, d]."""
    axes = tuple(a + (b - a) * (np.arange(n) + 0.5) / n for a, b, n in zip(low, high, cells, strict=True))
    return axes, np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def grid_density(
    predict: Predict,
    process: Process,
    low: Array,
    high: Array,
    cells: tuple[int, ...] | None = None,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> GridDensity:
    """log p at the centres of a grid of cells from low [d] to high [d], model space, d at most 2.

    cells: how many along each column; by default enough to make them at most 0.05 wide. On a density smoothed with
        standard deviation std, the midpoint rule with this spacing errs by up to 2 exp(-2 (pi std / spacing)^2): a
        thousandth where the spacing is 1.6 std.

    Raises UsageError for more columns, or where low is not below high.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if len(low) > 2:
        raise UsageError(f"a density is put on a grid in one or two dimensions, not in {len(low)}")
    if not (low < high).all():
        raise UsageError(f"a grid runs from low to high, not from {low.tolist()} to {high.tolist()}")
    counts = np.ceil((high - low) / SPACING).astype(int) if cells is None else np.asarray(cells)
    axes, points = grid(low, high, tuple(counts))
    found = log_likelihood(
        predict, process, points.reshape(-1, len(axes)), tolerance=tolerance, max_steps=max_steps, probes=0
    )
    volume = float(np.prod((high - low) / counts))
    return GridDensity(axes, found.log_p.reshape(points.shape[:-1]), volume, found.failed)


def mass(
    predict: Predict,
    process: Process,
    low: Array,
    high: Array,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> Mass:
    """∫ p from low [d] to high [d], model space, d at most 2, which a grid that holds the data finds to be 1.

    It is the mean over two grids, each in the gaps of the other, with cells 0.07 wide: in the plane as many points as
    with one of cells 0.05 wide. What detail finer than a grid does to its sum depends on where its points lie, so half
    the difference of both sums says how large that is; mostly the mean is far better. One difference may be small by
    chance, so the largest of several is taken: of the sums of p times slow waves over the grid.

    Raises UsageError like `grid_density`.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    cells = np.maximum(np.ceil((high - low) / (np.sqrt(2) * SPACING)), 1).astype(int)
    quarter = (high - low) / cells / 4
    options = {"tolerance": tolerance, "max_steps": max_steps}
    grids = [grid_density(predict, process, low + by, high + by, cells, **options) for by in (-quarter, quarter)]
    one, other = (_with_waves(grid, low, high) for grid in grids)
    error = float(np.abs(one - other).max() / 2)
    return Mass(float((one + other).flat[0] / 2), error, sum(grid.failed for grid in grids))


def _with_waves(grid: GridDensity, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """∫ p cos(2 pi k u) cos(2 pi l v) [k, l], both from 0, over a grid with u and v from 0 at low to 1 at high."""
    sums = np.exp(grid.log_p.astype(np.float64)) * grid.volume
    for axis, a, b in zip(grid.axes, low, high, strict=True):
        waves = np.cos(2 * np.pi * np.outer(np.arange(_WAVES), (axis - a) / (b - a)))
        sums = np.tensordot(sums, waves, axes=(0, 1))  # summed along the first column, whose waves come last
    return sums


def _in_blocks(solve: Callable[[Array, Array], tuple[Array, ...]], x0: np.ndarray) -> list[np.ndarray]:
    """solve(rows, x0) over blocks of one shape, so that any number of points needs one compilation."""
    n = len(x0)
    block = _BLOCK if jax.default_backend() == "cpu" else _LARGE_BLOCK
    rows = np.minimum(np.arange(-(-n // block) * block), n - 1).reshape(-1, block)  # the last one fills up the block
    parts = jax.device_get([solve(these, x0[these]) for these in rows])
    return [np.concatenate(part)[:n] for part in zip(*parts, strict=True)]


@partial(jax.jit, static_argnames=("scaling", "probes", "max_steps"))
def _solve(
    predict: Predict,
    scaling: Scaling,
    ends: Array,
    tolerance: Array,
    key: Array,
    rows: Array,
    x0: Array,
    *,
    probes: int,
    max_steps: int,
) -> tuple[Array, Array, Array]:
    """(log p, its standard error, steps), each [block], at x0 [block, d]. `ends` are the first and last log-SNR."""
    finest = Level(ends[0], *scaling(ends[0]))
    predict = frozen_below(predict, finest)
    times = jnp.stack([jnp.zeros_like(ends[1]), probability_flow.time_of(ends[1])])

    def one(row: Array, x: Array) -> tuple[Array, Array, Array]:
        z = _directions(key, row, probes, x)

        def field(s: Array, state: tuple[Array, Array], _) -> tuple[Array, Array]:
            speed = partial(probability_flow.flow_velocity, predict, scaling, s)
            dx, Jz = jax.vmap(lambda direction: jax.jvp(speed, (state[0],), (direction,)), out_axes=(None, 0))(z)
            return dx, jnp.sum(z * Jz, axis=1)

        start = (x, jnp.zeros_like(z[:, 0]))
        path, found, steps = probability_flow.solve_flow(
            field, times, start, tolerance, max_steps=max_steps, norm=_largest
        )
        x_T, gained = jax.tree.map(lambda at: at[0], path)
        log_p = jnp.sum(jax.scipy.stats.norm.logpdf(x_T)) + jnp.mean(gained)
        answered = found & jnp.isfinite(log_p)
        stderr = jnp.std(gained, ddof=1) / jnp.sqrt(probes) if probes else 0.0
        return *(jnp.where(answered, value, jnp.nan) for value in (log_p, stderr)), steps

    return jax.vmap(one)(rows, x0)


def _largest(errors: tuple[Array, Array]) -> Array:
    return jnp.max(jnp.abs(ravel_pytree(errors)[0]))


def _directions(key: Array, row: Array, probes: int, x: Array) -> Array:
    """z [m, d] such that the mean of z·Jz is tr J: for every J without probes, and with them in expectation."""
    if not probes:
        return jnp.sqrt(len(x)) * jnp.eye(len(x), dtype=x.dtype)
    return jax.random.rademacher(jax.random.fold_in(key, row), (probes, len(x)), x.dtype)

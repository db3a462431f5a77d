"""Log-likelihood under a denoiser, by the probability-flow ODE. Song et al. 2021 (score SDE), eq. 39 and appendix D.2.

Along the flow dx/dphi = v of `probability_flow`, the density changes by d log p(x(phi)) / dphi = -div v; so from the
clean level to the last one

    log p(x(0)) = log N(x(phi_T); 0, I) + ∫ div v dphi,    phi from 0 to phi_T.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from diffuse_cli.diffusion import probability_flow
from diffuse_cli.diffusion.conditions import Condition
from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level, Process, Scaling
from diffuse_cli.errors import UsageError

TOLERANCE = 1e-5
MAX_STEPS = 500  # with the default tolerance 70 are many
PROBES = 8
SPACING = 0.05  # of a grid, model space; the noise of the built-in datasets is at least 0.036 there, and mostly 0.07

_WAVES = 4  # along each column of a grid
_EXACT_UP_TO = 3  # dimensions, up to which d products with the Jacobian cost less than a good estimate
_BLOCK = 128  # points solved together on a CPU: few, since all wait for the slowest, but enough for matrix products
_LARGE_BLOCK = 1 << 14  # points solved together on an accelerator, which would otherwise wait for its instructions


class Likelihood(NamedTuple):
    """The log-likelihood of n points.

    log_p: in nats, model space; NaN where the solver failed.
    stderr: the standard error of log_p that comes from the probes; 0 where the divergence is exact.
    evals: the mean number of network evaluations for one point; each includes the derivatives along all probes.
    failed: the number of points where the solver failed.
    probes: the number of probes of the divergence; 0 where it is exact.
    """

    log_p: Float[np.ndarray, " n"]
    stderr: Float[np.ndarray, " n"]
    evals: int
    failed: int
    probes: int


class GridDensity(NamedTuple):
    """A density on a grid of cells in d dimensions, model space.

    axes: the centres of the cells along each column, d arrays.
    log_p: [cells of the first column, of the second], in nats; NaN where the solver failed.
    volume: that of one cell.
    failed: the number of cells where the solver failed.
    """

    axes: tuple[np.ndarray, ...]
    log_p: np.ndarray
    volume: float
    failed: int

    @property
    def mass(self) -> float:
        """∫ p over the grid by the midpoint rule; NaN if the solver failed in any cell."""
        return float(np.exp(self.log_p.astype(np.float64)).sum() * self.volume)


class Mass(NamedTuple):
    """∫ p over a box, computed on a grid.

    value: the integral; NaN where the solver failed at any point.
    error: an estimate of the error that comes from detail of p finer than the grid.
    failed: the number of points where the solver failed.
    """

    value: float
    error: float
    failed: int

    @property
    def resolved(self) -> bool:
        """Whether the error is below a hundredth of the value; not so for a grid that misses p altogether."""
        return self.error < 0.01 * self.value


def frozen_below(predict: Predict, finest: Level) -> Predict:
    """The denoiser whose score, as a function of x / alpha, is that at the level `finest` for all cleaner levels too.

    A network is not trained with less noise. eps = -sigma score is then proportional to sigma / alpha, so at the clean
    level eps is 0 and x0 is x. `finest` has scalar fields.
    """
    return jax.tree_util.Partial(_freeze, predict, finest)


def _freeze(predict: Predict, finest: Level, x: Float[Array, "n d"], level: Level) -> Prediction:
    below = level.log_snr > finest.log_snr
    asked = jax.tree.map(lambda field, limit: jnp.where(below, limit, field), level, finest)
    p = predict(x * (asked.alpha / level.alpha), asked)
    eps = p.eps * (level.sigma / level.alpha * (asked.alpha / asked.sigma))
    # not at all levels, since x - sigma eps has no digits left where there is hardly any signal
    return Prediction(jnp.where(below, (x - level.sigma * eps) / level.alpha, p.x0), eps)


def log_likelihood(
    predict: Predict,
    process: Process,
    x0: ArrayLike,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    probes: int | None = None,
    key: PRNGKeyArray | None = None,
    condition: Condition | None = None,
) -> Likelihood:
    """log p of each of x0 [n, d], in nats, model space.

    predict: a pytree (jax.tree_util.Partial); its score is frozen below the level of t = 1/T. Other weights of the same
        structure, another schedule, tolerance or number of points compile nothing new.
    tolerance: the error allowed to one step, absolute and relative, in each coordinate and each term of the divergence.
        Every point has its own steps. With the default the error of log p, for a network on moons, is 6e-5 nats in the
        root mean square, and less than 1e-3 at each of 10,000 points.
    max_steps: a point that needs more steps has failed.
    probes: 0 for the exact divergence; 2 or more to estimate it with this number of vectors of random signs for each
        point, the same along its whole path (Hutchinson 1990; Grathwohl et al. 2019, section 3.1). By default 0 up to
        three dimensions and 8 above. The estimate of log p is unbiased; that of p is not.
    key: the key of the probes, by default key(0). The probes of a point depend on its row in x0 and on no other point.
    condition: what is given with each of x0, [n] or [n, c]: log p(x0 | condition). `predict` is then that of a network
        which takes one (`networks.denoiser.predictor`), since the flow asks it for each point by itself.

    Raises UsageError for an array without rows of points, and for a number out of range.
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
    rows = (x0,) if condition is None else (x0, np.asarray(condition))
    log_p, stderr, steps = _in_blocks(solve, *rows)
    return Likelihood(log_p, stderr, round(probability_flow.EVALS * steps.mean()), int(np.isnan(log_p).sum()), probes)


def grid(
    low: Sequence[float | np.floating] | Float[np.ndarray, " d"],
    high: Sequence[float | np.floating] | Float[np.ndarray, " d"],
    cells: Sequence[int | np.integer],
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The centres of cells from `low` to `high`: along each axis, and as points [cells of the first, …, d].

    >>> axes, points = grid(np.array([0.0, 0.0]), np.array([1.0, 1.0]), (2, 4))
    >>> axes[0].tolist(), points.shape
    ([0.25, 0.75], (2, 4, 2))
    """
    axes = tuple(a + (b - a) * (np.arange(n) + 0.5) / n for a, b, n in zip(low, high, cells, strict=True))
    return axes, np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def grid_density(
    predict: Predict,
    process: Process,
    low: ArrayLike | Sequence[float],
    high: ArrayLike | Sequence[float],
    cells: ArrayLike | Sequence[int | np.integer] | None = None,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> GridDensity:
    """log p at the centres of a grid of cells from low [d] to high [d], model space, d at most 2.

    cells: how many along each column, [d]; by default so many that they are at most 0.05 wide. On a density smoothed
        with standard deviation std, the error of the midpoint rule with this spacing is at most
        2 exp(-2 (pi std / spacing)^2): a thousandth where the spacing is 1.6 std.

    Raises UsageError for more than two columns, where low is not below high, and like `log_likelihood`.
    """
    judge = partial(log_likelihood, predict, process, tolerance=tolerance, max_steps=max_steps, probes=0)
    return grid_of(judge, low, high, cells)


def grid_of(
    judge: Callable[[np.ndarray], Likelihood],
    low: ArrayLike | Sequence[float],
    high: ArrayLike | Sequence[float],
    cells: ArrayLike | Sequence[int | np.integer] | None = None,
) -> GridDensity:
    """The same of any density; `judge`: points [n, d] -> their Likelihood. Raises UsageError like `grid_density`."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if len(low) > 2:
        raise UsageError(f"a density is put on a grid in one or two dimensions, not in {len(low)}")
    if not (low < high).all():
        raise UsageError(f"a grid runs from low to high, not from {low.tolist()} to {high.tolist()}")
    counts = np.ceil((high - low) / SPACING).astype(int) if cells is None else np.asarray(cells)
    axes, points = grid(low, high, tuple(counts.tolist()))
    likelihood = judge(points.reshape(-1, len(axes)))
    volume = float(np.prod((high - low) / counts))
    return GridDensity(axes, likelihood.log_p.reshape(points.shape[:-1]), volume, likelihood.failed)


def mass(
    predict: Predict,
    process: Process,
    low: ArrayLike | Sequence[float],
    high: ArrayLike | Sequence[float],
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> Mass:
    """∫ p from low [d] to high [d], model space, d at most 2; it is 1 where the box contains the data.

    This is the mean over two grids, each in the gaps of the other, with cells 0.07 wide: in the plane as many points as
    one grid with cells 0.05 wide. The error of a sum that comes from detail finer than its grid depends on where the
    points lie, so half the difference of the two sums estimates it; the mean is mostly far better. One difference may
    be small by chance, so the largest of several is taken: those of the sums of p times slow waves over the grid.

    Raises UsageError like `grid_density`.
    """
    judge = partial(log_likelihood, predict, process, tolerance=tolerance, max_steps=max_steps, probes=0)
    return mass_of(judge, low, high)


def mass_of(
    judge: Callable[[np.ndarray], Likelihood], low: ArrayLike | Sequence[float], high: ArrayLike | Sequence[float]
) -> Mass:
    """The same of any density; `judge`: points [n, d] -> their Likelihood. Raises UsageError like `grid_density`."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    cells = np.maximum(np.ceil((high - low) / (np.sqrt(2) * SPACING)), 1).astype(int)
    quarter = (high - low) / cells / 4
    grids = [grid_of(judge, low + by, high + by, cells) for by in (-quarter, quarter)]
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


def _in_blocks(solve: Callable[..., tuple[Array, ...]], *of_points: np.ndarray) -> list[np.ndarray]:
    """solve(rows, x0, …) over blocks of one shape, so that any number of points needs one compilation."""
    n = len(of_points[0])
    block = _BLOCK if jax.default_backend() == "cpu" else _LARGE_BLOCK
    rows = np.minimum(np.arange(-(-n // block) * block), n - 1).reshape(-1, block)  # the last one fills up the block
    parts = jax.device_get([solve(these, *(each[these] for each in of_points)) for these in rows])
    return [np.concatenate(part)[:n] for part in zip(*parts, strict=True)]


@partial(jax.jit, static_argnames=("scaling", "probes", "max_steps"))
def _solve(
    predict: Predict,
    scaling: Scaling,
    ends: Float[Array, "2"],
    tolerance: Float[Array, ""],
    key: PRNGKeyArray,
    rows: Int[Array, " block"],
    x0: Float[Array, "block d"],
    condition: Condition | None = None,
    *,
    probes: int,
    max_steps: int,
) -> tuple[Float[Array, " block"], Float[Array, " block"], Int[Array, " block"]]:
    """(log p, its standard error, steps) at each of x0. `ends` are the log-SNR at t = 1/T and at t = 1."""
    finest = Level(ends[0], *scaling(ends[0]))
    times = jnp.stack([jnp.zeros_like(ends[1]), probability_flow.time_of(ends[1])])

    def one(
        row: Int[Array, ""], x: Float[Array, " d"], given: Condition | None
    ) -> tuple[Float[Array, ""], Float[Array, ""], Int[Array, ""]]:
        told = predict if given is None else jax.tree_util.Partial(predict, condition=given)
        frozen = frozen_below(told, finest)
        z = _directions(key, row, probes, x)

        def field(
            s: Float[Array, ""], state: tuple[Float[Array, " d"], Float[Array, " m"]], _: None
        ) -> tuple[Float[Array, " d"], Float[Array, " m"]]:
            speed = partial(probability_flow.flow_velocity, frozen, scaling, s)
            dx, Jz = jax.vmap(lambda direction: jax.jvp(speed, (state[0],), (direction,)), out_axes=(None, 0))(z)
            return dx, jnp.sum(z * Jz, axis=1)

        start = (x, jnp.zeros_like(z[:, 0]))
        path, solved, steps = probability_flow.solve_flow(
            field, times, start, tolerance, max_steps=max_steps, norm=_largest
        )
        x_T, gained = jax.tree.map(lambda at: at[0], path)
        log_p = jnp.sum(jax.scipy.stats.norm.logpdf(x_T)) + jnp.mean(gained)
        finite = solved & jnp.isfinite(log_p)
        stderr = jnp.std(gained, ddof=1) / jnp.sqrt(probes) if probes else 0.0
        return jnp.where(finite, log_p, jnp.nan), jnp.where(finite, stderr, jnp.nan), steps

    return jax.vmap(one)(rows, x0, condition)


def _largest(errors: tuple[Array, Array]) -> Float[Array, ""]:
    return jnp.max(jnp.abs(ravel_pytree(errors)[0]))


def _directions(key: PRNGKeyArray, row: Int[Array, ""], probes: int, x: Float[Array, " d"]) -> Float[Array, "m d"]:
    """Vectors z such that the mean of z·Jz is tr J: exactly where probes is 0, and else in expectation."""
    if not probes:
        return jnp.sqrt(len(x)) * jnp.eye(len(x), dtype=x.dtype)
    return jax.random.rademacher(jax.random.fold_in(key, row), (probes, len(x)), x.dtype)

"""The noise levels that a sampler visits, from noise (t = 1) to clean data.

A grid takes a Process and a number of steps and returns levels with fields [steps + 1], log-SNR strictly increasing:
`steps` noisy levels between t = 1 and t = 1/T, the range that networks are trained on, and then the clean level. All
but `straight` go down to t = 1/T, from where the step to clean data changes hardly anything.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from msgspec import Meta

from diffuse_cli.diffusion.process import Level, Process

Grid = Callable[[Process, int], Level]


def levels_of(grid: Grid, process: Process, steps: int) -> Level:
    """The levels of a grid as numpy arrays, fields [steps + 1]; computed by one small program."""
    levels: Level = jax.device_get(_levels(grid, process, steps))
    return levels


@partial(jax.jit, static_argnums=(0, 1, 2))
def _levels(grid: Grid, process: Process, steps: int) -> Level:
    return grid(process, steps)


def uniform_grid() -> Grid:
    """Equal steps in t. With as many steps as timesteps these are the levels of the discrete chain.

    >>> from diffuse_cli.diffusion.schedules import linear
    >>> print(uniform_grid()(Process(linear(1000), 1000), 4).log_snr.round(1))
    [-10.1  -4.5  -0.8   9.2   inf]
    """
    return _in_time(lambda share: share)


def quadratic_grid() -> Grid:
    """Equal steps in the square root of t: shorter ones near the data. Song, Meng & Ermon 2021, appendix D.2.

    >>> from diffuse_cli.diffusion.schedules import linear
    >>> print(quadratic_grid()(Process(linear(1000), 1000), 4).log_snr.round(1))
    [-10.1  -2.    1.7   9.2   inf]
    """
    return _in_time(lambda share: share**2, lambda t: t**0.5)


def log_snr_grid(*, floor: Annotated[float, Meta(ge=-60, le=20)] = -4.0) -> Grid:
    """Equal steps in log-SNR (Lu et al. 2022, section 3.3) above `floor`, longer and longer ones below it.

    Departure: the steps are equal in log(SNR^1/2 + SNR_floor^1/2). Below a log-SNR of about -4 hardly any signal of the
    data is left, and some schedules spend most of their log-SNR there; with a floor of -60 all steps are equal.

    >>> from diffuse_cli.diffusion.schedules import linear
    >>> print(log_snr_grid(floor=-60)(Process(linear(1000), 1000), 4).log_snr.round(1))
    [-10.1  -3.7   2.8   9.2   inf]
    """

    def grid(process: Process, steps: int) -> Level:
        ends = process.schedule(jnp.array([1.0, 1.0 / process.timesteps]))
        lowest, highest = jnp.logaddexp(0.0, (ends - floor) / 2)
        above = jnp.linspace(lowest, highest, steps)
        noisy = floor + 2 * jnp.log(jnp.expm1(above))
        noisy = noisy.at[0].set(ends[0])  # exp and log round it away where it is far below the floor
        return process.at(jnp.append(noisy, jnp.inf))

    return grid


def karras_grid(
    *, rho: Annotated[float, Meta(ge=1, le=100)] = 7.0, sigma_max: Annotated[float, Meta(gt=0)] = 80.0
) -> Grid:
    """Equal steps in (sigma / alpha)^(1 / rho): shorter and shorter ones towards the data. Karras et al. 2022, eq. 5.

    sigma_max: the grid begins at this sigma / alpha where the process has more noise at t = 1. No signal of the data is
    left above it: of a grid that began at 20,000, as `cosine` does, most steps would be spent there.

    >>> from diffuse_cli.diffusion.schedules import edm
    >>> process = Process(edm(1000), 1000, edm(1000).scaling)
    >>> [round(float(sigma), 2) for sigma in karras_grid()(process, 4).sigma]
    [80.0, 9.75, 0.47, 0.0, 0.0]
    """

    def grid(process: Process, steps: int) -> Level:
        first, last = process.schedule(jnp.array([1.0, 1.0 / process.timesteps]))
        first = jnp.clip(-2 * jnp.log(sigma_max), first, last)
        largest, smallest = jnp.exp(jnp.stack([first, last]) / (-2 * rho))
        noisy = -2 * rho * jnp.log(jnp.linspace(largest, smallest, steps))
        return process.at(jnp.append(noisy.at[0].set(first), jnp.inf))

    return grid


def straight_grid() -> Grid:
    """Equal steps in the time sigma / (alpha + sigma) of the straight path, all the way to clean data: for jumps.

    The last step is as long as the others: a jump to clean data from t = 1/T would be an evaluation for nothing. With
    so many steps that the last one would begin below t = 1/T it begins there.

    >>> from diffuse_cli.diffusion.schedules import linear
    >>> levels = straight_grid()(Process(linear(1000), 1000), 4)
    >>> [round(float(t), 2) for t in levels.sigma / (levels.alpha + levels.sigma)]
    [0.99, 0.75, 0.5, 0.25, 0.0]
    """

    def grid(process: Process, steps: int) -> Level:
        ends = process.schedule(jnp.array([1.0, 1.0 / process.timesteps]))
        first, least = jax.nn.sigmoid(-ends / 2)  # sigma / (alpha + sigma)
        t = jnp.linspace(first, jnp.maximum(first / steps, least), steps)
        noisy = (2 * (jnp.log1p(-t) - jnp.log(t))).at[0].set(ends[0])
        return process.at(jnp.append(noisy, jnp.inf))

    return grid


def fixed_grid(*, log_snr: Annotated[float, Meta(ge=-30, le=30)] = 4.0) -> Grid:
    """The same level at every step, then the clean one: for Langevin dynamics that is not annealed.

    >>> from diffuse_cli.diffusion.schedules import linear
    >>> print(fixed_grid(log_snr=4)(Process(linear(1000), 1000), 4).log_snr)
    [ 4.  4.  4.  4. inf]
    """
    return lambda process, steps: process.at(jnp.append(jnp.full(steps, log_snr), jnp.inf))


def _in_time(
    to_t: Callable[[Float[Array, " steps"]], Float[Array, " steps"]], from_t: Callable[[float], float] = lambda t: t
) -> Grid:
    """Equal steps in `from_t` of the time, whose inverse is `to_t`."""

    def grid(process: Process, steps: int) -> Level:
        t = to_t(jnp.linspace(1.0, from_t(1.0 / process.timesteps), steps))
        return process.level(jnp.append(t, 0.0))

    return grid

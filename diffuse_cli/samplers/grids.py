"""The noise levels a sampler visits: from noise, t = 1, to the exactly clean one.

A grid takes a Process and a number of steps and returns levels with fields [steps + 1], log-SNR strictly increasing:
`steps` noisy levels within t = 1 and t = 1/T, beyond which nothing is trained, and then the clean one.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
from msgspec import Meta

from diffuse_cli.diffusion.process import Level, Process

Grid = Callable[[Process, int], Level]


def levels_of(grid: Grid, process: Process, steps: int) -> Level:
    """The levels of a grid, fields [steps + 1], as numpy's: worked out once, by one small program."""
    return jax.device_get(_levels(grid, process, steps))


@partial(jax.jit, static_argnums=(0, 1, 2))
def _levels(grid: Grid, process: Process, steps: int) -> Level:
    return grid(process, steps)


def uniform_grid() -> Grid:
    """Equal steps in t. With as many steps as timesteps these are the chain's own levels."""
    return _in_time(lambda share: share)


def quadratic_grid() -> Grid:
    """Equal steps in the square root of t: finer and finer towards the data. Song et al. 2021 (DDIM), appendix D.2."""
    return _in_time(lambda share: share**2, lambda t: t**0.5)


def log_snr_grid(*, floor: Annotated[float, Meta(ge=-60, le=20)] = -4.0) -> Grid:
    """Equal steps in log-SNR (Lu et al. 2022, section 3.3) above `floor`, and longer and longer ones below it.

    Departure: the steps are equal in log(SNR^1/2 + SNR_floor^1/2). Below a log-SNR of about -4 nothing of the data is
    left to be seen, and some schedules spend most of their log-SNR there; a floor of -60 has equal steps throughout.
    """

    def grid(process: Process, steps: int) -> Level:
        ends = process.schedule(jnp.array([1.0, 1.0 / process.timesteps]))
        above = jnp.linspace(*jnp.logaddexp(0.0, (ends - floor) / 2), steps)
        noisy = floor + 2 * jnp.log(jnp.expm1(above))
        noisy = noisy.at[0].set(ends[0])  # where exp and log lose it
        return process.at(jnp.append(noisy, jnp.inf))

    return grid


def karras_grid(
    *, rho: Annotated[float, Meta(ge=1, le=100)] = 7.0, sigma_max: Annotated[float, Meta(gt=0)] = 80.0
) -> Grid:
    """Equal steps in (sigma / alpha)^(1 / rho): shorter and shorter ones towards the data. Karras et al. 2022, eq. 5.

    sigma_max: where a process has more noise than this at t = 1, the grid begins here. Nothing of the data is to be
    seen above: a step down from 20,000, where `cosine` begins, would be as long as all others and never get shorter.
    """

    def grid(process: Process, steps: int) -> Level:
        first, last = process.schedule(jnp.array([1.0, 1.0 / process.timesteps]))
        first = jnp.clip(-2 * jnp.log(sigma_max), first, last)
        roots = jnp.exp(jnp.stack([first, last]) / (-2 * rho))
        noisy = -2 * rho * jnp.log(jnp.linspace(*roots, steps))
        return process.at(jnp.append(noisy.at[0].set(first), jnp.inf))

    return grid


def fixed_grid(*, log_snr: Annotated[float, Meta(ge=-30, le=30)] = 4.0) -> Grid:
    """One level all the way, and then the clean one: for Langevin dynamics that is not annealed."""
    return lambda process, steps: process.at(jnp.append(jnp.full(steps, log_snr), jnp.inf))


def _in_time(to_t: Callable, from_t: Callable = lambda t: t) -> Grid:
    def grid(process: Process, steps: int) -> Level:
        t = to_t(jnp.linspace(1.0, from_t(1.0 / process.timesteps), steps))
        return process.level(jnp.append(t, 0.0))

    return grid

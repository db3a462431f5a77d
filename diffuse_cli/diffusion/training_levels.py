"""How training draws its noise levels. Each factory returns (process, key, n) -> Level with fields [n, 1].

All are stratified: of the n draws one falls into each n-th part of the distribution. The points of a batch are in
random order, so the level of each still has the whole distribution, and the batch covers it more evenly (Kingma et al.
2021, appendix I.1).
"""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.flow_maps import unwarped_time, warped_time
from diffuse_cli.diffusion.process import Level, Process

Levels = Callable[[Process, PRNGKeyArray, int], Level]


def _strata(key: PRNGKeyArray, n: int) -> Float[Array, "n 1"]:
    """n uniform draws from [0, 1], one in each n-th of it, in increasing order."""
    return (jax.random.uniform(key) + jnp.arange(n)[:, None]) / n


def discrete_levels() -> Levels:
    """t = i/T with i uniform on 1…T: the levels of the discrete chain. Ho et al. 2020, algorithm 1.

    >>> from diffuse_cli.diffusion.process import Schedule
    >>> process = Process(Schedule(lambda t: 10 - 20 * t), timesteps=4)
    >>> print(discrete_levels()(process, jax.random.key(0), 4).log_snr[:, 0].round(2))
    [  5.   0.  -5. -10.]
    """

    def draw(process: Process, key: Array, n: int) -> Level:
        knot = jnp.clip(jnp.ceil(_strata(key, n) * process.timesteps), 1, process.timesteps)
        return process.level(knot / process.timesteps)

    return draw


def continuous_levels() -> Levels:
    """t uniform on [1/T, 1].

    >>> from diffuse_cli.diffusion.process import Schedule
    >>> process = Process(Schedule(lambda t: 10 - 20 * t), timesteps=4)
    >>> print(jnp.diff(continuous_levels()(process, jax.random.key(0), 4).log_snr[:, 0]).round(2))
    [-3.75 -3.75 -3.75]
    """

    def draw(process: Process, key: Array, n: int) -> Level:
        first = 1 / process.timesteps
        return process.level(first + (1 - first) * _strata(key, n))

    return draw


def log_snr_levels() -> Levels:
    """log-SNR uniform between its values at t = 1 and t = 1/T, as in the continuous bound. Kingma et al. 2021, eq. 17.

    >>> from diffuse_cli.diffusion.process import Schedule
    >>> process = Process(Schedule(lambda t: 10 - 20 * t), timesteps=4)
    >>> print(jnp.diff(log_snr_levels()(process, jax.random.key(0), 4).log_snr[:, 0]).round(2))
    [3.75 3.75 3.75]
    """

    def draw(process: Process, key: Array, n: int) -> Level:
        low, high = process.schedule(jnp.array([1.0, 1 / process.timesteps]))
        return process.at(low + (high - low) * _strata(key, n))

    return draw


def normal_levels(
    *, mean: Annotated[float, Meta(ge=-20, le=20)] = 3.0, std: Annotated[float, Meta(ge=1, le=20)] = 4.0
) -> Levels:
    """log-SNR normal, truncated to the range of the process between t = 1 and t = 1/T.

    Karras et al. 2022, table 1, in log-SNR: their P_mean and P_std of ln sigma are -mean/2 and std/2.

    >>> from diffuse_cli.diffusion.process import Schedule
    >>> process = Process(Schedule(lambda t: 10 - 20 * t), timesteps=4)
    >>> log_snr = normal_levels(mean=0, std=1)(process, jax.random.key(0), 1000).log_snr
    >>> round(float(log_snr.mean()), 2), round(float(log_snr.std()), 2)
    (0.0, 1.0)
    """

    def draw(process: Process, key: Array, n: int) -> Level:
        low, high = process.schedule(jnp.array([1.0, 1 / process.timesteps]))
        side = jnp.where(low > mean, -1.0, 1.0)  # mirrored where only the upper tail is left, where ndtr rounds to 1
        first, last = ndtr(side * (low - mean) / std), ndtr(side * (high - mean) / std)
        log_snr = mean + side * std * ndtri(first + (last - first) * _strata(key, n))
        return process.at(jnp.clip(log_snr, low, high))

    return draw


def flow_time_levels() -> Levels:
    """Times of the straight path, uniform in `flow_maps.warped_time`: all noise levels, and more of them near the data.

    >>> from diffuse_cli.diffusion.process import Schedule
    >>> process = Process(Schedule(lambda t: 10 - 20 * t), timesteps=4)
    >>> level = flow_time_levels()(process, jax.random.key(0), 1000)
    >>> round(float(jnp.median(level.sigma / (level.alpha + level.sigma))), 1)
    0.3
    """

    def draw(process: Process, key: Array, n: int) -> Level:
        lowest, highest = process.schedule(jnp.array([1.0, 1 / process.timesteps]))
        first, last = (warped_time(jax.nn.sigmoid(-end / 2)) for end in (highest, lowest))
        t = unwarped_time(first + (last - first) * _strata(key, n))
        return process.at(jnp.clip(2 * (jnp.log1p(-t) - jnp.log(t)), lowest, highest))

    return draw

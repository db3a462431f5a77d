"""How training picks its noise levels. Each is (process, key, n) -> Level with fields [n, 1].

All are stratified: the n draws fall one into each n-th of their distribution, in a fixed order over an unordered batch,
which leaves each of them distributed as if alone and the batch more even (Kingma et al. 2021, appendix I.1).
"""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtr, ndtri
from msgspec import Meta

from diffuse_cli.diffusion.process import Level, Process

Levels = Callable[[Process, Array, int], Level]


def _strata(key: Array, n: int) -> Array:
    return (jax.random.uniform(key) + jnp.arange(n)[:, None]) / n


def discrete_levels() -> Levels:
    """t = i/T, i uniform on 1…T: the chain's own levels. Ho et al. 2020, algorithm 1."""

    def draw(process: Process, key: Array, n: int) -> Level:
        knot = jnp.clip(jnp.ceil(_strata(key, n) * process.timesteps), 1, process.timesteps)
        return process.level(knot / process.timesteps)

    return draw


def continuous_levels() -> Levels:
    """t uniform on [1/T, 1]."""

    def draw(process: Process, key: Array, n: int) -> Level:
        first = 1 / process.timesteps
        return process.level(first + (1 - first) * _strata(key, n))

    return draw


def log_snr_levels() -> Levels:
    """log-SNR uniform between its values at t = 1/T and t = 1: all alike in the bound. Kingma et al. 2021, eq. 17."""

    def draw(process: Process, key: Array, n: int) -> Level:
        low, high = process.schedule(jnp.array([1.0, 1 / process.timesteps]))
        return process.at(low + (high - low) * _strata(key, n))

    return draw


def normal_levels(
    *, mean: Annotated[float, Meta(ge=-20, le=20)] = 3.0, std: Annotated[float, Meta(ge=1, le=20)] = 4.0
) -> Levels:
    """log-SNR normal, cut to what the process visits between t = 1/T and t = 1.

    Karras et al. 2022, table 1, in log-SNR: their P_mean, P_std of ln sigma are -mean/2, std/2 here.
    """

    def draw(process: Process, key: Array, n: int) -> Level:
        low, high = process.schedule(jnp.array([1.0, 1 / process.timesteps]))
        side = jnp.where(low > mean, -1.0, 1.0)  # mirrored where only the upper tail is left, which ndtr rounds to 1
        first, last = ndtr(side * (low - mean) / std), ndtr(side * (high - mean) / std)
        log_snr = mean + side * std * ndtri(first + (last - first) * _strata(key, n))
        return process.at(jnp.clip(log_snr, low, high))

    return draw

"""The noise levels a sampler visits: from the noisiest, t = 1, to the exactly clean one.

A grid takes a Process and a number of steps and returns levels with fields [steps + 1], log-SNR strictly increasing:
`steps` noisy levels from t = 1 to t = 1/T, beyond which nothing is trained, and then the clean one.
"""

from collections.abc import Callable

import jax.numpy as jnp

from diffuse_cli.diffusion.process import Level, Process

Grid = Callable[[Process, int], Level]


def uniform() -> Grid:
    """Equal steps in t. With as many steps as timesteps these are the chain's own levels."""
    return _in_time(lambda share: share)


def quadratic() -> Grid:
    """Equal steps in the square root of t: finer and finer towards the data. Song et al. 2021 (DDIM), appendix D.2."""
    return _in_time(lambda share: share**2, lambda t: t**0.5)


def log_snr() -> Grid:
    """Equal steps in log-SNR. Lu et al. 2022, section 3.3."""

    def grid(process: Process, steps: int) -> Level:
        ends = process.schedule(jnp.array([1.0, 1.0 / process.timesteps]))
        return process.at(jnp.append(jnp.linspace(ends[0], ends[1], steps), jnp.inf))

    return grid


def _in_time(to_t: Callable, from_t: Callable = lambda t: t) -> Grid:
    def grid(process: Process, steps: int) -> Level:
        t = to_t(jnp.linspace(1.0, from_t(1.0 / process.timesteps), steps))
        return process.level(jnp.append(t, 0.0))

    return grid

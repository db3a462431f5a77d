"""The noise levels a sampler visits: from the noisiest, t = 1, to the exactly clean one.

A grid takes a Process and a number of steps and returns levels with fields [steps + 1], log-SNR strictly increasing.
"""

from collections.abc import Callable

import jax.numpy as jnp

from diffuse_cli.diffusion.process import Level, Process

Grid = Callable[[Process, int], Level]


def uniform() -> Grid:
    """Equal steps in t, from 1 to 0. With as many steps as timesteps these are the chain's own levels."""
    return lambda process, steps: process.level(jnp.linspace(1.0, 0.0, steps + 1))


def quadratic() -> Grid:
    """t = (1 - i / steps)^2: finer and finer towards the data. Song et al. 2021 (DDIM), appendix D.2."""
    return lambda process, steps: process.level(jnp.linspace(1.0, 0.0, steps + 1) ** 2)


def log_snr() -> Grid:
    """Equal steps in log-SNR from t = 1 to t = 1/T, then one to the clean level. Lu et al. 2022, section 3.3."""

    def grid(process: Process, steps: int) -> Level:
        ends = process.schedule(jnp.array([1.0, 1.0 / process.timesteps]))
        inner = jnp.linspace(ends[0], ends[1], steps) if steps > 1 else ends[:1]
        return process.at(jnp.append(inner, jnp.inf))

    return grid

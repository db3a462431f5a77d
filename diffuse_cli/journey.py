"""Where points are on their way: from data to noise, and from noise to samples.

Frames are in model space and scaled as under variance preservation, x / hypot(alpha, sigma), whatever the process: so
all fit the same axes, and noise is N(0, I).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli.data.dataset import Dataset
from diffuse_cli.diffusion.process import Level, Process
from diffuse_cli.generate import Drawn, Method, build
from diffuse_cli.sampling import sample as sampling
from diffuse_cli.sources import Source

_KNOTS = 4097  # at which a schedule is read to find the time of a level


class Journey(NamedTuple):
    """x [k, n, d] at k levels with log_snr [k] and time t [k], in the order in which it was travelled."""

    x: np.ndarray
    log_snr: np.ndarray
    t: np.ndarray

    def at(self, chosen: np.ndarray) -> "Journey":
        """The journey at some of its levels only: indices [m], or True or False for each [k]."""
        return Journey(*(field[chosen] for field in self))

    def back(self) -> "Journey":
        """The same the other way round."""
        return Journey(*(field[::-1] for field in self))


def reverse(source: Source, drawn: Drawn) -> Journey:
    """The way from noise to samples. `drawn` has its path."""
    log_snr = np.asarray(drawn.levels.log_snr, np.float64)
    return Journey(in_unit_variance(drawn.path.x, drawn.levels), log_snr, times(source.process, log_snr))


def forward(source: Source, method: Method, dataset: Dataset, count: int, seed: int) -> Journey:
    """The way from data to noise through the levels of a method, which samples by it take in the other direction.

    Every point keeps one noise on all of its way, x = alpha x0 + sigma eps, and it is the noise that `draw` starts from
    with this seed. So points move smoothly, each frame has the law of q(x_t), and where the schedule ends early there
    is a jump from the end of this journey to the beginning of the other, as there is in truth.
    """
    levels = build(source, method)[1]
    shape = (count, source.dim)
    x0 = jnp.asarray(source.standard.to_model(dataset.draw(np.random.default_rng(seed), count)), jnp.float32)
    first = jax.tree.map(lambda field: field[0], levels)
    eps = sampling.start(jax.random.key(seed), shape, levels) / jnp.hypot(first.alpha, first.sigma)
    path = levels.alpha[:, None, None] * x0[None] + levels.sigma[:, None, None] * eps[None]
    log_snr = np.asarray(levels.log_snr, np.float64)
    return Journey(in_unit_variance(path, levels), log_snr, times(source.process, log_snr)).back()


def in_unit_variance(path: np.ndarray, levels: Level) -> np.ndarray:
    """A path [k, n, d] with every frame scaled as under variance preservation."""
    norm = np.hypot(np.asarray(levels.alpha), np.asarray(levels.sigma))
    return np.asarray(path) / norm[:, None, None]


def times(process: Process, log_snr: np.ndarray) -> np.ndarray:
    """The time t [k] in [0, 1] at which a process has each log-SNR [k]."""
    t = np.linspace(0.0, 1.0, _KNOTS)
    known = np.asarray(process.schedule(jnp.asarray(t, jnp.float32)), np.float64)
    return np.interp(-np.asarray(log_snr, np.float64), -known, t)

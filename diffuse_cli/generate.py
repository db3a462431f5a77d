"""Samples from a source."""

import time
from typing import NamedTuple

import jax
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import DiffuseError
from diffuse_cli.sampling import sample as sampling
from diffuse_cli.sources import Source


class Method(NamedTuple):
    """How to sample: choices as they are written, and the number of steps."""

    sampler: str
    grid: str
    steps: int

    @property
    def label(self) -> str:
        """The method in a file name."""
        return "-".join([self.sampler, str(self.steps), self.grid]).translate(str.maketrans(":=,/", "____"))


def own_method(config: Config) -> Method:
    """How a run is sampled unless somebody says otherwise, on the grid that suits the sampler."""
    return Method(config.sampler, config.grid or catalog.build("sampler", config.sampler).grid, config.sampler_steps)


class Drawn(NamedTuple):
    """What came of it.

    `samples` [n, d] in data units; `levels`, fields [steps + 1], noisiest first; `path` in model units, if it was asked
    for; `evals` network evaluations for each sample; `seconds` all in all.
    """

    samples: np.ndarray
    levels: Level
    path: sampling.Path | None
    evals: int
    seconds: float


def draw(source: Source, method: Method, count: int, seed: int, *, trajectory: bool = False) -> Drawn:
    """Draw `count` samples from a source.

    Raises UsageError for an unknown method, DiffuseError if any sample is not finite.
    """
    began = time.perf_counter()
    sampler = catalog.build("sampler", method.sampler)
    levels = catalog.build("grid", method.grid)(source.process, method.steps)
    shape = (count, source.dim)
    result = jax.device_get(
        sampling.sample(source.for_sampling(), sampler, levels, jax.random.key(seed), shape, trajectory=trajectory)
    )
    final = result.x[-1] if trajectory else result
    if not np.isfinite(final).all():
        bad = int((~np.isfinite(final)).any(axis=1).sum())
        raise DiffuseError(
            f"{bad} of {count} samples by {method.sampler} in {method.steps} steps are not finite numbers"
        )
    samples = source.standard.to_data(final.astype(np.float64))
    evals = method.steps * sampler.evals
    return Drawn(samples, jax.device_get(levels), result if trajectory else None, evals, time.perf_counter() - began)

"""Samples from a run."""

import time
from typing import NamedTuple

import jax
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import DiffuseError
from diffuse_cli.runs import Run
from diffuse_cli.sampling import sample as sampling


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
    """How a run is sampled unless somebody says otherwise."""
    return Method(config.sampler, config.grid, config.sampler_steps)


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


def draw(run: Run, method: Method, count: int, seed: int, *, trajectory: bool = False) -> Drawn:
    """Draw `count` samples from a run. Raises UsageError for an unknown method, DiffuseError if any is not finite."""
    began = time.perf_counter()
    sampler = catalog.build("sampler", method.sampler)
    levels = catalog.build("grid", method.grid)(run.experiment.process, method.steps)
    shape = (count, run.experiment.dim)
    result = jax.device_get(
        sampling.sample(run.predict(), sampler, levels, jax.random.key(seed), shape, trajectory=trajectory)
    )
    final = result.x[-1] if trajectory else result
    if not np.isfinite(final).all():
        bad = int((~np.isfinite(final)).any(axis=1).sum())
        raise DiffuseError(
            f"{bad} of {count} samples by {method.sampler} in {method.steps} steps are not finite numbers"
        )
    samples = run.standard.to_data(final.astype(np.float64))
    evals = method.steps * sampler.evals
    return Drawn(samples, jax.device_get(levels), result if trajectory else None, evals, time.perf_counter() - began)

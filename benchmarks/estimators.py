"""The regression of x_(t-1), estimated in three ways: `python benchmarks/estimators.py [DATASET]`.

At the exact denoiser of the dataset, linear schedule, T = 100: the mean and the variance of the loss of one sample, and
the time of 4,096 of them, where every noise of the path is drawn, where the noises before the last are merged into one,
and where the last one is replaced by its mean given x_t and x0.
"""

import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli import catalog, config
from diffuse_cli.cli.device import start_jax
from diffuse_cli.diffusion import exact, losses
from diffuse_cli.diffusion.process import preserved, transition
from diffuse_cli.models import build

N, BLOCKS = 4096, 25
EVERY, MERGED, MEAN = "every noise of the path", "two merged noises", "the last one's mean"


class Estimate(NamedTuple):
    """The mean and the variance of the loss of one sample, with their standard errors, and seconds for N of them."""

    mean: float
    mean_stderr: float
    variance: float
    variance_stderr: float
    seconds: float


def main() -> None:
    """Print a line of a Markdown table for each estimator."""
    start_jax()
    print("| noises | mean | variance | seconds |\n|---|---|---|---|")
    for name, found in estimates(sys.argv[1] if len(sys.argv) > 1 else "moons"):
        print(f"| {name} | {found.mean:.4f} | {found.variance:.4f} | {found.seconds:.3f} |", flush=True)


def estimates(dataset: str, timesteps: int = 100, blocks: int = BLOCKS) -> Iterator[tuple[str, Estimate]]:
    """The names of the estimators, and what was measured of each at `blocks` times N samples."""
    settings = config.make({"dataset": dataset, "schedule": "linear", "timesteps": timesteps})
    data, process = build.build_dataset(settings), build.build_process(settings)
    for name, way in ways(data, process).items():
        values, seconds = [], []
        judge = jax.jit(way)
        for block in range(blocks):
            batch = drawn(data, process, block)
            began = time.perf_counter()
            values.append(np.asarray(judge(*batch), np.float64))
            seconds.append(time.perf_counter() - began)
        each = np.array(values)
        error = lambda of_blocks: float(of_blocks.std(ddof=1) / len(of_blocks) ** 0.5)  # noqa: E731
        errors = error(each.mean(axis=1)), error(each.var(axis=1))
        yield name, Estimate(each.mean(), errors[0], each.var(), errors[1], float(np.median(seconds[1:])))


def ways(dataset, process):
    """name -> (x0, eps, levels, key) -> the losses [n] of the exact denoiser."""
    predict, made = exact.denoiser(dataset.exact()), catalog.build("prediction", "eps", process)
    answer = losses.answer_of(predict, made)

    def merged_mean(x0, eps, level, key):
        _, b = transition(process.earlier(level), preserved(level))
        seen = predict(level.alpha * x0 + level.sigma * eps, level).eps
        return jnp.mean((b / level.sigma * (seen - eps)) ** 2, axis=-1)

    def of(loss):
        return lambda *batch: catalog.build("loss", loss, process).of(answer, made, *batch)

    return {EVERY: of("previous:path"), MERGED: of("previous"), MEAN: merged_mean}


def drawn(dataset, process, seed):
    """x0, eps [N, d], levels and a key."""
    keys = jax.random.split(jax.random.key(seed), 4)
    x0 = jnp.asarray(dataset.standard.to_model(dataset.draw(np.random.default_rng(seed), N)), jnp.float32)
    level = catalog.build("levels", "discrete")(process, keys[0], N)
    order = jax.random.permutation(keys[1], N)
    level = jax.tree.map(lambda field: field[order], level)
    return x0, jax.random.normal(keys[2], x0.shape), level, keys[3]


if __name__ == "__main__":
    main()

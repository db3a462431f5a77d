"""The regression of x_(t-1), estimated in three ways: `python benchmarks/estimators.py [DATASET]`.

At the exact denoiser of the dataset, linear schedule, T = 100: the mean and the variance of the loss of one sample, and
the time of 4,096 of them, where every noise of the path is drawn, where the noises before the last are merged into one,
and where the last one is replaced by its mean given x_t and x0.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli import catalog, config
from diffuse_cli.cli.device import start_jax
from diffuse_cli.diffusion import exact, losses
from diffuse_cli.diffusion.process import preserved, transition
from diffuse_cli.models import build

N, BLOCKS = 4096, 25


def main() -> None:
    """Print a line of a Markdown table for each estimator."""
    start_jax()
    settings = config.make(
        {"dataset": sys.argv[1] if len(sys.argv) > 1 else "moons", "schedule": "linear", "timesteps": 100}
    )
    dataset, process = build.build_dataset(settings), build.build_process(settings)
    predict, made = exact.denoiser(dataset.exact()), catalog.build("prediction", "eps", process)
    answer = losses.answer_of(predict, made)

    def merged_mean(x0, eps, level, key):
        _, b = transition(process.earlier(level), preserved(level))
        seen = predict(level.alpha * x0 + level.sigma * eps, level).eps
        return jnp.mean((b / level.sigma * (seen - eps)) ** 2, axis=-1)

    ways = {
        "every noise of the path": lambda *batch: catalog.build("loss", "previous:path", process).of(
            answer, made, *batch
        ),
        "two merged noises": lambda *batch: catalog.build("loss", "previous", process).of(answer, made, *batch),
        "the last one's mean": merged_mean,
    }
    print("| noises | mean | variance | seconds |\n|---|---|---|---|")
    for name, way in ways.items():
        found, seconds = [], []
        judge = jax.jit(way)
        for block in range(BLOCKS):
            began = time.perf_counter()
            found.append(np.asarray(judge(*drawn(dataset, process, block))))
            seconds.append(time.perf_counter() - began)
        values = np.concatenate(found).astype(np.float64)
        print(f"| {name} | {values.mean():.4f} | {values.var():.4f} | {np.median(seconds[1:]):.3f} |", flush=True)


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

"""Which schedule and grid the sampler's steps are best spent on: `python benchmarks/grids.py`.

With the exact denoiser of moons, so that all error is the solver's: the distance between where DDIM takes a point of
noise in a few steps and where it takes it in 2,000, in model space, median and root mean square over 2,000 points.
"""

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli import catalog, config, experiment
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Process
from diffuse_cli.sampling.grids import quadratic
from diffuse_cli.sampling.sample import run
from diffuse_cli.sampling.samplers import ddim

STEPS = (10, 20, 50)


def main() -> None:
    """Print a line for each schedule and grid."""
    law = experiment.dataset_of(config.make({"dataset": "moons"})).exact()
    predict = jax.tree_util.Partial(exact.denoiser(law))
    start, sampler, key = jax.random.normal(jax.random.key(0), (2000, 2)), ddim(), jax.random.key(1)
    print(f"{'schedule':>10s} {'grid':>10s}" + "".join(f"{f'{steps} steps':>18s}" for steps in STEPS))
    for schedule in catalog.CATALOG["schedule"]:
        process = Process(catalog.build("schedule", schedule, 1000), 1000)
        end = run(predict, sampler, quadratic()(process, 2000), start, key)
        for grid in catalog.CATALOG["grid"]:
            cells = []
            for steps in STEPS:
                levels = catalog.build("grid", grid)(process, steps)
                gaps = np.asarray(jnp.linalg.norm(run(predict, sampler, levels, start, key) - end, axis=1))
                cells.append(f"{np.median(gaps):9.4f} {np.sqrt(np.mean(gaps**2)):8.4f}")
            print(f"{schedule:>10s} {grid:>10s}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()

"""Which schedule and grid a sampler's steps are best spent on: `python benchmarks/grids.py`.

With the exact denoiser of moons, so that all error is the solver's: the distance between where a deterministic sampler
takes a point of noise in a few steps and where DDIM takes it in 2,000, in model space, median and root mean square over
2,000 points.
"""

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli import catalog, config
from diffuse_cli.cli.device import start_jax
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Process
from diffuse_cli.models import build
from diffuse_cli.samplers.grids import quadratic_grid
from diffuse_cli.samplers.loop import run_steps

STEPS = (10, 20, 50)
SAMPLERS = ("ddim", "heun", "dpmpp_2m", "dpmpp_3m", "unipc", "deis")
GRIDS = ("uniform", "quadratic", "karras", "log_snr:floor=-60", "log_snr")


def main() -> None:
    """Print a line for each schedule, grid and sampler."""
    start_jax()
    law = build.build_dataset(config.make({"dataset": "moons"})).exact()
    predict = jax.tree_util.Partial(exact.denoiser(law))
    noise, key = jax.random.normal(jax.random.key(0), (2000, 2)), jax.random.key(1)
    print(f"{'schedule':>10s} {'grid':>18s} {'sampler':>9s}" + "".join(f"{f'{steps} steps':>18s}" for steps in STEPS))
    for schedule in catalog.CATALOG["schedule"]:
        process = Process(catalog.build("schedule", schedule, 1000), 1000)
        end = run_steps(predict, catalog.build("sampler", "ddim"), quadratic_grid()(process, 2000), noise, key).x
        for grid in GRIDS:
            for sampler in SAMPLERS:
                cells = []
                for steps in STEPS:
                    levels = catalog.build("grid", grid)(process, steps)
                    reached = run_steps(predict, catalog.build("sampler", sampler), levels, noise, key).x
                    gaps = np.asarray(jnp.linalg.norm(reached - end, axis=1))
                    cells.append(f"{np.median(gaps):9.4f} {np.sqrt(np.mean(gaps**2)):8.4f}")
                print(f"{schedule:>10s} {grid:>18s} {sampler:>9s}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()

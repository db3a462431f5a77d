"""How fast the main job is: `python benchmarks/speed.py`. Prints a table; asserts nothing.

Whole processes are timed from outside, in a temporary folder, with a compile cache of their own; steps per second are
medians over chunks, the sizes taken in turn so that a busy moment of the machine touches all alike.
"""

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = ((128, 32), (128, 256), (64, 256))  # (width, batch size) of networks three layers deep


def main() -> None:
    """Measure and print."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"{'what':52s}{'measured':>14s}")
    for what, value in (*processes(), *steps_per_second(), *sampling()):
        print(f"{what:52s}{value:>14s}", flush=True)


def processes():
    """Wall time of commands as a user types them."""
    diffuse = [sys.executable, "-m", "diffuse_cli"]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"XDG_CACHE_HOME": folder}

        def seconds(*arguments: str) -> float:
            began = time.perf_counter()
            subprocess.run([*diffuse, *arguments], cwd=folder, env=environment, check=True, capture_output=True)
            return time.perf_counter() - began

        for arguments in (("--help",), ("train", "--help")):
            value = statistics.median(seconds(*arguments) for _ in range(5))
            yield f"diffuse {' '.join(arguments)}", f"{value:.3f} s"
        train = ("train", "--dataset", "moons")
        yield "diffuse train --dataset moons, the first time", f"{seconds(*train):.1f} s"
        again = statistics.median(seconds(*train) for _ in range(3))
        yield "diffuse train --dataset moons, later (median of 3)", f"{again:.1f} s"
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        yield "peak memory of these", f"{peak / 1024:.0f} MB"
        sample = ("sample", "--steps", "50", "--sampler", "ddim", "-n", "10000", "--out", str(Path(folder) / "s.npz"))
        seconds(*sample)
        yield "diffuse sample, 50 steps, 10,000 points, later", f"{seconds(*sample):.1f} s"


def steps_per_second():
    """The compiled training loop."""
    import jax
    import numpy as np

    from diffuse_cli import config
    from diffuse_cli.models import build
    from diffuse_cli.training import loop

    points = loop.Points(jax.random.normal(jax.random.key(0), (1 << 17, 2)))
    chunks, states, rates = {}, {}, {size: [] for size in SIZES}
    for width, batch in SIZES:
        made = build.build_experiment(config.make({"width": width, "depth": 3, "batch_size": batch}), 2)
        chunks[width, batch] = loop.chunk_function(made)
        states[width, batch] = loop.initial_state(made)
    for k in range(26):
        for size, chunk in chunks.items():
            began = time.perf_counter()
            states[size], losses = chunk(states[size], points, np.int32(100 * (k + 1)), np.int32(10**6))
            losses.block_until_ready()
            if k:  # the first one compiles
                rates[size].append(loop.CHUNK / (time.perf_counter() - began))
    for (width, batch), found in rates.items():
        yield f"training steps/s, 3 x {width}, batch {batch}", f"{statistics.median(found):,.0f}"


def sampling():
    """The compiled sampling loop, with the default network."""
    import jax

    from diffuse_cli import config
    from diffuse_cli.models import build
    from diffuse_cli.networks.denoiser import predictor
    from diffuse_cli.samplers.ddim import ddim
    from diffuse_cli.samplers.grids import uniform_grid
    from diffuse_cli.samplers.loop import sample

    made = build.build_experiment(config.make({}), 2)
    weights = build.initial_weights(made, jax.random.key(0))
    predict = predictor(made.structure, weights, made.parameterization)
    levels, sampler = uniform_grid()(made.process, 50), ddim()
    for n in (10_000, 100_000):
        found = []
        for seed in range(4):
            began = time.perf_counter()
            sample(predict, sampler, levels, jax.random.key(seed), (n, 2)).x.block_until_ready()
            found.append(time.perf_counter() - began)
        yield f"50 DDIM steps of {n:,} points, after compiling", f"{statistics.median(found[1:]):.2f} s"


if __name__ == "__main__":
    main()

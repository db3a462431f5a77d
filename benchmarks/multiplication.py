"""Which ways multiply a law by a factor: `python benchmarks/multiplication.py [SET …] [--points 1000]`.

With the exact denoiser of each set, so that only the way is in error: sliced W2 between samples and the exact product
p h / Z, in model space, beside the noise floor (mean and standard deviation between draws of the product); the share of
samples where h > 0, for factors with an edge; the mean of the estimates of Z over the exact Z, with its standard error,
for the ways that have one; evaluations of the denoiser for a sample, a pass backwards or along a column counted as one;
seconds with compilation. The sampler is `ddpm`, or `twisted` with populations of --particles, on the grid log_snr.
"""

import argparse
import time

import jax
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.cli.device import start_jax
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Process
from diffuse_cli.diffusion.schedules import linear
from diffuse_cli.guidance import factors, multiplication
from diffuse_cli.guidance.product import product_law
from diffuse_cli.metrics.noise_floors import fresh_floor
from diffuse_cli.samplers.grids import levels_of
from diffuse_cli.samplers.loop import run_steps
from diffuse_cli.samplers.particles import diagnose

FACTORS = {
    "moons": ["gaussian:x=1,y=0,std=0.3", "halfplane:x=1,at=0.5", "box:left=0,right=1,bottom=-0.2,top=0.6"],
    "eight_gaussians": ["gaussian:x=1,y=0,std=0.3", "halfplane:x=1,y=0.3,at=0.6", "box:left=-0.2,bottom=-0.2"],
}
# what is made of the denoiser and the factor; evaluations of a call in the plane; whether particles have weights
WAYS = {
    "reconstruct": (multiplication.reconstruct, 1, False),
    "clean": (multiplication.clean, 2, False),
    "smoothed, isotropic": (lambda p, h: multiplication.smoothed(p, h, "isotropic"), 2, False),
    "smoothed, jacobian": (lambda p, h: multiplication.smoothed(p, h, "jacobian"), 3, False),
    "twisted, isotropic": (lambda p, h: multiplication.twisted(p, h, "isotropic"), 2, True),
    "twisted, jacobian": (lambda p, h: multiplication.twisted(p, h, "jacobian"), 3, True),
}


def main() -> None:
    """Print a Markdown table for each set."""
    start_jax()
    options = argparse.ArgumentParser()
    options.add_argument("sets", nargs="*", default=list(FACTORS))
    options.add_argument("--points", type=int, default=1000)
    options.add_argument("--steps", type=int, default=100)
    options.add_argument("--particles", type=int, default=250)
    given = options.parse_args()
    for name in given.sets:
        for text in FACTORS.get(name, FACTORS["moons"]):
            compare(name, text, given)


def compare(name: str, text: str, given: argparse.Namespace) -> None:
    """Print the rows of a set and a factor."""
    dataset = catalog.build("dataset", name)
    law, factor = dataset.exact(), factors.build(text, dataset.dim)
    points = dataset.draw(np.random.default_rng(0), 4000)
    product, h = product_law(law, factor, points, dataset.standard), factor.in_model_space(dataset.standard)
    metrics = {"sliced_w2": catalog.build("metric", "sliced_w2")}
    floor = fresh_floor(metrics, given.points, lambda rng, n: dataset.standard.to_model(product.draw(rng, n)))
    values = floor.figures["sliced_w2"]
    print(f"\n{name} × {text}: Z = {np.exp(product.log_z):.4f}, floor {values.mean():.3f} ± {values.std(ddof=1):.3f}\n")
    print(
        "| way | sliced W2 | in floors | h > 0 | Ẑ/Z | evaluations | seconds |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    predict = jax.tree_util.Partial(exact.denoiser(law))
    ways = {"exact": (lambda p, h: jax.tree_util.Partial(exact.denoiser(product.law)), 1, False), **WAYS}
    for way, (make, cost, weighted) in ways.items():
        sampler = catalog.build("sampler", f"twisted:{given.particles}" if weighted else "ddpm")
        levels = levels_of(catalog.build("grid", "log_snr"), Process(linear(1000), 1000), given.steps)
        began = time.perf_counter()
        noise = np.random.default_rng(1).standard_normal((given.points, dataset.dim)).astype(np.float32)
        outcome = run_steps(make(predict, h), sampler, levels, noise, jax.random.key(0))
        samples = np.asarray(outcome.x, np.float64)
        seconds = time.perf_counter() - began
        value = floor.scores(samples)["sliced_w2"].value if np.isfinite(samples).all() else np.inf
        inside = (
            "" if text.startswith("gaussian") else f"{np.isfinite(np.asarray(jax.jit(h.log_h)(samples))).mean():.1%}"
        )
        ratio = evidence(outcome.weights, product.log_z) if weighted else ""
        evals = cost * float(outcome.evals)
        print(
            f"| {way} | {value:.3f} | {value / values.mean():.1f} | {inside} | {ratio} | {evals:.0f} | {seconds:.0f} |",
            flush=True,
        )


def evidence(weights: object, log_z: float) -> str:
    """The mean of Ẑ/Z over populations, and its standard error."""
    ratios = np.exp(diagnose(weights).log_z - log_z)
    return f"{ratios.mean():.3f} ± {ratios.std(ddof=1) / len(ratios) ** 0.5:.3f}"


if __name__ == "__main__":
    main()

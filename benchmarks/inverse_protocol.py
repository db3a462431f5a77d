"""A published benchmark of posterior samplers, with exact denoisers: sliced W1 to the exact posterior.

    python benchmarks/inverse_protocol.py                        8 columns; 1, 2 and 4 measured values; 20 seeds
    python benchmarks/inverse_protocol.py --dims 8 80 --method tds mmps --seeds 5

Cardoso et al. 2023, section 4: the prior is 25 Gaussians of variance 1 with means (8i, 8j, 8i, 8j, …) and weights that
are squares of normal numbers. For each seed a matrix A with random directions and sorted singular values from U[0, 1],
noise with a standard deviation of U[0, 1] times the largest of them, a point of the prior and its y. Then 1,000 samples
of each method against 1,000 draws of the exact posterior: sliced W1 over 104 directions, in the units of the data; mean
and standard error over seeds. The floor is that of two clouds of exact draws. The weights are the same for all seeds.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.cli.device import start_jax

POINTS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", nargs="+", type=int, default=[8])
    parser.add_argument("--values", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--method", nargs="+", default=list(catalog.CATALOG["posterior"]))
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    start_jax("cpu")
    print(f"ten million additions: {bare_loop():.2f} s; {asked.seeds} seeds")
    print("| columns, values | " + " | ".join(["floor", *asked.method]) + " |")
    print("|---|" + "---|" * (1 + len(asked.method)))
    for dim in asked.dims:
        model = prior(dim)
        for count in asked.values:
            found = np.array([distances(model, count, seed, asked.method) for seed in range(asked.seeds)])
            spread = found.std(axis=0, ddof=1) / np.sqrt(len(found))
            cells = [f"{mean:.2f} ± {error:.2f}" for mean, error in zip(found.mean(axis=0), spread, strict=True)]
            print(f"| {dim}, {count} | " + " | ".join(cells) + " |", flush=True)


def prior(dim: int):
    from diffuse_cli.config import Config
    from diffuse_cli.models import build
    from diffuse_cli.models.exact_model import exact_model

    config = Config(dataset=f"grid_gaussians:dim={dim},std=0.125,scale=8,uneven=0")
    folder = Path(tempfile.gettempdir())
    return exact_model(config, build.build_dataset(config), folder, process=build.build_process(config))


def problem(model, count: int, rng: np.random.Generator):
    """A measurement of one point of the prior, as the article draws them."""
    from diffuse_cli.inverse.measurement import Measurement

    left = np.linalg.qr(rng.standard_normal((count, count)))[0]
    right = np.linalg.qr(rng.standard_normal((model.dim, count)))[0]
    sizes = np.sort(rng.random(count))[::-1]
    noise = np.full(count, rng.random() * sizes[0])
    measurement = Measurement("y", left * sizes @ right.T, noise)
    return measurement.of_signal(model.dataset().draw(rng, 1)[0], rng)


def distances(model, count: int, seed: int, methods: list[str]) -> list[float]:
    from diffuse_cli.inverse.exact_posterior import exact_posteriors
    from diffuse_cli.inverse.observed import observe
    from diffuse_cli.models.solving import draw_posterior, way_of

    rng = np.random.default_rng((seed, count))
    measurement = problem(model, count, rng)
    metric = catalog.build("metric", "sliced_w1:directions=104")
    exact = exact_posteriors(model.dataset(), measurement, measurement.known_values[None], 2 * POINTS, rng)
    one, other = model.standard.to_data(exact[0][0]).reshape(2, POINTS, -1)
    observed = observe(measurement, model.standard)
    clouds = [draw_posterior(model, measurement, observed, way_of(text), POINTS, seed).samples for text in methods]
    return [metric(cloud, other) for cloud in [one, *clouds]]


def bare_loop() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(10_000_000):
        total += number
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

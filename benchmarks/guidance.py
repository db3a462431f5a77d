"""What each guidance samples with perfect scores, beside the law that it is said to sample, π_w ∝ p(x|c)^w p(x)^(1−w).

    python benchmarks/guidance.py                         overlap and moons:noise=0.1, w = 2 and 4
    python benchmarks/guidance.py --dataset overlap --scale 3 --points 8000

Distances are in model space: sliced W2 to π_w and its noise floor, how many floors that is, and the KL of a histogram
and its floor, in nats. Evaluations are those of networks for one sample, two in each call of a guided denoiser. Z is
the estimate of the particles over the exact Z, with its standard error over the populations.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.cli.device import start_jax

RULES = {  # the choice without its scale, and how to sample: sampler, steps
    "cfg": [("dpmpp_2m", 50), ("ddpm", 400)],
    "interval:low=0.2,high=2": [("dpmpp_2m", 50)],
    "apg": [("dpmpp_2m", 50)],
    "classifier": [("dpmpp_2m", 50)],
    "fkc": [("particles", 200), ("particles", 400)],
}
FLOORS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", nargs="+", default=["overlap", "moons:noise=0.1"])
    parser.add_argument("--scale", nargs="+", type=float, default=[2.0, 4.0])
    parser.add_argument("--points", type=int, default=4000)
    parser.add_argument("--particles", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    start_jax("cpu")
    print(f"ten million additions: {bare_loop():.2f} s; {asked.points} points, {asked.seeds} seeds, means")
    print("| set | w | guidance | sampler | sliced W2 | floor | floors | KL | its floor | Z | evaluations | s |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for dataset in asked.dataset:
        for w in asked.scale:
            for row in rows(dataset, w, asked):
                print("| " + " | ".join([dataset, f"{w:g}", *row]) + " |", flush=True)


def rows(dataset: str, w: float, asked: argparse.Namespace):
    from diffuse_cli.analysis.quality import floor_of
    from diffuse_cli.config import Config
    from diffuse_cli.models import build
    from diffuse_cli.models.draw import Method, draw_samples
    from diffuse_cli.models.exact_model import exact_model
    from diffuse_cli.models.guided import guided

    config = Config(dataset=dataset)
    folder = Path(tempfile.gettempdir())
    model = exact_model(config, build.build_dataset(config), folder, process=build.build_process(config))
    label = model.conditions.names[0]
    data = guided(model, f"cfg:w={w:g}", open_guide=None).with_label(label).dataset()
    grid, metric = data.grid(), {"sliced_w2": catalog.build("metric", "sliced_w2")}
    floors = [floor_of(model, data, metric, asked.points, seed, FLOORS) for seed in range(asked.seeds)]
    floor = float(np.mean([each.figures["sliced_w2"].mean() for each in floors]))
    for rule, methods in RULES.items():
        told = guided(model, f"{rule}{',' if ':' in rule else ':'}w={w:g}", open_guide=None).with_label(label)
        for sampler, steps in methods:
            text = f"{sampler}:size={asked.particles}" if sampler == "particles" else sampler
            method = Method(text, catalog.build("sampler", text).grid, steps)
            began, found, z = time.perf_counter(), [], []
            for seed in range(asked.seeds):
                drawn = draw_samples(told, method, asked.points, seed)
                x = model.standard.to_model(drawn.samples)
                kl = grid.histogram_kl(x, np.random.default_rng(seed))
                found.append((floors[seed].scores(x)["sliced_w2"].value, kl.kl, kl.floor))
                if drawn.populations is not None:
                    z += np.exp(drawn.populations.log_z.astype(float) - grid.log_z).tolist()
            distance, kl, kl_floor = np.mean(found, axis=0)
            of_z = f"{np.mean(z):.3f} ± {np.std(z, ddof=1) / np.sqrt(len(z)):.3f}" if z else ""
            seconds = (time.perf_counter() - began) / asked.seeds
            yield (
                f"`{rule}`", f"{sampler}, {steps}", f"{distance:.3f}", f"{floor:.3f}", f"{distance / floor:.1f}",
                f"{kl:.3f}", f"{kl_floor:.3f}", of_z, f"{2 * drawn.evals:,}", f"{seconds:.1f}",
            )  # fmt: skip


def bare_loop() -> float:
    began, total = time.perf_counter(), 0
    for number in range(10**7):
        total += number
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

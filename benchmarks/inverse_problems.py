"""How near each method for inverse problems comes to the exact posterior: the tables of docs/inverse-problems.md.

    python benchmarks/inverse_problems.py                              all problems, with exact denoisers
    python benchmarks/inverse_problems.py --problem moons --run moons  one of them, with a trained network beside

Distances are sliced W2 in model space, over their noise floor: means over seeds, 2,000 samples. KL is of a histogram of
what is not known for certain, in nats, with that of exact draws. Coverage and the MMSE gap are over pairs of a point
and its measurement, 64 draws each. Seconds are of 2,000 samples, with compiling.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.cli.device import start_jax

PROBLEMS = {  # name: (dataset, what is measured)
    "moons": ("moons", {"observe": {"x": 0.5}, "noise": (0.1,)}),
    "moons, no noise": ("moons", {"observe": {"x": 0.5}}),
    "eight_gaussians": ("eight_gaussians", {"project": (((1.0, 1.0), 0.3),), "noise": (0.1,)}),
    "checkerboard": ("checkerboard", {"noisy": (0.5, 0.2), "noise": (0.3,)}),
    "curves": ("curves", {"mask": 0.5}),
}
POINTS, DRAWS = 2000, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--method", nargs="+", default=list(catalog.CATALOG["posterior"]))
    parser.add_argument("--run", help="a run on the data of the problem, in place of the exact denoiser")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=200)
    asked = parser.parse_args()
    start_jax("cpu")
    print(f"ten million additions: {bare_loop():.2f} s; {asked.seeds} seeds, {asked.pairs} pairs")
    print("| problem | method | floors | KL | 50 % | 90 % | MMSE gap | Ẑ/Z | evaluations | seconds |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in asked.problem:
        for row in rows(name, asked):
            print(f"| {name} | " + " | ".join(row) + " |", flush=True)


def rows(name: str, asked: argparse.Namespace):
    from diffuse_cli.analysis.calibration import calibrate_ways
    from diffuse_cli.analysis.inverse_problems import solve
    from diffuse_cli.models.measuring import Asked, measure
    from diffuse_cli.models.solving import way_of

    dataset, words = PROBLEMS[name]
    model = model_of(dataset, asked)
    measurement = measure(Asked(**words), model, 0)
    for number, text in enumerate(asked.method):
        way = way_of(text)
        found = [
            solve(model, measurement, [way], ["sliced_w2"], n=POINTS, seed=seed, repeats=20)
            for seed in range(asked.seeds)
        ]
        calibrated = calibrate_ways(model, measurement, [way], pairs=asked.pairs, draws=DRAWS, seed=0)
        if number == 0:
            kl = found[0].solutions[0].kl
            yield ["exact posterior", "1", "-" if kl is None else f"{kl.floor:.3f}", *cells(calibrated[0]), "", "", ""]
        ones = [each.solutions[0] for each in found]
        kls = [each.kl.kl for each in ones if each.kl is not None]
        ratio = [each.fate.z_ratio.value for each in ones if each.fate is not None and each.fate.z_ratio is not None]
        yield [
            f"`{text}`",
            f"{np.mean([each.floors('sliced_w2') for each in ones]):.1f}",
            f"{np.mean(kls):.3f}" if kls else "-",
            *cells(calibrated[-1]),
            f"{np.mean(ratio):.3f}" if ratio else "",
            f"{ones[0].drawn.evals:,}",
            f"{np.median([each.drawn.seconds for each in ones]):.1f}",
        ]


def cells(calibrated) -> list[str]:
    found = calibrated.calibration
    gap = found.mean_error
    covered = [f"{100 * each.share:.0f} ± {100 * each.stderr:.0f}" for each in found.coverages]
    return [*covered, "-" if gap is None else f"{100 * gap.gap:.1f} ± {100 * gap.stderr:.1f} %"]


def model_of(dataset: str, asked: argparse.Namespace):
    from diffuse_cli.config import Config
    from diffuse_cli.models import build, run_folder
    from diffuse_cli.models.exact_model import exact_model
    from diffuse_cli.models.model import model_of_run

    if asked.run is not None:
        return model_of_run(run_folder.open_run(run_folder.find_run(asked.outputs, asked.run)))
    config = Config(dataset=dataset)
    folder = Path(tempfile.gettempdir())
    return exact_model(config, build.build_dataset(config), folder, process=build.build_process(config))


def bare_loop() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(10_000_000):
        total += number
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

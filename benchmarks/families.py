"""Families of generative models for the same time of training: `python benchmarks/families.py [SET …] [--seeds 5]`.

Each run is trained by `diffuse train --family … --budget …` and judged at 10,000 fresh points:

- gap: NLL − entropy = KL(truth ‖ model) in nats; none for a GAN, which has no density;
- sW2: sliced W2 of 10,000 samples over its noise floor; energy: that distance in units of 1e-4;
- modes: how many of the Gaussians of eight_gaussians have at least half of their share of the samples;
- train, sample, log p: the seconds of training, of 10,000 samples and of log p of 1,000 points, after compiling.

A line of JSON is written to --out for each run that is finished, and finished ones are not run again. The table has the
median over seeds, and the least and the largest value.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `python benchmarks/families.py`

from benchmarks.claims.claim import ROOT, diffuse
from diffuse_cli.analysis.digits import rounded_to

FAMILIES = ("diffusion", "gmm", "kde", "vae", "gan", "gan:loss=plain", "realnvp", "flow", "autoregressive")
SETS = ("eight_gaussians", "checkerboard", "moons")
POINTS, SAMPLES, TIMED = 4000, 10_000, 1000
COLUMNS = {
    "gap": "gap, nats",
    "sliced_w2": "sW2, floors",
    "energy": "energy, 1e-4",
    "modes": "modes",
    "train": "train, s",
    "sample": "sample, s",
    "log_p": "log p, s",
}
RESULTS = ROOT / "docs" / "families.jsonl"


def main(words: Iterable[str] | None = None) -> None:
    """Run what is missing, and print a table for each set."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sets", nargs="*", default=SETS)
    options.add_argument("--family", action="append", choices=FAMILIES, help="Only these; may be repeated.")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--budget", default="20s")
    options.add_argument("--out", type=Path, default=RESULTS)
    options.add_argument("--table", action="store_true", help="Run nothing.")
    given = options.parse_args(None if words is None else list(words))
    families = given.family or FAMILIES
    if not given.table:
        from diffuse_cli.cli.device import start_jax

        start_jax()
        for seed in range(given.seeds):  # all families with one seed before the next
            for name in given.sets:
                for family in families:
                    key = {"family": family, "dataset": name, "seed": seed, "budget": given.budget}
                    if key not in [{field: line[field] for field in key} for line in finished(given.out)]:
                        add(given.out, key | run(**key))
    lines = [line for line in finished(given.out) if line["budget"] == given.budget and line["family"] in families]
    for name in given.sets:
        print(
            f"\n{name}, {given.budget} of training\n\n" + "\n".join(table([x for x in lines if x["dataset"] == name]))
        )


def finished(file: Path) -> list[dict[str, Any]]:
    """The runs that are finished."""
    return list(map(json.loads, file.read_text().splitlines())) if file.is_file() else []


def add(file: Path, line: dict[str, Any]) -> None:
    """Append a finished run to the file."""
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(line) + "\n")
    print(line, flush=True)


def run(family: str, dataset: str, seed: int, budget: str) -> dict[str, Any]:
    """Train by the command, and judge. What a family has not is None."""
    words = [] if family == "diffusion" else ["--family", family]
    with tempfile.TemporaryDirectory() as outputs:
        trained = diffuse(
            Path(outputs), "train", "--dataset", dataset, *words, "--budget", budget, "--seed", str(seed),
            "--name", "run", "--no-figures",
        )  # fmt: skip
        return judge(Path(outputs) / "run") | {"train": trained["train_seconds"], "steps": trained["steps"]}


def judge(folder: Path) -> dict[str, Any]:
    """The figures of a run, but for its training."""
    from benchmarks.claims.work import floor, nearest_modes
    from diffuse_cli.analysis import quality
    from diffuse_cli.models.data import truth_of
    from diffuse_cli.models.draw import default_method, draw_samples
    from diffuse_cli.models.model import model_of_run
    from diffuse_cli.models.run_folder import open_run

    model = model_of_run(open_run(folder))
    dataset, method, name = model.dataset(), default_method(model.config), model.config.dataset
    points = model.standard.to_model(draw_samples(model, method, SAMPLES, 0).samples)
    figures: dict[str, Any] = {"sample": timed(lambda: draw_samples(model, method, SAMPLES, 1))}
    distances = {each: floor(name, each, SAMPLES).scores(points)[each] for each in ("sliced_w2", "energy")}
    figures["sliced_w2"] = distances["sliced_w2"].value / distances["sliced_w2"].floor
    figures["energy"] = 1e4 * distances["energy"].value
    figures["modes"] = None
    if dataset.exact().gaussians is not None and name == "eight_gaussians":
        counts = nearest_modes(name, points)
        figures["modes"] = int((counts >= 0.5 * SAMPLES / len(counts)).sum())
    figures |= {"gap": None, "log_p": None}
    if model.direct is None or model.direct.log_prob is not None:
        x0 = quality.held_out(model, dataset, POINTS, 0)
        figures["gap"] = quality.negative_log_likelihood(model, truth_of(dataset), x0).nll.gap
        some = x0[:TIMED]
        quality.negative_log_likelihood(model, truth_of(dataset), some)
        figures["log_p"] = timed(lambda: quality.negative_log_likelihood(model, truth_of(dataset), some))
    return figures


def timed(call: Callable[[], object]) -> float:
    """The least of three times: other work only adds to them."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


def table(lines: list[dict[str, Any]]) -> list[str]:
    """A Markdown table of the medians over seeds, with the least and the largest value."""
    rows = ["| family | runs | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for family in dict.fromkeys(line["family"] for line in lines):
        runs = [line for line in lines if line["family"] == family]
        cells = [spread([line[field] for line in runs]) for field in COLUMNS]
        rows.append(f"| {family} | {len(runs)} | " + " | ".join(cells) + " |")
    return rows


def spread(values: list[float | None]) -> str:
    """The median of values, and their ends; nothing where there is none.

    >>> spread([1.0, 2.0, 4.0]), spread([8, 8]), spread([None])
    ('2 (1 to 4)', '8', '')
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    middle, low, high = (rounded_to(float(each), None) for each in (np.median(known), min(known), max(known)))
    return middle if low == high else f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()

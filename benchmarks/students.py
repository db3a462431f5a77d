"""Which loss makes the best student for the time spent: `python benchmarks/students.py [DATASET …] [--loss NAME …]`.

Each line is a student trained as `diffuse train` or `diffuse distill` does it, with default settings unless it says
others, and judged beside the exact flow map:

- gap: the distance of its jumps from the exact ends, root mean square / median over 4,096 noises, model space, in 1, 4
  and 16 evaluations (a student of jumps to clean data has none in several: they would need new noise);
- KL: KL(student ‖ data) in nats, in 1 and 4 evaluations, over 8,192 noises; "≥" where the map folds;
- excess: of its diagonal as a denoiser, nats (`analysis.excess_loss`);
- sW2: sliced W2 of 10,000 samples in one evaluation, over its noise floor;
- seconds: of the clock and of the processor, with compiling, the solving of paths, and the losses of the log.

Teachers: `exact` is the exact denoiser, `run` one trained with the default settings, whose own gap has a line too.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffuse_cli import catalog, config
from diffuse_cli.analysis import quality, student_quality
from diffuse_cli.analysis.map_gap import exact_ends, first_noise, map_gap
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion.process import Level
from diffuse_cli.metrics.noise_floors import fresh_floor
from diffuse_cli.models import build
from diffuse_cli.models.data import truth_of
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.model import Model
from diffuse_cli.samplers.grids import levels_of
from diffuse_cli.training.trainer import Trainer

NOISES, SAMPLES = 4096, 10_000
ALONE = ("paths", "lsd", "imf", "psd", "meanflow", "meanflow:p=1", "consistency", "consistency:diagonal=0.75", "drift")
TAUGHT = ("paths", "lmd", "consistency", "progressive", "reflow")


class Truth(NamedTuple):
    """A dataset, the noises that are followed, their exact ends, and the noise floor of sliced W2."""

    dataset: Dataset
    noise: np.ndarray
    ends: np.ndarray
    floor: object


def truth_about(model: Model, dataset: Dataset) -> Truth:
    """What students of a dataset are compared with; model: any of them, for its process."""
    metrics = {"sliced_w2": catalog.build("metric", "sliced_w2")}
    fresh = lambda rng, n: model.standard.to_model(dataset.draw(rng, n))  # noqa: E731
    floor = fresh_floor(metrics, SAMPLES, fresh, seed=0, repeats=10)
    noise = first_noise(model, NOISES, 0, NOISES)
    return Truth(dataset, noise, exact_ends(model, noise), floor)


def train(settings: Config, dataset: Dataset, teacher: Model | None) -> tuple[Model, float, float]:
    """A model trained in a folder that is thrown away, and the seconds of the clock and of the processor."""
    clocks = time.perf_counter(), time.process_time()
    settings = build.fill_in_settings(settings, dataset)
    with tempfile.TemporaryDirectory() as folder:
        conditions = build.conditions_of(settings, dataset)
        experiment = build.build_experiment(settings, dataset.dim, conditions=conditions)
        trainer = Trainer(Path(folder), experiment, dataset, teacher=teacher)
        for _ in trainer.run():
            pass
        model = trainer.model()
    return model, time.perf_counter() - clocks[0], time.process_time() - clocks[1]


def line(model: Model, truth: Truth) -> str:
    """All figures of a model but its seconds."""
    law = truth_of(truth.dataset)
    gaps, kls = {}, {}
    for steps in (1, 4, 16) if model.is_student else ():
        if steps > 1 and model.jumps != "any":
            continue
        levels = levels_of(catalog.build("grid", "flow_time"), model.process, steps)
        first = Level(*(float(field[0]) for field in levels))
        ends = student_quality.ends_of(model.jump, levels, truth.noise)
        gap = map_gap(ends.x, truth.ends)
        gaps[steps] = f"{gap.rms:.3f}/{gap.median:.4f}" if model.follows_flow else "-"
        kl = student_quality.student_kl(ends, truth.noise, first, student_quality.log_density(law))
        kls[steps] = "inf" if kl.value is None else f"{'≥' * (kl.folds > 0)}{kl.value:.4f}±{kl.stderr:.4f}"
    method = Method("jump", "flow_time", 1) if model.is_student else Method("dpmpp_2m", "log_snr", 100)
    drawn = draw_samples(model, method, SAMPLES, 0)
    samples = model.standard.to_model(drawn.samples)
    if not model.is_student:
        gap = map_gap(samples[: len(truth.ends)], exact_ends(model, first_noise(model, SAMPLES, 0, NOISES)))
        gaps[1] = f"{gap.rms:.3f}/{gap.median:.4f}"
    (score,) = truth.floor.scores(samples).values()
    excess = "-"
    if model.kind == "denoiser":
        held_out = quality.held_out(model, truth.dataset, SAMPLES, 0)
        excess = f"{float(quality.excess_of(model, law, held_out).total):.4f}"
    cells = [*(gaps.get(steps, "-") for steps in (1, 4, 16)), *(kls.get(steps, "-") for steps in (1, 4)), excess]
    return " | ".join([*cells, f"{score.value / score.floor:.2f}"])


def main(words: list[str]) -> None:
    """Train and judge every student on every dataset asked for."""
    from diffuse_cli.cli.device import start_jax

    start_jax()
    losses = words[words.index("--loss") + 1 :] if "--loss" in words else None
    names = words[: words.index("--loss")] if "--loss" in words else words
    began = time.perf_counter()
    sum(1 for _ in range(10**7))
    print(f"a loop of ten million additions: {time.perf_counter() - began:.2f} s")
    header = "teacher | loss | gap in 1 | in 4 | in 16 | KL in 1 | in 4 | excess | sW2 / floor | seconds | processor"
    for name in names or ["moons", "checkerboard", "eight_gaussians"]:
        print(f"\n{name}\n{header}", flush=True)
        dataset = build.build_dataset(config.make({"dataset": name}))
        settings = config.make({"dataset": name})
        exactly = exact_model(settings, dataset, Path(), process=build.build_process(settings))
        truth = truth_about(exactly, dataset)
        taught = [loss for loss in TAUGHT if losses is None or loss in losses]
        teachers: dict[str, Model] = {"exact": exactly} if taught else {}
        if taught:
            teachers["run"], *seconds = train(settings, dataset, None)
            print(f"- | simple (dpmpp_2m, 100 steps) | {line(teachers['run'], truth)} | " + cost(seconds), flush=True)
        jobs = [(None, loss) for loss in ALONE if losses is None or loss in losses]
        jobs += [(teacher, loss) for teacher in teachers for loss in taught]
        for teacher, loss in jobs:
            chosen = {"dataset": name, "loss": loss, **({} if teacher is None else {"teacher": teacher})}
            model, *seconds = train(config.make(chosen), dataset, None if teacher is None else teachers[teacher])
            print(f"{teacher or '-'} | {loss} | {line(model, truth)} | {cost(seconds)}", flush=True)


def cost(seconds: list[float]) -> str:
    """The seconds of the clock and of the processor."""
    return " | ".join(f"{each:.0f}" for each in seconds)


if __name__ == "__main__":
    main(sys.argv[1:])

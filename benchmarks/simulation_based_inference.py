"""The two moons of simulation-based inference: posteriors that a conditional model has learned from simulations alone.

`python benchmarks/simulation_based_inference.py [--simulations N …] [--observations N] [--seeds N …] [-s KEY=VALUE …]`
trains a conditional run on so many pairs of parameters and simulations (`--dataset two_moons --conditional`), with the
default settings or those of -s, and judges p(theta | x) at observations x that are drawn from the simulator:

- C2ST: accuracy of the classifier two-sample test (the metric `c2st`: nearest neighbours, leave-one-out) between 2000
  samples of the model and as many of the exact posterior, .5 for equal laws: mean and largest over the observations;
- floor: the same between two independent draws of the exact posterior;
- gap: E KL(p(theta | x) ‖ model), nats, over fresh simulations, each point with its own x; ± its standard error;
- seconds: of the training loop, with compiling.

The classifier is not the network of other benchmarks of these posteriors, so their C2ST are other numbers.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffuse_cli import catalog, config
from diffuse_cli.analysis import quality
from diffuse_cli.models import build
from diffuse_cli.models.draw import default_method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.training.trainer import Trainer

SAMPLES, LIKELIHOODS = 2000, 1000


class Result(NamedTuple):
    """C2ST and its floor at each observation, the gap with its standard error, and the seconds of training."""

    c2st: np.ndarray
    floor: np.ndarray
    gap: float
    stderr: float
    seconds: float


def train(simulations: int, seed: int, settings: dict[str, object], folder: Path) -> tuple[Model, float]:
    """The model that this number of simulations makes, and the seconds that it took."""
    chosen = config.make(
        {"dataset": "two_moons", "conditional": True, "train_size": simulations, "seed": seed, **settings}
    )
    dataset = build.build_dataset(chosen)
    chosen = build.fill_in_settings(chosen, dataset)
    conditions = build.conditions_of(chosen, dataset)
    began = time.perf_counter()
    trainer = Trainer(folder, build.build_experiment(chosen, dataset.dim, conditions=conditions), dataset)
    for _ in trainer.run():
        pass
    return trainer.model(), time.perf_counter() - began


def judge(model: Model, observations: np.ndarray, seed: int, seconds: float) -> Result:
    """The Result of a model at observations [k, 2]."""
    metric, dataset = catalog.build("metric", "c2st"), model.dataset()
    names, method = dataset.given.names, default_method(model.config)

    def c2st(one: np.ndarray, other: np.ndarray) -> float:
        return metric(*map(model.standard.to_model, (one, other)))

    scores, floors = [], []
    for number, x in enumerate(observations):
        told = model.with_given(dict(zip(names, x.tolist(), strict=True)))
        exact = [dataset.given.draw_at(np.random.default_rng((seed, number, i)), SAMPLES, x) for i in range(2)]
        scores.append(c2st(draw_samples(told, method, SAMPLES, seed + number).samples, exact[0]))
        floors.append(c2st(exact[1], exact[0]))
    fresh = quality.held_out_given(model, dataset, LIKELIHOODS, seed)
    nll = quality.negative_log_likelihood(model, None, fresh.x0, condition=fresh.condition, true=fresh.log_p).nll
    return Result(np.array(scores), np.array(floors), nll.gap or np.nan, nll.stderr or np.nan, seconds)


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--observations", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("-s", "--setting", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    settings = dict(each.split("=", 1) for each in asked.setting)
    settings = {key: config.convert(key, value, "-s") for key, value in settings.items()}
    print("simulations  seed    C2ST  largest   floor    gap in nats      seconds", flush=True)
    for simulations in asked.simulations:
        for seed in asked.seeds:
            with tempfile.TemporaryDirectory() as folder:
                model, seconds = train(simulations, seed, settings, Path(folder))
                _, x = model.dataset().given.draw(np.random.default_rng(1000), asked.observations)
                result = judge(model, x, seed, seconds)
            print(
                f"{simulations:11,}  {seed:4}  {result.c2st.mean():.4f}   {result.c2st.max():.4f}  "
                f"{result.floor.mean():.4f}  {result.gap:.3f} ± {result.stderr:.3f}  {result.seconds:7.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

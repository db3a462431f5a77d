"""Where the defaults come from: quality for the time spent, one setting changed at a time.

`python benchmarks/quality.py [DATASET …]` trains each variant and prints

- gap: KL(data ‖ model) = NLL − entropy in nats, the NLL by the probability-flow ODE, over 10,000 fresh points;
- excess: ½ ∫ E |eps_model − eps_exact|² d log-SNR in nats, a bound on KL(data ‖ samples of the reverse SDE);
- seconds: the training loop alone, after compiling; and the processor's, which a busy machine leaves alone.
"""

import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from diffuse_cli import config
from diffuse_cli.analysis import quality
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.models import build
from diffuse_cli.models.model import Model
from diffuse_cli.networks.denoiser import predictor
from diffuse_cli.training import loop

POINTS = 10_000
VARIANTS = (
    {},
    {"steps": 12000},
    {"steps": 48000},
    {"width": 128, "steps": 12000},
    {"depth": 2},
    {"depth": 4, "steps": 20000},
    {"batch_size": 512, "steps": 12000},
    {"lr": 2e-3},
    {"lr": 1e-2},
    {"prediction": "eps"},
    {"prediction": "x0"},
    {"levels": "discrete"},
    {"levels": "continuous"},
    {"levels": "normal:mean=3,std=2"},
    {"levels": "normal:mean=3,std=3"},
    {"levels": "normal:mean=5,std=3"},
    {"schedule": "linear", "levels": "discrete", "prediction": "eps"},
    {"ema": 0.0},
    {"weight_decay": 0.0},
)


class Trained(NamedTuple):
    """A network trained as `diffuse train` does, without a folder; seconds by the clock and of the processor."""

    model: Model
    dataset: Dataset
    seconds: float
    processor: float


def train(settings: Config) -> Trained:
    """Train and time all but the first chunk, which compiles."""
    dataset = build.build_dataset(settings)
    settings = build.fill_in_settings(settings, dataset)
    made, data = build.build_experiment(settings, dataset.dim), build.draw_data(settings, dataset)
    updates = loop.fit(made, loop.initial_state(made), loop.Points(data.train), total=settings.steps)
    next(updates)
    clocks = time.perf_counter(), time.process_time()
    *_, last = updates
    seconds, processor = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
    model = Model(
        name=settings.dataset,
        folder=Path(),
        config=settings,
        dataset=lambda: dataset,
        process=made.process,
        parameterization=made.parameterization,
        standard=dataset.standard,
        view=dataset.view,
        columns=dataset.column_names,
        predict=predictor(made.structure, last.state.average, made.parameterization),
        box=tuple(np.asarray(end(data.train, axis=0)) for end in (jnp.min, jnp.max)),
    )
    return Trained(model, dataset, seconds, processor)


def main() -> None:
    """Train every variant on every dataset asked for, and print a line each."""
    from diffuse_cli.cli.device import start_jax

    start_jax()
    for name in sys.argv[1:] or ["moons", "rings"]:
        columns = f"{'gap':>8s} {'stderr':>7s} {'excess':>7s} {'seconds':>8s} {'proc.':>6s}"
        print(f"\n{name}\n{columns}  changed from the defaults")
        for changes in VARIANTS:
            model, dataset, seconds, processor = train(config.make({"dataset": name, **changes}))
            x0 = quality.held_out(model, dataset, POINTS, 0)
            law = build.truth_of(dataset)
            nll = quality.negative_log_likelihood(model, law, x0).nll
            excess = quality.excess_of(model, law, x0).total.item()
            gap = "  failed" if nll.failed else f"{nll.gap:8.4f}"
            said = ", ".join(f"{key}={change}" for key, change in changes.items()) or "none"
            stderr = nll.stderr or float("nan")
            print(f"{gap} {stderr:7.4f} {excess:7.4f} {seconds:8.1f} {processor:6.1f}  {said}", flush=True)


if __name__ == "__main__":
    main()

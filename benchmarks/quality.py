"""Where the defaults come from: quality for the time spent, one setting changed at a time.

`python benchmarks/quality.py [DATASET …]` trains each variant and prints its excess in nats,

    1/2 ∫ E || eps_hat(x_t) - eps_exact(x_t) ||^2 d lambda,   lambda = log-SNR from -8 to 10,

which bounds the KL divergence from the data to the samples of the reverse SDE (Song, Durkan, Murray & Ermon 2021,
theorem 1). Any built-in dataset will do.

Seconds are the training loop alone, after compiling.
"""

import sys
import time

import jax
import jax.numpy as jnp

from diffuse_cli import config, experiment
from diffuse_cli.diffusion import exact
from diffuse_cli.networks.denoiser import predictor
from diffuse_cli.training import loop
from diffuse_cli.training.session import draw_data

VARIANTS = (
    {},
    {"width": 128, "steps": 6000},
    {"width": 48, "steps": 15000},
    {"depth": 2},
    {"depth": 4, "steps": 10000},
    {"batch_size": 128, "steps": 20000},
    {"batch_size": 512, "steps": 6000},
    {"lr": 2e-3},
    {"lr": 1e-2},
    {"prediction": "eps"},
    {"prediction": "x0"},
    {"levels": "discrete"},
    {"levels": "continuous"},
    {"levels": "normal:mean=2,std=3"},
    {"levels": "normal:mean=4,std=3"},
    {"schedule": "linear"},
    {"schedule": "linear", "levels": "discrete", "prediction": "eps"},
    {"ema": 0.0},
    {"weight_decay": 1e-3},
    {"steps": 3000},
    {"steps": 48000},
)


def excess(made: experiment.Experiment, weights, truth, points: jax.Array) -> float:
    """The integral above, by the trapezoid rule at 73 levels with 2048 points each."""
    predict = predictor(made.structure, weights, made.parameterization)
    grid = jnp.linspace(-8, 10, 73)

    @jax.jit
    def at(log_snr):
        level = made.process.at(log_snr)
        key_rows, key_noise = jax.random.split(jax.random.key(7))
        x0 = points[jax.random.randint(key_rows, (2048,), 0, len(points))]
        x = level.alpha * x0 + level.sigma * jax.random.normal(key_noise, x0.shape)
        return jnp.mean(jnp.sum((predict(x, level).eps - truth(x, level).eps) ** 2, axis=-1))

    return 0.5 * float(jnp.trapezoid(jnp.stack([at(log_snr) for log_snr in grid]), grid))


def main() -> None:
    """Train every variant on every dataset asked for, and print a line each."""
    from diffuse_cli.cli.device import start

    start()
    for name in sys.argv[1:] or ["moons", "swiss_roll"]:
        dataset = experiment.dataset_of(config.make({"dataset": name}))
        truth = exact.denoiser(dataset.exact())
        print(f"\n{name}\n{'excess, nats':>12s} {'seconds':>8s}  changed from the defaults")
        for changes in VARIANTS:
            settings = config.make({"dataset": name, **changes})
            made = experiment.build(settings, dataset.dim)
            data = draw_data(settings, dataset)
            updates = loop.fit(made, loop.start(made), data.train, total=settings.steps)
            next(updates)  # compiles
            began = time.perf_counter()
            *_, last = updates
            seconds = time.perf_counter() - began
            value = excess(made, last.state.average, truth, data.held_out)
            said = ", ".join(f"{key}={change}" for key, change in changes.items()) or "none"
            print(f"{value:12.4f} {seconds:8.1f}  {said}", flush=True)


if __name__ == "__main__":
    main()

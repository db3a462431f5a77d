"""How good one jump is that drifting has trained, and at which settings: `python benchmarks/drift.py [DATASET] …`.

Each line: sliced W2 of 20,000 samples beside that of two draws of the data, KL(samples || data) of histograms with
cells of a tenth of a standard deviation (100,000 samples), both for perfect samples too, and the CPU seconds of
training without compiling, of all cores together. The first lines are the paper's generator, a plain network
without flow matching, on noise of 2 and of 32 dimensions; the others are runs of `train --loss drift`, and of `lsd`.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from diffuse_cli import config
from diffuse_cli.cli.device import start_jax
from diffuse_cli.diffusion.drift import drift_field
from diffuse_cli.metrics.transport import sliced_w2
from diffuse_cli.models import build
from diffuse_cli.networks.denoiser import average_velocity
from diffuse_cli.training import loop

EDGES = np.linspace(-2.6, 2.6, 53)
SAMPLES, COMPARED = 100_000, 20_000
PLAIN = [(dim, tau) for tau in (0.1, 0.05) for dim in (2, 32)]
RUNS = (
    {},
    {"loss": "lsd"},
    {"loss": "lsd", "steps": 48_000},
    {"loss": "drift:tau=0.05"},
    {"loss": "drift:tau=0.2"},
    {"loss": "drift:diagonal=0"},
    {"loss": "drift:diagonal=0.5"},
    {"batch_size": 128},
    {"batch_size": 1024, "steps": 2500, "loss": "drift:together=768"},
    {"lr": 2e-3},
    {"width": 128},
)


class Truth:
    """A dataset in model space, its histogram, and what perfect samples reach."""

    def __init__(self, name):
        self.dataset = build.build_dataset(config.make({"dataset": name}))
        counts = histogram(self.draw(1, 1_000_000)) + 0.5  # no cell is empty
        self.p = counts / counts.sum()
        self.floor = self.distance(self.draw(2, SAMPLES))
        self.least = self.kl(self.draw(2, SAMPLES))

    def draw(self, seed, n):
        """n points of the truth, model space."""
        return self.dataset.standard.to_model(self.dataset.draw(np.random.default_rng(seed), n))

    def distance(self, samples):
        """Sliced W2, the mean over blocks, each against another draw."""
        blocks = np.array_split(samples, len(samples) // COMPARED)
        return np.mean([sliced_w2()(block, self.draw(10 + i, len(block))) for i, block in enumerate(blocks)])

    def kl(self, samples):
        """KL(samples || data) of the histograms, in nats."""
        q = histogram(samples) / histogram(samples).sum()
        return np.sum(q[q > 0] * np.log(q[q > 0] / self.p[q > 0]))


def histogram(x):
    """The numbers of points in square cells."""
    return np.histogram2d(x[:, 0], x[:, 1], bins=[EDGES, EDGES])[0]


def plain(data, dim, tau, *, n=512, steps=2000, width=128, depth=3, peak=1e-3):
    """Samples of the paper's generator on noise of `dim` dimensions, and the CPU seconds of its training."""
    sizes = [dim, *[width] * depth, 2]
    keys = jax.random.split(jax.random.key(0), depth + 1)
    pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
    weights = [(jax.random.normal(key, (a, b)) / np.sqrt(a), jnp.zeros(b)) for key, a, b in pairs]
    tx = optax.adam(optax.warmup_cosine_decay_schedule(0, peak, 100, steps))

    def generate(weights, z):
        for matrix, bias in weights[:-1]:
            z = jax.nn.silu(z @ matrix + bias)
        return z @ weights[-1][0] + weights[-1][1]

    def step(carry, number):
        weights, state, average = carry
        keys = jax.random.split(jax.random.fold_in(jax.random.key(1), number))
        rows = data[jax.random.randint(keys[0], (n,), 0, len(data))]

        def loss(weights):
            gen = generate(weights, jax.random.normal(keys[1], (n, dim)))
            fixed = jax.lax.stop_gradient(gen)
            field = drift_field(fixed, rows, tau)
            return jnp.mean((gen - fixed - field / jnp.sqrt(jnp.mean(field**2))) ** 2)

        updates, state = tx.update(jax.grad(loss)(weights), state)
        weights = optax.apply_updates(weights, updates)
        decay = jnp.minimum(0.999, (1 + number) / (10 + number))
        return (weights, state, optax.incremental_update(weights, average, 1 - decay)), None

    run = jax.jit(lambda carry, numbers: jax.lax.scan(step, carry, numbers)[0])
    carry, began = (weights, tx.init(weights), weights), 0.0
    for first in range(0, steps, 100):
        carry = jax.block_until_ready(run(carry, jnp.arange(first, first + 100)))
        began = began or time.process_time()  # after the first chunk, which compiles
    seconds = (time.process_time() - began) * steps / (steps - 100)
    return generate(carry[2], jax.random.normal(jax.random.key(7), (SAMPLES, dim))), seconds


def trained(data, name, settings):
    """Samples in one jump of a run with these settings, and the CPU seconds of training."""
    experiment = build.build_experiment(config.make({"dataset": name, "loss": "drift", **settings}), 2)
    state, ends = loop.initial_state(experiment), []
    for progress in loop.fit(experiment, state, loop.Points(data), total=experiment.config.steps):
        state = progress.state
        ends.append((progress.step, time.process_time()))
    (first, began), (last, ended) = ends[0], ends[-1]
    noise, one = jax.random.normal(jax.random.key(7), (SAMPLES, 2)), jnp.ones((SAMPLES, 1))
    u = jax.jit(average_velocity(experiment.structure, state.average))
    return noise - u(noise, one, 0 * one), (ended - began) * last / (last - first)


def main() -> None:
    """Print a line of a Markdown table for each setting."""
    start_jax()
    for name in sys.argv[1:] or ["moons", "checkerboard", "eight_gaussians"]:
        truth = Truth(name)
        data = jnp.asarray(truth.draw(0, 50_000), jnp.float32)
        print(f"\n| {name} | sliced W2 | KL | CPU seconds |\n|---|---|---|---|")
        print(f"| perfect samples | {truth.floor:.3f} | {truth.least:.3f} | |", flush=True)
        for label, (samples, seconds) in each_way(data, name):
            x = np.asarray(samples, np.float64)
            print(f"| {label} | {truth.distance(x):.3f} | {truth.kl(x):.3f} | {seconds:.0f} |", flush=True)


def each_way(data, name):
    """A label, and what `plain` or `trained` returns, for each setting."""
    for dim, tau in PLAIN:
        yield f"plain network, noise {dim}, tau={tau}", plain(data, dim, tau)
    for settings in RUNS:
        yield ", ".join(f"{key}={value}" for key, value in settings.items()) or "drift", trained(data, name, settings)


if __name__ == "__main__":
    main()

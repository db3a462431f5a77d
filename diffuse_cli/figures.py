"""From a source or a dataset to the arrays that a figure takes, and the figure."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from diffuse_cli import catalog, runs, sources
from diffuse_cli.config import Config
from diffuse_cli.data.dataset import Dataset
from diffuse_cli.diffusion.process import Process, chain
from diffuse_cli.generate import Drawn, Method, draw, own_method
from diffuse_cli.journey import in_unit_variance
from diffuse_cli.plots import loss as loss_plot
from diffuse_cli.plots import samples as samples_plot
from diffuse_cli.plots import strips
from diffuse_cli.sources import Source

POINTS = 2000  # in a figure: enough to see a shape, few enough to see the points
FRAMES = 10


def forward(
    config: Config, process: Process, dataset: Dataset, *, frames: int, count: int, seed: int, dark: bool = False
) -> Figure:
    """The forward chain at `frames` times, equally spaced from data to noise, the same `count` points in each."""
    x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(seed), count))
    knots = np.unique(np.rint(np.linspace(0, process.timesteps, frames)).astype(int))
    levels = process.level(jnp.asarray(knots / process.timesteps, jnp.float32))
    path = jax.jit(chain)(jax.random.key(seed), jnp.asarray(x0, jnp.float32), levels)
    return strips.forward(
        in_unit_variance(path, levels),
        np.asarray(levels.log_snr),
        t=knots,
        view=dataset.view,
        subject=f"{config.dataset}, {catalog.short(config.schedule)} schedule, T = {process.timesteps}",
        dark=dark,
    )


def reverse(source: Source, method: Method, drawn: Drawn, *, frames: int, dark: bool = False) -> Figure:
    """The way from noise to samples, at `frames` of its levels, equally spaced. `drawn` has its path."""
    picked = np.unique(np.rint(np.linspace(0, method.steps, frames)).astype(int))
    return strips.reverse(
        in_unit_variance(drawn.path.x, drawn.levels)[picked],
        np.asarray(drawn.levels.log_snr)[picked],
        t=np.array([f"step {step}" for step in picked]),
        view=source.view,
        subject=f"{source.name}, {described(method)}",
        dark=dark,
    )


def samples(source: Source, method: Method, drawn: Drawn, dataset: Dataset, *, dark: bool = False) -> Figure:
    """The samples beside as many draws of the data."""
    data = dataset.draw(np.random.default_rng(source.config.seed + 1), len(drawn.samples))
    return samples_plot.samples(
        drawn.samples, data, view=source.view, subject=f"{source.name}, {described(method)}", dark=dark
    )


class Losses(NamedTuple):
    """A log as arrays: steps [k], train [k], held_out_steps [h], held_out [h], and the irreducible loss if known."""

    steps: np.ndarray
    train: np.ndarray
    held_out_steps: np.ndarray
    held_out: np.ndarray
    irreducible: float | None


def losses(records: list[dict[str, Any]]) -> Losses:
    """The losses in the records of a log."""
    judged = [record for record in records if "held_out" in record]
    known = [record for record in judged if "excess" in record]
    return Losses(
        np.array([record["step"] for record in records]),
        np.array([record["loss"] for record in records]),
        np.array([record["step"] for record in judged]),
        np.array([record["held_out"] for record in judged]),
        known[-1]["held_out"] - known[-1]["excess"] if known else None,
    )


def loss(run_name: str, records: list[dict[str, Any]], *, dark: bool = False) -> Figure:
    """The loss from the records of a log."""
    found = losses(records)
    judged = len(found.held_out) > 0
    return loss_plot.loss(
        found.steps,
        found.train,
        held_out_steps=found.held_out_steps if judged else None,
        held_out=found.held_out if judged else None,
        irreducible=found.irreducible,
        subject=run_name,
        dark=dark,
    )


def described(method: Method) -> str:
    """A method in words."""
    return f"{method.sampler}, {method.steps} steps"


def of_run(run: runs.Run, dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """The four figures that training leaves, with their names, each as soon as it is drawn."""
    config = run.config
    method = own_method(config)
    yield "loss", loss(run.name, runs.read_log(run.folder))
    process = run.experiment.process
    yield "forward", forward(config, process, dataset, frames=FRAMES, count=POINTS, seed=config.seed)
    source = sources.of_run(run)
    drawn = draw(source, method, POINTS, config.seed, trajectory=True)
    yield "reverse", reverse(source, method, drawn, frames=FRAMES)
    yield "samples", samples(source, method, drawn, dataset)

"""From a source or a dataset to the arrays that a figure takes, and the figure."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from diffuse_cli import catalog, journey, landscape, runs
from diffuse_cli.config import Config
from diffuse_cli.data.dataset import Dataset
from diffuse_cli.diffusion import likelihood
from diffuse_cli.diffusion.diagnosis import Estimate
from diffuse_cli.diffusion.process import Level, Process, Schedule, angle_of, chain
from diffuse_cli.generate import Drawn, Method, draw, own_method
from diffuse_cli.journey import Journey
from diffuse_cli.plots import loss as loss_plot
from diffuse_cli.plots import samples as samples_plot
from diffuse_cli.plots import schedule as schedule_plot
from diffuse_cli.plots import strips
from diffuse_cli.plots import trajectories as paths_plot
from diffuse_cli.plots.backdrop import Backdrop
from diffuse_cli.plots.collection import Column
from diffuse_cli.plots.formats import Look
from diffuse_cli.plots.hues import principal_axes
from diffuse_cli.sources import Source

POINTS = 2000  # in a figure: enough to see a shape, few enough to see the points
FRAMES = 10
KL_GRID = np.linspace(-16.0, 12.0, 29)  # log-SNR
CELLS = 128  # of a density, along each axis
OWN = Look()


def forward(
    config: Config, process: Process, dataset: Dataset, *, frames: int, count: int, seed: int, look: Look = OWN
) -> Figure:
    """The forward chain at `frames` times, equally spaced from data to noise, the same `count` points in each."""
    x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(seed), count))
    knots = _evenly(process.timesteps, frames)
    levels = process.level(jnp.asarray(knots / process.timesteps, jnp.float32))
    path = jax.jit(chain)(jax.random.key(seed), jnp.asarray(x0, jnp.float32), levels)
    return strips.forward(
        journey.in_unit_variance(path, levels),
        np.asarray(levels.log_snr),
        t=knots,
        view=dataset.view,
        subject=f"{config.dataset}, {catalog.short(config.schedule)} schedule, T = {process.timesteps}",
        **look._asdict(),
    )


def reverse(source: Source, method: Method, drawn: Drawn, *, frames: int, look: Look = OWN) -> Figure:
    """The way from noise to samples, at `frames` of its levels, equally spaced. `drawn` has its path."""
    picked = _evenly(method.steps, frames)
    back = journey.reverse(source, drawn)
    return strips.reverse(
        back.x[picked],
        back.log_snr[picked],
        t=np.array([f"step {step}" for step in picked]),
        view=source.view,
        subject=f"{source.name}, {described(method)}",
        **look._asdict(),
    )


def both(
    source: Source, method: Method, drawn: Drawn, dataset: Dataset, *, frames: int, seed: int, look: Look = OWN
) -> Figure:
    """The data on their way to noise above the samples on their way from it, at the same levels of a method.

    With the seed that `drawn` has, the data end in the noise that the samples start from.
    """
    back = journey.reverse(source, drawn).back()
    ahead = journey.forward(source, method, dataset, len(drawn.samples), seed)
    angle = angle_of(back.log_snr)
    wanted = np.linspace(angle.min(), angle.max(), frames)
    picked = np.unique(np.abs(angle[:, None] - wanted).argmin(axis=0))
    return strips.both(
        ahead.x[picked],
        back.x[picked],
        back.log_snr[picked],
        t=back.t[picked],
        view=source.view,
        subject=f"{source.name}, {described(method)}",
        **look._asdict(),
    )


def trajectories(
    source: Source, method: Method, drawn: Drawn, dataset: Dataset | None, *, colour_by: str = "time", look: Look = OWN
) -> Figure:
    """Where each sample comes from, over the density of the data. `drawn` has its path.

    colour_by: "time", "place", or "class" for the part of the data that a sample most likely belongs to. Raises
    UsageError where the data have no classes. dataset: not needed in space, unless for classes.
    """
    way = journey.reverse(source, drawn)
    labels = landscape.classes_of(source.config, dataset, way.x[-1]) if colour_by == "class" else colour_by
    return paths_plot.trajectories(
        {method.sampler: paths_plot.Paths(way.x, way.t)},
        colour_by=labels,
        backdrop=None if source.dim == 3 else _backdrop(source, dataset, way),
        subject=f"{source.name}, {described(method)}",
        **look._asdict(),
    )


def _backdrop(source: Source, dataset: Dataset, way: Journey) -> Backdrop:
    """The density behind paths: of the data, or over time for a single value."""
    ends, clean = way.x[-1], way.log_snr[-1:]
    finest = source.process.finest
    if source.dim == 1:
        reach = 1.1 * np.abs(way.x).max()
        (values,), places = likelihood.grid([-reach], [reach], (CELLS,))
        t = np.linspace(0, 1, CELLS)
        log_snr = np.minimum(np.asarray(source.process.schedule(jnp.asarray(t, jnp.float32))), finest)
        return Backdrop(
            t, values, landscape.densities(landscape.ground_of(source.config, dataset).law, log_snr, places)
        )
    if source.dim == 2:
        law = landscape.ground_of(source.config, dataset).law
    else:
        mean, axes = principal_axes(ends, 2)
        data = dataset.standard.to_model(dataset.draw(np.random.default_rng(source.config.seed), POINTS))
        ends, law = (ends - mean) @ axes, landscape.smoothed((data - mean) @ axes)
    reach = 1.1 * max(np.abs(ends).max(), np.abs(way.x[0]).max())
    (x, y), places = likelihood.grid([-reach, -reach], [reach, reach], (CELLS, CELLS))
    return Backdrop(x, y, landscape.densities(law, np.minimum(clean, finest), places)[0])


def _evenly(steps: int, frames: int) -> np.ndarray:
    """Which of steps + 1 levels are shown in so many frames."""
    return np.unique(np.rint(np.linspace(0, steps, frames)).astype(int))


def samples(source: Source, method: Method, drawn: Drawn, dataset: Dataset, *, look: Look = OWN) -> Figure:
    """The samples beside as many draws of the data."""
    data = dataset.draw(np.random.default_rng(source.config.seed + 1), len(drawn.samples))
    return samples_plot.samples(
        drawn.samples, data, view=source.view, subject=f"{source.name}, {described(method)}", **look._asdict()
    )


def column(source: Source, method: Method, dataset: Dataset, *, count: int, seed: int) -> Column:
    """Samples of a source and as many draws of its data, as a column of a grid."""
    drawn = draw(source, method, count, seed)
    return Column(dataset.draw(np.random.default_rng(seed + 1), count), drawn.samples, source.view)


def schedules(
    schedules: dict[str, Schedule],
    *,
    timesteps: int,
    kl_at: Callable[[Level], Estimate] | None = None,
    of: str = "",
    look: Look = OWN,
) -> Figure:
    """Schedules by name, as chains of so many steps, and what each leaves of some data.

    kl_at: how far noised data are from pure noise (landscape.kl_of); it depends on the log-SNR alone, so it is asked
    once for all schedules. of: the data's name.
    """
    t = np.arange(timesteps + 1) / timesteps
    curves = {name: (t, np.asarray(schedule(t), np.float64)) for name, schedule in schedules.items()}
    kl = None
    if kl_at is not None:
        known = [kl_at(jax.tree.map(float, landscape.level_at(at))).value for at in KL_GRID]
        log_kl = np.log(np.maximum(known, 1e-300))
        kl = {
            name: np.exp(np.interp(log_snr, KL_GRID, log_kl, left=-np.inf, right=np.nan))
            for name, (_, log_snr) in curves.items()
        }
    subject = f"T = {timesteps}{f', {of}' if of else ''}"
    return schedule_plot.schedule(curves, timesteps=timesteps, kl=kl, subject=subject, **look._asdict())


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


def loss(run_name: str, records: list[dict[str, Any]], *, look: Look = OWN) -> Figure:
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
        **look._asdict(),
    )


def described(method: Method) -> str:
    """A method in words."""
    return f"{method.sampler}, {method.steps} steps"


def own_draw(source: Source) -> Drawn:
    """The samples that `of_run` shows, by the method and the seed of the run's own settings, with their path."""
    return draw(source, own_method(source.config), POINTS, source.config.seed, trajectory=True)


def of_run(run: runs.Run, source: Source, drawn: Callable[[], Drawn], dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """The four figures that training leaves, with their names, each as soon as it is drawn.

    source: the denoiser of the run; drawn: asked for its `own_draw`, after the figures that need none.
    """
    config = run.config
    method = own_method(config)
    yield "loss", loss(run.name, runs.read_log(run.folder))
    process = run.experiment.process
    yield "forward", forward(config, process, dataset, frames=FRAMES, count=POINTS, seed=config.seed)
    yield "reverse", reverse(source, method, drawn(), frames=FRAMES)
    yield "samples", samples(source, method, drawn(), dataset)

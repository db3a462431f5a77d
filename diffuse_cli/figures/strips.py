"""The forward and the reverse process as rows of frames."""

from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax import Array

from diffuse_cli import catalog
from diffuse_cli.config import ALL, Config
from diffuse_cli.datasets.dataset import Dataset, Standardiser, parts_of
from diffuse_cli.diffusion.process import Level, Process, angle_of, forward_chain
from diffuse_cli.figures import paths
from diffuse_cli.figures.options import ForwardOptions, ReverseOptions
from diffuse_cli.models import build
from diffuse_cli.models.draw import Drawn, Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.drawing_process import Drawing
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


REVERSE_FRAMES = 10  # by default


def forward_of_settings(config: Config, asked: ForwardOptions, look: Look) -> "Figure":
    """plot-forward: the data of a Config on their way to noise."""
    process, dataset = build.build_process(config), build.build_dataset(config)
    parts = parts_of(dataset, asked.label)
    size = {"frames": asked.frames, "count": asked.count, "seed": config.seed}
    if asked.label == ALL:
        return forward_drawing(config, process, dataset, colored=True, look=look, **size)()
    ((label, part),) = parts.items()
    return forward_drawing(config, process, part, label=label, look=look, **size)()


def reverse_of_model(model: Model, method: Method, asked: ReverseOptions, look: Look) -> "Figure":
    """plot-reverse: samples on their way from noise, with `rows` "both" below the data on their way there.

    Raises DiffuseError where the data of a run have gone, which only both rows need.
    """
    dataset = model.dataset() if asked.rows == "both" else None  # better told before the samples are drawn
    drawn = draw_samples(model, method, asked.count, asked.seed, trajectory=True)
    if dataset is None:
        return reverse_drawing(model, method, drawn, frames=asked.frames or REVERSE_FRAMES, look=look)()
    return both_ways_drawing(model, method, drawn, dataset, frames=asked.frames or 6, seed=asked.seed, look=look)()


def forward_drawing(
    config: Config,
    process: Process,
    dataset: Dataset,
    *,
    frames: int,
    count: int,
    seed: int,
    colored: bool = False,
    label: str | None = None,
    look: Look = DEFAULT_LOOK,
) -> Drawing:
    """The forward chain at `frames` times, equally spaced from data to noise, the same `count` points in each.

    colored: by the labels of the points. label: the name of the label that all of them have, for the title.
    """
    points, labels = paths.labelled_data_of(dataset, count, seed)
    x0 = dataset.standard.to_model(points)
    knots = np.unique(np.rint(np.linspace(0, process.timesteps, frames)).astype(int))
    t = np.float32(knots / process.timesteps)
    path, levels = jax.device_get(_noised(process, np.float32(x0), t, np.uint32(seed)))
    title = ", ".join(filter(None, [build.title_of_data(config.dataset), label]))
    arguments = {
        "color_by": labels if colored else None,
        "frames": _seen(dataset.view, dataset.standard, paths.in_unit_variance(path, levels)),
        "log_snr": levels.log_snr,
        "t": knots,
        "view": dataset.view,
        "columns": Columns(dataset.column_names, "model"),
        "subject": f"{title}, {catalog.short_name(config.schedule)} schedule, T = {process.timesteps}",
    }
    return Drawing("strips:forward_strip", arguments, look)


@partial(jax.jit, static_argnames="process")
def _noised(process: Process, x0: Array, t: Array, seed: Array) -> tuple[Array, Level]:
    """One path of the chain from x0 [n, d] through the levels at t [k], and these levels."""
    levels = process.level(t)
    return forward_chain(jax.random.key(seed), x0, levels), levels


def reverse_drawing(model: Model, method: Method, drawn: Drawn, *, frames: int, look: Look = DEFAULT_LOOK) -> Drawing:
    """The trajectory from noise to samples, at `frames` of its levels. `drawn` must contain its path."""
    picked = levels_to_show(np.asarray(drawn.levels.log_snr, np.float64), frames)
    arguments = {
        "frames": _seen(model.view, model.standard, paths.in_unit_variance(drawn.path.x, drawn.levels)[picked]),
        "log_snr": drawn.levels.log_snr[picked],
        "t": np.array([f"step {step}" for step in picked]),
        "color_by": drawn.labels,
        "columns": Columns(model.columns, "model"),
        "view": model.view,
        "subject": f"{model.name}, {method.title}",
    }
    return Drawing("strips:reverse_strip", arguments, look)


def both_ways_drawing(
    model: Model, method: Method, drawn: Drawn, dataset: Dataset, *, frames: int, seed: int, look: Look = DEFAULT_LOOK
) -> Drawing:
    """The forward trajectory of the data above the reverse trajectory of samples, at the same levels of a method.

    With the seed of `drawn`, the data end in the noise from which the samples start.
    """
    back = paths.reverse_trajectory(model, drawn).back()
    ahead = paths.forward_trajectory(model, method, dataset, len(drawn.samples), seed)
    picked = levels_to_show(back.log_snr, frames)
    arguments = {
        "ahead": _seen(model.view, model.standard, ahead.x[picked]),
        "back": _seen(model.view, model.standard, back.x[picked]),
        "log_snr": back.log_snr[picked],
        "t": back.t[picked],
        "columns": Columns(model.columns, "model"),
        "view": model.view,
        "subject": f"{model.name}, {method.title}",
    }
    return Drawing("strips:both_strips", arguments, look)


def _seen(view: str, standard: Standardiser, frames: np.ndarray) -> np.ndarray:
    """Frames [k, n, d] of model space as they are drawn: pictures in data units, where paper and ink are what they are,
    and all others unchanged."""
    return standard.to_data(frames) if view == "images" else frames


def levels_to_show(log_snr: np.ndarray, frames: int) -> np.ndarray:
    """The indices, rising, of `frames` of the levels log_snr [k], or of all k, between which points move equally far.

    They are those nearest to equal steps of the angle atan(sigma / alpha), in which x = cos(angle) x0 + sin(angle) eps.
    The first and the last level are among them. log_snr: rising or falling.

    >>> levels_to_show(np.array([np.inf, 9.0, 8.0, 0.0, -20.0]), 3).tolist()
    [0, 3, 4]
    """
    angle = angle_of(log_snr)
    number = np.arange(min(frames, len(angle)))
    wanted = np.linspace(angle[0], angle[-1], len(number))
    nearest = np.abs(angle - wanted[:, None]).argmin(axis=1)
    nearest[-1] = len(angle) - 1
    # Where levels lie close together the nearest one may be taken already; then the next one that is free.
    free = np.maximum.accumulate(nearest - number) + number
    return np.minimum(free, len(angle) - len(number) + number)

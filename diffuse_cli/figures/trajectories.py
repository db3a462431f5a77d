"""The paths of samples, over the density of the data."""

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli.analysis.kernel_density import kernel_density
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import likelihood
from diffuse_cli.figures import grids, paths
from diffuse_cli.figures.options import TrajectoryOptions
from diffuse_cli.figures.paths import Trajectory
from diffuse_cli.models.draw import Drawn, Method, build_method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots import trajectories as paths_plot
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look
from diffuse_cli.plots.point_colors import principal_axes

_DATA_POINTS = 2000  # from which the density of data of many columns is estimated
_PATHS, _RANDOM_PATHS = 300, 16  # by default; random paths cross each other everywhere
_CELLS = 128  # of a density, along each axis


def trajectories_of_model(model: Model, method: Method, asked: TrajectoryOptions, look: Look) -> Figure:
    """plot-trajectories: the paths of samples. Raises UsageError where they are to be coloured by class and there is
    none, DiffuseError where the data of a run have gone, which paths in space do not need."""
    dataset = None
    if model.dim != 3 or asked.color_by == "class":
        dataset = model.dataset()
        if asked.color_by == "class" and not model.each_row:
            grids.check_classes(model.config, dataset)
    count = asked.count or (_PATHS if _deterministic(model, method) else _RANDOM_PATHS)
    drawn = draw_samples(model, method, count, asked.seed, trajectory=True)
    return plot_trajectories(model, method, drawn, dataset, color_by=asked.color_by, look=look)


def plot_trajectories(
    model: Model,
    method: Method,
    drawn: Drawn,
    dataset: Dataset | None,
    *,
    color_by: str = "time",
    look: Look = DEFAULT_LOOK,
) -> Figure:
    """The paths of samples over the density of the data; those of a random sampler fade towards the noise.

    drawn: must contain its path. color_by: "time", "place", or "class" for the most probable class of a sample.
    dataset: None is allowed in three dimensions, unless color_by is "class".

    Raises UsageError where `color_by` is "class" and the data have no classes, or the width is too small.
    """
    way = paths.reverse_trajectory(model, drawn)
    labels = color_by if drawn.labels is None or model.told is not None else drawn.labels
    if color_by == "class" and not model.each_row:
        labels = grids.classes_of(model.config, dataset, way.x[-1])
    return paths_plot.trajectories_figure(
        {method.sampler: paths_plot.Paths(way.x, way.t)},
        color_by=labels,
        background=None if model.dim == 3 else _density_behind(model, dataset, way),
        fade=not _deterministic(model, method),
        columns=Columns(model.columns, "model"),
        subject=f"{model.name}, {method.title}",
        **look._asdict(),
    )


def _deterministic(model: Model, method: Method) -> bool:
    return build_method(model, method)[0].deterministic


def _density_behind(model: Model, dataset: Dataset, way: Trajectory) -> Background:
    """The density behind the paths: of the data, or for data of one value the density over time."""
    ends, clean = way.x[-1], way.log_snr[-1:]
    finest = model.process.finest
    if model.dim == 1:
        reach = 1.1 * np.abs(way.x).max()
        (values,), places = likelihood.grid(np.array([-reach]), np.array([reach]), (_CELLS,))
        t = np.linspace(0, 1, _CELLS)
        log_snr = np.minimum(model.process.levels_at(t).log_snr, finest)
        return Background(
            t, values, grids.densities_on_grid(grids.reference_law(model.config, dataset).law, log_snr, places)
        )
    if model.dim == 2:
        law = grids.reference_law(model.config, dataset).law
    else:
        mean, axes = principal_axes(ends, 2)
        data = dataset.standard.to_model(dataset.draw(np.random.default_rng(model.config.seed), _DATA_POINTS))
        ends, law = (ends - mean) @ axes, kernel_density((data - mean) @ axes)
    reach = 1.1 * max(np.abs(ends).max(), np.abs(way.x[0]).max())
    (x, y), places = likelihood.grid(np.full(2, -reach), np.full(2, reach), (_CELLS, _CELLS))
    return Background(x, y, grids.densities_on_grid(law, np.minimum(clean, finest), places)[0])

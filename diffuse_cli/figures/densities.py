"""The density of a model beside the exact one."""

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli.analysis.kernel_density import kernel_density
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import likelihood
from diffuse_cli.figures import grids
from diffuse_cli.figures.grids import check_flat
from diffuse_cli.figures.options import DensityOptions
from diffuse_cli.models.data import draw_data, law_name, law_of
from diffuse_cli.models.model import Model
from diffuse_cli.plots import density as density_plot
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look

_TOLERANCE = 1e-4  # of the ODE: a smaller one makes no visible difference


_PLACES = 64  # cells along each axis of a model's density, which needs an ODE solution for each cell


_CELLS = 120  # along each axis of an exact density, doubled


_DRAWS = 2048  # of the data, which decide the limits


def density_of_model(model: Model, asked: DensityOptions, look: Look) -> Figure:
    """plot-density: `plot_density` beside the model's data."""
    return plot_density(model, model.dataset(), look=look)


def plot_density(model: Model, dataset: Dataset, *, look: Look = DEFAULT_LOOK) -> Figure:
    """The density of a model by its likelihood, beside the exact density, in data units.

    For a user's file the second density is a kernel density estimate, named 'smoothed data', and the difference stands
    beside that between the estimates from two halves of the data. For an exact model there is one panel, also for the
    exact model of a file, which has memorised its points.

    Raises UsageError for data of more than two columns.
    """
    check_flat(model, "a density", "likelihood says how probable each of its points is")
    model.check_density()
    reference = grids.reference_law(model.config, dataset)
    law, name = reference.law, "smoothed data" if reference.smoothed else "exact"
    if model.is_exact:
        law, name = law_of(model.config, dataset), law_name(dataset)
    draws = dataset.standard.to_model(dataset.draw(np.random.default_rng(model.config.seed), _DRAWS))
    margin = 0.12 * np.ptp(draws, axis=0).max()
    low, high = draws.min(axis=0) - margin, draws.max(axis=0) + margin
    along = _PLACES if not model.is_exact and model.dim == 2 else 2 * _CELLS
    cells = tuple(np.ceil(along * (high - low) / (high - low).max()).astype(int).tolist())
    axes, places = likelihood.grid(low, high, cells)
    volume = float(np.prod(model.standard.scale))
    modelled = None
    if model.direct is not None:
        modelled = np.exp(model.direct.density(model.name)(places.reshape(-1, model.dim))).reshape(cells) / volume
    elif not model.is_exact:
        density = likelihood.grid_density(model.predict, model.process, low, high, cells, tolerance=_TOLERANCE)
        modelled = np.exp(density.log_p.astype(np.float64)) / volume
    truth = grids.densities_on_grid(law, [model.process.finest], places)[0] / volume
    of_halves = None
    if reference.smoothed and model.trained:
        points = np.random.default_rng(0).permutation(draw_data(model.config, dataset).train)
        halves = (kernel_density(points[start::2]) for start in (0, 1))
        one, other = (grids.densities_on_grid(half, [model.process.finest], places)[0] for half in halves)
        of_halves = density_plot.total_variation(one, other)
    mean, scale = model.standard
    x, *y = (m + s * axis for m, s, axis in zip(mean, scale, axes, strict=True))
    return density_plot.density_figure(
        x,
        y[0] if y else None,
        modelled,
        truth,
        truth=name,
        columns=Columns(model.columns, "data"),
        of_halves=of_halves,
        subject=model.name,
        **look._asdict(),
    )

"""The density of a model beside the exact one."""

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import likelihood
from diffuse_cli.figures import grids
from diffuse_cli.figures.grids import check_flat
from diffuse_cli.figures.options import DensityOptions
from diffuse_cli.models import build
from diffuse_cli.models.model import Model
from diffuse_cli.plots import density as density_plot
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look

_TOLERANCE = 1e-4  # of that ODE: what is left of it cannot be seen


_PLACES = 64  # along each axis, where a model's density costs an ODE at each


_CELLS = 120  # of what is drawn as a line or an image


_DRAWS = 2048  # of noised data, by which a field is measured


def density_of_model(model: Model, asked: DensityOptions, look: Look) -> Figure:
    """plot-density: `plot_density` beside the model's data."""
    return plot_density(model, model.dataset(), look=look)


def plot_density(model: Model, dataset: Dataset, *, look: Look = DEFAULT_LOOK) -> Figure:
    """The density of a model by its likelihood, beside the exact one, data units.

    Of a user's file the other one is a smooth estimate from its points, and is called so. An exact model stands alone,
    also that which has memorised a file.
    Raises UsageError for data of more than two columns.
    """
    check_flat(model, "a density", "likelihood says how probable each of its points is")
    ground = grids.reference_law(model.config, dataset)
    law, name = ground.law, "smoothed data" if ground.smoothed else "exact"
    if not model.trained:
        law, name = build.law_of(model.config, dataset), build.law_name(dataset)
    draws = dataset.standard.to_model(dataset.draw(np.random.default_rng(model.config.seed), _DRAWS))
    margin = 0.12 * np.ptp(draws, axis=0).max()
    low, high = draws.min(axis=0) - margin, draws.max(axis=0) + margin
    along = _PLACES if model.trained and model.dim == 2 else 2 * _CELLS
    cells = tuple(np.ceil(along * (high - low) / (high - low).max()).astype(int))
    axes, places = likelihood.grid(low, high, cells)
    volume = float(np.prod(model.standard.scale))
    modelled = None
    if model.trained:
        found = likelihood.grid_density(model.predict, model.process, low, high, cells, tolerance=_TOLERANCE)
        modelled = np.exp(found.log_p.astype(np.float64)) / volume
    truth = grids.densities_on_grid(law, [model.process.finest], places)[0] / volume
    mean, scale = model.standard
    x, *y = (m + s * axis for m, s, axis in zip(mean, scale, axes, strict=True))
    return density_plot.density_figure(
        x,
        y[0] if y else None,
        modelled,
        truth,
        truth=name,
        subject=model.name,
        **look._asdict(),
    )

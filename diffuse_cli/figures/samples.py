"""Samples of a model beside its data."""

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.models.draw import Drawn, Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots import samples as samples_plot
from diffuse_cli.plots.collection import Column
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look


def plot_samples(model: Model, method: Method, drawn: Drawn, dataset: Dataset, *, look: Look = DEFAULT_LOOK) -> Figure:
    """The samples beside as many draws of the data."""
    data = dataset.draw(np.random.default_rng(model.config.seed + 1), len(drawn.samples))
    return samples_plot.samples_figure(
        drawn.samples, data, view=model.view, subject=f"{model.name}, {method.title}", **look._asdict()
    )


def samples_column(model: Model, method: Method, dataset: Dataset, *, count: int, seed: int) -> Column:
    """Samples of a model and as many draws of its data, as a column of a grid."""
    drawn = draw_samples(model, method, count, seed)
    return Column(dataset.draw(np.random.default_rng(seed + 1), count), drawn.samples, model.view)

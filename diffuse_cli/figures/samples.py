"""Samples of a model beside its data."""

from typing import TYPE_CHECKING

import numpy as np

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.models.draw import Drawn, Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.drawing_process import Drawing
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look

if TYPE_CHECKING:
    from diffuse_cli.plots.collection import Column


def samples_drawing(
    model: Model, method: Method, drawn: Drawn, dataset: Dataset, *, look: Look = DEFAULT_LOOK
) -> Drawing:
    """The samples beside the same number of draws of the data."""
    data = dataset.draw(np.random.default_rng(model.config.seed + 1), len(drawn.samples))
    arguments = {
        "model": drawn.samples,
        "data": data,
        "view": model.view,
        "subject": f"{model.name}, {method.title}",
    }
    return Drawing("samples:samples_figure", arguments, look)


def samples_column(model: Model, method: Method, dataset: Dataset, *, count: int, seed: int) -> "Column":
    """Samples of a model and the same number of draws of its data, as a column of a grid."""
    from diffuse_cli.plots.collection import Column

    drawn = draw_samples(model, method, count, seed)
    return Column(dataset.draw(np.random.default_rng(seed + 1), count), drawn.samples, model.view)

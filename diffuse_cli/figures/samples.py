"""Samples of a model beside its data."""

from typing import TYPE_CHECKING

import numpy as np

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.figures.paths import labelled_data_of
from diffuse_cli.models.draw import Drawn, Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.drawing_process import Drawing
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look

if TYPE_CHECKING:
    from diffuse_cli.plots.collection import Column


def samples_drawing(
    model: Model, method: Method, drawn: Drawn, dataset: Dataset, *, look: Look = DEFAULT_LOOK
) -> Drawing:
    """The samples beside as many points of the data."""
    data, labels = _some_labelled_data(dataset, len(drawn.samples), model.config.seed + 1)
    arguments = {
        "model": drawn.samples,
        "data": data,
        "view": model.view,
        "columns": Columns(model.columns, "data"),
        "subject": f"{model.name}, {method.title}",
        "labels": (labels, drawn.labels) if model.each_row else None,
    }
    return Drawing("samples:samples_figure", arguments, look)


def samples_column(model: Model, method: Method, dataset: Dataset, *, count: int, seed: int) -> "Column":
    """Samples of a model and as many points of its data, as a column of a grid."""
    from diffuse_cli.plots.collection import Column

    drawn = draw_samples(model, method, count, seed)
    named = None if dataset.columns is None else Columns(dataset.columns, "data")
    return Column(some_data(dataset, count, seed + 1), drawn.samples, model.view, named)


def some_data(dataset: Dataset, count: int, seed: int) -> np.ndarray:
    """`count` draws of the data [count, d]; of a file that many of its rows, each once, or all where there are fewer.

    A row that is shown twice is one point in a figure, and so the data would seem sparser than as many samples.
    """
    return _some_labelled_data(dataset, count, seed)[0]


def _some_labelled_data(dataset: Dataset, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    return labelled_data_of(dataset, count if dataset.points is None else min(count, len(dataset.points)), seed)

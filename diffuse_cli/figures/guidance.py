"""The target of guidance, what guidance samples, and the particles that correct it, for several scales."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli import catalog
from diffuse_cli.analysis.quality import floor_of
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import likelihood
from diffuse_cli.errors import UsageError
from diffuse_cli.figures import grids
from diffuse_cli.figures.options import GuidanceOptions
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.formats import Look
from diffuse_cli.plots.guidance import GuidedRow, guidance_figure

_METRIC = "sliced_w2"
_FLOORS = 20  # pairs of draws of the target
_DRAWS = 4096  # of the target, which decide where its density is shown
_CELLS = 160  # of this density, along the longer side

Guide = Callable[[float], tuple[Model, Method]]  # w -> the model guided by w and told a label, and how to sample it


def guidance_of_model(
    model: Model, guides: dict[str, Guide], asked: GuidanceOptions, look: Look, *, towards_label: bool = False
) -> Figure:
    """The figure of plot-guidance. model: told a label, not guided. guides: what to draw, by the names of the rows.

    The target is the law that the first of them is said to sample; with `towards_label` the points with the label.

    Raises UsageError for data of other than two columns, or labels whose laws are unknown.
    """
    if model.dim != 2:
        raise UsageError(f"the law of guidance is drawn in the plane, and {model.name} has {model.dim} columns")
    targets, rows = [], [GuidedRow(name, [], []) for name in guides]
    for w in asked.scales:
        guided = [guide(w) for guide in guides.values()]
        dataset = model.dataset() if towards_label else guided[0][0].dataset()
        if dataset.exact is None:
            raise UsageError(
                f"the laws of the labels of {model.config.dataset} are unknown, and so is that of guidance"
            )
        floor = floor_of(model, dataset, {_METRIC: catalog.build("metric", _METRIC)}, asked.count, asked.seed, _FLOORS)
        mean = float(floor.figures[_METRIC].mean())
        for row, (each, method) in zip(rows, guided, strict=True):
            drawn = draw_samples(each, method, asked.count, asked.seed)
            score = floor.scores(model.standard.to_model(drawn.samples))[_METRIC]
            row.clouds.append(drawn.samples)
            row.words.append(f"{score.value:.2f}, {score.value / mean:.1f} floors")
        targets.append(_density(model, dataset))
    shown = {"columns": Columns(model.columns, "data"), "subject": f"{model.name}, sliced W2 to the target"}
    shown |= {"truth": "points with\nthe label"} if towards_label else {}
    return guidance_figure(asked.scales, targets, rows, **shown, **look._asdict())


def _density(model: Model, dataset: Dataset) -> Background:
    """The density of the target, data units."""
    points = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), _DRAWS))
    margin = 0.3 * np.ptp(points, axis=0).max()
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    cells = tuple(np.ceil(_CELLS * (high - low) / (high - low).max()).astype(int).tolist())
    (x, y), places = likelihood.grid(low, high, cells)
    p = grids.densities_on_grid(dataset.exact(), [model.process.finest], places)[0]
    mean, scale = model.standard
    return Background(mean[0] + scale[0] * x, mean[1] + scale[1] * y, p)

"""The field of a model at a few noise levels, beside the exact one."""

import jax
import numpy as np
from matplotlib.figure import Figure

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import exact, likelihood
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.errors import UsageError
from diffuse_cli.figures import grids, paths
from diffuse_cli.figures.grids import check_flat
from diffuse_cli.figures.options import FieldOptions
from diffuse_cli.models.data import truth_of
from diffuse_cli.models.model import Model
from diffuse_cli.plots import field as field_plot
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look

NAMES = {  # of the fields that can be drawn, in the field's notation
    "score": r"Score $\nabla \log p_t$",
    "eps": r"Noise $\hat\epsilon$",
    "v": r"$\hat v = \alpha \hat\epsilon - \sigma \hat x_0$",
    "velocity": r"Velocity $\hat\epsilon - \hat x_0$",
    "x0": r"Clean sample $\hat x_0$",
}


_TIMES = (0.02, 0.1, 0.3, 0.7)  # by default


_FLOWS = ("v", "velocity")  # the fields of a model that is a flow between pairs, and no denoiser


_ARROWS = 17  # along each axis


_STREAMS = 25  # places along each axis from which streams are computed


_CELLS = 120  # along each axis of a density, or of a field on a line


_DRAWS = 2048  # of noised data, over which root mean squares are taken


def field_of_model(model: Model, asked: FieldOptions, look: Look) -> Figure:
    """The figure of plot-field: `plot_field` at the chosen times. Raises UsageError for times outside the chain."""
    times = paths.chain_times(asked.at, _TIMES, timesteps=model.process.timesteps, most=field_plot.MOST_FIELDS)
    return plot_field(model, model.dataset(), np.array(times), kind=asked.field, style=asked.style, look=look)


def plot_field(
    model: Model,
    dataset: Dataset,
    t: np.ndarray,
    *,
    kind: str = "score",
    style: str = "arrows",
    look: Look = DEFAULT_LOOK,
) -> Figure:
    """The field of a model at times t [k], beside the exact field where the law of the data is known.

    kind: one of NAMES. An exact model has one row of panels. So has a model that is a flow between pairs, since the
    exact field of noised data is another one.

    Raises UsageError for data of more than two columns, or a field that the model does not have.
    """
    check_flat(model, "a field", "plot-trajectories draws where its points go")
    if model.kind != "denoiser" and kind not in _FLOWS:
        raise UsageError(
            f"{model.name} has learned the velocity of a flow between pairs, from which no {kind} follows; "
            "give --field velocity"
        )
    log_snr = np.asarray(model.process.levels_at(t).log_snr, np.float64)
    points = _noised(dataset, model.config.seed, log_snr)
    line, reach = model.dim == 1, 1.2 * np.quantile(np.abs(points), 0.995)
    cells = _CELLS if line else {"arrows": _ARROWS, "streams": _STREAMS}[style]
    axes, places = _square(model.dim, reach, cells)
    truth = truth_of(dataset) if not model.is_exact and model.kind == "denoiser" else None
    exactly = None if truth is None else jax.tree_util.Partial(exact.denoiser(truth))
    parameterization = catalog.build("prediction", kind, model.process)
    usual, error = _measured(model.predict, exactly, parameterization, log_snr, points)
    model_field = grids.fields_on_grid(model.predict, parameterization, log_snr, places)
    field = field_plot.Field(
        x=axes[0],
        y=None if line else axes[1],
        model=None if model.is_exact else model_field,
        exact=model_field
        if model.is_exact
        else exactly and grids.fields_on_grid(exactly, parameterization, log_snr, places),
        usual=usual,
        error=error,
        density=_densities(model, dataset, log_snr, reach),
    )
    subject = f"{model.name}, {catalog.short_name(model.config.schedule)} schedule"
    columns = Columns(model.columns, "model")
    return field_plot.field_figure(
        field,
        name=NAMES[kind],
        t=t,
        log_snr=log_snr,
        style=style,
        columns=columns,
        subject=subject,
        **look._asdict(),
    )


def _noised(dataset: Dataset, seed: int, log_snr: np.ndarray) -> np.ndarray:
    """Draws of the data at each level [k, n, d]."""
    rng = np.random.default_rng(seed)
    x0 = dataset.standard.to_model(dataset.draw(rng, _DRAWS))
    eps = rng.standard_normal(x0.shape)
    return np.stack([float(level.alpha) * x0 + float(level.sigma) * eps for level in map(grids.level_at, log_snr)])


def _square(dim: int, reach: float, cells: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    return likelihood.grid(np.full(dim, -reach), np.full(dim, reach), (cells,) * dim)


def _measured(
    predict: Predict,
    exactly: Predict | None,
    parameterization: Parameterization,
    log_snr: np.ndarray,
    points: np.ndarray,
) -> tuple[np.ndarray, np.ndarray | None]:
    """The root mean square [k] of the exact field over the noised data `points` [k, n, d], and the relative error [k]
    of `predict`: the root mean square of the difference, divided by it. Without `exactly`, that of the field of
    `predict`, and None."""
    model_field, exact_field = (
        p
        and np.stack(
            [
                grids.fields_on_grid(p, parameterization, [at], where)[0]
                for at, where in zip(log_snr, points, strict=True)
            ]
        )
        for p in (predict, exactly)
    )
    rms = lambda values: np.sqrt((values**2).sum(axis=-1).mean(axis=-1))  # noqa: E731
    return (
        (rms(model_field), None)
        if exact_field is None
        else (rms(exact_field), rms(model_field - exact_field) / rms(exact_field))
    )


def _densities(model: Model, dataset: Dataset, log_snr: np.ndarray, reach: float) -> list[Background] | np.ndarray:
    axes, places = _square(model.dim, reach, _CELLS)
    p = grids.densities_on_grid(grids.reference_law(model.config, dataset).law, log_snr, places)
    return p if model.dim == 1 else [Background(*axes, each) for each in p]

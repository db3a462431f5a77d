"""From a source to the figures that lie over a plane, or a line: its field, and its density, beside the exact ones."""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from diffuse_cli import catalog, experiment, landscape
from diffuse_cli.data.dataset import Dataset
from diffuse_cli.diffusion import exact, likelihood
from diffuse_cli.diffusion.predictions import Parameterization, Predict
from diffuse_cli.errors import UsageError
from diffuse_cli.plots import density as density_plot
from diffuse_cli.plots import field as field_plot
from diffuse_cli.plots.backdrop import Backdrop
from diffuse_cli.plots.formats import Look
from diffuse_cli.sources import Source

OWN = Look()
NAMES = {  # of the fields that can be drawn, in the field's notation
    "score": r"Score $\nabla \log p_t$",
    "eps": r"Noise $\hat\epsilon$",
    "v": r"$\hat v = \alpha \hat\epsilon - \sigma \hat x_0$",
    "velocity": r"Velocity $\hat\epsilon - \hat x_0$",
    "x0": r"Clean sample $\hat x_0$",
}
FLOWS = ("v", "velocity")  # what a source has that is not a denoiser
ARROWS = 17  # of a field, along each axis
STREAMS = 25
CELLS = 120  # of what is drawn as a line or an image
PLACES = 64  # along each axis, where a model's density costs an ODE at each
TOLERANCE = 1e-4  # of that ODE: what is left of it nobody sees
DRAWS = 2048  # of noised data, by which a field is measured


def field(
    source: Source,
    dataset: Dataset,
    t: np.ndarray,
    *,
    kind: str = "score",
    style: str = "arrows",
    look: Look = OWN,
) -> Figure:
    """The field of a source at times t [k], beside the exact one where the law of the data is known.

    kind: one of NAMES. An exact source stands alone, and so does one that is not a denoiser, whose flow is another than
    that of noised data. Raises UsageError for data of more than two columns, or a field that such a source has not got.
    """
    _check_flat(source, "a field", "plot-trajectories draws where its points go")
    if not source.denoises and kind not in FLOWS:
        raise UsageError(
            f"{source.name} has learned the velocity of a flow between pairs, from which no {kind} follows; "
            "give --field velocity"
        )
    log_snr = np.asarray(source.process.schedule(jnp.asarray(t, jnp.float32)), np.float64)
    points = _noised(dataset, source.config.seed, log_snr)
    line, reach = source.dim == 1, 1.2 * np.quantile(np.abs(points), 0.995)
    cells = CELLS if line else {"arrows": ARROWS, "streams": STREAMS}[style]
    axes, places = _square(source.dim, reach, cells)
    truth = experiment.truth_of(dataset) if source.trained and source.denoises else None
    exactly = None if truth is None else jax.tree_util.Partial(exact.denoiser(truth))
    said = catalog.build("prediction", kind, source.process)
    usual, error = _measured(source.predict, exactly, said, log_snr, points)
    own = landscape.fields(source.predict, said, log_snr, places)
    found = field_plot.Field(
        x=axes[0],
        y=None if line else axes[1],
        model=own if source.trained else None,
        exact=own if not source.trained else exactly and landscape.fields(exactly, said, log_snr, places),
        usual=usual,
        error=error,
        density=_densities(source, dataset, log_snr, reach),
    )
    subject = f"{source.name}, {catalog.short(source.config.schedule)} schedule"
    return field_plot.field(
        found, name=NAMES[kind], t=t, log_snr=log_snr, style=style, subject=subject, **look._asdict()
    )


def density(source: Source, dataset: Dataset, *, look: Look = OWN) -> Figure:
    """The density of a source by its likelihood, beside the exact one, data units.

    Of a user's file the other one is a smooth estimate from its points, and is called so. An exact source stands alone,
    also that which has memorised a file.
    Raises UsageError for data of more than two columns.
    """
    _check_flat(source, "a density", "likelihood says how probable each of its points is")
    ground = landscape.ground_of(source.config, dataset)
    law, name = ground.law, "smoothed data" if ground.smoothed else "exact"
    if not source.trained:
        law, name = experiment.law_of(source.config, dataset), experiment.law_name(dataset)
    draws = dataset.standard.to_model(dataset.draw(np.random.default_rng(source.config.seed), DRAWS))
    margin = 0.12 * np.ptp(draws, axis=0).max()
    low, high = draws.min(axis=0) - margin, draws.max(axis=0) + margin
    along = PLACES if source.trained and source.dim == 2 else 2 * CELLS
    cells = tuple(np.ceil(along * (high - low) / (high - low).max()).astype(int))
    axes, places = likelihood.grid(low, high, cells)
    volume = float(np.prod(source.standard.scale))
    model = None
    if source.trained:
        found = likelihood.grid_density(source.predict, source.process, low, high, cells, tolerance=TOLERANCE)
        model = np.exp(found.log_p.astype(np.float64)) / volume
    truth = landscape.densities(law, [source.process.finest], places)[0] / volume
    mean, scale = source.standard
    x, *y = (m + s * axis for m, s, axis in zip(mean, scale, axes, strict=True))
    return density_plot.density(
        x,
        y[0] if y else None,
        model,
        truth,
        truth=name,
        subject=source.name,
        **look._asdict(),
    )


def _check_flat(source: Source, what: str, instead: str) -> None:
    if source.dim > 2:
        raise UsageError(
            f"{what} is drawn of data with one or two columns, and {source.name} has {source.dim}; diffuse {instead}"
        )


def _noised(dataset: Dataset, seed: int, log_snr: np.ndarray) -> np.ndarray:
    """Draws of the data at each level [k, n, d]."""
    rng = np.random.default_rng(seed)
    x0 = dataset.standard.to_model(dataset.draw(rng, DRAWS))
    eps = rng.standard_normal(x0.shape)
    return np.stack([float(level.alpha) * x0 + float(level.sigma) * eps for level in map(landscape.level_at, log_snr)])


def _square(dim: int, reach: float, cells: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    return likelihood.grid(np.full(dim, -reach), np.full(dim, reach), (cells,) * dim)


def _measured(
    predict: Predict, exactly: Predict | None, said: Parameterization, log_snr: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """How large the exact field is at points [k, n, d] of the noised data, [k], and the distance of `predict` from it
    in parts of that, [k]; both root mean squares. Without an exact one, how large the field itself is, and None."""
    own, other = (
        p and np.stack([landscape.fields(p, said, [at], where)[0] for at, where in zip(log_snr, points, strict=True)])
        for p in (predict, exactly)
    )
    rms = lambda values: np.sqrt((values**2).sum(axis=-1).mean(axis=-1))  # noqa: E731
    return (rms(own), None) if other is None else (rms(other), rms(own - other) / rms(other))


def _densities(source: Source, dataset: Dataset, log_snr: np.ndarray, reach: float) -> list[Backdrop] | np.ndarray:
    axes, places = _square(source.dim, reach, CELLS)
    p = landscape.densities(landscape.ground_of(source.config, dataset).law, log_snr, places)
    return p if source.dim == 1 else [Backdrop(*axes, each) for each in p]

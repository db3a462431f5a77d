"""The latent plane of a VAE or of latent diffusion."""

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli.analysis.latent_quality import aggregate_posterior
from diffuse_cli.diffusion import likelihood
from diffuse_cli.errors import UsageError
from diffuse_cli.figures import paths
from diffuse_cli.figures.options import LatentOptions
from diffuse_cli.models.draw import default_method, draw_samples
from diffuse_cli.models.latent import data_of_latents
from diffuse_cli.models.model import Model
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.formats import Look
from diffuse_cli.plots.latent import LatentPlane, latent_figure
from diffuse_cli.plots.point_colors import principal_axes

_ENCODED = 1 << 17  # points whose encodings are the components of q(z)
_CELLS = 72  # along each axis: each costs an ODE solution of the diffusion
_PATHS = 200
_TOLERANCE = 1e-4
_REACH = 3.0  # of N(0, I), which the figure shows at least


def latent_of_model(model: Model, asked: LatentOptions, look: Look) -> Figure:
    """plot-latent: the plane of a model with two latents.

    Raises UsageError for a model without an autoencoder, or with another number of latents.
    """
    autoencoder = model.autoencoder
    if autoencoder is None:
        raise UsageError(f"{model.name} has no latent space; train one with: diffuse train --latent 2 --dataset …")
    if autoencoder.latents != 2:
        raise UsageError(
            f"the latents are drawn in the plane, and {model.name} has {autoencoder.latents}; diffuse plot-samples "
            "shows what they decode to"
        )
    data, labels = paths.labelled_data_of(data_of_latents(model), _ENCODED, asked.seed)
    mean, std = autoencoder.encode(data)
    rng = np.random.default_rng(asked.seed)
    z = mean + std * rng.standard_normal(mean.shape)
    low, high = np.minimum(z.min(axis=0), -_REACH), np.maximum(z.max(axis=0), _REACH)
    axes, places = likelihood.grid(low, high, (_CELLS, _CELLS))
    cell = (high - low) / _CELLS
    shown = aggregate_posterior(places.reshape(-1, 2), mean, np.hypot(std, cell))  # by the width of a cell, at least
    posterior = np.exp(shown.astype(np.float64))
    plane = LatentPlane(*axes, posterior.reshape(_CELLS, _CELLS))
    if model.direct is None:
        plane = plane._replace(model=_density(model, low, high), paths=_paths(model, asked.seed))
    inner = data_of_latents(model).inner
    place = (data - data.mean(axis=0)) @ principal_axes(data, 1)[1][:, 0] if inner is None else inner(data)[:, 0]
    count = min(asked.count, len(z))
    return latent_figure(
        z[:count],
        plane,
        color_by=(place if labels is None else labels)[:count],
        columns=Columns(("z1", "z2"), "latent"),
        subject=model.name,
        **look._asdict(),
    )


def _density(model: Model, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """p(z) of the diffusion on the cells, in the units of the latents."""
    ends = (model.standard.to_model(end) for end in (low, high))
    density = likelihood.grid_density(model.predict, model.process, *ends, (_CELLS, _CELLS), tolerance=_TOLERANCE)
    return np.exp(np.nan_to_num(density.log_p, nan=-np.inf).astype(np.float64) - model.standard.log_volume)


def _paths(model: Model, seed: int) -> np.ndarray:
    """Paths of samples from noise to latents, in the units of the latents."""
    drawn = draw_samples(model, default_method(model.config), _PATHS, seed, trajectory=True)
    return model.standard.to_data(paths.in_unit_variance(drawn.path.x, drawn.levels))

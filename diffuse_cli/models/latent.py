"""Latent diffusion: a model of the encodings of an autoencoder, and the same model decoded to the space of the data."""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset, Part, Standardiser, with_label
from diffuse_cli.datasets.latent import encodings
from diffuse_cli.diffusion.likelihood import grid, log_likelihood
from diffuse_cli.errors import UsageError
from diffuse_cli.families.latent_integral import MOST_LATENTS
from diffuse_cli.families.vae import MOST_INTEGRALS, LogPrior, log_density
from diffuse_cli.models.autoencoder import Autoencoder
from diffuse_cli.models.direct import Direct, DirectlyDrawn, no_denoiser
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.model import Model

_PLACES = 128  # of a density in the latent space, along each axis, between which it is interpolated
_REACH = 1.0  # beyond the encodings, in standard deviations of them, where the density is still computed
_ENCODED = 1 << 14  # points whose encodings say where the density is
_ACTIVE = 0.01  # the variance of the mean of q(z | x) over x, above which a latent is active (Burda et al. 2016, 5.2)
_TITLE = "latent diffusion, decoded,"


class LatentSpace(NamedTuple):
    """The Space of a latent model: the latents of an autoencoder, standardised. Encoding takes the mean of q(z | x)."""

    autoencoder: Autoencoder
    standard: Standardiser

    @property
    def dim(self) -> int:
        """The number of latents."""
        return self.standard.dim

    @property
    def data_dim(self) -> int:
        """The number of columns of the data."""
        return self.autoencoder.standard.dim

    @property
    def log_volume(self) -> None:
        """None: a density of latents is none of the data, which are an integral over the latents."""
        return

    def to_model(self, x: np.ndarray) -> np.ndarray:
        """Points [n, d] in data units -> the mean of their latents [n, k], standardised."""
        latents: np.ndarray = self.standard.to_model(self.autoencoder.encode(x)[0])
        return latents

    def to_data(self, x: np.ndarray) -> np.ndarray:
        """Standardised latents [n, k] -> the mean of x given them [n, d], in data units."""
        return self.autoencoder.decode(self.standard.to_data(x))

    def draw(self, rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
        """Standardised latents [n, k] -> x drawn from p(x | z) [n, d], in data units, with the noise of the decoder."""
        return self.autoencoder.draw(rng, self.standard.to_data(x))


def latent_dataset(autoencoder: Autoencoder, of: Dataset) -> Dataset:
    """The Dataset of the encodings of `of`.

    Raises UsageError where the data are not those of the autoencoder, where they have as few columns as the latent
    space, where no latent tells anything of the data, and like `datasets.latent.encodings`.
    """
    check_latents(autoencoder.latents, of.dim)
    if not of.standard.agrees_with(autoencoder.standard):
        raise UsageError(
            f"the autoencoder was trained on {autoencoder.config.dataset}, and these data have another place or scale; "
            "train one on them, by --autoencoder vae"
        )
    return encodings(of, autoencoder)


def check_latents(latents: int, dim: int) -> None:
    """Raises UsageError for a latent space with as many columns as the data, or more."""
    if latents >= dim:
        raise UsageError(
            f"a latent space of {latents} columns is no smaller than the data, which have {dim}; "
            + (f"give --latent {dim - 1} or fewer, or leave it out" if dim > 1 else "leave out --latent")
        )


def active_latents(autoencoder: Autoencoder, of: Dataset) -> np.ndarray:
    """Which latents [k] are active: whose mean of q(z | x) changes with x (Burda et al. 2016, section 5.2)."""
    mean, _ = autoencoder.encode(of.draw(np.random.default_rng(0), _ENCODED))
    active: np.ndarray = mean.var(axis=0) > _ACTIVE
    return active


def check_active(autoencoder: Autoencoder, of: Dataset) -> None:
    """Raises UsageError where no latent is active: every one of them has the law N, whatever x is."""
    if not active_latents(autoencoder, of).any():
        raise UsageError(
            f"the latents of this autoencoder ({autoencoder.config.family}) are without spread: all have collapsed to "
            "the prior and tell nothing of the data; give a smaller beta or less noise, like --autoencoder vae:beta=0.1"
        )


def check_same_data(autoencoder: Autoencoder, settings: Config, of: Dataset, latents: int) -> None:
    """Raises UsageError where an autoencoder that was trained before does not go with the settings of a latent run."""
    trained = autoencoder.config
    if catalog.parse("dataset", trained.dataset) != catalog.parse("dataset", settings.dataset):
        raise UsageError(
            f"the autoencoder was trained on {trained.dataset}, and this run is to learn {settings.dataset}; "
            "train one on these data, by --autoencoder vae"
        )
    if autoencoder.latents != latents:
        raise UsageError(f"the autoencoder has {autoencoder.latents} latents, and --latent is {latents}")
    if of.points is not None and (trained.seed, trained.train_size) != (settings.seed, settings.train_size):
        raise UsageError(
            f"the autoencoder was trained with --seed {trained.seed}, which holds other rows out; give the same --seed "
            "and --train-size"
        )


def decoded(plane: Model) -> Model:
    """A latent model as one of the data: again a Model, whose samples are decoded; other models as they are.

    Samples have the noise of the decoder, without which they would have no density. log p(x) = log ∫ p(z) p(x | z) dz,
    with the density p(z) of the diffusion, is by quadrature over one or two latents.
    """
    autoencoder = plane.autoencoder
    if autoencoder is None or plane.direct is not None:
        return plane

    space = LatentSpace(autoencoder, plane.standard)

    def draw(count: int, seed: int, method: Method) -> DirectlyDrawn:
        drawn = draw_samples(plane, method, count, seed)
        x = space.draw(np.random.default_rng((seed, 1)), plane.standard.to_model(drawn.samples))
        return DirectlyDrawn(autoencoder.standard.to_model(x), drawn.evals)

    log_prior = cache(partial(log_prior_of, plane))

    def log_prob(x: np.ndarray) -> np.ndarray:
        return log_density(autoencoder.network, jnp.asarray(x), log_prior=log_prior())

    latents = autoencoder.latents
    direct = Direct(
        title=_TITLE,
        draw=draw,
        log_prob=log_prob if latents <= MOST_LATENTS and plane.has_flow else None,
        no_density=f"it is an integral over {latents} latents, which is computed for {MOST_LATENTS} at most",
        most=MOST_INTEGRALS,
    )
    return plane._replace(
        dataset=lambda: _data_of(plane.dataset()),
        standard=autoencoder.standard,
        view=autoencoder.view,
        columns=autoencoder.columns,
        box=(autoencoder.low, autoencoder.high),
        predict=no_denoiser(_TITLE, plane.name),
        direct=direct,
        plane=plane,
        jump=None,
        jump_given=None,
        given=None,
        given_with_variance=None,
        predict_with_variance=None,
        sampled=None,
        sampled_given=None,
    )


def _data_of(latent: Dataset) -> Dataset:
    """The data whose encodings a Dataset has; of those with a label, the data with this label."""
    if latent.latent is None:
        raise ValueError("these are no encodings")
    of = latent.latent.of
    return with_label(of, latent.part.label) if isinstance(latent.part, Part) else of


def data_of_latents(model: Model) -> Dataset:
    """The data behind the latents of a model with an autoencoder, be it in its latent space or decoded."""
    dataset = model.dataset()
    return dataset if dataset.latent is None else _data_of(dataset)


def log_prior_of(plane: Model) -> LogPrior:
    """log p(z) of the diffusion in one or two latents, z in data units of the latents: a spline through the values of
    the probability flow on a grid that covers the encodings; 0 density beyond it."""
    from scipy.interpolate import CubicSpline, RectBivariateSpline

    standard = plane.standard
    draws = standard.to_model(plane.dataset().draw(np.random.default_rng(0), _ENCODED))
    low, high = draws.min(axis=0) - _REACH, draws.max(axis=0) + _REACH
    axes, places = grid(low, high, (_PLACES,) * plane.dim)
    log_p = log_likelihood(plane.predict, plane.process, places.reshape(-1, plane.dim), probes=0).log_p
    values = np.nan_to_num(log_p, nan=log_p[np.isfinite(log_p)].min()).reshape(places.shape[:-1]).astype(np.float64)
    smooth: Callable[..., np.ndarray]
    if plane.dim == 1:
        smooth = CubicSpline(axes[0], values)
    else:
        spline = RectBivariateSpline(*axes, values)
        smooth = lambda x, y: spline.ev(x, y)  # noqa: E731

    def log_prior(z: np.ndarray) -> np.ndarray:
        x = standard.to_model(z)
        inside = ((x >= low) & (x <= high)).all(axis=-1)
        return np.where(inside, smooth(*x.T) - standard.log_volume, -np.inf)

    return log_prior

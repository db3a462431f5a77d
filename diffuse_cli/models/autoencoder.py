"""An autoencoder: a trained VAE as the map between data and a latent space, and how checkpoints hold it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from diffuse_cli import catalog, config
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset, Standardiser
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.families.vae import VAE, Encoded
from diffuse_cli.models import build, checkpoint
from diffuse_cli.networks.denoiser import Structure, Weights

if TYPE_CHECKING:
    from diffuse_cli.models.run_folder import Run

_TOGETHER = 8192  # points that are encoded or decoded in one compiled call
_WEIGHTS, _DATA = "autoencoder", "data"  # the parts of a checkpoint


class Autoencoder(NamedTuple):
    """A trained VAE between the data and its latents.

    config: that of its training. standard, view, columns, low, high: of the data, as in a `Run`.
    """

    config: Config
    structure: Structure
    weights: Weights
    standard: Standardiser
    view: str
    columns: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray

    @property
    def network(self) -> VAE:
        """The network, whose points are in the model space of the data."""
        network: VAE = nnx.merge(self.structure, self.weights)
        return network

    @property
    def latents(self) -> int:
        """The number of latents."""
        return self.network.latent

    def encode(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [n, d] in data units -> mean and standard deviation [n, k] of q(z | x)."""
        x = self.standard.to_model(np.asarray(points))
        encode = partial(_encode, self.structure, self.weights)
        mean, std = (np.concatenate(part) for part in zip(*_in_parts(encode, x), strict=True))
        return mean.astype(np.float64), std.astype(np.float64)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Latents [n, k] -> the mean of x given z [n, d], in data units."""
        (means,) = zip(*_in_parts(partial(_decode, self.structure, self.weights), z), strict=True)
        points: np.ndarray = self.standard.to_data(np.concatenate(means).astype(np.float64))
        return points

    def draw(self, rng: np.random.Generator, z: np.ndarray) -> np.ndarray:
        """x drawn from p(x | z) [n, d] in data units: the mean of `decode`, with the noise of the decoder."""
        noise = self.standard.scale * self.noise * rng.standard_normal((len(z), self.standard.dim))
        points: np.ndarray = self.decode(z) + noise
        return points

    @property
    def noise(self) -> np.ndarray:
        """The standard deviation of the decoder, [1] or [d], in the model space of the data."""
        return np.asarray(self.network.noise, np.float64)


@partial(jax.jit, static_argnums=0)
def _encode(structure: Structure, weights: Weights, x: Array) -> Encoded:
    encoded: Encoded = nnx.merge(structure, weights).encode(x)
    return encoded


@partial(jax.jit, static_argnums=0)
def _decode(structure: Structure, weights: Weights, z: Array) -> tuple[Array]:
    return (nnx.merge(structure, weights).decode(z),)


def _in_parts(run: Callable[[Array], tuple[Array, ...]], points: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """The results for parts of equal size, so that one program is compiled for any number of points."""
    size = min(_TOGETHER, len(points))
    parts = []
    for first in range(0, len(points), size):
        part = np.asarray(points[first : first + size], np.float32)
        filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        parts.append(tuple(np.asarray(each)[: len(part)] for each in run(jnp.asarray(filled))))
    return parts


def autoencoder_of_run(run: "Run") -> Autoencoder:
    """The autoencoder of a run of --family vae, or the one inside of a latent run. Raises UsageError for other runs."""
    if run.autoencoder is not None:
        return run.autoencoder
    if catalog.parse("family", run.config.family).name != "vae":
        raise UsageError(
            f"{run.name} has no autoencoder; train one with: diffuse train --family vae:latent=2 --dataset "
            f"{run.config.dataset}"
        )
    of_data = run.standard, run.header.view, run.header.columns, run.low, run.high
    return Autoencoder(run.config, run.experiment.structure, run.average(), *of_data)


def packed(autoencoder: Autoencoder) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the texts by which a checkpoint holds an autoencoder."""
    standard = autoencoder.standard
    constants = {"mean": standard.mean, "scale": standard.scale, "low": autoencoder.low, "high": autoencoder.high}
    tensors = {f"{_DATA}.{name}": value for name, value in constants.items()}
    tensors |= checkpoint.flatten(jax.device_get(autoencoder.weights), _WEIGHTS)
    of_data = json.dumps({"view": autoencoder.view, "columns": autoencoder.columns})
    return tensors, {"autoencoder": config.dump(autoencoder.config), "data": of_data}


def unpacked(tensors: dict[str, np.ndarray], metadata: dict[str, str], file: Path) -> Autoencoder | None:
    """The autoencoder in a checkpoint; None where there is none.

    Raises DiffuseError where it is damaged, UsageError where its settings are wrong.
    """
    if "autoencoder" not in metadata:
        return None
    settings = config.make(config.loads(metadata["autoencoder"]), str(file))
    try:
        of_data = json.loads(metadata["data"])
        mean, scale, low, high = (tensors.pop(f"{_DATA}.{name}") for name in ("mean", "scale", "low", "high"))
        view, columns = str(of_data["view"]), tuple(map(str, of_data["columns"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DiffuseError(
            f"{file} is not a whole checkpoint: {error} of its autoencoder is missing or wrong"
        ) from error
    if not all(part.shape == (len(columns),) and np.isfinite(part).all() for part in (mean, scale, low, high)):
        raise DiffuseError(f"{file} is damaged: the data of its autoencoder are not {len(columns)} finite columns")
    if (scale <= 0).any() or (low > high).any():
        raise DiffuseError(f"{file} is damaged: the data of its autoencoder have no extent")
    if catalog.parse("family", settings.family).name != "vae":
        raise DiffuseError(f"{file} is damaged: its autoencoder is a {settings.family}")
    experiment = build.build_experiment(settings, len(columns), trust=False)
    template = jax.eval_shape(lambda: build.initial_weights(experiment, jax.random.key(0)))
    weights: Weights = checkpoint.restore(template, tensors, _WEIGHTS)
    return Autoencoder(settings, experiment.structure, weights, Standardiser(mean, scale), view, columns, low, high)


def untrained(settings: Config, dataset: Dataset) -> Autoencoder:
    """The autoencoder of these settings before it is trained, for what depends on its shape alone."""
    experiment = build.build_experiment(settings, dataset.dim)
    weights = build.initial_weights(experiment, jax.random.key(settings.seed))
    ends = np.zeros(dataset.dim), np.zeros(dataset.dim)
    return Autoencoder(
        settings, experiment.structure, weights, dataset.standard, dataset.view, dataset.column_names, *ends
    )

"""Densities p_t of noised data and outputs of a denoiser on a grid, at given noise levels.

Places are in the space of a `paths.Trajectory`: model space, scaled as under variance preservation at every level.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffuse_cli.analysis.kernel_density import kernel_density
from diffuse_cli.analysis.schedule_check import Estimate, kl_at, kl_of_points
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.diffusion.process import Level, variance_preserving
from diffuse_cli.errors import UsageError
from diffuse_cli.models.data import draw_data, law_of, truth_of
from diffuse_cli.models.model import Model

_DRAWS = 512  # of the data, for the KL
_NEARLY_CLEAN = 12.0  # log-SNR at which classes are compared: a law without noise has no density at clean points


class ReferenceLaw(NamedTuple):
    """The law whose density is drawn, in model space. smoothed: whether it is an estimate of an unknown law."""

    law: exact.Law
    smoothed: bool


def reference_law(config: Config, dataset: Dataset) -> ReferenceLaw:
    """The exact law of a dataset; where it is unknown, the `kernel_density` of its training points."""
    if (law := truth_of(dataset)) is not None:
        return ReferenceLaw(law, smoothed=False)
    return ReferenceLaw(kernel_density(np.asarray(draw_data(config, dataset).train)), smoothed=True)


def check_classes(config: Config, dataset: Dataset) -> None:
    """Raises UsageError where the dataset has no classes whose laws are known."""
    if dataset.classes is None or dataset.classes.exact is None:
        raise UsageError(f"{config.dataset} has no classes to colour by; give --color-by time or place")


def classes_of(config: Config, dataset: Dataset, x0: np.ndarray) -> np.ndarray:
    """The most probable class [n] of each point of x0 [n, d], model space: that with the largest share times density.

    Raises UsageError like `check_classes`.
    """
    check_classes(config, dataset)
    clean = level_at(_NEARLY_CLEAN)
    log_densities = [
        exact.log_prob(dataset.classes.exact(c), jnp.asarray(x0, jnp.float32), clean)
        for c in range(len(dataset.classes.shares))
    ]
    return np.argmax(np.log(dataset.classes.shares)[:, None] + np.stack(log_densities), axis=0)


def kl_of(config: Config, dataset: Dataset) -> Callable[[Level], Estimate]:
    """A function that gives KL(q(x) || prior) at a level, in nats: how far the noised data are from pure noise.

    Raises UsageError for a dataset of the user's code without a density.
    """
    to_model = dataset.standard.to_model
    if dataset.points is not None:
        return kl_of_points(to_model(dataset.points))
    x0 = to_model(dataset.draw(np.random.default_rng(0), _DRAWS))
    return kl_at(law_of(config, dataset), x0, 0)


def densities_on_grid(law: exact.Law, log_snr: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The density [k, …] of noised data at log-SNR `log_snr` [k] and places […, d]."""
    flat = jnp.asarray(places.reshape(-1, places.shape[-1]), jnp.float32)
    one = jax.jit(lambda level: exact.log_prob(law, flat, level))
    log_p = np.stack([np.asarray(one(level_at(each)), np.float64) for each in log_snr])
    return np.exp(log_p).reshape(len(log_snr), *places.shape[:-1])


def fields_on_grid(predict: Predict, kind: Parameterization, log_snr: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The field [k, …, d] of a denoiser at log-SNR `log_snr` [k] and places […, d]. kind: score, eps, v, …"""
    flat = jnp.asarray(places.reshape(-1, places.shape[-1]), jnp.float32)
    fields = [np.asarray(_answer(predict, kind.target, flat, level_at(each))) for each in log_snr]
    return np.stack(fields).reshape(len(log_snr), *places.shape)


@partial(jax.jit, static_argnames="target")
def _answer(predict: Predict, target: Callable[[Array, Array, Level], Array], x: Array, level: Level) -> Array:
    seen = predict(x, level)
    return target(seen.x0, seen.eps, level)


def level_at(log_snr: float) -> Level:
    """The level of this log-SNR under variance preservation, single precision."""
    log_snr = jnp.float32(log_snr)
    return Level(log_snr, *variance_preserving(log_snr))


def check_flat(model: Model, what: str, instead: str) -> None:
    """Raises UsageError for data of more than two columns, of which `what` cannot be drawn; `instead`: the advice."""
    if model.dim > 2:
        raise UsageError(
            f"{what} is drawn of data with one or two columns, and {model.name} has {model.dim}; diffuse {instead}"
        )

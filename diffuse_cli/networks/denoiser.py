"""From a network to a denoiser: the one place where weights, parameterization and input scaling come together."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.losses import Answer
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.diffusion.process import Level

Structure = nnx.GraphDef[Any]  # a network without its weights: hashable, static in compiled code
Weights = dict[str, Any]  # nested dicts of arrays: the Param state of nnx.split as a plain pytree


def split(network: nnx.Module) -> tuple[Structure, Weights]:
    """A network as its structure, which is static in compiled code, and its weights, which are data."""
    structure, state = nnx.split(network, nnx.Param)
    return structure, nnx.to_pure_dict(state)


def answer(structure: Structure, weights: Weights) -> Answer:
    """The raw output of a network as a function of x [n, d] and a level whose fields are scalars or [n, 1].

    Its input is scaled to unit variance: c_in of Karras et al. 2022, eq. 7, for data of unit variance. With variance
    preservation this changes nothing.
    """

    def call(x: Float[Array, "n d"], level: Level) -> Float[Array, "n outputs"]:
        log_snr = jnp.broadcast_to(level.log_snr, (len(x), 1))
        output: Array = nnx.merge(structure, weights)(x / jnp.hypot(level.alpha, level.sigma), log_snr)
        return output

    return call


def predictor(structure: Structure, weights: Weights, parameterization: Parameterization) -> Predict:
    """The denoiser of a network: a pytree whose leaves are the weights.

    A compiled function that takes it as an argument compiles once for all weights of one structure.
    """
    return jax.tree_util.Partial(_predict_with(structure, parameterization), weights)


@cache  # jit recognises compiled code by the function object, so there must be one object for one structure
def _predict_with(structure: Structure, parameterization: Parameterization) -> Callable[..., Prediction]:
    return partial(_predict, structure, parameterization)


def _predict(
    structure: Structure, parameterization: Parameterization, weights: Weights, x: Float[Array, "n d"], level: Level
) -> Prediction:
    return parameterization.decode(answer(structure, weights)(x, level), x, level)

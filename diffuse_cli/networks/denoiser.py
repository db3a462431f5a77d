"""From a network to what a sampler calls: the one place where weights, parameterization and input scaling meet."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.losses import Answer
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.diffusion.process import Level

Weights = dict[str, Any]  # nested dicts of arrays: what nnx.split calls Param state, without its wrapping


def split(network: nnx.Module) -> tuple[nnx.GraphDef, Weights]:
    """A network as its structure, which is static, and its weights, which are data: what compiled code wants."""
    structure, state = nnx.split(network, nnx.Param)
    return structure, nnx.to_pure_dict(state)


def answer(structure: nnx.GraphDef, weights: Weights) -> Answer:
    """The raw network as a function of x [batch, d] and a level whose fields are scalars or [batch, 1].

    Its input is scaled to unit variance, as Karras et al. 2022, eq. 7 (c_in, for data of unit variance); under variance
    preservation it has that already.
    """

    def call(x: Array, level: Level) -> Array:
        log_snr = jnp.broadcast_to(level.log_snr, (len(x), 1))
        return nnx.merge(structure, weights)(x / jnp.hypot(level.alpha, level.sigma), log_snr)

    return call


def predictor(structure: nnx.GraphDef, weights: Weights, parameterization: Parameterization) -> Predict:
    """The denoiser for samplers: a pytree whose leaves are the weights, so that a jitted function which is given it
    compiles once for all weights of one structure."""
    return jax.tree_util.Partial(_predict_with(structure, parameterization), weights)


@cache  # one function object for one structure, because that is what jit recognises compiled code by
def _predict_with(structure: nnx.GraphDef, parameterization: Parameterization) -> Callable[..., Prediction]:
    return partial(_predict, structure, parameterization)


def _predict(
    structure: nnx.GraphDef, parameterization: Parameterization, weights: Weights, x: Array, level: Level
) -> Prediction:
    return parameterization.decode(answer(structure, weights)(x, level), x, level)

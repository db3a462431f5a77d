"""What training minimises: the mean over batch of a loss per sample."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.predictions import Parameterization, Predict
from diffuse_cli.diffusion.process import Level, jump

Answer = Callable[[Array, Level], Array]  # the raw network: x [batch, d] at a level -> its answer [batch, d]
Loss = Callable[
    [Answer, Parameterization, Array, Array, Level], Array
]  # (answer, parameterization, x0, eps, level) -> [batch]


def answer_of(predict: Predict, parameterization: Parameterization) -> Answer:
    """What a network would have to answer to see what `predict` sees.

    Targets are linear in x0 and eps, so that of an exact denoiser is the posterior mean of the target: the answer with
    the least expected loss. That loss is what no network can go below.
    """
    return lambda x, level: parameterization.target(*predict(x, level), level)


def simple() -> Loss:
    """|| target - answer ||^2 / d, the same weight at every t. Ho et al. 2020, eq. 14, for any prediction."""

    def loss(answer: Answer, parameterization: Parameterization, x0: Array, eps: Array, level: Level) -> Array:
        x = jump(x0, eps, level)
        return jnp.mean((answer(x, level) - parameterization.target(x0, eps, level)) ** 2, axis=-1)

    return loss

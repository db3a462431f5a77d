"""What training minimises: the mean over batch of a loss per sample."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.predictions import Parameterization
from diffuse_cli.diffusion.process import Level, jump

Answer = Callable[[Array, Level], Array]  # the raw network: x [batch, d] at a level -> its answer [batch, d]
Loss = Callable[
    [Answer, Parameterization, Array, Array, Level], Array
]  # (answer, parameterization, x0, eps, level) -> [batch]


def simple() -> Loss:
    """|| target - answer ||^2 / d, the same weight at every t. Ho et al. 2020, eq. 14, for any prediction."""

    def loss(answer: Answer, parameterization: Parameterization, x0: Array, eps: Array, level: Level) -> Array:
        x = jump(x0, eps, level)
        return jnp.mean((answer(x, level) - parameterization.target(x0, eps, level)) ** 2, axis=-1)

    return loss

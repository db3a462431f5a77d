"""What a network is asked for, and how its answer is read.

Whatever the network regresses on, every method reads the same Prediction; score = -eps / sigma.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.process import Level


class Prediction(NamedTuple):
    """The clean sample and the noise that a denoiser sees in x, both [batch, d]; x = alpha x0 + sigma eps."""

    x0: Array
    eps: Array


Predict = Callable[
    [Array, Level], Prediction
]  # a trained denoiser, an exact one, a guided one: all the same to a sampler


def clipped(predict: Predict, low: Array, high: Array) -> Predict:
    """The denoiser with its x0 kept between low [d] and high [d], and eps made to agree.

    The mean of any posterior lies among the data, so an exact denoiser is left as it is. Where hardly any signal is
    left an error of eps is sigma / alpha times as large in x0, thousands of times, and sampling would carry it on.
    """
    return jax.tree_util.Partial(_clip, predict, low, high)


def _clip(predict: Predict, low: Array, high: Array, x: Array, level: Level) -> Prediction:
    p = predict(x, level)
    x0 = jnp.clip(p.x0, low[None], high[None])
    return Prediction(x0, jnp.where(x0 == p.x0, p.eps, (x - level.alpha * x0) / level.sigma))


class Parameterization(NamedTuple):
    """target(x0, eps, level): what the network should answer. decode(answer, x, level): what it stands for."""

    target: Callable[[Array, Array, Level], Array]
    decode: Callable[[Array, Array, Level], Prediction]


def eps() -> Parameterization:
    """The noise. Ho et al. 2020, eq. 12."""
    return Parameterization(
        target=lambda x0, eps, level: eps,
        decode=lambda eps, x, level: Prediction((x - level.sigma * eps) / level.alpha, eps),
    )


def x0() -> Parameterization:
    """The clean sample."""
    return Parameterization(
        target=lambda x0, eps, level: x0,
        decode=lambda x0, x, level: Prediction(x0, (x - level.alpha * x0) / level.sigma),
    )


def v() -> Parameterization:
    """v = alpha eps - sigma x0, well scaled at both ends. Salimans & Ho 2022, section 4 and appendix D.

    Departure: alpha, sigma and x are divided by sqrt(alpha^2 + sigma^2), which is 1 under variance preservation; so the
    target is the same one under every scaling.
    """

    def circle(level: Level) -> tuple[Array, Array, Array]:
        norm = jnp.hypot(level.alpha, level.sigma)
        return level.alpha / norm, level.sigma / norm, norm

    def target(x0: Array, eps: Array, level: Level) -> Array:
        alpha, sigma, _ = circle(level)
        return alpha * eps - sigma * x0

    def decode(v: Array, x: Array, level: Level) -> Prediction:
        alpha, sigma, norm = circle(level)
        return Prediction(alpha * x / norm - sigma * v, sigma * x / norm + alpha * v)

    return Parameterization(target, decode)

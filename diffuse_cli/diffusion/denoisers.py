"""What a denoiser sees in a noisy sample, and wrappers around denoisers. Samplers call nothing else."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.process import Level


class Prediction(NamedTuple):
    """The clean sample and the noise that a denoiser sees in x, both [batch, d]; x = alpha x0 + sigma eps.

    x0_var [batch, d] is how uncertain the clean sample is, the variance of each coordinate given x; None where nobody
    has learned it.
    """

    x0: Array
    eps: Array
    x0_var: Array | None = None


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
    return p._replace(x0=x0, eps=jnp.where(x0 == p.x0, p.eps, (x - level.alpha * x0) / level.sigma))

"""Denoisers, which are all that a sampler calls: what they return, and functions that wrap one."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.diffusion.process import Level


class Prediction(NamedTuple):
    """What a denoiser estimates from x = alpha x0 + sigma eps.

    x0: the clean sample. eps: the noise. x0_var: the variance of each coordinate of the clean sample given x; None
    where the denoiser does not know it. log_weight: how fast the log of the weight of a particle at x grows with the
    log-SNR, if the denoiser is a combination of others that needs such weights (`guidance.corrected`); None for all
    others. twist: what leads particles to another law, if the denoiser has it (`guidance.multiplication`).
    """

    x0: Float[Array, "n d"]
    eps: Float[Array, "n d"]
    x0_var: Float[Array, "n d"] | None = None
    log_weight: Float[Array, " n"] | None = None
    twist: "Twist | None" = None

    @property
    def variance(self) -> Float[Array, "n d"]:
        """x0_var of a denoiser that knows it. Raises ValueError where it does not."""
        if self.x0_var is None:
            raise ValueError("this denoiser does not say how uncertain the clean sample is")
        return self.x0_var


class Twist(NamedTuple):
    """A factor h as weighted particles see it at x; Wu et al. 2023, section 3.

    log_mean: log of about E[h(x0) | x]. shift: what it adds to the mean of x0, (sigma² / alpha) ∇_x log_mean or about
    this. log_h: log h at the mean of x0; -inf where h is 0.
    """

    log_mean: Float[Array, " n"]
    shift: Float[Array, "n d"]
    log_h: Float[Array, " n"]


# x [n, d] at a level whose fields are scalars or [n, 1] -> its Prediction: a trained network, an exact denoiser, …
Predict = Callable[[Float[Array, "n d"], Level], Prediction]


def clipped(predict: Predict, low: Float[Array | np.ndarray, " d"], high: Float[Array | np.ndarray, " d"]) -> Predict:
    """The denoiser with its x0 clipped to the box from low to high, and with the eps that follows from it.

    A posterior mean lies within the range of the data, so this changes nothing in an exact denoiser. Where hardly any
    signal is left, an error of a network's eps is sigma / alpha times, that is thousands of times, as large in x0, and
    the following steps of a sampler would keep it.
    """
    return jax.tree_util.Partial(_clip, predict, low, high)


def _clip(
    predict: Predict,
    low: Float[Array | np.ndarray, " d"],
    high: Float[Array | np.ndarray, " d"],
    x: Float[Array, "n d"],
    level: Level,
) -> Prediction:
    p = predict(x, level)
    x0 = jnp.clip(p.x0, low[None], high[None])
    return p._replace(x0=x0, eps=jnp.where(x0 == p.x0, p.eps, (x - level.alpha * x0) / level.sigma))

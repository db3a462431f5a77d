"""Guidance whose particles have weights, so that they sample the law π_w itself."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.guidance.base import Guidance, Scale, denoiser_of, mixed


def fkc(*, w: Scale) -> Guidance:
    """The Feynman-Kac corrector: the denoiser of `cfg`, and weights that make its particles samples of π_w.

    With g² dτ = σ² dλ (alpha = 1), the reverse SDE with the score w s_c + (1 − w) s_u does not carry the law π_w ∝
    p(x | c)^w p(x)^(1 − w) from level to level; particles with the weights W do, where, by log-SNR λ,

        d log W / dλ = ½ (|eps_w|² − w |eps_c|² − (1 − w) |eps_u|²) = ½ w (w − 1) |eps_c − eps_u|².

    Skreta et al. 2025, for the geometric average of two laws. It needs a sampler with particles.

    >>> fkc(w=2).weighted, fkc(w=2).w
    (True, 2)
    """
    return Guidance("fkc", partial(denoiser_of, _weighted, (w,)), w, weighted=True)


def _weighted(w: Any, c: Predict, u: Predict, x: Float[Array, "n d"], level: Level) -> Prediction:
    given, plain = c(x, level), u(x, level)
    apart = jnp.sum((given.eps - plain.eps) ** 2, axis=-1)
    return mixed(given, plain, w)._replace(log_weight=0.5 * w * (w - 1) * apart)

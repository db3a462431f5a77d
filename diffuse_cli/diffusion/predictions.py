"""What a network is asked for, and how its answer is read.

Whatever the network regresses on, every method reads the same Prediction; score = -eps / sigma.
"""

from collections.abc import Callable
from typing import NamedTuple

from jax import Array

from diffuse_cli.diffusion.process import Level


class Prediction(NamedTuple):
    """The clean sample and the noise that a denoiser sees in x, both [batch, d]; x = alpha x0 + sigma eps."""

    x0: Array
    eps: Array


Predict = Callable[
    [Array, Level], Prediction
]  # a trained denoiser, an exact one, a guided one: all the same to a sampler


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

    Departure: divided by alpha^2 + sigma^2, which is 1 under variance preservation, so that it holds for every scaling.
    """

    def decode(v: Array, x: Array, level: Level) -> Prediction:
        norm = level.alpha**2 + level.sigma**2
        return Prediction((level.alpha * x - level.sigma * v) / norm, (level.sigma * x + level.alpha * v) / norm)

    return Parameterization(target=lambda x0, eps, level: level.alpha * eps - level.sigma * x0, decode=decode)

"""What a method for inverse problems is: a denoiser that is told the measurement, and steps that use it."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.inverse.observed import Observed
from diffuse_cli.samplers.base import Sampler

Told = Callable[[Predict, Observed], Predict]


class Measured(NamedTuple):
    """A denoiser, and the measurement, which the steps of a method may use; a pytree that is called like a Predict."""

    predict: Predict
    observed: Observed

    def __call__(self, x: Float[Array, "n d"], level: Level) -> Prediction:
        return self.predict(x, level)


def untold(predict: Predict, _observed: Observed) -> Predict:
    """The denoiser itself, of a method whose steps alone use the measurement."""
    return predict


def unchanged(sampler: Sampler) -> Sampler:
    """The sampler itself, of a method whose denoiser alone uses the measurement."""
    return sampler


class PosteriorMethod(NamedTuple):
    """A way to draw x given y = f(x) + noise, with a denoiser of p(x).

    name: for messages. told: (predict, observed) -> the denoiser that is told y; a pytree (jax.tree_util.Partial), so
        that another y compiles nothing. around: sampler -> the sampler whose steps use y; its `predict` is a Measured.
    sampler, steps: the choice that suits it, unless the user asks for another.
    random: whether its steps need a sampler that draws noise. single: whether they need one without a memory of earlier
        steps. weighted: whether it weighs particles, by the density of each transition.
    linear: whether it needs a matrix. gradients: how many times in a step a network is run backwards: for each measured
        value ("values"), once or not at all.

    >>> from diffuse_cli.inverse.gaussian import mmps
    >>> mmps().evaluations(2), mmps().weighted
    (3, False)
    """

    name: str
    told: Told = untold
    around: Callable[[Sampler], Sampler] = unchanged
    sampler: str = "ddpm"
    steps: int = 200
    random: bool = False
    single: bool = False
    weighted: bool = False
    linear: bool = False
    gradients: int | str = 0

    def evaluations(self, values: int) -> int:
        """Of a network in one call of the denoiser, forwards and backwards, for so many measured values."""
        return 1 + (values if isinstance(self.gradients, str) else self.gradients)

"""Draws of x given a measurement, by a model's denoiser and a method of the catalogue kind `posterior`."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from diffuse_cli import catalog
from diffuse_cli.diffusion.denoisers import Predict, clipped
from diffuse_cli.errors import UsageError
from diffuse_cli.inverse.base import Measured, PosteriorMethod
from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.inverse.observed import Observed
from diffuse_cli.models.draw import Drawn, Method, build_method, draw_with
from diffuse_cli.models.model import Model
from diffuse_cli.samplers.base import Adaptive, Sampler

_RANDOM = "ddpm"


class Way(NamedTuple):
    """How a measurement is solved for: the method as text, like dps:zeta=0.5, what it is, and how to sample."""

    text: str
    rule: PosteriorMethod
    method: Method

    def in_populations(self, size: int) -> "Way":
        """The same with populations of this size, if it has particles.

        >>> way_of("tds").in_populations(8).method.sampler
        'twisted:size=8'
        """
        if not self.rule.weighted:
            return self
        choice = catalog.parse("sampler", self.method.sampler)
        sampler = str(choice._replace(options=choice.options | {"size": str(size)}))
        return self._replace(method=self.method._replace(sampler=sampler))


def way_of(text: str, *, sampler: str | None = None, steps: int | None = None, grid: str | None = None) -> Way:
    """The Way of this text, with the sampler, steps and grid that suit it unless others are given.

    Raises UsageError for an unknown method, and for a sampler whose steps it cannot use; the message names one that it
    can.

    >>> way_of("mmps", steps=50).method
    Method(sampler='dpmpp_2m_sde', grid='log_snr', steps=50)
    >>> way_of("tds", sampler="ddim")
    Traceback (most recent call last):
    diffuse_cli.errors.UsageError: tds weighs particles by the density of each transition, which ddim does not have; leave out --sampler, or give --sampler twisted
    """  # noqa: E501
    rule: PosteriorMethod = catalog.build("posterior", text)
    if sampler is not None:
        _check_sampler(rule, sampler, catalog.build("sampler", sampler))
    chosen = rule.sampler if sampler is None else sampler
    return Way(text, rule, Method(chosen, grid or catalog.build("sampler", chosen).grid, steps or rule.steps))


def _check_sampler(rule: PosteriorMethod, text: str, sampler: Sampler | Adaptive) -> None:
    if rule.weighted and not sampler.weighted:
        raise UsageError(
            f"{rule.name} weighs particles by the density of each transition, which {text} does not have; leave out "
            "--sampler, or give --sampler twisted"
        )
    if sampler.weighted and not rule.weighted:
        raise UsageError(f"{text} is for particles with weights, which {rule.name} has not; give --sampler {_RANDOM}")
    if sampler.needs_jump:
        raise UsageError(f"{text} jumps by a flow map, which is told no measurement; give --sampler {_RANDOM}")
    if sampler.needs_variance:
        raise UsageError(
            f"{text} needs the variance of x0, which is not known given a measurement; give --sampler {_RANDOM}"
        )
    if rule.single and (isinstance(sampler, Adaptive) or sampler.lookback):
        raise UsageError(
            f"{rule.name} changes x between the steps, and {text} relies on earlier ones; give --sampler {_RANDOM}"
        )
    if rule.random and sampler.deterministic:
        raise UsageError(f"{rule.name} draws each step anew, and {text} draws nothing; give --sampler {_RANDOM}")


def check_model(model: Model) -> None:
    """Raise UsageError for a model whose denoiser is not that of one law."""
    if model.guiding is not None:
        raise UsageError(f"{model.guiding.text} changes the law of {model.name}; solve without it")
    if model.each_row:
        raise UsageError("a measurement is of one law; give one --label, or none")
    if model.kind != "denoiser":
        raise UsageError(f"{model.name} has learned the velocity of a flow, and a measurement needs a denoiser")


def draw_posterior(
    model: Model, measurement: Measurement, observed: Observed, way: Way, count: int, seed: int
) -> Drawn:
    """Draw `count` samples of x given the measurement, data units.

    observed: the measurement in the model space of the model, with one y or with one for each sample. What has no noise
    is set at the end: samples are moved to where it is as measured, by less than the last level leaves unknown.

    Raises UsageError where the method cannot use the measurement, DiffuseError if any sample is not finite.
    """
    rule = way.rule
    if rule.linear and observed.separated is None:
        raise UsageError(
            f"{way.text} needs a linear measurement, and {measurement.words} is a function; give --method dps or tds"
        )
    sampler, levels = build_method(model, way.method)
    if isinstance(sampler, Adaptive) and len(observed.y) > 1:
        raise UsageError(
            f"{way.method.sampler} takes each sample by itself, and here each has a measurement of its own; give "
            f"--sampler {_RANDOM}"
        )
    predict = Measured(rule.told(_for_sampling(model, way), observed), observed)
    drawn = draw_with(predict, sampler_of(rule, sampler), levels, model, way.method, count, seed)
    values = observed.y.shape[1]
    return drawn._replace(
        samples=_as_measured(drawn.samples, model, observed),
        evals=drawn.evals * rule.evaluations(values),
    )


def _for_sampling(model: Model, way: Way) -> Predict:
    """Clipped, unless the weights of particles would be wrong."""
    predict = model.sampled or model.predict
    return predict if way.rule.weighted or model.walls is None else clipped(predict, *model.walls)


@cache
def sampler_of(rule: PosteriorMethod, sampler: Sampler | Adaptive) -> Any:
    """The sampler with the steps of the method; one object for each, by which compiled code is found again."""
    return sampler if isinstance(sampler, Adaptive) else rule.around(sampler)


def _as_measured(samples: Float[np.ndarray, "n d"], model: Model, observed: Observed) -> Float[np.ndarray, "n d"]:
    """The samples, moved along the directions that are measured without noise to the values there."""
    seen = observed.separated
    if seen is None or (seen.std > 0).all():
        return samples
    x = model.standard.to_model(samples)
    sure = (seen.std == 0) & (np.abs(seen.basis).sum(axis=-1) > 0)
    apart = np.where(sure, seen.values - (seen.basis @ x[:, :, None])[:, :, 0], 0.0)
    return model.standard.to_data(x + (np.swapaxes(seen.basis, 1, 2) @ apart[:, :, None])[:, :, 0])

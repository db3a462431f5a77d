"""Multiplied models: a model whose law is multiplied by a factor h, or by the law of another run, with the exact
product as its data."""

from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

import jax
import msgspec
import numpy as np

from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict, clipped
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.guidance import factors, multiplication, product
from diffuse_cli.guidance.base import Guidance
from diffuse_cli.guidance.factors import Factor
from diffuse_cli.models.draw import without_jumps
from diffuse_cli.models.model import Guiding, Model

Way = Literal["twisted", "smoothed", "clean", "reconstruct", "exact"]
WAYS: tuple[str, ...] = get_args(Way)

_REACH = 10_000  # draws that say where a law lies
_STEPS = 200  # of particles, unless the user says
_ATTEMPTS = 1000  # rounds of draws from data without a law, before h counts as 0 there
_OF_RUN = "run:"


def multiplied(
    model: Model,
    text: str,
    way: Way | None = None,
    *,
    open_run: Callable[[str], Model],
    particles: int | None = None,
    trust: bool = True,
) -> Model:
    """The model of p(x) h(x) / Z, p being that of `model`; its data are the exact product.

    text: a factor, like gaussian:x=1,std=0.3 or halfplane:x=1, or run:NAME for the law of another run. way: how the
    denoiser is changed (guidance/multiplication.py), by default "twisted", particles with weights; "exact" is the
    denoiser of the exact product, of an exact model only. open_run: name -> its Model.

    Raises UsageError for an unknown factor, a way that the model does not have, and a run of other data; DiffuseError
    where the product has no mass.
    """
    if model.guiding is not None and model.guiding.guidance.weighted:
        raise UsageError(f"the weights of {model.guiding.text} are for another law; --times goes with other guidance")
    if model.each_row:
        raise UsageError("a product is of one law; give one --label with --times, or none")
    if model.kind != "denoiser":
        raise UsageError(f"{model.name} has learned the velocity of a flow, and a product needs a denoiser")
    if text.startswith(_OF_RUN):
        return _times_run(model, text, way, open_run, particles)
    factor, way = factors.build(text, model.dim, trust=trust), way or "twisted"
    h, weighted = factor.in_model_space(model.standard), way == "twisted"
    dataset = cache(lambda: _product_dataset(model.dataset(), factor))
    if model.config.dataset.partition(":")[0] != "file":  # one may draw from a run whose file has gone
        dataset()  # a product without mass is better told now
    if way == "exact":
        if not model.is_exact:
            raise UsageError(f"only an exact model has an exact product; for {model.name} give --times-by smoothed")
        law = dataset().exact
        if law is None:
            raise UsageError("the law of these data is unknown, and so is the exact product")
        predict = sampled = jax.tree_util.Partial(exact.denoiser(law()))
    else:
        change = getattr(multiplication, way)
        predict, sampled = change(model.predict, h), change(_for_sampling(model, weighted=weighted), h)
    return _with(model, f"times {text}", predict, sampled, dataset, particles, by="" if weighted else way)


def _times_run(
    model: Model, text: str, way: Way | None, open_run: Callable[[str], Model], particles: int | None
) -> Model:
    """The product with the law of another run, by particles with weights."""
    if way not in (None, "twisted"):
        raise UsageError(f"the product with a run is by particles with weights; leave out --times-by {way}")
    other = open_run(text.removeprefix(_OF_RUN))
    product.require_same_space(model.standard, other.standard)
    predict = product.product_of(model.predict, other.predict)
    dataset = cache(lambda: _product_of_datasets(model.dataset(), other.dataset()))
    return _with(model, f"times {text}", predict, predict, dataset, particles, by="")


def _with(
    model: Model,
    text: str,
    predict: Predict,
    sampled: Predict,
    dataset: Callable[[], Dataset],
    particles: int | None,
    *,
    by: str,
) -> Model:
    if particles is not None and by:
        raise UsageError(f"--times-by {by} has no particles; leave out --particles, or --times-by")
    config = without_jumps(model.config)
    if not by:
        sampler = "twisted" if particles is None else f"twisted:size={particles}"
        config = msgspec.structs.replace(config, sampler=sampler, sampler_steps=_STEPS, grid=None)
    text = f"{text} by {by}" if by else text
    before = "" if model.guiding is None else f"{model.guiding.text} "
    samplers = () if by else ("twisted",)
    rule = Guidance(f"--{text.partition(' ')[0]}", _not_again, None, weighted=not by, samplers=samplers)
    return model._replace(
        name=f"{model.name}, {text}",
        config=config,
        dataset=dataset,
        predict=predict,
        sampled=sampled,
        predict_with_variance=None,
        conditions=None,
        given=None,
        sampled_given=None,
        given_with_variance=None,
        jump=None,
        jump_given=None,
        guiding=Guiding(before + text, rule),
    )


def _not_again(_first: Predict, _second: object) -> Predict:
    raise UsageError("a product is not guided again; give --guidance with --times")


def _for_sampling(model: Model, *, weighted: bool) -> Predict:
    """What is multiplied when samples are drawn: clipped, unless the weights would be wrong."""
    predict = model.sampled or model.predict
    return predict if weighted or model.walls is None or model.guiding is not None else clipped(predict, *model.walls)


def _product_dataset(dataset: Dataset, factor: Factor) -> Dataset:
    """The data of p h / Z; where the law p is unknown, draws of the data by their h."""
    points = dataset.draw(np.random.default_rng(0), _REACH)
    if dataset.exact is None:
        return _unlabelled(dataset)._replace(draw=_accepted(dataset, factor, points), points=None)
    found = product.product_law(dataset.exact(), factor, points, dataset.standard)
    return _unlabelled(dataset)._replace(draw=found.draw, exact=lambda: found.law, log_z=lambda: found.log_z)


def _product_of_datasets(one: Dataset, other: Dataset) -> Dataset:
    if one.exact is None or other.exact is None:
        raise DiffuseError("the laws of the data are unknown, and so is their product; `diffuse sample` draws from it")
    points = np.concatenate([each.draw(np.random.default_rng(0), _REACH) for each in (one, other)])
    found = product.product_of_laws(one.exact(), other.exact(), points, one.standard)
    return _unlabelled(one)._replace(draw=found.draw, exact=lambda: found.law, log_z=lambda: found.log_z)


def _unlabelled(dataset: Dataset) -> Dataset:
    return dataset._replace(classes=None, labels=None, part=None, grid=None)


def _accepted(dataset: Dataset, factor: Factor, points: np.ndarray) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Draws of the data, each kept with a probability in proportion to its h."""
    log_h = jax.jit(factor.log_h)
    highest = float(np.max(np.asarray(log_h(points))))
    if not np.isfinite(highest):
        raise DiffuseError("p · h has no mass: h is 0 at all of the data")

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        kept: list[np.ndarray] = []
        for _ in range(_ATTEMPTS):
            drawn = dataset.draw(rng, n)
            kept.append(drawn[np.log(rng.random(n)) < np.asarray(log_h(drawn)) - highest])
            if sum(map(len, kept)) >= n:
                break
        else:
            raise DiffuseError(f"p · h has hardly any mass: {sum(map(len, kept))} of {_ATTEMPTS * n:,} points are left")
        return np.concatenate(kept)[:n]

    return draw

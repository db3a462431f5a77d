"""Guided models: a model that knows labels, with another denoiser, and with the law that it is said to sample as data.

Guidance, label and data make a Model again, so that every command works on it.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import exact, grid_law
from diffuse_cli.diffusion.conditions import Condition, Given
from diffuse_cli.diffusion.denoisers import Predict, clipped
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.guidance.base import Guidance, guidance_text
from diffuse_cli.models.model import Guiding, Model

_REACH = 10_000  # draws that give the range of a law
_STEPS = 400  # of particles, unless the user says: on overlap 200 would do, on sharper sets at w = 4 not


def guided(
    model: Model, text: str, *, open_guide: Callable[[str], Model], particles: int | None = None, trust: bool = True
) -> Model:
    """The model with the guidance that `text` names, like 3, interval:w=3 or fkc:w=2.

    It has to be told a label (`Model.with_label`), unless a guide takes the place of the unconditional denoiser.
    open_guide: name of a run -> its Model. particles: the number in a population, of a guidance with weights.

    Raises UsageError for an unknown guidance, for a model without an unconditional half, for a guide of other data, and
    for particles of a guidance without weights.
    """
    text = guidance_text(text)
    guidance: Guidance = catalog.build("guidance", text, trust=trust)
    if particles is not None and not guidance.weighted:
        raise UsageError(f"{text} has no particles with weights; for --particles give --guidance fkc:w=…")
    if model.kind != "denoiser":
        raise UsageError(f"{model.name} has learned the velocity of a flow, and guidance needs a denoiser")
    halves, alone = _halves(model, guidance, open_guide)
    return model._replace(
        name=f"{model.name}, {text}",
        config=_with_its_sampler(model, guidance, particles),
        predict=model.predict if alone is None else guidance.combine(*alone()),
        sampled=None if alone is None else guidance.combine(*_within(model.walls, alone(), guidance)),
        predict_with_variance=None,
        given=lambda condition: guidance.combine(*halves(condition)),
        sampled_given=lambda condition: guidance.combine(*_within(model.walls, halves(condition), guidance)),
        given_with_variance=None,
        guiding=Guiding(text, guidance),
        aim=_said_to_sample(guidance),
    )


Halves = tuple[Predict, Any]


def _halves(
    model: Model, guidance: Guidance, open_guide: Callable[[str], Model]
) -> tuple[Callable[[Condition], Halves], Callable[[], Halves] | None]:
    """What the guidance combines: for a label, and for a model that is told none, if that has a meaning."""
    given = model.given
    if guidance.needs == "guide":
        guide = open_guide(guidance.guide or "")
        _check_guide(model, guide)
        plain = guide.predict
        of_guide: Given = guide.given or (lambda condition: plain)
        return lambda condition: (_of(given)(condition), of_guide(condition)), lambda: (model.predict, plain)
    if given is None:
        model.with_all_labels()  # says why it cannot be told any
    if guidance.needs == "classifier":
        log_p = _exact_log_p(model)
        return lambda condition: (model.predict, log_p(condition)), None
    if model.trained and not model.config.label_dropout:
        raise UsageError(
            f"{model.name} was trained with --label-dropout 0 and has no unconditional half; for guidance train one "
            "with --label-dropout 0.1, or give --guidance auto:run=…"
        )
    return lambda condition: (_of(given)(condition), model.predict), None


def _of(given: Given | None) -> Given:
    if given is None:
        raise UsageError("this model was trained without labels, so it can be told none")
    return given


def _check_guide(model: Model, guide: Model) -> None:
    """Raise UsageError where the guide has learned other data than the model."""
    same = model.dim == guide.dim and all(
        np.allclose(one, other, rtol=1e-6) for one, other in zip(model.standard, guide.standard, strict=True)
    )
    if not same or model.config.dataset != guide.config.dataset:
        raise UsageError(
            f"the guide {guide.name} has learned {guide.config.dataset}, and {model.name} {model.config.dataset}; a "
            "guide is a smaller or younger run on the same data"
        )
    if model.conditions is not None and guide.conditions is not None and model.conditions != guide.conditions:
        raise UsageError(f"the guide {guide.name} knows other labels than {model.name}")


def _exact_log_p(model: Model) -> Callable[[Condition], Callable[[Float[Array, "n d"], Level], Float[Array, " n"]]]:
    """condition -> the exact log p(label | x) of the data. Raises UsageError where their laws are unknown."""
    classes = model.dataset().classes
    if classes is None or classes.exact is None:
        raise UsageError(f"the exact classifier of {model.config.dataset} is not known; its labels have no exact laws")
    log_p_of_all = exact.classifier([classes.exact(label) for label in range(len(classes.shares))], classes.shares)

    def at_labels(condition: Array, x: Float[Array, "n d"], level: Level) -> Float[Array, " n"]:
        labels = jnp.broadcast_to(condition, len(x))
        picked: Array = jnp.take_along_axis(log_p_of_all(x, level), labels[:, None], axis=1)[:, 0]
        return picked

    return lambda condition: jax.tree_util.Partial(at_labels, jnp.asarray(condition))


def _within(walls: tuple[np.ndarray, np.ndarray] | None, halves: Halves, guidance: Guidance) -> Halves:
    """The halves with their x0 clipped to the walls. What is made of them is not: it may well lie outside."""
    if walls is None or guidance.weighted:  # the weights would be wrong
        return halves
    first, second = halves
    return clipped(first, *walls), second if guidance.needs == "classifier" else clipped(second, *walls)


def _with_its_sampler(model: Model, guidance: Guidance, particles: int | None) -> Any:
    """The settings of the model, with a sampler that can use the guidance unless the one there can."""
    config, sampler = model.config, model.config.sampler
    if guidance.weighted:
        size = "" if particles is None else f":size={particles}"
        return msgspec.structs.replace(config, sampler=f"particles{size}", sampler_steps=_STEPS, grid=None)
    if guidance.samplers and catalog.parse("sampler", sampler).name not in guidance.samplers:
        return msgspec.structs.replace(config, sampler=guidance.samplers[0], grid=None)
    return config


def _said_to_sample(guidance: Guidance) -> Callable[[Dataset, Dataset], Dataset]:
    """(the data with the condition, all data) -> the data of the law that the guidance is said to sample; the first
    where that is unknown, or has too many columns for a grid."""

    def aim(part: Dataset, whole: Dataset) -> Dataset:
        w, known = guidance.w, part.exact is not None and whole.exact is not None
        if w is None or w == 1 or guidance.needs == "guide" or whole.dim > 2 or not known:
            return part
        return tilted_dataset(part, whole, w)

    return aim


def tilted_dataset(part: Dataset, whole: Dataset, w: float) -> Dataset:
    """The data of π_w ∝ p(x | c)^w p(x)^(1 − w), on a grid; data of one or two columns, and laws that are known.

    part: the data with the condition c, in the model space of the whole. Raises DiffuseError where the mass of π_w is
    not within the grid, or a law is unknown.

    >>> from diffuse_cli.datasets.dataset import with_label
    >>> from diffuse_cli.datasets.gaussians import bimodal
    >>> sides = bimodal(distance=1.0, std=1.0)
    >>> tilted = tilted_dataset(with_label(sides, 1), sides, 3.0)
    >>> bool(tilted.draw(np.random.default_rng(0), 2000).mean() > 0.5)
    True
    """
    conditional, unconditional, standard = part.exact, whole.exact, whole.standard
    if conditional is None or unconditional is None:
        raise DiffuseError("a tilted law needs the exact laws of the data with and without the condition")

    @cache
    def on_grid() -> grid_law.GridLaw:
        rng = np.random.default_rng(0)
        reach = np.concatenate([standard.to_model(each.draw(rng, _REACH)) for each in (whole, part)])
        return grid_law.tilted(conditional(), unconditional(), w, *grid_law.around(reach))

    return part._replace(
        draw=lambda rng, n: standard.to_data(on_grid().draw(rng, n)),
        exact=cache(lambda: on_grid().law()),
        grid=on_grid,
        log_z=lambda: on_grid().log_z,
    )

"""Guided models: a model that knows labels, with another denoiser, and with the law that it is said to sample as data.

Guidance, label and data make a Model again, so that every command works on it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli import catalog
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import Condition, Conditions, Given
from diffuse_cli.diffusion.denoisers import Predict, clipped
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import UsageError
from diffuse_cli.guidance.base import Guidance, LogProb, guidance_text
from diffuse_cli.models.classifier import Classifier, not_a_denoiser
from diffuse_cli.models.data import labels_of
from diffuse_cli.models.draw import default_method, without_jumps
from diffuse_cli.models.model import Guiding, Model
from diffuse_cli.models.tilted import said_to_sample
from diffuse_cli.networks.denoiser import LogProbabilities

_STEPS = 400  # of particles, unless the user says: on overlap 200 would do, on sharper sets at w = 4 not

Guide = Model | Classifier
Halves = tuple[Predict, Any]
LogPGiven = Callable[[Condition], LogProb]  # a label -> log p(label | x)


def guided(
    model: Model, text: str, *, open_guide: Callable[[str], Guide], particles: int | None = None, trust: bool = True
) -> Model:
    """The model with the guidance that `text` names, like 3, interval:w=3 or fkc:w=2.

    It has to be told a label (`Model.with_label`), unless a guide takes the place of the unconditional denoiser; by a
    classifier an unconditional model can be told one too.
    open_guide: name of a run -> its Model, or its Classifier. particles: the number in a population, of a guidance with
    weights.

    Raises UsageError for an unknown guidance, for a model without an unconditional half, for a guide of other data or
    of the other kind, and for particles of a guidance without weights.
    """
    text = guidance_text(text)
    guidance: Guidance = catalog.build("guidance", text, trust=trust)
    if particles is not None and not guidance.weighted:
        raise UsageError(f"{text} has no particles with weights; for --particles give --guidance fkc:w=…")
    if model.trained and model.config.guidance is not None:
        raise UsageError(f"{model.name} has learned {model.config.guidance} already; leave out --guidance {text}")
    if model.kind != "denoiser":
        raise UsageError(f"{model.name} has learned the velocity of a flow, and guidance needs a denoiser")
    halves, alone, conditions = _parts(model, guidance, open_guide)
    return model._replace(
        name=f"{model.name}, {text}",
        config=_with_its_sampler(model, guidance, particles),
        predict=model.predict if alone is None else guidance.combine(*alone()),
        sampled=None if alone is None else guidance.combine(*_within(model.walls, alone(), guidance)),
        predict_with_variance=None,
        conditions=conditions,
        given=lambda condition: guidance.combine(*halves(condition)),
        sampled_given=lambda condition: guidance.combine(*_within(model.walls, halves(condition), guidance)),
        given_with_variance=None,
        jump=None,
        jump_given=None,
        guiding=Guiding(text, guidance),
        aim=said_to_sample(guidance),
    )


class _Parts(NamedTuple):
    """What a guidance combines: for a label, for a model that is told none, if that has a meaning, and the labels."""

    of_label: Callable[[Condition], Halves]
    alone: Callable[[], Halves] | None
    conditions: Conditions | None


def _parts(model: Model, guidance: Guidance, open_guide: Callable[[str], Guide]) -> _Parts:
    given = model.given
    if guidance.needs == "guide":
        guide = open_guide(guidance.guide or "")
        if isinstance(guide, Classifier):
            raise not_a_denoiser(guide.name)
        _check_guide(model, guide, "guide", "a guide is a smaller or younger run on the same data")
        plain = guide.predict
        of_guide: Given = guide.given or (lambda condition: plain)
        of_label = lambda condition: (_of(given)(condition), of_guide(condition))  # noqa: E731
        return _Parts(of_label, lambda: (model.predict, plain), model.conditions)
    if model.trained and model.conditions is not None and not model.config.label_dropout:
        raise UsageError(
            f"{model.name} was trained with --label-dropout 0 and has no unconditional half; for guidance train one "
            "with --label-dropout 0.1, or give --guidance auto:run=…"
        )
    if guidance.needs == "classifier":
        conditions, log_p = _log_p_of_labels(model, guidance.guide, open_guide)
        return _Parts(lambda condition: (model.predict, log_p(condition)), None, conditions)
    if given is None:
        model.with_all_labels()  # says why it cannot be told any
    return _Parts(lambda condition: (_of(given)(condition), model.predict), None, model.conditions)


def _of(given: Given | None) -> Given:
    if given is None:
        raise UsageError("this model was trained without labels, so it can be told none")
    return given


def _check_guide(model: Model, guide: Guide, role: str, rule: str) -> None:
    """Raise UsageError where the guide, named by its role, has learned other data than the model, against the rule."""
    if not model.standard.agrees_with(guide.standard) or model.config.dataset != guide.config.dataset:
        raise UsageError(
            f"the {role} {guide.name} has learned {guide.config.dataset}, and {model.name} {model.config.dataset}; "
            f"{rule}"
        )
    if model.conditions is not None and guide.conditions is not None and model.conditions != guide.conditions:
        raise UsageError(f"the {role} {guide.name} knows other labels than {model.name}")


def _log_p_of_labels(model: Model, run: str | None, open_guide: Callable[[str], Guide]) -> tuple[Conditions, LogPGiven]:
    """The labels, and log p(label | x) by the classifier of a run, or by the exact one of the data without a run."""
    if run is None:
        conditions, log_p = _exact_classifier(model)
    else:
        guide = open_guide(run)
        if not isinstance(guide, Classifier):
            raise UsageError(f"{guide.name} is no classifier; train one with: diffuse train --classifier")
        _check_guide(model, guide, "classifier", "train one on the same data")
        conditions, log_p = guide.conditions, guide.log_p
    return conditions, lambda condition: jax.tree_util.Partial(_at_labels, log_p, jnp.asarray(condition))


def _exact_classifier(model: Model) -> tuple[Conditions, LogProbabilities]:
    """The labels of the data, and their exact log p(label | x). Raises UsageError where the laws are unknown."""
    dataset = model.dataset()
    classes, conditions = dataset.classes, labels_of(dataset)
    if classes is None or conditions is None:
        raise UsageError(
            f"the data of {model.name} have no labels; moons, overlap and text:HELLO are sets that have some"
        )
    if classes.exact is None:
        raise UsageError(
            f"the exact classifier of {model.config.dataset} is not known; train one with: diffuse train --classifier "
            f"--dataset {model.config.dataset} and give --guidance classifier:w=…,run=NAME"
        )
    log_p = exact.classifier([classes.exact(label) for label in range(len(classes.shares))], classes.shares)
    return conditions, jax.tree_util.Partial(log_p)


def _at_labels(
    log_p: LogProbabilities, condition: Condition, x: Float[Array, "n d"], level: Level
) -> Float[Array, " n"]:
    """log p [n, k] of all labels, at one label for all rows or at one for each."""
    labels = jnp.broadcast_to(condition, len(x))
    picked: Array = jnp.take_along_axis(log_p(x, level), labels[:, None], axis=1)[:, 0]
    return picked


def _within(walls: tuple[np.ndarray, np.ndarray] | None, halves: Halves, guidance: Guidance) -> Halves:
    """The halves with their x0 clipped to the walls. What is made of them is not: it may well lie outside."""
    if walls is None or guidance.weighted:  # the weights would be wrong
        return halves
    first, second = halves
    return clipped(first, *walls), second if guidance.needs == "classifier" else clipped(second, *walls)


def _with_its_sampler(model: Model, guidance: Guidance, particles: int | None) -> Any:
    """The settings of the model, with a sampler that can use the guidance unless the one there can."""
    config = without_jumps(model.config)
    sampler = default_method(config).sampler
    if guidance.weighted:
        size = "" if particles is None else f":size={particles}"
        return msgspec.structs.replace(config, sampler=f"particles{size}", sampler_steps=_STEPS, grid=None)
    if guidance.samplers and catalog.parse("sampler", sampler).name not in guidance.samplers:
        return msgspec.structs.replace(config, sampler=guidance.samplers[0], grid=None)
    return config

"""From what a user asks to measure to the measurement of one point of a model's data."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.inverse import operators
from diffuse_cli.inverse.measurement import Function, Measurement, check_linear, stacked
from diffuse_cli.models.model import Model

_NOISE = 0.05  # of the scale of the data: what has noise unless it is said how much


class Asked(NamedTuple):
    """What is to be measured; each is None or empty where it is not asked for. Numbers are in data units.

    observe: columns by name, with their values or None. project: directions [d] and the values along them or None.
    noisy: a point. mask: the share of columns that is missing. blur: a width in columns. random: a number of random
    directions. matrix: rows [m, d], and the name of their file. function: module:name. values: y. signal: the point
    that is measured, where no values are known; drawn from the data where it is None too. noise: one standard
    deviation, or one for each value.
    """

    observe: Mapping[str, float | None] | None = None
    project: tuple[tuple[tuple[float, ...], float | None], ...] = ()
    noisy: tuple[float, ...] | None = None
    mask: float | None = None
    blur: float | None = None
    random: int | None = None
    matrix: tuple[np.ndarray, str] | None = None
    function: str | None = None
    values: np.ndarray | None = None
    signal: np.ndarray | None = None
    noise: tuple[float, ...] | None = None


def measure(asked: Asked, model: Model, seed: int) -> Measurement:
    """The measurement that is asked for, of the model's data, with its values.

    seed: of a random matrix or mask, and of a signal that is drawn and its noise.

    Raises UsageError where nothing or something impossible is asked for: a matrix or values of another size, an unknown
    column, values without noise that depend on each other.
    """
    rng = np.random.default_rng((seed, 15))
    measurement = _function(asked, model) if asked.function else stacked(_parts(asked, model, rng))
    if asked.values is not None:
        if measurement.values is not None:
            raise UsageError("the values stand in --observe or --project already; leave out --values")
        measurement = measurement._replace(
            values=operators.spread_over(asked.values.tolist(), len(measurement.std), "--values")
        )
    if measurement.matrix is not None:
        check_linear(measurement.matrix, measurement.std, measurement.words)
    if measurement.values is None:
        signal = model.dataset().draw(rng, 1)[0] if asked.signal is None else asked.signal
        if len(signal) != model.dim:
            raise UsageError(f"the signal has {_counted(len(signal), 'value')}, and the data have {model.dim} columns")
        return measurement.of_signal(signal, rng)
    if asked.signal is not None:
        raise UsageError("the values of the measurement are given, so there is no --signal to measure")
    return measurement


def _parts(asked: Asked, model: Model, rng: np.random.Generator) -> list[Measurement]:
    """The linear measurements that are asked for."""
    dim, parts = model.dim, []

    def add(words: str, matrix: np.ndarray, values: np.ndarray | None = None, *, noisy: bool = False) -> None:
        parts.append((words, matrix, values, noisy))

    if asked.observe:
        known = [value for value in asked.observe.values() if value is not None]
        values = np.array(known) if len(known) == len(asked.observe) else None
        if known and values is None:
            raise UsageError("--observe has values for some columns only; give all of them, or none")
        add(", ".join(asked.observe), operators.of_columns(list(asked.observe), model.columns), values)
    for direction, value in asked.project:
        matrix = operators.checked(np.array([direction]), dim, "--project " + ",".join(f"{a:g}" for a in direction))
        words = _sum_in_words(direction, model.columns) if dim <= 4 else "a projection"
        add(words, matrix, None if value is None else np.array([value]))
    if asked.noisy is not None:
        point = np.array(asked.noisy)
        if len(point) != dim:
            raise UsageError(f"--noisy has {_counted(len(point), 'number')}, and the data have {dim} columns")
        add("a noisy point", np.eye(dim), point, noisy=True)
    if asked.mask is not None:
        matrix = operators.mask(dim, asked.mask, rng)
        add(f"{len(matrix)} of {dim} columns", matrix)
    if asked.blur is not None:
        add(f"a blur of {asked.blur:g} columns", operators.blur(dim, asked.blur), noisy=True)
    if asked.random is not None:
        add(f"{asked.random} random directions", operators.random_rows(dim, asked.random, rng))
    if asked.matrix is not None:
        matrix, name = asked.matrix
        add(name, operators.checked(matrix, dim, name))
    if not parts:
        raise UsageError(
            "nothing is measured; give --observe x=0.5, --project 1,1=0.3, --noisy, --mask, --blur, --random, --matrix "
            "or --function"
        )
    count = sum(len(matrix) for _, matrix, _, _ in parts)
    usual = np.concatenate(
        [np.full(len(matrix), _usual_noise(model) if noisy else 0.0) for _, matrix, _, noisy in parts]
    )
    std = usual if asked.noise is None else operators.spread_over(asked.noise, count, "--noise")
    ends = np.cumsum([len(matrix) for _, matrix, _, _ in parts])
    return [
        Measurement(words, matrix, std[end - len(matrix) : end], values)
        for (words, matrix, values, _), end in zip(parts, ends, strict=True)
    ]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _sum_in_words(direction: Sequence[float], columns: Sequence[str]) -> str:
    """Like x - 2 y."""
    terms = [
        (a, f"{'' if abs(a) == 1 else f'{abs(a):g} '}{name}") for a, name in zip(direction, columns, strict=True) if a
    ]
    first = ("-" if terms[0][0] < 0 else "") + terms[0][1]
    return first + "".join(f" {'-' if a < 0 else '+'} {term}" for a, term in terms[1:])


def _function(asked: Asked, model: Model) -> Measurement:
    """A measurement by the code of a user: f, points [n, d] in data units -> [n, m] or [n], written with jax.numpy."""
    text = asked.function or ""
    others = ("observe", "project", "noisy", "mask", "blur", "random", "matrix")
    if any(getattr(asked, name) for name in others):
        raise UsageError("a function is measured alone; leave out the other measurements")
    if ":" not in text:
        raise UsageError(f"--function {text}: own code is written module.path:name, like mypackage.mine:distance")
    made = catalog.factory(catalog.Choice("function", text, {}, own=True))
    function = _with_columns(made)
    try:
        shape = np.shape(function(np.tile(model.standard.mean, (3, 1))))
    except Exception as error:  # whatever the code of a user raises
        raise DiffuseError(f"--function {text} failed for points [3, {model.dim}]: {error}") from error
    if len(shape) != 2 or shape[0] != 3:
        raise UsageError(f"--function {text} gives {list(shape)} for points [3, {model.dim}]; it has to give [3, m]")
    noise = (_usual_noise(model),) if asked.noise is None else asked.noise
    std = operators.spread_over(noise, shape[1], "--noise")
    if not (std > 0).all():
        raise UsageError("a function needs noise in each value; give --noise 0.05")
    return Measurement(text.rpartition(":")[2], None, std, function=function)


def _with_columns(function: Function) -> Function:
    def values(points: np.ndarray) -> np.ndarray:
        result: np.ndarray = function(points)
        return result[:, None] if result.ndim == 1 else result

    return values


def _usual_noise(model: Model) -> float:
    return _NOISE * float(np.sqrt(np.mean(model.standard.scale**2)))

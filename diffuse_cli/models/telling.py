"""What a user wants a model to be told, as a condition: values of given columns, and sentences; or why it cannot."""

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from diffuse_cli.diffusion.conditions import NO_LABEL, ConditionKind, Conditions
from diffuse_cli.errors import UsageError, unknown

if TYPE_CHECKING:
    from diffuse_cli.models.model import Model

_FILLERS = {"a", "an", "and", "at", "in", "is", "it", "of", "on", "side", "the", "to", "with"}  # words that say nothing

_log = logging.getLogger(__name__)


def row_of_values(values: Mapping[str, float], conditions: Conditions, name: str) -> tuple[np.ndarray, str]:
    """The row [c] of these values of given columns in data units, and it in words; name: of the model.

    Logs a warning for a value outside of those in training. Raises UsageError for a column that is unknown or missing,
    or a value that is not finite.
    """
    for column in values:
        if column not in conditions.names:
            raise unknown(f"given column of {name}", column, conditions.names)
    if missing := [column for column in conditions.names if column not in values]:
        given = ",".join(f"{column}={values.get(column, '…')}" for column in conditions.names)
        raise UsageError(f"{name} is told {' and '.join(conditions.names)}; {missing[0]} is missing: --given {given}")
    for (column, value), known in zip(_in_order(values, conditions), conditions.columns, strict=True):
        if not math.isfinite(value):
            raise UsageError(f"--given {column}={value}: not a finite number")
        if not known.low <= value <= known.high:
            _log.warning(
                f"{column}={value:g} lies outside of the values that {name} was trained on, {known.low:g} to "
                f"{known.high:g}; what it draws there is a guess"
            )
    told = ", ".join(f"{column}={value:g}" for column, value in _in_order(values, conditions))
    return np.array([value for _, value in _in_order(values, conditions)], np.float64), told


def _in_order(values: Mapping[str, float], conditions: Conditions) -> list[tuple[str, float]]:
    return [(column, values[column]) for column in conditions.names]


def words_of_sentence(sentence: str, conditions: Conditions, name: str) -> tuple[np.ndarray, str]:
    """The numbers [w] of the words of a sentence, −1 in each place where none is said, and it without its fillers.

    Fillers, like `the` and `on`, may stand anywhere, and the order of the words says nothing. Raises UsageError for a
    word that the model does not know, and for two words in one place, of which no point can be true.

    >>> words = Conditions(("left", "right", "moon", "ring"), kind="words", places=(2, 2))
    >>> words_of_sentence("the moon on the right", words, "a model")
    (array([1, 2], dtype=int32), 'right moon')
    """
    starts = np.cumsum([0, *conditions.places])
    row = np.full(len(conditions.places), NO_LABEL, np.int32)
    for word in sentence.lower().replace(",", " ").split():
        if word in _FILLERS:
            continue
        if word not in conditions.names:
            raise unknown(f"word of {name}", word, conditions.names)
        number = conditions.names.index(word)
        place = int(np.searchsorted(starts, number, side="right")) - 1
        if row[place] not in (NO_LABEL, number):
            other = conditions.names[row[place]]
            raise UsageError(f"no point is both {other} and {word}, so nothing can be drawn of {sentence!r}")
        row[place] = number
    said = " ".join(conditions.names[number] for number in row if number != NO_LABEL)
    if not said:
        raise UsageError(f"{sentence!r} says nothing of the points; words that do: {', '.join(conditions.names)}")
    return row, said


def cannot_be_told(model: "Model", kind: ConditionKind) -> str:
    """Why a model cannot be told a condition of this kind."""
    if model.told is not None:
        return f"{model.name} has been told {'a label' if kind == 'label' else model.told} already"
    if model.conditions is not None:
        known = model.conditions
        ways = {
            "label": f"labels: --label {known.names[0]}",
            "columns": f"given columns: --given {','.join(f'{name}=…' for name in known.names)}",
            "words": f"sentences: --prompt {known.names[0]}",
        }
        return f"{model.name} is told {ways[known.kind]}"
    if kind == "columns":
        return (
            f"{model.name} knows nothing of given columns; train a run that does with: diffuse train --conditional "
            "--dataset file:points.csv,given=…, or two_moons"
        )
    if kind == "words":
        return f"{model.name} knows no words; train a run that does with: diffuse train --conditional --dataset scenes"
    if model.trained:
        return f"{model.name} was trained without labels; train one that knows them with: diffuse train --conditional"
    return f"the data of {model.name} have no labels; moons, overlap and text:HELLO are sets that have some"

"""What a conditional denoiser is told of a point: its label, values of given columns, or words that are true of it.

A condition is data of compiled code, one for all rows, or one more axis in front with one for each row:

- a label: int32, its number; −1 is no condition;
- given columns: float32 [c], in model space; NaN is no condition;
- words: int32 [w], for each place in a sentence the number of its word, or −1 where none is said; no word at all is no
  condition.

Without a condition a conditional network is the unconditional one. Ho & Salimans 2022, section 3.2.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level

NO_LABEL = -1
UNSAID = 0.5  # how often a word that is true of a point is not said in training

ConditionKind = Literal["label", "columns", "words"]
Condition = Int[Array | np.ndarray, "*rows"] | Float[Array | np.ndarray, "*rows c"]
Given = Callable[[Condition], Predict]  # a condition -> the denoiser that is told it


class GivenColumn(NamedTuple):
    """A column that is given: value = mean + scale · model; low and high: the range of its values in training."""

    mean: float
    scale: float
    low: float
    high: float


class Conditions(NamedTuple):
    """The conditions that a denoiser can be told: labels, columns, or words with these names.

    shares: of labels, their probabilities. columns: of given columns, their constants. places: of words, how many of
    the names belong to each place of a sentence, in their order.

    >>> Conditions(("left", "right"), (0.5, 0.5)).number("right")
    1
    """

    names: tuple[str, ...]
    shares: tuple[float, ...] = ()
    kind: ConditionKind = "label"
    columns: tuple[GivenColumn, ...] = ()
    places: tuple[int, ...] = ()

    @property
    def log_shares(self) -> np.ndarray:
        """The logarithms [k] of the probabilities, −∞ for a label that no point has."""
        with np.errstate(divide="ignore"):
            log_shares: np.ndarray = np.log(np.asarray(self.shares))
        return log_shares

    def number(self, name: str) -> int:
        """The number of the label with this name. Raises ValueError where there is none."""
        return self.names.index(name)

    def to_model(self, values: Float[np.ndarray, "*n c"]) -> Float[np.ndarray, "*n c"]:
        """The condition of values of given columns, float32.

        >>> Conditions(("t",), kind="columns", columns=(GivenColumn(10.0, 2.0, 5.0, 15.0),)).to_model(np.array([14.0]))
        array([2.], dtype=float32)
        """
        mean, scale = self._constants()
        condition: np.ndarray = ((values - mean) / scale).astype(np.float32)
        return condition

    def to_data(self, condition: Float[np.ndarray, "*n c"]) -> Float[np.ndarray, "*n c"]:
        """The values of given columns that a condition is of, float64."""
        mean, scale = self._constants()
        values: np.ndarray = mean + scale * condition.astype(np.float64)
        return values

    def _constants(self) -> tuple[np.ndarray, np.ndarray]:
        mean, scale = (np.array([getattr(column, name) for column in self.columns]) for name in ("mean", "scale"))
        return mean, scale

    def rows(self, n: int) -> np.ndarray:
        """n labels, int32, in their true proportions: each comes share · n times, rounded so that the sum is n.

        They are spread evenly, so that the first rows have these proportions too.

        >>> Conditions(("left", "right"), (0.25, 0.75)).rows(8).tolist()
        [1, 0, 1, 1, 1, 0, 1, 1]
        """
        wanted = n * np.asarray(self.shares)
        counts = np.floor(wanted).astype(int)
        counts[np.argsort(counts - wanted, kind="stable")[: n - counts.sum()]] += 1
        labels = np.repeat(np.arange(len(counts)), counts)
        place = np.concatenate([(np.arange(count) + 0.5) / count for count in counts if count])
        return labels[np.argsort(place, kind="stable")].astype(np.int32)


def drop(key: PRNGKeyArray, conditions: Condition, probability: float) -> Condition:
    """The conditions of rows, each left out with this probability, so that a network learns to do without one too.

    Of words, each is unsaid with probability ½ besides, on its own and whatever the point is. So a network learns
    sentences of any of the words, and p(x | some words) is that of all points of which they are true.
    """
    dropped = jax.random.bernoulli(key, probability, conditions.shape[:1])
    if conditions.ndim == 1:
        return jnp.where(dropped, NO_LABEL, conditions)
    if jnp.issubdtype(conditions.dtype, jnp.floating):
        return jnp.where(dropped[:, None], jnp.nan, conditions)
    unsaid = jax.random.bernoulli(jax.random.fold_in(key, 1), UNSAID, conditions.shape)
    return jnp.where(dropped[:, None] | unsaid, NO_LABEL, conditions)


def chosen_from(parts: Sequence[Predict]) -> Given:
    """The conditional denoiser whose label i chooses parts[i]; the last part is the one without a condition.

    All of them are evaluated, because the labels are data.
    """
    return lambda condition: jax.tree_util.Partial(_choose, tuple(parts), jnp.asarray(condition, jnp.int32))


def _choose(
    parts: tuple[Predict, ...], condition: Int[Array, "*n"], x: Float[Array, "n d"], level: Level
) -> Prediction:
    answers = [part(x, level) for part in parts]
    which = jnp.broadcast_to(jnp.where(condition == NO_LABEL, len(parts) - 1, condition), len(x))

    def pick(*of_parts: Float[Array, "n d"]) -> Float[Array, "n d"]:
        return jnp.take_along_axis(jnp.stack(of_parts), which[None, :, None], axis=0)[0]

    picked: Prediction = jax.tree.map(pick, *answers)
    return picked

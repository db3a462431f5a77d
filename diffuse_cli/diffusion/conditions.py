"""What a conditional denoiser is told: the label of a point, and how a condition is left out in training.

A condition is data of compiled code: an int32, the number of a label, or one for each row, [n]. −1 is no condition, for
which a conditional network is the unconditional one. Ho & Salimans 2022, section 3.2.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level

NO_LABEL = -1

Condition = Int[Array | np.ndarray, "*rows"]
Given = Callable[[Condition], Predict]  # a condition -> the denoiser that is told it


class Conditions(NamedTuple):
    """The conditions that a denoiser can be told: labels with these names and probabilities.

    >>> Conditions(("left", "right"), (0.5, 0.5)).number("right")
    1
    """

    names: tuple[str, ...]
    shares: tuple[float, ...]

    @property
    def log_shares(self) -> np.ndarray:
        """The logarithms [k] of the probabilities, −∞ for a label that no point has."""
        with np.errstate(divide="ignore"):
            log_shares: np.ndarray = np.log(np.asarray(self.shares))
        return log_shares

    def number(self, name: str) -> int:
        """The number of the label with this name. Raises ValueError where there is none."""
        return self.names.index(name)

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


def drop(key: PRNGKeyArray, labels: Int[Array, " n"], probability: float) -> Int[Array, " n"]:
    """The labels, each left out with this probability, so that a network learns the unconditional denoiser too."""
    return jnp.where(jax.random.bernoulli(key, probability, labels.shape), NO_LABEL, labels)


def chosen_from(parts: Sequence[Predict]) -> Given:
    """The conditional denoiser whose label i chooses parts[i]; the last part is the one without a condition.

    All of them are evaluated, because the labels are data.
    """
    return lambda condition: jax.tree_util.Partial(_choose, tuple(parts), jnp.asarray(condition, jnp.int32))


def _choose(
    parts: tuple[Predict, ...], condition: Int[Array, "*rows"], x: Float[Array, "n d"], level: Level
) -> Prediction:
    answers = [part(x, level) for part in parts]
    which = jnp.broadcast_to(jnp.where(condition == NO_LABEL, len(parts) - 1, condition), len(x))

    def pick(*of_parts: Float[Array, "n d"]) -> Float[Array, "n d"]:
        return jnp.take_along_axis(jnp.stack(of_parts), which[None, :, None], axis=0)[0]

    picked: Prediction = jax.tree.map(pick, *answers)
    return picked

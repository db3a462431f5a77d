"""Metrics beside their noise floors: what a perfect model would score with as many points.

Between two independent draws of n points of the truth no metric is at its best value, and each comes out a little
different every time. A floor is that figure between pairs of fresh draws, repeated; the model's figure, against a
reference drawn once, is exactly one more such draw if the model is perfect. So it is judged by the interval in which
one more draw of a normal law falls, given the mean m and the standard deviation s of r earlier ones (Student's t):

    m ± t_{r−1} s √(1 + 1/r)

on the side on which bad models lie, at a level of 0.2 %: m + 3.35 s for 20 repeats. Some null laws have a heavier tail
than the normal, those of `energy` and `mmd` most, so that up to 3 % of perfect models lie beyond; for the other metrics
and some thousand points it is about 1 % at most.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from diffuse_cli.errors import UsageError
from diffuse_cli.metrics.base import Metric, measure

LEVEL = 0.002


class Score(NamedTuple):
    """A metric of a model beside its floor.

    value: the model's. floor, floor_std: mean and standard deviation (ddof 1) of the truth's against itself.
    n: the number of points compared at once. repeats: how many figures the floor is made of.
    indistinguishable: whether `value` is within reach of a perfect model: not beyond the limit said above.
    """

    value: float
    floor: float
    floor_std: float
    n: int
    repeats: int
    indistinguishable: bool


class Floor(NamedTuple):
    """What the truth scores against itself, to judge any number of models of `count` points each.

    reference: [n, d], points of the truth that models are measured against. figures: by name of metric, [repeats].
    picked: [n], which points of a model are looked at; None for all of them.
    """

    metrics: Mapping[str, Metric]
    reference: np.ndarray
    figures: dict[str, np.ndarray]
    picked: np.ndarray | None = None

    def scores(self, model: np.ndarray) -> dict[str, Score]:
        """Each metric of a model's points [count, d] beside its floor. Raises like `measure`."""
        model = model if self.picked is None else model[self.picked]
        values = measure(self.metrics, model, self.reference)
        return {name: self._score(name, value) for name, value in values.items()}

    def interval(self, name: str) -> tuple[float, float]:
        """Where the figures of perfect models lie: outside, on the side of bad ones, a model differs from the truth."""
        from scipy.special import stdtrit

        figures, worse = self.figures[name], self.metrics[name].worse
        sides, repeats = 2 if worse == "either" else 1, len(figures)
        reach = stdtrit(repeats - 1, 1 - LEVEL / sides) * figures.std(ddof=1) * np.sqrt(1 + 1 / repeats)
        low = -np.inf if worse == "larger" else figures.mean() - reach
        return float(low), float(np.inf if worse == "smaller" else figures.mean() + reach)

    def _score(self, name: str, value: float) -> Score:
        figures, (low, high) = self.figures[name], self.interval(name)
        n = min(len(self.reference), self.metrics[name].points or len(self.reference))
        floor, std = float(figures.mean()), float(figures.std(ddof=1))
        return Score(value, floor, std, n, len(figures), low <= value <= high)


def fresh_floor(
    metrics: Mapping[str, Metric],
    n: int,
    draw: Callable[[np.random.Generator, int], np.ndarray],
    *,
    seed: int = 0,
    repeats: int = 20,
) -> Floor:
    """The floor for models of n points of a truth that can be drawn from without end.

    draw: (rng, n) -> [n, d] independent points of the truth, in the space of the models'. It is called once for the
    reference and twice for each of the repeats, with a generator of its own: not the one that `seed` names, which may
    have drawn the training set. The same seed gives every model of n points the same reference and the same floor.

    Raises UsageError for fewer than two repeats, and like `measure`.
    """
    rng = _generator(seed)
    reference = draw(rng, n)
    return Floor(metrics, reference, _figures(metrics, ((draw(rng, n), draw(rng, n)) for _ in range(repeats)), repeats))


def split_size(model: int, held_out: int, others: int = 0) -> int:
    """How many points `split_floor` compares at once, of so many."""
    return min(model, held_out, (held_out + others) // 2)


def split_floor(
    metrics: Mapping[str, Metric],
    count: int,
    held_out: np.ndarray,
    others: np.ndarray | None = None,
    *,
    seed: int = 0,
    repeats: int = 20,
) -> Floor:
    """The floor for models of `count` points where all that is known of the truth are m + o points.

    held_out: [m, d], points of the truth that no model has learned from; models are judged against these.
    others: [o, d], more points of the truth, such as the training set; only floors are made of these.

    The floor is taken between disjoint random subsets of all real points, split anew in each repeat, as in a
    permutation test. All clouds have n = min(count, m, (m + o) // 2) points, picked at random: without `others` half of
    those held out. One set's splits resemble each other more than fresh draws do: without `others` up to 5 % of perfect
    models are set apart by a metric where n is a hundred.

    Raises UsageError for fewer than two repeats or fewer than four real points, and like `measure`.
    """
    rng = _generator(seed)
    real = held_out if others is None else np.concatenate([held_out, others])
    n = split_size(count, len(held_out), len(real) - len(held_out))
    if n < 2:
        raise UsageError(
            f"a floor needs two halves of at least 2 points each; there are {count} of the model, "
            f"{len(held_out)} held out and {len(real)} in all"
        )
    picked, chosen = (rng.permutation(size)[:n] for size in (count, len(held_out)))
    splits = (real[rng.permutation(len(real))[: 2 * n]].reshape(2, n, -1) for _ in range(repeats))
    return Floor(metrics, held_out[chosen], _figures(metrics, splits, repeats), picked)


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))


def _figures(
    metrics: Mapping[str, Metric], pairs: Iterable[tuple[np.ndarray, np.ndarray]], repeats: int
) -> dict[str, np.ndarray]:
    if repeats < 2:
        raise UsageError(f"a floor's spread needs at least 2 repeats; {repeats} was given")
    found = [measure(metrics, *pair) for pair in pairs]
    return {name: np.array([figures[name] for figures in found]) for name in metrics}

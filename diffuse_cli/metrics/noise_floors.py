"""Noise floors of metrics: the values that a perfect model would have with the same number of points.

Between two independent draws of n points of the truth no metric has its best value, and it varies from draw to draw. A
noise floor is the metric between pairs of fresh draws of the truth, repeated r times. If the model is perfect, its
value against a reference that is drawn once is one more such value. So it is judged by the prediction interval of a
normal law (Student's t), with the mean m and the standard deviation s of the r values:

    m ± t_{r−1} s √(1 + 1/r)

on the side on which worse models lie, at a level of 0.2 %: m + 3.35 s for 20 repeats. Some metrics have a heavier tail
than the normal law, most of all `energy` and `mmd`, so that up to 3 % of perfect models lie outside; for the other
metrics and some thousand points it is about 1 % at most.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from diffuse_cli.errors import UsageError
from diffuse_cli.metrics.base import Metric, measure

LEVEL = 0.002


class Score(NamedTuple):
    """A metric of a model beside its noise floor.

    value: of the model. floor, floor_std: mean and standard deviation (ddof 1) of the metric between draws of the
    truth. n: the number of points compared at once. repeats: the number of such pairs of draws.
    indistinguishable: whether `value` lies within the interval of perfect models (see the head of this module).
    """

    value: float
    floor: float
    floor_std: float
    n: int
    repeats: int
    indistinguishable: bool


class Floor(NamedTuple):
    """The metrics between draws of the truth, computed once; it judges any number of models.

    metrics: by name. reference [n, d]: points of the truth to which the points of a model are compared.
    figures: name of metric -> its values [repeats] between pairs of draws. picked [n]: the indices of the points of a
    model that are used; None for all of them.
    """

    metrics: Mapping[str, Metric]
    reference: np.ndarray
    figures: dict[str, np.ndarray]
    picked: np.ndarray | None = None

    def scores(self, model: np.ndarray) -> dict[str, Score]:
        """Each metric of a model's points [count, d] beside its noise floor.

        Raises UsageError and DiffuseError like `measure`.
        """
        model = model if self.picked is None else model[self.picked]
        values = measure(self.metrics, model, self.reference)
        return {name: self._score(name, value) for name, value in values.items()}

    def interval(self, name: str) -> tuple[float, float]:
        """The interval (low, high) of a metric for perfect models; infinite on the side on which no model is worse."""
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
    """The noise floor for models of n points, if the truth can be drawn from without limit.

    draw: (rng, n) -> [n, d] independent points of the truth, in the space of the models. It is called once for the
    reference and twice for each repeat, with a generator derived from `seed`: another stream than
    `np.random.default_rng(seed)`, which may have drawn the training set. The same seed gives every model of n points
    the same reference and the same floor.

    Raises UsageError for fewer than two repeats, and UsageError and DiffuseError like `measure`.

    >>> from diffuse_cli.metrics.transport import sliced_w2
    >>> floor = fresh_floor({"sliced_w2": sliced_w2()}, 100, lambda rng, n: rng.standard_normal((n, 2)), repeats=5)
    >>> shifted = np.random.default_rng(1).standard_normal((100, 2)) + 3.0
    >>> floor.scores(shifted)["sliced_w2"].indistinguishable
    False
    """
    rng = _generator(seed)
    reference = draw(rng, n)
    return Floor(metrics, reference, _figures(metrics, ((draw(rng, n), draw(rng, n)) for _ in range(repeats)), repeats))


def split_size(model: int, held_out: int, others: int = 0) -> int:
    """The number of points that `split_floor` compares at once, for these numbers of points of each kind.

    >>> split_size(model=1000, held_out=100, others=900)
    100
    """
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
    """The noise floor for models of `count` points, if only m + o points of the truth are available.

    held_out: [m, d], points of the truth on which no model was trained; models are compared to these.
    others: [o, d], more points of the truth, such as the training set; they are used for the floor only.

    The floor is computed between disjoint random subsets of all points, split again in each repeat, as in a permutation
    test. All clouds have n = min(count, m, (m + o) // 2) points, chosen at random: without `others` half of the
    held-out points. Splits of one set are more alike than fresh draws: without `others` a metric wrongly distinguishes
    up to 5 % of perfect models if n is one hundred.

    Raises UsageError for fewer than two repeats or fewer than four real points, and UsageError and DiffuseError like
    `measure`.
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
    halves = (rng.permutation(len(real))[: 2 * n].reshape(2, n) for _ in range(repeats))
    splits = ((real[one], real[other]) for one, other in halves)
    return Floor(metrics, held_out[chosen], _figures(metrics, splits, repeats), picked)


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))


def _figures(
    metrics: Mapping[str, Metric], pairs: Iterable[tuple[np.ndarray, np.ndarray]], repeats: int
) -> dict[str, np.ndarray]:
    if repeats < 2:
        raise UsageError(f"a floor's spread needs at least 2 repeats; {repeats} was given")
    results = [measure(metrics, *pair) for pair in pairs]
    return {name: np.array([figures[name] for figures in results]) for name in metrics}

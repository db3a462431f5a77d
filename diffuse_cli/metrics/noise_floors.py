"""Noise floors of metrics: the values that a perfect model would have with the same number of points.

Between two independent draws of n points of the truth no metric has its best value, and it varies from draw to draw. A
noise floor is the metric between pairs of fresh draws of the truth, repeated r times. If the model is perfect, its
value against a reference that is drawn once is one more such value. So it is judged by the prediction interval of a
normal law (Student's t), with the mean m and the standard deviation s of the r values:

    m ± t_{r−1} s √(1 + 1/r)

on the side on which worse models lie, at a level of 0.2 %: m + 3.35 s for 20 repeats. Some metrics have a heavier tail
than the normal law, most of all `energy` and `mmd`, so that up to 3 % of perfect models lie outside; for the other
metrics and some thousand points it is about 1 % at most.

Among few points nearly every model lies inside, so lying inside says something only where a wrong model would not. A
metric judges where it tells apart at least one kind of clearly wrong models, made from the same draws of the truth:
moved by half a standard deviation in each column, or one and a half times as wide, or as narrow. All of _TRIED such
models must lie outside of the interval.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from diffuse_cli.errors import UsageError
from diffuse_cli.metrics.base import Metric, measure

LEVEL = 0.002
_TRIED = 3  # models of each wrong kind
_MOVED, _STRETCHED = 0.5, 1.5  # a difference of 0.5 standard deviations is called medium by Cohen (1988)


class Score(NamedTuple):
    """A metric of a model beside its noise floor.

    value: of the model. floor, floor_std: mean and standard deviation (ddof 1) of the metric between draws of the
    truth. n: the number of points compared at once. repeats: the number of such pairs of draws.
    indistinguishable: whether `value` lies within the interval of perfect models; None where it does, but clearly wrong
    models do too, so that nothing can be judged (see the head of this module).
    """

    value: float
    floor: float
    floor_std: float
    n: int
    repeats: int
    indistinguishable: bool | None


class Floor(NamedTuple):
    """The metrics between draws of the truth, computed once; it judges any number of models.

    metrics: by name. reference [n, d]: points of the truth to which the points of a model are compared.
    figures: name of metric -> its values [repeats] between pairs of draws. picked [n]: the indices of the points of a
    model that are used; None for all of them. wrong: name of metric -> its values [kinds, tried] for wrong models, as
    many kinds as it took to show that the metric judges.
    """

    metrics: Mapping[str, Metric]
    reference: np.ndarray
    figures: dict[str, np.ndarray]
    picked: np.ndarray | None = None
    wrong: Mapping[str, np.ndarray] = MappingProxyType({})

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

    def judges(self, name: str) -> bool:
        """Whether all wrong models of one kind lie outside of the interval of a metric."""
        low, high = self.interval(name)
        wrong = self.wrong.get(name)
        return wrong is not None and bool(((wrong < low) | (wrong > high)).all(axis=1).any())

    def _score(self, name: str, value: float) -> Score:
        figures, (low, high) = self.figures[name], self.interval(name)
        n = min(len(self.reference), self.metrics[name].points or len(self.reference))
        floor, std = float(figures.mean()), float(figures.std(ddof=1))
        inside = low <= value <= high
        return Score(value, floor, std, n, len(figures), None if inside and not self.judges(name) else inside)


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
    return _floor(metrics, reference, ((draw(rng, n), draw(rng, n)) for _ in range(repeats)), repeats)


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
    return _floor(metrics, held_out[chosen], splits, repeats, picked)


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))


def _floor(
    metrics: Mapping[str, Metric],
    reference: np.ndarray,
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    repeats: int,
    picked: np.ndarray | None = None,
) -> Floor:
    """The floor from pairs of clouds of the truth; of the first ones wrong models are made too."""
    if repeats < 2:
        raise UsageError(f"a floor's spread needs at least 2 repeats; {repeats} was given")
    results: list[dict[str, float]] = []
    first: list[tuple[np.ndarray, np.ndarray]] = []
    for pair in pairs:
        results.append(measure(metrics, *pair))
        first += [pair] if len(first) < _TRIED else []
    floor = Floor(metrics, reference, _by_name(metrics, results), picked)
    for wrong_kind in _WRONG_KINDS:
        unsure = {name: metric for name, metric in metrics.items() if not floor.judges(name)}
        if not unsure:
            break
        tried = _by_name(unsure, [measure(unsure, wrong_kind(one), other) for one, other in first])
        more = {name: np.vstack([*floor.wrong.get(name, ()), values]) for name, values in tried.items()}
        floor = floor._replace(wrong={**floor.wrong, **more})
    return floor


def _by_name(metrics: Mapping[str, Metric], results: list[dict[str, float]]) -> dict[str, np.ndarray]:
    return {name: np.array([figures[name] for figures in results]) for name in metrics}


def _moved(points: np.ndarray) -> np.ndarray:
    return np.asarray(points + _MOVED * points.std(axis=0))


def _scaled(points: np.ndarray, by: float) -> np.ndarray:
    return np.asarray(points.mean(axis=0) + by * (points - points.mean(axis=0)))


_WRONG_KINDS = (_moved, partial(_scaled, by=_STRETCHED), partial(_scaled, by=1 / _STRETCHED))

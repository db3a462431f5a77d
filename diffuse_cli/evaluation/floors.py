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
from diffuse_cli.evaluation.metric import Metric, measure

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


def beside_floor(
    metrics: Mapping[str, Metric],
    model: np.ndarray,
    draw: Callable[[np.random.Generator, int], np.ndarray],
    *,
    seed: int = 0,
    repeats: int = 20,
) -> dict[str, Score]:
    """Each metric of the model's points [n, d] beside its floor, for a truth that can be drawn from without end.

    draw: (rng, n) -> [n, d] independent points of the truth, in the space of the model's. It is called once for the
    reference and twice for each of the repeats, with a generator of its own: not the one that `seed` names, which may
    have drawn the training set. The same seed gives every model of n points the same reference and the same floor.

    Raises UsageError for fewer than two repeats, and like `measure`.
    """
    rng = _generator(seed)
    n = len(model)
    reference = draw(rng, n)
    return _scores(metrics, model, reference, ((draw(rng, n), draw(rng, n)) for _ in range(repeats)), repeats)


def beside_split_floor(
    metrics: Mapping[str, Metric],
    model: np.ndarray,
    held_out: np.ndarray,
    others: np.ndarray | None = None,
    *,
    seed: int = 0,
    repeats: int = 20,
) -> dict[str, Score]:
    """Each metric of the model's points [s, d] beside its floor, where all that is known of the truth are m points.

    held_out: [m, d], points of the truth that the model has not learned from; it is judged against these.
    others: [o, d], more points of the truth, such as the training set; only floors are made of these.

    The floor is taken between disjoint random subsets of all real points, split anew in each repeat, as in a
    permutation test. All clouds have n = min(s, m, (m + o) // 2) points, picked at random: without `others` half of
    those held out. One set's splits resemble each other more than fresh draws do: without `others` up to 5 % of perfect
    models are set apart by a metric where n is a hundred.

    Raises UsageError for fewer than two repeats or fewer than four real points, and like `measure`.
    """
    rng = _generator(seed)
    real = held_out if others is None else np.concatenate([held_out, others])
    n = min(len(model), len(held_out), len(real) // 2)
    if n < 2:
        raise UsageError(
            f"a floor needs two halves of at least 2 points each; there are {len(model)} of the model, "
            f"{len(held_out)} held out and {len(real)} in all"
        )
    some, reference = (points[rng.permutation(len(points))[:n]] for points in (model, held_out))
    splits = (real[rng.permutation(len(real))[: 2 * n]].reshape(2, n, -1) for _ in range(repeats))
    return _scores(metrics, some, reference, splits, repeats)


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))


def _scores(
    metrics: Mapping[str, Metric],
    model: np.ndarray,
    reference: np.ndarray,
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    repeats: int,
) -> dict[str, Score]:
    if repeats < 2:
        raise UsageError(f"a floor's spread needs at least 2 repeats; {repeats} was given")
    values = measure(metrics, model, reference)
    floors = [measure(metrics, *pair) for pair in pairs]
    return {
        name: _score(metric, len(model), values[name], np.array([floor[name] for floor in floors]))
        for name, metric in metrics.items()
    }


def _score(metric: Metric, n: int, value: float, floors: np.ndarray) -> Score:
    from scipy.special import stdtrit

    repeats, floor, std = len(floors), float(floors.mean()), float(floors.std(ddof=1))
    sides = 2 if metric.worse == "either" else 1
    reach = stdtrit(repeats - 1, 1 - LEVEL / sides) * std * np.sqrt(1 + 1 / repeats)
    away = value - floor
    excess = {"larger": away, "smaller": -away, "either": abs(away)}[metric.worse]
    return Score(value, floor, std, min(n, metric.points or n), repeats, bool(excess <= reach))

"""Floors: a perfect model is not set apart, a wrong one is."""

import json

import numpy as np
import pytest
from scipy.stats import t as student

from diffuse_cli import catalog
from diffuse_cli.errors import UsageError
from diffuse_cli.metrics.base import Metric
from diffuse_cli.metrics.noise_floors import LEVEL, Score, fresh_floor, split_floor
from tests.support.cases import few_fast

ALL = {name: catalog.build("metric", name) for name in catalog.CATALOG["metric"]}
CHEAP = {name: ALL[name] for name in ("sliced_w2", "energy", "coverage", "c2st_auc")}


def gaussian(rng, n):
    return rng.standard_normal((n, 2))


def two_modes(rng, n):
    return 0.3 * rng.standard_normal((n, 2)) + np.where(rng.random((n, 1)) < 0.5, -1.0, 1.0)


def beside_floor(metrics, model, draw, **options):
    return fresh_floor(metrics, len(model), draw, **options).scores(model)


def beside_split_floor(metrics, model, held_out, others=None, **options):
    return split_floor(metrics, len(model), held_out, others, **options).scores(model)


def difference(worse):
    return Metric(lambda model, reference: {"mean": model.mean() - reference.mean()}, "mean", worse)


def test_the_floor_is_the_truth_against_itself():
    drawn = []

    def draw(rng, n):
        drawn.append(rng.standard_normal((n, 1)))
        return drawn[-1]

    model = np.ones((50, 1))
    (score,) = beside_floor({"mean": difference("larger")}, model, draw, repeats=7).values()
    reference, *others = (points.mean() for points in drawn)
    floors = np.subtract(others[::2], others[1::2])
    assert len(floors) == 7
    assert score.value == pytest.approx(1 - reference)
    assert score.floor == pytest.approx(floors.mean())
    assert score.floor_std == pytest.approx(floors.std(ddof=1))
    assert score == Score(score.value, score.floor, score.floor_std, 50, 7, False)
    assert all(type(each) in (float, int, bool) for each in score)
    assert json.loads(json.dumps(score._asdict()))["indistinguishable"] is False


@pytest.mark.parametrize(("worse", "sides"), [("larger", 1), ("smaller", 1), ("either", 2)])
@pytest.mark.parametrize("repeats", [3, 20])
def test_the_limit_is_a_prediction_of_one_more_draw(worse, sides, repeats):
    """A model whose value is put just inside or just outside the limit."""

    def judged(value):
        """The score of a model whose mean lies `value` above that of its reference."""
        first = []

        def draw(rng, n):
            first.append(gaussian(rng, n))
            return first[-1]

        metric = Metric(lambda m, r: {"mean": value if m is model else m.mean() - r.mean()}, "mean", worse)
        model = np.zeros((40, 2))
        return beside_floor({"it": metric}, model, draw, repeats=repeats)["it"]

    apart = judged(0.0)
    reach = student.ppf(1 - LEVEL / sides, repeats - 1) * apart.floor_std * np.sqrt(1 + 1 / repeats)
    for sign in (1, -1):
        matters = worse == "either" or sign == (1 if worse == "larger" else -1)
        assert judged(apart.floor + sign * 0.999 * reach).indistinguishable is not False
        assert (judged(apart.floor + sign * 1.001 * reach).indistinguishable is False) is matters


def test_a_perfect_model_is_hardly_ever_set_apart():
    seeds = 25
    set_apart = dict.fromkeys(ALL, 0)
    for seed in range(seeds):
        model = gaussian(np.random.default_rng(seed), 60)
        for name, score in beside_floor(ALL, model, gaussian, seed=seed).items():
            set_apart[name] += score.indistinguishable is False
    assert max(set_apart.values()) <= 3  # four of 25 where 3 % are expected would be one case in a hundred
    assert sum(set_apart.values()) <= 0.03 * seeds * len(ALL)


@pytest.mark.parametrize("name", ALL)
def test_every_metric_sees_a_model_far_off(name):
    model = gaussian(np.random.default_rng(0), 200) + 5
    score = beside_floor({name: ALL[name]}, model, gaussian)[name]
    assert score.indistinguishable is False
    assert (score.value > score.floor) == (ALL[name].worse == "larger")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [(name, "wider") for name in ("w2", "sliced_w2", "energy", "mmd", "precision", "c2st", "c2st_auc")]
    + [pytest.param(name, "shifted", marks=pytest.mark.slow) for name in ("w2", "sliced_w2", "energy", "mmd")],
)
def test_a_wrong_gaussian_is_set_apart(name, wrong):
    drawn = gaussian(np.random.default_rng(1), 2000)
    model = 1.3 * drawn if wrong == "wider" else drawn + np.array([0.2, 0.0])
    assert beside_floor({name: ALL[name]}, model, gaussian, repeats=6)[name].indistinguishable is False


@pytest.mark.parametrize("name", ["w2", "sliced_w2", "energy", "mmd", "recall", "coverage", "c2st"])
def test_a_dropped_mode_is_set_apart(name):
    drawn = two_modes(np.random.default_rng(1), 4000)
    model = drawn[drawn[:, 0] > 0][:1500]
    assert beside_floor({name: ALL[name]}, model, two_modes, repeats=5)[name].indistinguishable is False


def test_the_same_seed_gives_the_same_answer_and_no_training_set():
    model = gaussian(np.random.default_rng(0), 100)
    first, again, other = (beside_floor(CHEAP, model, gaussian, seed=seed, repeats=3) for seed in (5, 5, 6))
    assert first == again != other
    seen = []
    beside_floor(CHEAP, model, lambda rng, n: seen.append(gaussian(rng, n)) or seen[-1], seed=5, repeats=2)
    training = gaussian(np.random.default_rng(5), 1000)
    assert not np.isin(np.concatenate(seen), training).any()


def test_a_metric_in_blocks_says_how_many_points_it_compared():
    metrics = {"w2": catalog.build("metric", "w2:points=20"), "whole": ALL["sliced_w2"]}
    scores = beside_floor(metrics, gaussian(np.random.default_rng(0), 50), gaussian, repeats=2)
    assert (scores["w2"].n, scores["whole"].n) == (20, 50)
    assert beside_floor(metrics, gaussian(np.random.default_rng(0), 15), gaussian, repeats=2)["w2"].n == 15


@pytest.mark.parametrize("others", few_fast([0, 400], 0))
def test_splits_of_a_fixed_set_judge_as_fresh_draws_do(others):
    set_apart = 0
    for seed in range(25):
        rng = np.random.default_rng([seed, 1])
        model, held_out, rest = gaussian(rng, 100), gaussian(rng, 100), gaussian(rng, others)
        scores = beside_split_floor(CHEAP, model, held_out, rest, seed=seed)
        assert {score.n for score in scores.values()} == {100 if others else 50}
        set_apart += sum(score.indistinguishable is False for score in scores.values())
    assert set_apart <= 0.03 * 25 * len(CHEAP)
    wrong = beside_split_floor(CHEAP, 2 * model + 1, held_out, rest)
    assert all(score.indistinguishable is False for score in wrong.values())


def test_splits_are_disjoint_and_the_reference_is_held_out():
    seen = []

    def figures(model, reference):
        seen.append((model[:, 0], reference[:, 0]))
        return {"none": 0.0}

    held_out, others = np.arange(10.0)[:, None], np.arange(10.0, 25.0)[:, None]
    metrics = {"none": Metric(figures, "none")}
    score = beside_split_floor(metrics, np.full((30, 1), -1.0), held_out, others, repeats=5)["none"]
    assert score.n == 10
    splits, (model, reference) = seen[:5], seen[-1]  # what lies between are wrong models, of the first splits
    assert set(model) == {-1}
    assert set(reference) == set(range(10))
    assert all(len({*first, *second}) == 20 for first, second in splits)
    assert len({frozenset(first) for first, _ in splits}) == 5
    assert len({*np.concatenate(splits).ravel()}) == 25


def test_a_floor_needs_repeats_and_points():
    model = gaussian(np.random.default_rng(0), 10)
    with pytest.raises(UsageError, match="2 repeats"):
        beside_floor(CHEAP, model, gaussian, repeats=1)
    with pytest.raises(UsageError, match="at least 2 points"):
        beside_split_floor(CHEAP, model, model[:3])


@pytest.mark.parametrize("worse", ["larger", "smaller", "either"])
def test_one_floor_judges_any_number_of_models(worse):
    """As each of them would be judged alone, and its interval is where the line is drawn."""
    metrics = {"mean": difference(worse)}
    floor = fresh_floor(metrics, 40, gaussian, seed=3)
    low, high = floor.interval("mean")
    assert np.isfinite([low, high]).tolist() == [worse != "larger", worse != "smaller"]
    for shift in (-1.0, 0.0, 1.0):
        model = gaussian(np.random.default_rng(9), 40) + shift
        score = floor.scores(model)["mean"]
        assert score == beside_floor(metrics, model, gaussian, seed=3)["mean"]
        inside = low <= score.value <= high
        assert score.indistinguishable is (None if inside and not floor.judges("mean") else inside)


@pytest.mark.parametrize("seed", few_fast(range(6), 0))
def test_a_verdict_needs_power(seed):
    """Of three points nothing is judged; of five hundred everything that asks where and how wide the points lie."""
    few = {name: metric for name, metric in ALL.items() if metric.least <= 3}
    model = gaussian(np.random.default_rng(seed), 500)
    assert {score.indistinguishable for score in beside_floor(few, model[:3], gaussian, seed=seed).values()} == {None}
    sure = {name: ALL[name] for name in ("w2", "sliced_w2", "energy", "mmd")}
    assert None not in {score.indistinguishable for score in beside_floor(sure, model, gaussian, seed=seed).values()}


@pytest.mark.parametrize(
    ("figure", "worse", "judges"),
    [
        (lambda points: 0.0, "larger", False),  # it sees nothing
        (lambda points: points.mean(), "larger", True),  # where the points lie
        (lambda points: points.mean(), "smaller", False),  # the models that are tried are moved upwards
        (lambda points: points.std(), "larger", True),
        (lambda points: points.std(), "smaller", True),
    ],
)
def test_it_is_enough_to_see_one_kind_of_wrong_models(figure, worse, judges):
    metric = Metric(lambda model, reference: {"it": figure(model) - figure(reference)}, "it", worse)
    floor = fresh_floor({"it": metric}, 400, gaussian)
    assert floor.judges("it") is judges
    outside = 9.0 if worse == "larger" else -9.0
    wrong = gaussian(np.random.default_rng(1), 400) * 9 + outside
    if judges and worse == "larger":
        assert floor.scores(wrong)["it"].indistinguishable is False


def test_what_lies_outside_is_wrong_however_few_the_points():
    score = beside_floor({"mean": difference("larger")}, np.full((4, 2), 50.0), gaussian)["mean"]
    assert score.indistinguishable is False

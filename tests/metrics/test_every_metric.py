"""What all metrics have in common: clouds are checked, and shared work is done once."""

import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.metrics.base import Metric, measure

NAMES = list(catalog.CATALOG["metric"])


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_one_number_whatever_the_dimension_and_size(name):
    metric = catalog.build("metric", name)
    for n, d in ((8, 1), (60, 2), (1030, 3), (40, 20)):
        model, reference = np.random.default_rng(n).standard_normal((2, n, d))
        value = metric(model, reference)
        assert type(value) is float
        assert np.isfinite(value)
        assert metric(model, reference) == value


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_points_and_the_origin_do_not_matter(name):
    model, reference = np.random.default_rng(1).standard_normal((2, 50, 2))
    metric = catalog.build("metric", name)
    moved = metric(model[::-1] + 4.0, reference + 4.0)
    assert moved == pytest.approx(metric(model, reference), rel=1e-4, abs=1e-6)


def test_shared_work_is_done_once():
    calls = []

    def figures(model, reference):
        calls.append(len(model))
        return {"first": 1.0, "second": 2.0}

    cloud = np.zeros((3, 1))
    assert measure({"a": Metric(figures, "first"), "b": Metric(figures, "second")}, cloud, cloud) == {"a": 1, "b": 2}
    assert calls == [3]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("energy", "mmd"),
        ("precision", "coverage"),
        ("recall:k=3", "density:k=3"),
        ("c2st", "c2st_auc"),
    ],
)
def test_metrics_of_one_family_share_their_work(one, other):
    assert catalog.build("metric", one).figures is catalog.build("metric", other).figures


def test_other_options_are_other_work():
    assert catalog.build("metric", "recall").figures is not catalog.build("metric", "recall:k=3").figures


@pytest.mark.parametrize(
    ("model", "reference"),
    [((5, 2), (6, 2)), ((5, 2), (5, 3)), ((5,), (5,)), ((1, 2), (1, 2)), ((0, 2), (0, 2))],
)
def test_clouds_must_match(model, reference):
    with pytest.raises(UsageError, match="same shape"):
        measure({}, np.zeros(model), np.zeros(reference))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_must_be_finite(bad):
    good, broken = np.zeros((2, 5, 2))
    broken[3, 1] = bad
    with pytest.raises(DiffuseError, match="1 of 5 points of the model"):
        measure({}, broken, good)
    with pytest.raises(DiffuseError, match="1 of 5 points of the reference"):
        measure({}, good, broken)


@pytest.mark.parametrize(
    "text",
    ["w2:points=1", "w2:blocks=0", "sliced_w2:directions=1", "mmd:bandwidth=0", "recall:k=0", "c2st:k=0"],
)
def test_options_out_of_bounds_are_refused(text):
    with pytest.raises(UsageError, match=text.partition(":")[2].partition("=")[0]):
        catalog.build("metric", text)


@pytest.mark.parametrize(("text", "least"), [("recall", 6), ("density:k=1", 2), ("c2st:k=10", 6), ("c2st_auc:k=9", 5)])
def test_too_few_points_for_the_neighbours(text, least):
    metric, points = catalog.build("metric", text), np.random.default_rng(0).standard_normal((2, least, 2))
    assert metric.least == least
    assert np.isfinite(metric(*points))
    with pytest.raises(UsageError, match=f"at least {least} points" if least > 2 else "n at least 2"):
        metric(*points[:, 1:])


@pytest.mark.parametrize("name", NAMES)
def test_as_many_points_as_a_metric_needs_are_enough(name):
    metric = catalog.build("metric", name)
    assert np.isfinite(metric(*np.random.default_rng(0).standard_normal((2, metric.least, 2))))

"""Precision, recall, density and coverage on clouds where they can be counted."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from diffuse_cli.metrics.base import measure
from diffuse_cli.metrics.neighbours import coverage, density, precision, recall


def all_four(model, reference, k=5):
    metrics = {"precision": precision(k=k), "recall": recall(k=k), "density": density(k=k), "coverage": coverage(k=k)}
    return measure(metrics, model, reference)


def by_definition(model, reference, k):
    def radii(points):
        return np.sort(cdist(points, points), axis=1)[:, k]  # column 0 is the point itself

    in_reference = cdist(reference, model) <= radii(reference)[:, None]
    in_model = cdist(model, reference) <= radii(model)[:, None]
    return {
        "precision": in_reference.any(axis=0).mean(),
        "recall": in_model.any(axis=0).mean(),
        "density": in_reference.sum(axis=0).mean() / k,
        "coverage": in_reference.any(axis=1).mean(),
    }


@pytest.mark.parametrize("d", [1, 2, 3, 16, 17, 40])
@pytest.mark.parametrize("k", [1, 5])
def test_as_defined(d, k):
    model, reference = np.random.default_rng(d).standard_normal((2, 230, d))
    model = 0.3 + 0.8 * model
    assert all_four(model, reference, k) == pytest.approx(by_definition(model, reference, k), rel=1e-12)


@pytest.mark.parametrize("d", [2, 20])
def test_clouds_far_apart_have_nothing_in_common(d):
    model, reference = np.random.default_rng(0).standard_normal((2, 100, d))
    assert set(all_four(model + 100, reference).values()) == {0}


@pytest.mark.parametrize("d", [2, 20])
def test_a_cloud_and_itself(d):
    cloud = np.random.default_rng(0).standard_normal((100, d))
    values = all_four(cloud, cloud)
    # each of its balls holds its own centre and k neighbours
    assert values == {"precision": 1, "recall": 1, "density": pytest.approx(6 / 5), "coverage": 1}


@pytest.mark.parametrize("d", [2, 20])
def test_many_copies_of_one_point(d):
    point = np.random.default_rng(0).standard_normal((1, d))
    cloud = np.repeat(point, 20, axis=0)  # balls of radius 0
    assert all_four(cloud, cloud) == {"precision": 1, "recall": 1, "density": 20 / 5, "coverage": 1}


def test_a_dropped_half_is_missed_and_nothing_is_false():
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, 500, 2)) + np.array([[[-50, 0]], [[50, 0]]])
    values = all_four(rng.standard_normal((1000, 2)) + np.array([50, 0]), np.vstack([left, right]))
    assert values["precision"] > 0.95
    assert values["recall"] < 0.5
    assert 0.45 < values["coverage"] <= 0.5


def test_density_and_coverage_of_a_perfect_model():
    # Naeem et al. 2020, section 3: E density = 1, and E coverage → 1 − 2^−k as n grows
    values = [all_four(*np.random.default_rng(i).standard_normal((2, 500, 2)), k=3) for i in range(40)]
    for name, known in (("density", 1), ("coverage", 1 - 2**-3)):
        each = np.array([value[name] for value in values])
        assert abs(each.mean() - known) < 4 * each.std(ddof=1) / np.sqrt(40) + 1 / 500

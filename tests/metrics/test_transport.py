"""Wasserstein distances where they are known."""

import itertools

import numpy as np
import pytest

from diffuse_cli.metrics.transport import sliced_w1, sliced_w2, w2


def clouds(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((2, n, d))


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_shifted_cloud_is_as_far_as_the_shift(d):
    cloud, _ = clouds(100, d)
    shift = np.arange(1.0, d + 1)
    assert w2()(cloud + shift, cloud) == pytest.approx(np.linalg.norm(shift), rel=1e-12)
    assert sliced_w2()(cloud + shift, cloud) == pytest.approx(np.linalg.norm(shift) / np.sqrt(d), rel=1e-12)


def test_a_dilated_cloud():
    # every point moves along its ray, the gradient of a convex function: no assignment is better (Brenier)
    cloud, _ = clouds(100, 3)
    assert w2()(1.5 * cloud, cloud) == pytest.approx(0.5 * np.sqrt(np.mean(np.sum(cloud**2, axis=1))), rel=1e-12)


def test_sliced_w1_is_the_mean_of_w1_over_lines():
    from scipy.stats import wasserstein_distance

    model, reference = clouds(60, 2)
    angles = np.pi * (np.arange(50) + 0.5) / 50
    lines = [(np.array([np.cos(a), np.sin(a)])) for a in angles]
    each = [wasserstein_distance(model @ line, reference @ line) for line in lines]
    assert sliced_w1(directions=50)(model, reference) == pytest.approx(np.mean(each), rel=1e-12)


@pytest.mark.parametrize("metric", [w2(), sliced_w2(), sliced_w1()])
def test_zero_on_itself_and_symmetric(metric):
    model, reference = clouds(80, 2)
    assert metric(model, model[::-1]) == pytest.approx(0, abs=1e-12)
    assert metric(model, reference) == pytest.approx(metric(reference, model), rel=1e-12)
    assert metric(model, reference) > 0


def test_no_permutation_is_better():
    model, reference = clouds(6, 2)
    costs = [np.mean(np.sum((model - reference[list(p)]) ** 2, axis=1)) for p in itertools.permutations(range(6))]
    assert w2()(model, reference) == pytest.approx(np.sqrt(min(costs)), rel=1e-12)


def test_on_a_line_both_match_sorted_points():
    model, reference = clouds(200, 1)
    exact = np.sqrt(np.mean((np.sort(model[:, 0]) - np.sort(reference[:, 0])) ** 2))
    assert w2()(model, reference) == pytest.approx(exact, rel=1e-12)
    assert sliced_w2()(model, reference) == pytest.approx(exact, rel=1e-12)


def test_sliced_is_never_more_than_w2():
    model, reference = clouds(100, 2)
    assert sliced_w2()(model, reference) < w2()(model, reference)


def test_sliced_hardly_depends_on_how_many_directions():
    model, reference = clouds(500, 2)
    assert sliced_w2(directions=64)(model, 2 * reference) == pytest.approx(
        sliced_w2(directions=1024)(model, 2 * reference), rel=1e-3
    )


def test_large_clouds_are_compared_in_blocks():
    model, reference = clouds(130, 2)
    parts = [w2()(model[i : i + 50], reference[i : i + 50]) ** 2 for i in (0, 50)]
    assert w2(points=50)(model, reference) == pytest.approx(np.sqrt(np.mean(parts)), rel=1e-12)
    assert w2(points=50, blocks=1)(model, reference) == pytest.approx(np.sqrt(parts[0]), rel=1e-12)
    assert w2(points=50).points == 50

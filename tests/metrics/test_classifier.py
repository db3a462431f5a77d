"""A classifier against the best there can be: for two shifted Gaussians that is known."""

import numpy as np
import pytest
from scipy.stats import norm

from diffuse_cli.metrics.base import measure
from diffuse_cli.metrics.classifier import c2st, c2st_auc
from diffuse_cli.metrics.ranks import probability_less

BOTH = {"accuracy": c2st(), "auc": c2st_auc()}


@pytest.mark.parametrize("d", [1, 2, 20])
def test_equal_laws_cannot_be_told_apart(d):
    values = [list(measure(BOTH, *np.random.default_rng(i).standard_normal((2, 300, d))).values()) for i in range(20)]
    stderr = np.std(values, axis=0, ddof=1) / np.sqrt(20)
    assert np.all(np.abs(np.mean(values, axis=0) - 0.5) < 4 * stderr + 0.005)  # leaving one out costs of the order 1/n
    assert np.all(stderr < 0.01)


@pytest.mark.parametrize("k", [None, 2, 5])
def test_disjoint_clouds_always_can(k):
    model, reference = np.random.default_rng(0).standard_normal((2, 300, 2))
    assert c2st(k=k)(model + 20, reference) == 1
    assert c2st_auc(k=k)(model + 20, reference) == 1


def test_shifted_gaussians_come_near_the_best_classifier():
    n, shift = 3000, 2.0
    model, reference = np.random.default_rng(0).standard_normal((2, n, 2))
    values = measure(BOTH, model + np.array([shift, 0]), reference)
    assert values["accuracy"] == pytest.approx(norm.cdf(shift / 2), abs=0.015 + 4 * np.sqrt(0.16 * 0.84 / (2 * n)))
    assert values["auc"] == pytest.approx(norm.cdf(shift / np.sqrt(2)), abs=0.02)


def test_copies_are_told_apart_from_nothing():
    # each point's nearest other is its own copy, which is the other cloud's
    cloud = np.random.default_rng(0).standard_normal((100, 2))
    assert c2st(k=1)(cloud, cloud) == 0


def test_the_probability_of_less():
    assert probability_less(np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0]))[0] == 1
    assert probability_less(np.array([3.0]).repeat(2), np.array([1.0, 2.0]))[0] == 0
    assert probability_less(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == (0.5, 0)
    less, stderr = probability_less(np.array([1.0]), np.array([0.0, 3.0]))
    assert (less, np.isnan(stderr)) == (0.5, True)  # of one value nothing is known of the spread
    assert probability_less(np.array([1.0, 3.0]), np.array([2.0, 3.0, 4.0]))[0] == pytest.approx((3 + 1.5) / 6)


def test_the_standard_error_of_less():
    n, m = 400, 700
    known = np.sqrt((n + m + 1) / (12 * n * m))  # of the Mann-Whitney statistic for equal continuous laws
    rng = np.random.default_rng(0)
    found = [probability_less(rng.random(n), rng.random(m)) for _ in range(400)]
    assert np.std([p for p, _ in found]) == pytest.approx(known, rel=0.15)
    assert np.mean([stderr for _, stderr in found]) == pytest.approx(known, rel=0.02)


def test_the_standard_error_of_few_by_hand():
    # the shares are 1, 1/2, 0 and 1/3, 2/3: variances 1/4 over 3 and 1/18 over 2
    assert probability_less(np.array([1, 2, 3]), np.array([1.5, 2.5])) == pytest.approx((1 / 2, 1 / 3))

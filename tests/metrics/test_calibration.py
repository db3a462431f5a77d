"""Ranks, coverage and errors of the mean, where closed forms say what they must be."""

import numpy as np
import pytest
from scipy.stats import norm

from diffuse_cli.metrics.calibration import BINS, band, calibrate, coverage, mean_error, ranks, uniformity

PAIRS, DRAWS, DIM = 2000, 40, 3
NOISE = np.array([0.5, 1.0, 2.0])  # of y = x + noise, x ~ N(0, I): each column has its own posterior
SPREAD = NOISE / np.sqrt(1 + NOISE**2)


def pairs(shift=0.0, wider=1.0, draws=DRAWS, prior=False):
    """Truths, their posterior means, and draws that are moved by so many standard deviations, or as many times wide."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((PAIRS, DIM))
    means = (truth + NOISE * rng.standard_normal((PAIRS, DIM))) / (1 + NOISE**2)
    noise = rng.standard_normal((PAIRS, draws, DIM))
    if prior:
        return truth, means, noise
    return truth, means, means[:, None] + SPREAD * (shift + wider * noise)


def calibrated(truth, means, draws):
    variances = np.full(PAIRS, (SPREAD**2).sum())
    return calibrate(truth, draws, np.eye(DIM), np.random.default_rng(1), moments=(means, variances))


@pytest.mark.parametrize("draws", [8, 40])
def test_exact_draws_are_calibrated_for_any_number_of_them(draws):
    found = calibrated(*pairs(draws=draws))
    assert found.ranks.shape == (PAIRS, DIM + 1)
    assert all(abs(each.share - each.level) < 3 * each.stderr for each in found.coverages)
    assert found.uniform > 0.01
    assert abs(found.mean_error.gap) < 3 * found.mean_error.stderr
    least = (SPREAD**2).sum() * (1 + 1 / draws)  # the mean of the draws has their chance besides
    assert found.squared_error[0] == pytest.approx(least, abs=4 * found.squared_error[1])


def test_draws_that_are_wrong_are_found_in_the_right_direction():
    narrow, moved = calibrated(*pairs(wider=0.5)), calibrated(*pairs(shift=0.7))
    for each in narrow.coverages:  # the truth is N(0, 1) about the centre of draws of N(0, 1/4)
        wanted = 2 * norm.cdf(0.5 * norm.ppf((1 + each.level) / 2)) - 1
        assert each.share == pytest.approx(wanted, abs=0.03)
        assert not each.right
    assert narrow.uniform < 0.01
    assert moved.uniform < 0.01
    assert moved.mean_error.gap == pytest.approx(0.7**2, abs=0.03)  # in all columns, of their own variance
    assert abs(narrow.mean_error.gap) < 3 * narrow.mean_error.stderr


def test_draws_of_the_prior_have_the_right_coverage_and_a_large_error():
    found = calibrated(*pairs(prior=True))
    assert all(abs(each.share - each.level) < 3 * each.stderr for each in found.coverages)
    gap = (1 / (1 + NOISE**2)).sum() / (SPREAD**2).sum()  # the variance of the posterior means over that within
    assert found.mean_error.gap == pytest.approx(gap, abs=5 * found.mean_error.stderr)


def test_the_joint_rank_sees_what_columns_do_not():
    """Columns that are uniform each, and far too alike: y tells nothing, and draws have one value in all columns."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((PAIRS, 2))
    alike = np.repeat(rng.standard_normal((PAIRS, DRAWS, 1)), 2, axis=2)
    found = calibrate(truth, alike, np.eye(2), rng)
    assert all(abs(each.share - each.level) < 3 * each.stderr for each in found.coverages)
    joint = found.ranks[:, -1:]
    assert uniformity(joint, rng) < 0.01 < uniformity(found.ranks[:, :1], rng)


@pytest.mark.parametrize("columns", [2, 32])
def test_no_column_is_lost_among_others(columns):
    """A joint rank beside many columns that are right, and two columns whose shifts balance each other."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((200, columns))
    alike = np.repeat(rng.standard_normal((200, DRAWS, 1)), columns, axis=2)
    opposite = np.where(np.arange(columns) % 2, 0.6, -0.6) + rng.standard_normal((200, DRAWS, columns))
    right = rng.standard_normal((200, DRAWS, columns))
    found = [calibrate(truth, draws, np.eye(columns), rng).uniform for draws in (alike, opposite, right)]
    assert max(found[:2]) < 0.01 < found[2]


def test_equal_values_are_ranked_by_chance():
    rng = np.random.default_rng(0)
    same = ranks(np.zeros((PAIRS, 1)), np.zeros((PAIRS, DRAWS, 1)), rng)
    assert uniformity(same, rng) > 0.01
    assert same.min() >= 0
    assert same.max() <= 1


def test_columns_of_one_pair_do_not_count_as_many():
    one = np.random.default_rng(0).random((200, 1))
    assert coverage(np.repeat(one, 10, axis=1), 0.5).stderr == pytest.approx(coverage(one, 0.5).stderr)


def test_the_chance_of_few_or_dependent_draws_is_subtracted():
    _, means, draws = pairs(draws=10)
    variances = np.full(PAIRS, (SPREAD**2).sum())
    twice = np.repeat(draws, 2, axis=1)  # every draw two times, as after resampling
    found = mean_error(twice, means, variances, effective=np.full(PAIRS, 10.0))
    assert abs(found.gap) < 3 * found.stderr


def test_the_band_holds_a_bin_as_often_as_it_says():
    low, high = band(200)
    counts = np.random.default_rng(0).binomial(200, 1 / BINS, 20_000)
    assert 0.94 < ((counts >= low) & (counts <= high)).mean() < 0.99

"""The density of points whose law is not known, against laws that are."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from diffuse_cli.analysis import kernel_density as kernels
from diffuse_cli.analysis.kernel_density import Kernels, best_kernels


def log_density(x, points, chosen):
    counts = np.ones(len(points), int)
    distances, log_norm = kernels._distances(x, points, kernels._covariances(points, counts, chosen))
    return kernels._log_density(distances, log_norm, counts, 1.0, points.shape[1])


def ring(rng, n):
    angle = rng.uniform(0, 2 * np.pi, n)
    return (1 + 0.05 * rng.normal(size=n))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def two_widths(rng, n):
    return np.where(rng.random(n) < 0.5, rng.normal(-1, 0.02, n), rng.normal(1, 0.7, n))[:, None]


@pytest.mark.parametrize("d", [1, 2])
def test_of_a_normal_law_it_is_about_as_wide_as_scott_says(d):
    points = np.random.default_rng(0).normal(size=(1000, d))
    best = best_kernels(points, np.ones(1000, int))
    assert best.neighbours is None
    assert best.width == pytest.approx(
        1000 ** (-1 / (d + 4)), rel=0.55
    )  # the widths that are tried are 1.4 times apart


@pytest.mark.parametrize("draw", [ring, two_widths])
def test_detail_is_kept_where_one_width_would_lose_it(draw):
    """Fresh points are more likely than under Scott's rule, by half of a nat at least."""
    rng = np.random.default_rng(0)
    points, fresh = draw(rng, 1000), draw(rng, 2000)
    best = best_kernels(points, np.ones(1000, int))
    scott = Kernels(None, 1000 ** (-1 / (points.shape[1] + 4)))
    gain = log_density(fresh, points, best).mean() - log_density(fresh, points, scott).mean()
    assert gain > 0.3


def test_copies_do_not_make_kernels_narrow():
    """A point that occurs twenty times says no more of the width than one that occurs once."""
    points = np.random.default_rng(0).normal(size=(100, 2))
    assert best_kernels(points, np.full(100, 20)) == best_kernels(points, np.ones(100, int))
    law, of_copies = (kernels.kernel_density(each) for each in (points, np.repeat(points, 20, axis=0)))
    level = kernels.exact.Level(np.inf, 1.0, 0.0)
    assert law.entropy(level) == pytest.approx(of_copies.entropy(level), rel=1e-6)


def test_the_density_is_the_sum_of_its_kernels():
    rng = np.random.default_rng(0)
    points, x = rng.normal(size=(12, 2)), rng.normal(size=(5, 2))
    chosen = Kernels(8, 0.5)
    covariances = kernels._covariances(points, np.ones(12, int), chosen)
    by_hand = np.mean([multivariate_normal(m, c).pdf(x) for m, c in zip(points, covariances, strict=True)], axis=0)
    np.testing.assert_allclose(np.exp(log_density(x, points, chosen)), by_hand, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("n", [2, 3, 9])
def test_a_few_points_have_a_density_too(n):
    points = np.arange(n, dtype=float)[:, None]
    best = best_kernels(points, np.ones(n, int))
    assert best == Kernels(None, n**-0.2)
    x = np.linspace(-20, 30, 5001)[:, None]
    assert np.exp(log_density(x, points, best)).sum() * 0.01 == pytest.approx(1, abs=1e-6)
    spread = np.sqrt(points.var(ddof=1) * best.width**2 * 1.01)
    by_hand = norm(points[:, 0], spread).pdf(x).mean(axis=1)
    np.testing.assert_allclose(np.exp(log_density(x, points, best)), by_hand, rtol=1e-9, atol=1e-300)

import numpy as np
import pytest

from diffuse_cli.datasets.random_curves import curves

N = 40_000


def covariance(dim, terms, decay, noise):
    k = np.arange(1, terms + 1)
    power = k ** (-2.0 * decay) / np.sum(k ** (-2.0 * decay))
    t = np.linspace(0, 1, dim)
    return np.cos(np.pi * (t[:, None, None] - t[:, None]) * k) @ power + noise**2 * np.eye(dim)


@pytest.mark.parametrize(("dim", "terms", "decay", "noise"), [(16, 8, 1.5, 0.02), (5, 3, 0.0, 0.5)])
def test_the_covariance_is_the_closed_form(dim, terms, decay, noise):
    x = curves(dim=dim, terms=terms, decay=decay, noise=noise).draw(np.random.default_rng(0), N)
    exact = covariance(dim, terms, decay, noise)
    variance = np.diag(exact)
    error = np.sqrt((exact**2 + np.outer(variance, variance)) / N)  # of each entry, for Gaussian x of mean 0
    assert np.all(np.abs(x.T @ x / N - exact) < 5 * error)
    assert np.all(np.abs(x.mean(axis=0)) < 5 * np.sqrt(variance / N))
    assert np.linalg.eigvalsh(exact).min() >= noise**2 * 0.999


def test_the_law_is_gaussian():
    """Whitened by the exact covariance, the squared length is chi-squared: mean d, variance 2d."""
    dim = 12
    x = curves(dim=dim, noise=0.1).draw(np.random.default_rng(1), N)
    whitened = np.linalg.solve(np.linalg.cholesky(covariance(dim, 8, 1.5, 0.1)), x.T)
    square = (whitened**2).sum(axis=0)
    assert abs(square.mean() - dim) < 5 * np.sqrt(2 * dim / N)
    assert abs(square.var() / (2 * dim) - 1) < 5 * np.sqrt((2 + 12 / dim) / N)


def test_the_constants_are_exact_and_a_sample_is_a_curve():
    dataset = curves(noise=0.5)
    assert (dataset.dim, dataset.view) == (64, "curves")
    np.testing.assert_array_equal(dataset.standard.mean, np.zeros(64))
    np.testing.assert_allclose(dataset.standard.scale**2, 1.25)
    steps = np.diff(curves(noise=1e-4).draw(np.random.default_rng(2), 100), axis=1)
    assert np.abs(steps).max() < 0.5  # neighbours are close

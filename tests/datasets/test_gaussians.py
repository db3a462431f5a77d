import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.datasets.gaussian_mixture import gaussian_mixture
from diffuse_cli.datasets.gaussians import bimodal, eight_gaussians, grid_gaussians
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import CLEAN

N = 40_000


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_each_mode_is_the_gaussian_it_should_be(weight):
    dataset = bimodal(distance=20, std=0.5, weight=weight)  # so far apart that the sign tells the mode
    x = dataset.draw(np.random.default_rng(0), N)[:, 0]
    assert abs(np.mean(x > 0) - weight) <= 5 * np.sqrt(weight * (1 - weight) / N)
    for mode in (x[x > 0] - 10, x[x < 0] + 10):
        if len(mode):
            assert abs(mode.mean()) < 5 * 0.5 / np.sqrt(len(mode))
            assert abs(mode.var() / 0.25 - 1) < 5 * np.sqrt(2 / len(mode))


def test_the_constants_are_exact():
    standard = bimodal(distance=4, std=0.5, weight=0.25).standard
    np.testing.assert_allclose(standard.mean, [-1])  # ¼ · 2 − ¾ · 2
    np.testing.assert_allclose(standard.scale**2, [0.25 + 4 - 1])
    for dataset, variance in (
        (eight_gaussians(std=0.3), 0.5 + 0.09),  # E r² = 1, half of it in each column
        (eight_gaussians(variant="ffjord"), (16 / 2 + 0.25) / 1.414**2),
        (grid_gaussians(std=0.2), 2 + 0.04),  # −2 … 2
        (grid_gaussians(side=2, std=0.2, scale=3), 9 * (0.25 + 0.04)),
    ):
        np.testing.assert_allclose(dataset.standard.mean, 0, atol=1e-12)
        np.testing.assert_allclose(dataset.standard.scale**2, variance)


@pytest.mark.parametrize(
    ("dataset", "places", "std"),
    [
        (eight_gaussians(std=0.01), np.exp(2j * np.pi * np.arange(8) / 8), 0.01),
        (grid_gaussians(std=0.01, side=3), (np.arange(-1, 2)[:, None] * 1j + np.arange(-1, 2)).ravel(), 0.01),
        (grid_gaussians(std=0.01, side=2, scale=10), 10 * np.array([-1 - 1j, 1 - 1j, -1 + 1j, 1 + 1j]) / 2, 0.1),
    ],
)
def test_each_class_is_a_round_gaussian_at_its_place(dataset, places, std):
    x, labels = dataset.classes.draw(np.random.default_rng(0), N)
    np.testing.assert_allclose(np.bincount(labels) / N, 1 / len(places), atol=5 * np.sqrt(1 / len(places) / N))
    noise = x @ [1, 1j] - places[labels]
    noise = np.stack([noise.real, noise.imag], axis=1) / std
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=5 / np.sqrt(N))
    np.testing.assert_allclose(np.cov(noise.T), np.eye(2), atol=5 * np.sqrt(2 / N))


def test_a_mixture_has_the_moments_of_its_parts():
    """Var x = E Var(x | i) + Var E(x | i); of each class its own."""
    means, roots = (
        np.array([[0.0, 1.0], [5.0, 0.0], [0.0, -3.0]]),
        np.array([[[1, 0], [2, 1]]] * 3) * [[[1]], [[2]], [[3]]],
    )
    covariances, weights = roots @ roots.transpose(0, 2, 1), np.array([0.2, 0.3, 0.5])
    dataset = gaussian_mixture(means, covariances, np.array([1, 0, 1]), weights)
    mean = weights @ means
    covariance = np.einsum("k,kij->ij", weights, covariances + means[:, :, None] * means[:, None]) - np.outer(
        mean, mean
    )
    np.testing.assert_allclose(dataset.standard.mean, mean)
    np.testing.assert_allclose(dataset.standard.scale**2, np.trace(covariance) / 2)
    np.testing.assert_allclose(dataset.classes.shares, [0.3, 0.7])
    x, labels = dataset.classes.draw(np.random.default_rng(0), N)
    np.testing.assert_allclose(np.cov(x.T), covariance, rtol=0.05)
    np.testing.assert_allclose(x[labels == 0].mean(axis=0), [5, 0], atol=5 * np.sqrt(20 / (0.3 * N)))


def test_the_published_grid_in_many_columns():
    """25 Gaussians of variance 1 with means (8i, 8j, 8i, 8j, …) and uneven weights: Cardoso et al. 2023."""
    from scipy.stats import multivariate_normal

    dataset = grid_gaussians(dim=5, std=0.125, scale=8.0, uneven=3)
    i, j = np.meshgrid(np.arange(-2, 3), np.arange(-2, 3))
    means = 8.0 * np.stack([i, j, i, j, i], axis=-1).reshape(25, 5)
    weights = np.random.default_rng(3).standard_normal(25) ** 2
    weights /= weights.sum()
    np.testing.assert_allclose(dataset.classes.shares, weights)
    gaussians = dataset.exact().gaussians()
    np.testing.assert_allclose(dataset.standard.to_data(gaussians.means), means, atol=1e-9)
    np.testing.assert_allclose(dataset.standard.scale**2 * gaussians.covariances, np.eye(5)[None])
    drawn, labels = dataset.classes.draw(np.random.default_rng(0), 20_000)
    apart = drawn - means[labels]
    np.testing.assert_allclose(np.cov(apart.T), np.eye(5), atol=0.05)
    at = drawn[:50]
    log_p = np.log(sum(w * multivariate_normal(m).pdf(at) for w, m in zip(weights, means, strict=True)))
    with jax.enable_x64(True):
        model = exact.log_prob(dataset.exact(), jnp.asarray(dataset.standard.to_model(at)), CLEAN)
    np.testing.assert_allclose(np.asarray(model) - np.log(dataset.standard.scale).sum(), log_p, rtol=1e-9)


def test_two_columns_are_the_grid_as_it_was():
    one, other = grid_gaussians(side=3), grid_gaussians(side=3, dim=2)
    np.testing.assert_array_equal(*(each.draw(np.random.default_rng(0), 9) for each in (one, other)))

"""Exact laws: densities that integrate to 1, and denoisers against the posterior mean written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Process, straight_flow, variance_exploding, variance_preserving

SCALINGS = [variance_preserving, variance_exploding, straight_flow]
LEVELS = [Process(None, 1, scaling).at(log_snr) for scaling in SCALINGS for log_snr in (-4.0, 0.0, 4.0)]
every_level = pytest.mark.parametrize("level", LEVELS)
X = np.random.default_rng(0).normal(size=(30, 2))
MEANS = np.random.default_rng(1).normal(size=(4, 2))
WEIGHTS = np.array([0.1, 0.2, 0.3, 0.4])
LAWS = {
    "gaussian": exact.gaussian(np.array([0.3, -1.0]), np.array([[0.9, 0.5], [0.5, 0.7]])),
    "mixture": exact.mixture(MEANS, 0.3, WEIGHTS),
    "points": exact.mixture(MEANS, 0.0),
    "boxes": exact.boxes(np.array([[-1.0, 0.0], [0.0, -1.0]]), np.array([[0.0, 0.5], [1.0, 0.0]])),
    "soft boxes": exact.boxes(np.array([[-1.0, -1.0]]), np.array([[1.0, -0.9]]), 0.2),
    "product": exact.product(
        [((1,), exact.boxes(np.array([[-1.0]]), np.array([[1.0]]))), ((0,), exact.mixture(MEANS[:, :1], 0.4))]
    ),
}
every_law = pytest.mark.parametrize("name", LAWS)


@every_law
@every_level
def test_densities_integrate_to_one(name, level, x64):
    side = np.linspace(-1, 1, 501) * 5 * (float(level.sigma) + float(level.alpha))
    grid = jnp.asarray(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2))
    p = np.exp(jax.jit(lambda x: exact.log_prob(LAWS[name], x, level))(grid)).reshape(501, 501)
    assert np.trapezoid(np.trapezoid(p, side), side) == pytest.approx(1, abs=1e-3)


@every_law
@every_level
def test_denoisers_give_the_mean_of_the_posterior(name, level, x64):
    """E[x0 | x] by weighing draws of x0 with N(x; alpha x0, sigma^2 I), which knows nothing of the density."""
    rng = np.random.default_rng(2)
    x0 = draws(name, rng, 200_000)
    x = float(level.alpha) * x0[:5] + float(level.sigma) * rng.normal(size=(5, 2))
    got = exact.denoiser(LAWS[name])(jnp.asarray(x), level)
    squared = ((x[:, None] - float(level.alpha) * x0) ** 2).sum(axis=2) / (2 * float(level.sigma) ** 2)
    weight = np.exp(squared.min(axis=1, keepdims=True) - squared)
    weight /= weight.sum(axis=1, keepdims=True)
    mean = weight @ x0
    variance = (weight[:, :, None] * (x0 - mean[:, None]) ** 2).sum(axis=1)
    error = np.sqrt(variance * (weight**2).sum(axis=1)[:, None]) + 1e-6
    assert np.abs((got.x0 - mean) / error).max() < 5
    np.testing.assert_allclose(level.alpha * got.x0 + level.sigma * got.eps, x, atol=1e-9)


def draws(name, rng, n):
    if name == "gaussian":
        return rng.multivariate_normal([0.3, -1.0], [[0.9, 0.5], [0.5, 0.7]], n)
    if name == "mixture":
        return MEANS[rng.choice(4, n, p=WEIGHTS)] + 0.3 * rng.normal(size=(n, 2))
    if name == "points":
        return MEANS[rng.integers(4, size=n)]
    if name == "boxes":
        low = np.array([[-1.0, 0.0], [0.0, -1.0]])
        which = rng.integers(2, size=n)
        return low[which] + rng.random((n, 2)) * np.array([[1.0, 0.5], [1.0, 1.0]])[which]
    if name == "soft boxes":
        return np.array([-1.0, -1.0]) + rng.random((n, 2)) * [2.0, 0.1] + 0.2 * rng.normal(size=(n, 2))
    first = MEANS[rng.integers(4, size=n), 0] + 0.4 * rng.normal(size=n)
    return np.stack([first, rng.uniform(-1, 1, n)], axis=1)


@every_law
def test_a_level_for_all_and_a_level_each_agree(name, x64):
    law, one = LAWS[name], Process(None, 1).at(jnp.float64(0.7))
    each = jax.tree.map(lambda field: jnp.full((30, 1), field), one)
    for answer in (exact.log_prob, lambda law, x, level: exact.denoiser(law)(x, level).x0):
        np.testing.assert_allclose(answer(law, jnp.asarray(X), one), answer(law, jnp.asarray(X), each), rtol=1e-12)


@every_law
def test_single_precision_is_close_to_double(name):
    levels = [Process(None, 1).at(jnp.float32(log_snr)) for log_snr in (-15.0, -6.0, 0.0, 6.0)]
    single = [exact.denoiser(LAWS[name])(jnp.float32(X), level).eps for level in levels]
    with jax.enable_x64(True):
        levels = [Process(None, 1).at(jnp.float64(log_snr)) for log_snr in (-15.0, -6.0, 0.0, 6.0)]
        double = [exact.denoiser(LAWS[name])(jnp.float64(X), level).eps for level in levels]
    for one, other in zip(single, double, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("width", [1e-6, 1e-3, 0.05, 0.0999, 0.1001, 0.5, 3.0, 40.0])
@pytest.mark.parametrize("middle", [-30.0, -5.0, -0.3, 0.0, 0.2, 4.0, 25.0])
def test_the_normal_mass_between_two_ends(width, middle, x64):
    a, b = middle - width / 2, middle + width / 2
    if middle > 0:  # scipy keeps its digits in the left tail
        a, b = -b, -a
    if width < 0.01:
        expected = stats.norm.logpdf(middle) + np.log(width)
    else:
        near, far = stats.norm.logcdf(b), stats.norm.logcdf(a)
        expected = near + np.log1p(-np.exp(far - near))
    got = exact._log_ndtr_between(jnp.float64(middle - width / 2), jnp.float64(middle + width / 2))
    assert float(got) == pytest.approx(expected, rel=2e-5, abs=2e-5)


def test_a_finite_set_is_remembered(x64):
    """With std = 0 and hardly any noise the denoiser answers the nearest point: the optimum that memorises."""
    level = Process(None, 1).at(12.0)
    got = exact.denoiser(exact.mixture(X, 0.0))(level.alpha * X + 1e-4, level)
    np.testing.assert_allclose(got.x0, X, atol=1e-9)

"""The variational bound: Gaussian KL divergences, and for Gaussian data the entropy itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.diffusion import bound, exact
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.schedules import linear

PROCESS = p.Process(linear(30), 30)
KEY = jax.random.key(0)


def gaussian_kl(mean, var, other_mean, other_var):
    return 0.5 * np.sum(np.log(other_var / var) + (var + (mean - other_mean) ** 2) / other_var - 1, axis=1)


@pytest.mark.parametrize("variance", bound.VARIANCES)
@pytest.mark.parametrize("scaling", [p.variance_preserving, p.variance_exploding, p.straight_flow])
def test_a_step_is_the_kl_of_two_gaussians(variance, scaling, x64):
    """Of q(x_s | x_t, x0), Ho et al. 2020, eq. 7, and the model's chain, moments written out."""
    x0, eps, guess = np.random.default_rng(0).normal(size=(3, 50, 2))
    later = PROCESS._replace(scaling=scaling).level(jnp.float64(0.5))
    own, earlier = p.preserved(later), PROCESS.earlier(later)
    x = own.alpha * x0 + own.sigma * eps
    scale, std = p.transition(earlier, own)
    share = scale * earlier.sigma**2 / own.sigma**2
    mean = lambda x0: earlier.alpha * std**2 / own.sigma**2 * x0 + share * x  # noqa: E731
    small = earlier.sigma**2 * std**2 / own.sigma**2
    x0_var = np.full_like(x0, 0.2)
    added = (earlier.alpha * std**2 / own.sigma**2) ** 2 * x0_var
    own_var = {"small": small, "large": std**2, "learned": small + added}[variance]
    expected = gaussian_kl(mean(x0), small, mean(guess), own_var)
    seen = Prediction(jnp.asarray(guess), (x - own.alpha * guess) / own.sigma, jnp.asarray(x0_var))
    got = bound.step_term(seen, jnp.asarray(x0), jnp.asarray(eps), earlier, later, variance)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_allclose(bound.reverse_variance(seen, earlier, own, variance), own_var, rtol=1e-6)


def test_the_first_term_is_a_reconstruction(x64):
    x0, eps, guess = np.random.default_rng(0).normal(size=(3, 50, 2))
    level = PROCESS.level(jnp.float64(1 / 30))
    earlier = PROCESS.earlier(level)
    assert earlier.log_snr == jnp.inf
    for variance, v in (("small", (level.sigma / level.alpha) ** 2), ("learned", 0.04)):
        seen = Prediction(jnp.asarray(guess), jnp.asarray(eps), jnp.full((50, 2), 0.04))
        got = bound.step_term(seen, jnp.asarray(x0), jnp.asarray(eps), earlier, level, variance)
        expected = 0.5 * np.sum((x0 - guess) ** 2 / v + np.log(2 * np.pi * v), axis=1)
        np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_the_prior_term_is_a_kl(x64):
    x0 = np.random.default_rng(0).normal(size=(50, 2))
    for scaling in (p.variance_preserving, p.variance_exploding):
        last = p.Process(lambda t: jnp.full_like(t, -1.0), 10, scaling).level(jnp.float64(1.0))
        expected = gaussian_kl(last.alpha * x0, last.sigma**2, 0.0, np.full((1, 2), last.alpha**2 + last.sigma**2))
        np.testing.assert_allclose(bound.prior_term(jnp.asarray(x0), last), expected, rtol=1e-9)


@pytest.mark.parametrize("variance", bound.VARIANCES)
def test_the_bound_lies_above_the_entropy(variance, x64):
    """-ELBO of the exact denoiser of a Gaussian is at least its entropy, and close to it with its own variance."""
    covariance = np.diag([0.5, 1.5])
    law = exact.gaussian(np.zeros(2), covariance)
    n = 4000
    x0 = jnp.asarray(np.random.default_rng(0).normal(size=(n, 2)) * np.sqrt([0.5, 1.5]))
    process = p.Process(linear(300), 300)
    found = bound.bound_terms(
        jax.tree_util.Partial(exact.denoiser(law, variance=True)), process, x0, KEY, variance=variance
    )
    assert found.prior.shape == (n,)
    assert found.steps.shape == (300, n)
    total = float(np.mean(found.total))
    entropy = 0.5 * np.log((2 * np.pi * np.e) ** 2 * np.linalg.det(covariance))
    stderr = np.std(found.total) / np.sqrt(n)
    assert total > entropy - 3 * stderr
    limit = {"learned": 0.01, "small": 2.0, "large": 0.15}[variance]  # `small` is too narrow where steps are coarse
    assert total < entropy + limit + 3 * stderr


@pytest.mark.slow
def test_a_longer_chain_has_a_tighter_bound(x64):
    law = exact.mixture(jnp.array([[0.8, 0.5], [-0.7, -0.2]]), 0.3)
    rng = np.random.default_rng(0)
    x0 = jnp.array([[0.8, 0.5], [-0.7, -0.2]])[rng.integers(0, 2, 4000)] + 0.3 * rng.normal(size=(4000, 2))
    predict = jax.tree_util.Partial(exact.denoiser(law))
    totals = [
        float(np.mean(bound.bound_terms(predict, p.Process(linear(T), T), x0, KEY, variance="small").total))
        for T in (10, 40, 160)
    ]
    assert totals[0] > totals[1] > totals[2]
    truth = -float(np.mean(exact.log_prob(law, x0, PROCESS.at(jnp.float64(jnp.inf)))))
    assert totals[2] > truth - 0.02

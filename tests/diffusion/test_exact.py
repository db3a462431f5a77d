"""The closed-form denoisers against each other and against brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Process

LEVELS = [Process(None, 1).at(log_snr) for log_snr in (-4.0, 0.0, 4.0)]
X = np.random.default_rng(0).normal(size=(30, 2))


@pytest.mark.parametrize("level", LEVELS)
def test_a_mixture_of_one_is_a_gaussian(level, x64):
    mean, std = np.array([0.3, -1.0]), 0.4
    one = exact.mixture(jnp.asarray(mean[None]), std)(jnp.asarray(X), level)
    whole = exact.gaussian(jnp.asarray(mean), jnp.eye(2) * std**2)(jnp.asarray(X), level)
    np.testing.assert_allclose(one.x0, whole.x0, atol=1e-12)
    np.testing.assert_allclose(one.eps, whole.eps, atol=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_eps_is_minus_sigma_times_the_score(level, x64):
    """score = grad log p_t of the noised mixture, by automatic differentiation of its log-density."""
    means = jnp.asarray(np.random.default_rng(1).normal(size=(4, 2)))
    weights, std = jnp.array([0.1, 0.2, 0.3, 0.4]), 0.2

    def log_density(x):
        variance = level.alpha**2 * std**2 + level.sigma**2
        return jax.nn.logsumexp(
            jnp.log(weights) - jnp.sum((x[None] - level.alpha * means) ** 2, axis=1) / (2 * variance)
        )

    score = jax.vmap(jax.grad(log_density))(jnp.asarray(X))
    got = exact.mixture(means, std, weights)(jnp.asarray(X), level)
    np.testing.assert_allclose(got.eps, -level.sigma * score, atol=1e-10)


def test_a_finite_set_is_remembered(x64):
    """With std = 0 and hardly any noise the denoiser answers the nearest point: the optimum that memorises."""
    points = jnp.asarray(X)
    level = Process(None, 1).at(12.0)
    got = exact.mixture(points, 0.0)(level.alpha * points + 1e-4, level)
    np.testing.assert_allclose(got.x0, points, atol=1e-9)

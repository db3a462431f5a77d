"""The excess of a denoiser whose error is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.analysis.excess_loss import excess_loss
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.process import Process
from diffuse_cli.diffusion.schedules import linear

PROCESS = Process(linear(1000), 1000)
TRUTH = jax.tree_util.Partial(exact.denoiser(exact.gaussian(np.zeros(2), np.eye(2))))
SEED = np.uint32(0)
X0 = jax.random.normal(jax.random.key(1), (20_000, 2))


def test_the_exact_denoiser_has_none():
    found = excess_loss(TRUTH, TRUTH, PROCESS, X0, SEED)
    assert float(found.total) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(found.model, found.irreducible, atol=1e-5)


def test_the_irreducible_loss_of_a_standard_normal():
    """Given x, eps has variance alpha^2 in each of two columns."""
    found = excess_loss(TRUTH, TRUTH, PROCESS, X0, SEED)
    np.testing.assert_allclose(found.irreducible, 2 * jax.nn.sigmoid(found.log_snr), atol=0.06)


def test_a_constant_error_is_integrated_over_log_snr():
    def off(x, level):
        p = TRUTH(x, level)
        return Prediction(p.x0, p.eps + jnp.array([[0.3, 0.4]]))

    found = excess_loss(jax.tree_util.Partial(off), TRUTH, PROCESS, X0[:100], SEED)
    low, high = max(float(PROCESS.schedule(jnp.float32(1.0))), -10.0), float(PROCESS.schedule(jnp.float32(1 / 1000)))
    assert float(found.total) == pytest.approx(0.5 * 0.25 * (high - low), rel=1e-4)
    np.testing.assert_allclose(found.model - found.irreducible, 0.25, rtol=1e-4)

"""How exactly the deterministic samplers follow the flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.schedules import linear
from diffuse_cli.samplers.loop import carry, run_steps
from tests.samplers.table import (
    COVARIANCE,
    DETERMINISTIC,
    KEY,
    MEAN,
    deterministic,
    gaussian,
    levels_of,
    noisy,
    start_at,
    two_parts,
)


@pytest.fixture(scope="module")
def truth():
    with jax.enable_x64(True):
        return np.asarray(end("rk4", 2000))


def end(name, steps):
    """Where 64 points of noise are taken between two noisy levels, in equal steps of log-SNR."""
    process = p.Process(linear(1000), 1000)
    levels = process.at(jnp.linspace(*process.schedule(jnp.array([0.9, 0.2])), steps + 1))
    x = jax.random.normal(KEY, (64, 2), jnp.float64)
    return carry(two_parts(), catalog.build("sampler", name), levels, x, KEY).x


@deterministic
def test_order_of_convergence(name, truth, x64):
    """The error between two noisy levels falls as steps^-order, on equal steps in log-SNR."""
    order = catalog.build("sampler", name).order
    steps = (20, 40, 80) if order == 4 else (80, 160, 320)
    errors = [np.sqrt(np.mean((end(name, n) - truth) ** 2)) for n in steps]
    slope = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(slope, order, atol=0.15 if order < 3 else 0.3)


def test_the_adaptive_solver_keeps_its_tolerance(x64):
    process = p.Process(linear(1000), 1000)
    ends = process.schedule(jnp.array([1.0, 0.001]))
    x = jax.random.normal(KEY, (64, 2), jnp.float64)
    truth = carry(two_parts(), catalog.build("sampler", "rk4"), process.at(jnp.linspace(*ends, 3000)), x, KEY).x
    evals = []
    for tolerance in (1e-2, 1e-4, 1e-6):
        found = carry(two_parts(), catalog.build("sampler", f"ode:{tolerance}"), process.at(ends), x, KEY)
        assert np.abs(found.x - truth).max() < 20 * tolerance
        evals.append(float(found.evals))
    assert evals[0] < evals[1] < evals[2] < 600


@pytest.mark.parametrize("name", [*DETERMINISTIC, "ode:tolerance=1e-6"])
def test_deterministic_samplers_are_the_flow_map_of_a_gaussian(name, x64):
    """x_s = alpha_s m + S_s^(1/2) S_t^(-1/2) (x_t - alpha_t m) with S = alpha^2 C + sigma^2 I, for small steps."""
    sampler = catalog.build("sampler", name)
    levels = noisy(jax.device_get(levels_of("log_snr:floor=-60", 4000 if sampler.order == 1 else 400)))
    x = jnp.asarray(start_at(levels))
    got = carry(gaussian(), sampler, levels, x, KEY).x
    values, basis = np.linalg.eigh(COVARIANCE)
    spread = lambda i: np.sqrt(levels.alpha[i] ** 2 * values + levels.sigma[i] ** 2)  # noqa: E731
    expected = (
        levels.alpha[-1] * MEAN + (np.asarray(x) - levels.alpha[0] * MEAN) @ basis * (spread(-1) / spread(0)) @ basis.T
    )
    np.testing.assert_allclose(got, expected, atol={1: 2e-3, 2: 1e-3}.get(sampler.order, 2e-4))


def test_an_adaptive_solver_that_gives_up_has_no_samples():
    levels = levels_of()
    found = run_steps(gaussian(), catalog.build("sampler", "ode:max_steps=3"), levels, start_at(levels), KEY)
    assert found.broken >= 0
    assert np.isnan(found.x).all()

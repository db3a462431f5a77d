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
    gaussian,
    levels_of,
    noisy,
    parts,
    start_at,
)


def stretch(counts):
    """Two noisy levels and 64 points of noise at the first; for each count, so many equal steps of log-SNR in between.

    The levels are padded at the end to the greatest count.
    """
    process = p.Process(linear(1000), 1000)
    first, last = np.asarray(process.schedule(jnp.array([0.9, 0.2])))
    steps = np.arange(max(counts) + 1) / np.array(counts)[:, None]
    levels = jax.jit(process.at)(first + (last - first) * np.minimum(steps, 1))
    return jax.device_get(levels), jnp.asarray(np.random.default_rng(0).standard_normal((64, 2)))


def in_steps(sampler, levels, count, x):
    """As `scan`, with the number of steps as data, so that one loop serves all of them."""

    def step(i, state):
        at = lambda i: jax.tree.map(lambda field: field[i], levels)  # noqa: E731
        return sampler.step(parts, state, at(i), at(i + 1), KEY)

    return jax.lax.fori_loop(0, count, step, sampler.init(x)).x


def test_order_of_convergence(x64):
    """The error between two noisy levels falls as steps^-order, on equal steps in log-SNR."""
    samplers = {name: catalog.build("sampler", name) for name in DETERMINISTIC}
    counts = (20, 40, 80, 160, 320)
    levels, x = stretch(counts)

    @jax.jit
    def ends(levels, counts):
        run = lambda sampler: jax.lax.map(lambda inputs: in_steps(sampler, *inputs, x), (levels, counts))  # noqa: E731
        return {name: run(sampler) for name, sampler in samplers.items()}

    fine = jax.tree.map(lambda field: field[0], stretch([2000])[0])
    truth = np.asarray(carry(parts, samplers["rk4"], fine, x, KEY).x)
    wrong = []
    for name, end in ends(levels, np.array(counts)).items():
        order = samplers[name].order
        errors = np.sqrt(np.mean((np.asarray(end) - truth) ** 2, axis=(1, 2)))
        errors = errors[:3] if order == 4 else errors[2:]
        slope = np.log2(errors[:-1] / errors[1:])
        if not np.abs(slope - order).max() < (0.15 if order < 3 else 0.3):
            wrong.append(f"{name}: {slope}, and not {order}")
    assert not wrong


def test_the_adaptive_solver_keeps_its_tolerance(x64):
    process = p.Process(linear(1000), 1000)
    ends = process.schedule(jnp.array([1.0, 0.001]))
    x = jax.random.normal(KEY, (64, 2), jnp.float64)
    truth = carry(parts, catalog.build("sampler", "rk4"), process.at(jnp.linspace(*ends, 3000)), x, KEY).x
    evals = []
    for tolerance in (1e-2, 1e-4, 1e-6):
        found = carry(parts, catalog.build("sampler", f"ode:{tolerance}"), process.at(ends), x, KEY)
        assert np.abs(found.x - truth).max() < 20 * tolerance
        evals.append(float(found.evals))
    assert evals[0] < evals[1] < evals[2] < 600


def flow_map(x, levels):
    """x_s = alpha_s m + S_s^(1/2) S_t^(-1/2) (x_t - alpha_t m) with S = alpha^2 C + sigma^2 I, for a Gaussian."""
    values, basis = np.linalg.eigh(COVARIANCE)
    first, last = (np.sqrt(levels.alpha[i] ** 2 * values + levels.sigma[i] ** 2) for i in (0, -1))
    turned = (x - levels.alpha[0] * MEAN) @ basis
    return levels.alpha[-1] * MEAN + turned * (last / first) @ basis.T


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_deterministic_samplers_are_the_flow_map_of_a_gaussian(order, x64):
    """For small steps."""
    levels = noisy(jax.device_get(levels_of("log_snr:floor=-60", 4000 if order == 1 else 400)))
    x = np.asarray(start_at(levels))
    samplers = {name: catalog.build("sampler", name) for name in DETERMINISTIC}
    of_order = {name: sampler for name, sampler in samplers.items() if sampler.order == order}
    assert of_order

    @jax.jit
    def ends(levels, x):
        return {name: carry(gaussian, sampler, levels, x, KEY).x for name, sampler in of_order.items()}

    for name, end in ends(levels, x).items():
        atol = {1: 2e-3, 2: 1e-3}.get(order, 2e-4)
        np.testing.assert_allclose(end, flow_map(x, levels), atol=atol, err_msg=name)


def test_the_adaptive_solver_is_the_flow_map_of_a_gaussian(x64):
    """Under a scaling in which x is not of one length: it has to be brought to the solver's and back."""
    scaling = p.straight_flow
    levels = noisy(jax.device_get(levels_of("log_snr:floor=-60", 400, scaling)))
    x = start_at(levels)
    got = carry(gaussian, catalog.build("sampler", "ode:tolerance=1e-6"), levels, x, KEY, scaling=scaling).x
    np.testing.assert_allclose(got, flow_map(np.asarray(x), levels), atol=2e-4)


def test_an_adaptive_solver_that_gives_up_has_no_samples():
    levels = jax.device_get(levels_of())
    found = run_steps(gaussian, catalog.build("sampler", "ode:max_steps=3"), levels, start_at(levels), KEY)
    assert found.broken >= 0
    assert np.isnan(found.x).all()

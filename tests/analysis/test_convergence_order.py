"""Observed orders: of flows with an exact solution, and of samplers made to be wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.analysis import convergence_order as c
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Process
from diffuse_cli.diffusion.schedules import linear
from diffuse_cli.errors import UsageError
from diffuse_cli.samplers.base import Sampler, State
from diffuse_cli.samplers.loop import carry

MEAN, COVARIANCE = np.array([0.6, -0.4]), np.array([[0.9, 0.5], [0.5, 0.7]])
STEPS = (20, 40, 80)
PROCESS = Process(linear(1000), 1000)


def of(law, times=(0.9, 0.2), n=16):
    x0 = np.random.default_rng(0).standard_normal((n, 2))
    return c.stretch(jax.tree_util.Partial(exact.denoiser(law)), PROCESS, x0, times, 0)


@pytest.fixture(scope="module")
def gaussian():
    return of(exact.gaussian(MEAN, COVARIANCE))


@pytest.fixture(scope="module")
def two_parts():
    return of(exact.mixture(np.array([[0.8, 0.5], [-0.7, -0.2]]), 0.3))


def flow_map(x, now, nxt):
    """The flow of the Gaussian: x_s = alpha_s m + S_s^(1/2) S_t^(-1/2) (x_t - alpha_t m), S = alpha^2 C + sigma^2 I."""
    values, basis = np.linalg.eigh(COVARIANCE)
    spread = lambda level: jnp.sqrt(level.alpha**2 * values + level.sigma**2)  # noqa: E731
    turned = (x - now.alpha * MEAN[None]) @ basis * (spread(nxt) / spread(now))[None]
    return nxt.alpha * MEAN[None] + turned @ basis.T


def test_the_reference_is_the_flow(gaussian):
    with jax.enable_x64(True):
        first, last = (PROCESS.at(jnp.asarray(log_snr)) for log_snr in gaussian.log_snr)
        expected = flow_map(gaussian.start, first, last)
    assert c.distance(gaussian.end, expected) < gaussian.accuracy < 1e-10
    assert gaussian.start.dtype == np.float64


@pytest.mark.parametrize("name", ["ddim", "heun", "dpmpp_3m", "unipc", "deis", "rk4"])
def test_one_loop_serves_every_number_of_steps(name, two_parts):
    """And takes the points where the loop that samples are drawn with does."""
    sampler = catalog.build("sampler", name)
    found = c.order(two_parts, sampler, (3, 5, 9))
    with jax.enable_x64(True):
        for steps, error, evals in zip((3, 5, 9), found.errors, found.evals, strict=True):
            levels = c.levels_between(two_parts, sampler, steps)
            carried = carry(two_parts.predict, sampler, levels, two_parts.start, jax.random.key(0))
            assert error == pytest.approx(c.distance(carried.x, two_parts.end), rel=1e-9)
            assert evals == carried.evals


@pytest.mark.parametrize("name", ["ddim", "heun", "dpmpp_2m", "unipc:order=2", "rk4"])
def test_samplers_show_their_order(name, two_parts):
    found = c.order(two_parts, catalog.build("sampler", name), STEPS)
    assert found.passed
    assert abs(found.observed - found.theory) < 0.3


def test_a_method_of_lower_order_fails(two_parts):
    """Heun's step with its two slopes weighed 0.1 and 0.9 is a step of the first order."""

    def step(predict, state, now, nxt, key):
        sigma = [level.sigma / level.alpha for level in (now, nxt)]
        x, width = state.x / now.alpha, sigma[1] - sigma[0]
        here = predict(state.x, now).eps
        there = predict(nxt.alpha * (x + width * here), nxt).eps
        return State(nxt.alpha * (x + width * (0.1 * here + 0.9 * there)), x)

    wrong = c.order(two_parts, Sampler(step, evals=2, grid="karras", order=2), (80, 160, 320))
    assert wrong.passed is False
    assert wrong.observed == pytest.approx(1, abs=0.15)
    assert c.order(two_parts, Sampler(step, evals=2, grid="karras", order=1), (80, 160, 320)).passed


def test_an_error_that_does_not_vanish_fails(two_parts):
    def step(predict, state, now, nxt, key):
        return catalog.build("sampler", "heun").step(predict, state, now, nxt, key)._replace(memory=())

    def biased(predict, state, now, nxt, key):
        there = step(predict, state, now, nxt, key)
        return there._replace(x=there.x + 0.01 * (nxt.log_snr - now.log_snr))

    found = c.order(two_parts, Sampler(biased, evals=2, grid="karras", order=2), STEPS)
    assert found.passed is False
    assert abs(found.observed) < 0.1


def test_rounding_is_no_error(gaussian):
    solution = Sampler(lambda predict, state, now, nxt, key: State(flow_map(state.x, now, nxt), state.x), order=1)
    found = c.order(gaussian, solution, STEPS)
    assert (found.errors < gaussian.rounding).all()
    assert (found.observed, found.passed) == (None, None)


def test_numbers_that_are_not_finite_fail(gaussian):
    lost = Sampler(lambda predict, state, now, nxt, key: State(jnp.nan * state.x, state.x), order=1)
    found = c.order(gaussian, lost, STEPS)
    assert (found.observed, found.passed) == (None, False)


def test_the_slope_is_of_the_last_three_errors_above_rounding():
    steps = np.array([10, 20, 40, 80, 160, 320])
    errors = 5.0 * steps**-3.0
    assert c.slope(steps, errors, 0.0) == pytest.approx(3)
    errors[:3] = 1.0
    assert c.slope(steps, errors, 0.0) == pytest.approx(3)
    errors[-1] = 1e-14
    assert c.slope(steps, np.append(5.0 * steps[:5] ** -3.0, 1e-14), 1e-12) == pytest.approx(3)
    assert c.slope(steps, np.full(6, 1e-14), 1e-12) is None
    assert c.slope(steps, np.append(errors[:5], np.nan), 1e-12) is None


@pytest.mark.parametrize(
    ("name", "variable"), [("ddim", lambda log_snr: log_snr), ("heun", lambda log_snr: np.exp(-log_snr / 14))]
)
def test_steps_are_equal_in_the_solvers_own_variable(name, variable, two_parts):
    with jax.enable_x64(True):
        log_snr = np.asarray(c.levels_between(two_parts, catalog.build("sampler", name), 25).log_snr)
    np.testing.assert_allclose(log_snr[[0, -1]], two_parts.log_snr, rtol=1e-12)
    widths = np.diff(variable(log_snr))
    np.testing.assert_allclose(widths, widths.mean(), rtol=1e-6)


def test_all_of_the_catalogue_that_have_an_order_are_found():
    names = c.with_order()
    assert {"ddim", "rk4", "unipc:order=1", "unipc:order=2", "deis:order=3"} <= set(names)
    assert not {"ddpm", "ode", "langevin", "pc", "reverse_sde", "unipc"} & set(names)
    assert all(catalog.build("sampler", name).order for name in names)


@pytest.mark.parametrize(
    ("name", "says"),
    [("ddpm", "random"), ("ddim:eta=0.5", "random"), ("heun:churn=0.1", "random"), ("ode", "chooses its own steps")],
)
def test_what_has_no_order_is_refused_with_the_reason(name, says):
    with pytest.raises(UsageError, match=says):
        c.build_deterministic(name)

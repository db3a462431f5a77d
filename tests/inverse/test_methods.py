"""Methods for inverse problems against closed forms: what is exact is exact, and what claims nothing does as it says."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.inverse.base import Measured
from diffuse_cli.inverse.observed import observe_rows
from diffuse_cli.samplers.base import State
from diffuse_cli.samplers.loop import run_steps
from diffuse_cli.samplers.particles import diagnose
from tests.inverse.table import METHODS, NEAR_Y, PLAIN, measured, once
from tests.samplers.table import COVARIANCE, KEY, MEAN, PARTS, STD, gaussian, levels_of, parts, start_at

# --- the denoisers of mmps and pigdm, and their twists

LOG_SNRS = [-7.9, -4.0, 0.0, 3.0, 10.0]
PLACES = np.array([[0.0, 0.0], [1.5, -0.7], [-2.0, 0.4]])
# A, the standard deviation of the noise and y; rows of zeros, which measure nothing, fill them to three values
LINEAR = {
    "both columns, with noise": (np.eye(2), [0.4, 0.1], [0.3, -0.5]),
    "both, without noise": (np.eye(2), [0.0, 0.0], [0.3, -0.5]),
    "one column": ([[0.0, 1.0]], [0.3], [0.7]),
    "one column, without noise": ([[0.0, 1.0]], [0.0], [0.7]),
    "a mix, without noise": ([[1.0, -2.0]], [0.0], [1.0]),
    "one without noise, one with": (np.eye(2), [0.0, 0.5], [0.2, 0.9]),
    "three values": ([[1.0, 0.0], [0.5, 0.5], [1.0, 0.2]], [0.7, 0.7, 0.2], [0.3, -0.5, 0.2]),
    "hardly anything": (np.eye(2), [1e6, 1e6], [0.3, -0.5]),
    "nothing": ([[0.0, 0.0]], [1.0], [0.4]),
}


def filled(matrix, std, y):
    rows = 3 - len(y)
    return np.vstack([matrix, np.zeros((rows, 2))]), np.append(std, np.ones(rows)), np.append(y, np.zeros(rows))


def every_case():
    """x [n, 2], its levels [n, 1] and the measurement of each row: all cases at all log-SNRs and places."""
    each = len(LOG_SNRS) * len(PLACES)
    columns = zip(*(filled(*case) for case in LINEAR.values()), strict=True)
    a, std, y = (np.repeat(np.array(column), each, axis=0) for column in columns)
    log_snr = np.tile(np.repeat(LOG_SNRS, len(PLACES)), len(LINEAR))[:, None]
    alpha, sigma = (np.sqrt(1 / (1 + np.exp(-sign * log_snr))) for sign in (1, -1))
    x = np.tile(PLACES, (len(LINEAR) * len(LOG_SNRS), 1))
    return x, Level(log_snr, alpha, sigma), (a, std, y)


def posterior_denoiser(x, level, rows, mean, covariance):
    """E[x0 | x, y] of N(mean, covariance), and log p(y | x), for each row: x / alpha is a measurement like y."""
    x0, log_p = np.empty_like(x), np.empty(len(x))
    for i, (a, std, y) in enumerate(zip(*rows, strict=True)):
        within = np.linalg.inv(np.linalg.inv(covariance) + np.exp(level.log_snr[i]) * np.eye(2))  # x0 given x
        at = within @ (np.linalg.solve(covariance, mean) + level.alpha[i] / level.sigma[i] ** 2 * x[i])
        v = a @ within @ a.T + np.diag(std**2)
        weight = np.linalg.solve(v, y - a @ at)
        x0[i] = at + within @ a.T @ weight
        log_p[i] = -0.5 * ((y - a @ at) @ weight + np.linalg.slogdet(2 * np.pi * v)[1])
    return x0, log_p


def _unit(x, level):
    return Prediction(level.alpha * x / (level.alpha**2 + level.sigma**2), level.sigma * x)


unit = jax.tree_util.Partial(_unit)  # of N(0, I), in variance preservation


def told(name, predict, observed):
    return catalog.build("posterior", name).told(predict, observed)


def by_case(wrong):
    return {name: float(part.max()) for name, part in zip(LINEAR, np.split(wrong, len(LINEAR)), strict=True)}


@pytest.mark.parametrize(
    ("name", "twist", "prior", "law"),
    [
        ("mmps", "tds", gaussian, (MEAN, COVARIANCE)),
        ("pigdm", "tds:twist=r2", unit, (np.zeros(2), np.eye(2))),
    ],
)
def test_exact_for_gaussians(name, twist, prior, law, x64):
    """mmps for any Gaussian, pigdm for N(0, I): the denoiser given y, and the twist log p(y | x); one A for each row."""
    x, level, rows = every_case()
    a, std, y = rows
    observed = observe_rows(a, y, std, PLAIN)

    @jax.jit
    def run(observed, x, level):
        return told(name, prior, observed)(x, level)

    seen = jax.device_get(run(observed, x, level))
    x0, log_p = posterior_denoiser(x, level, rows, *law)
    off = by_case(np.abs(seen.x0 - x0).max(axis=1))
    assert max(off.values()) < 1e-6, off
    np.testing.assert_allclose(seen.eps, (x - level.alpha * x0) / level.sigma, atol=1e-6)
    weighed = jax.device_get(jax.jit(lambda *inputs: told(twist, prior, inputs[0])(*inputs[1:]))(observed, x, level))
    np.testing.assert_allclose(weighed.x0 + weighed.twist.shift, x0, atol=1e-6)
    off = by_case(np.abs(weighed.twist.log_mean - log_p))
    assert max(off.values()) < 1e-6, off


def test_one_matrix_for_all_rows_is_the_same(x64):
    """The usual form of a measurement, with one A and one y, gives what one for each row gives."""
    x, level, (a, std, y) = every_case()
    case = list(LINEAR).index("one without noise, one with")
    rows = slice(case * 15, case * 15 + 15)
    observed = measured(*LINEAR["one without noise, one with"])
    run = jax.jit(lambda observed, x, level: told("mmps", gaussian, observed)(x, level))
    at = x[rows], Level(*(field[rows] for field in level))
    one = run(observed, *at)
    each = run(observe_rows(a[rows], y[rows], std[rows], PLAIN), *at)
    np.testing.assert_allclose(one.x0, each.x0, atol=1e-9)


def test_only_one_of_them_is_exact_for_a_law_that_is_not_round(x64):
    x, level, rows = every_case()
    observed = observe_rows(rows[0], rows[2], rows[1], PLAIN)
    x0, _ = posterior_denoiser(x, level, rows, MEAN, COVARIANCE)
    seen = jax.jit(lambda *inputs: told("pigdm", gaussian, inputs[0])(*inputs[1:]))(observed, x, level)
    off = by_case(np.abs(seen.x0 - x0).max(axis=1))
    assert off["both columns, with noise"] > 0.01
    assert off["nothing"] < 1e-9
    assert off["hardly anything"] < 1e-6


def test_without_a_covariance_mmps_does_as_pigdm(x64):
    """Of a network whose Jacobian is no covariance, V may have no root; then r² I takes its place."""
    wrong = jax.tree_util.Partial(lambda x, level: Prediction(-2 * x, jnp.zeros_like(x)))
    observed, level = measured(np.eye(2), 0.1, [0.3, -0.5]), p.unscaled(0.0)
    both = jax.jit(lambda observed: [told(name, wrong, observed)(PLACES, level).x0 for name in ("mmps", "pigdm")])
    one, other = both(observed)
    np.testing.assert_array_equal(one, other)
    assert np.isfinite(one).all()

"""Every prediction: what it regresses on decodes to the x0 and eps it came from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import denoisers, parameterizations
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.schedules import from_betas, linear

every = pytest.mark.parametrize("name", catalog.CATALOG["prediction"])
SCALINGS = [catalog.build("scaling", name) for name in catalog.CATALOG["scaling"]]
scalings = pytest.mark.parametrize("scaling", SCALINGS)


PROCESS = p.Process(linear(1000), 1000)


def build(name, process=PROCESS):
    return catalog.build("prediction", name, process)


def points(n=200, d=3):
    x0, eps = jax.random.normal(jax.random.key(0), (2, n, d), jnp.float64)
    return x0, eps


@every
@scalings
def test_round_trip(name, scaling, x64):
    parameterization = build(name)
    x0, eps = points()
    for log_snr in (-6.0, 0.0, 6.0):
        level = p.Process(None, 1, scaling).at(jnp.float64(log_snr))
        x = level.alpha * x0 + level.sigma * eps
        got = parameterization.decode(parameterization.target(x0, eps, level), x, level)
        np.testing.assert_allclose(got.x0, x0, atol=1e-10)
        np.testing.assert_allclose(got.eps, eps, atol=1e-10)


@every
@scalings
def test_whatever_is_answered_x_is_alpha_x0_plus_sigma_eps(name, scaling, x64):
    parameterization = build(name)
    answer, x = points()
    level = p.Process(None, 1, scaling).at(jnp.full((200, 1), 0.7))
    got = parameterization.decode(answer, x, level)
    np.testing.assert_allclose(level.alpha * got.x0 + level.sigma * got.eps, x, atol=1e-12)


def test_v_has_the_same_target_under_every_scaling(x64):
    x0, eps = points()
    v = build("v")
    for log_snr in (-8.0, 0.0, 8.0):
        levels = [p.Process(None, 1, scaling).at(jnp.float64(log_snr)) for scaling in SCALINGS]
        targets = [v.target(x0, eps, level) for level in levels]
        np.testing.assert_allclose(targets[1], targets[0], atol=1e-12)
        np.testing.assert_allclose(targets[2], targets[0], atol=1e-12)


def test_clipping_keeps_x0_among_the_data_and_the_two_in_agreement(x64):
    x, answer = points()
    level = p.Process(None, 1).at(jnp.array(-3.0))
    low, high = jnp.array([-1.0, -0.5, -2.0]), jnp.array([1.0, 0.5, 2.0])
    plain = build("eps").decode(answer, x, level)
    got = denoisers.clipped(lambda x, level: plain, low, high)(x, level)
    assert (got.x0 >= low[None]).all()
    assert (got.x0 <= high[None]).all()
    assert (got.x0 != plain.x0).any()
    np.testing.assert_allclose(level.alpha * got.x0 + level.sigma * got.eps, x, atol=1e-12)
    inside = ((plain.x0 >= low[None]) & (plain.x0 <= high[None])).all(axis=1)
    np.testing.assert_array_equal(got.eps[inside], plain.eps[inside])


@scalings
def test_the_targets_are_the_same_under_every_scaling(scaling, x64):
    """So that a sampler may ask about a level in whatever scaling suits it."""
    x0, eps = points()
    for name in catalog.CATALOG["prediction"]:
        made = build(name)
        for log_snr in (-5.0, 0.0, 5.0):
            own, other = (p.Process(None, 1, each).at(jnp.float64(log_snr)) for each in (SCALINGS[0], scaling))
            np.testing.assert_allclose(made.target(x0, eps, other), made.target(x0, eps, own), rtol=1e-9)


def test_previous_is_the_mean_of_the_step_before(x64):
    """Ho et al. 2020, eqs. 7 and 10, at every knot of a short chain."""
    betas = np.linspace(0.02, 0.3, 10)
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - betas)])
    process = p.Process(from_betas(betas), 10)
    x0, eps = points()
    for t in range(1, 11):
        level = process.level(jnp.float64(t / 10))
        x = level.alpha * x0 + level.sigma * eps
        beta, now, before = betas[t - 1], alpha_bar[t], alpha_bar[t - 1]
        mean = np.sqrt(before) * beta / (1 - now) * x0 + np.sqrt(1 - beta) * (1 - before) / (1 - now) * x
        np.testing.assert_allclose(build("previous", process).target(x0, eps, level), mean, rtol=1e-6, atol=1e-9)


def test_edm_is_the_published_preconditioning(x64):
    """c_skip, c_out and the network's target; Karras et al. 2022, table 1 and eq. 8. With sigma_data 1 it is -v."""
    x0, eps = points()
    sigma, data = 0.7, 0.5
    level = p.unscaled(jnp.float64(-2 * np.log(sigma)))
    skip, out = data**2 / (sigma**2 + data**2), sigma * data / np.hypot(sigma, data)
    target = (x0 - skip * (x0 + sigma * eps)) / out
    np.testing.assert_allclose(build("edm:sigma_data=0.5").target(x0, eps, level), target, rtol=1e-12)
    np.testing.assert_allclose(build("edm").target(x0, eps, level), -build("v").target(x0, eps, level), rtol=1e-12)


def test_a_learned_variance_is_the_second_half_of_the_answer(x64):
    answer, x = points()
    level = p.Process(None, 1).at(jnp.float64(1.0))
    made = parameterizations.with_variance(build("v"))
    got = made.decode(jnp.concatenate([answer, jnp.full_like(answer, 0.3)], axis=1), x, level)
    plain = build("v").decode(answer, x, level)
    np.testing.assert_array_equal(got.x0, plain.x0)
    np.testing.assert_array_equal(got.eps, plain.eps)
    np.testing.assert_allclose(got.x0_var, level.sigma**2 * np.exp(0.3), rtol=1e-12)

"""Noise levels: scalings, and the forward chain against its one-jump law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.schedules import cosine, linear

SCALINGS = {name: catalog.build("scaling", name) for name in catalog.CATALOG["scaling"]}
every_scaling = pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)


@every_scaling
def test_alpha_and_sigma_have_the_log_snr(scaling, x64):
    log_snr = jnp.linspace(-12, 12, 49)
    alpha, sigma = scaling(log_snr)
    np.testing.assert_allclose(np.log(alpha**2 / sigma**2), log_snr, atol=1e-12)


@every_scaling
def test_the_clean_level_is_exactly_clean(scaling):
    assert [float(value) for value in scaling(jnp.array(jnp.inf))] == [1.0, 0.0]


def test_what_each_scaling_preserves(x64):
    log_snr = jnp.linspace(-9, 9, 19)
    alpha, sigma = p.variance_preserving(log_snr)
    np.testing.assert_allclose(alpha**2 + sigma**2, 1, rtol=1e-14)
    alpha, sigma = p.straight_flow(log_snr)
    np.testing.assert_allclose(alpha + sigma, 1, rtol=1e-14)
    np.testing.assert_array_equal(p.variance_exploding(log_snr)[0], 1)
    alpha, sigma = p.sub_variance_preserving(log_snr)
    np.testing.assert_allclose(sigma, 1 - alpha**2, rtol=1e-11)


@every_scaling
def test_steps_compose_to_the_jump(scaling, x64):
    """Scales multiply and variances add up along the chain to alpha and sigma^2 of its end."""
    levels = p.Process(linear(50), 50, scaling).knots()
    scale, variance = 1.0, 0.0
    steps = p.transition(jax.tree.map(lambda x: x[:-1], levels), jax.tree.map(lambda x: x[1:], levels))
    for a, std in zip(*steps, strict=True):
        scale, variance = scale * a, variance * a**2 + std**2
    assert scale == pytest.approx(float(levels.alpha[-1]), rel=1e-9)
    assert variance == pytest.approx(float(levels.sigma[-1]) ** 2, rel=1e-9)


def test_a_step_of_the_chain_has_its_beta(x64):
    betas = np.linspace(1e-4, 0.02, 1000)
    levels = p.Process(linear(1000), 1000).knots()
    scale, std = p.transition(jax.tree.map(lambda x: x[:-1], levels), jax.tree.map(lambda x: x[1:], levels))
    np.testing.assert_allclose(scale, np.sqrt(1 - betas), rtol=1e-8)
    np.testing.assert_allclose(std**2, betas, rtol=1e-6)


@every_scaling
def test_chain_and_jump_agree_in_distribution(scaling):
    """Mean and variance of x_t given x_0, by path and by jump, within five standard errors of theory."""
    n = 20_000
    x0 = jnp.tile(jnp.array([[1.5, -0.5]]), (n, 1))
    process = p.Process(cosine(20), 20, scaling)
    levels = process.level(jnp.array([0.0, 0.15, 0.4, 0.75, 0.95]))
    path = p.forward_chain(jax.random.key(0), x0, levels)
    np.testing.assert_array_equal(path[0], x0)
    for i in range(1, 5):
        level = jax.tree.map(lambda x, i=i: x[i], levels)
        for draw in (path[i], p.add_noise(x0, jax.random.normal(jax.random.key(i), x0.shape), level)):
            error = np.asarray(draw.mean(axis=0) - level.alpha * x0[0]) / (level.sigma / np.sqrt(n))
            assert np.abs(error).max() < 5
            error = (np.asarray(draw.var(axis=0)) / level.sigma**2 - 1) * np.sqrt(n / 2)
            assert np.abs(error).max() < 5


def test_chain_frames_belong_together():
    """Neighbouring frames correlate as the chain says: corr = alpha_t sigma_s / (alpha_s sigma_t) given x_0."""
    n = 20_000
    levels = p.Process(cosine(20), 20).level(jnp.array([0.0, 0.4, 0.5]))
    path = np.asarray(p.forward_chain(jax.random.key(0), jnp.zeros((n, 1)), levels))[..., 0]
    expected = levels.alpha[2] * levels.sigma[1] / (levels.alpha[1] * levels.sigma[2])
    assert np.corrcoef(path[1], path[2])[0, 1] == pytest.approx(float(expected), abs=5 / np.sqrt(n))


@every_scaling
def test_the_prior_has_the_variance_of_noised_unit_data(scaling):
    level = p.Process(cosine(10), 10, scaling).level(0.5)
    noise = p.prior(jax.random.key(0), (50_000, 2), level)
    expected = float(level.alpha**2 + level.sigma**2)
    assert float(noise.var()) == pytest.approx(expected, rel=5 * np.sqrt(2 / 100_000))


def test_levels_asked_once_are_those_of_compiled_code():
    process, t = p.Process(cosine(20), 20), np.linspace(0, 1, 7)
    found, expected = process.levels_at(t), jax.jit(process.level)(jnp.asarray(t))
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, np.ndarray)
        np.testing.assert_array_equal(one, other)
    assert process.levels_at(0.0) == p.CLEAN


def test_the_angle_of_a_level_and_back():
    np.testing.assert_allclose(p.angle_of(np.array([np.inf, 0.0, -np.inf])), [0, np.pi / 4, np.pi / 2], rtol=1e-15)
    log_snr = np.linspace(-25, 25, 11)
    np.testing.assert_allclose(p.log_snr_of(p.angle_of(log_snr)), log_snr, atol=1e-9)
    np.testing.assert_allclose(np.tan(p.angle_of(log_snr)) ** -2, np.exp(log_snr), rtol=1e-9)


def test_the_finest_level_is_the_first_of_the_chain(x64):
    assert p.Process(linear(1000), 1000).finest == pytest.approx(np.log((1 - 1e-4) / 1e-4), rel=1e-9)

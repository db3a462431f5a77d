"""Every prediction: what it regresses on decodes to the x0 and eps it came from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import losses, predictions
from diffuse_cli.diffusion import process as p

every = pytest.mark.parametrize("name", catalog.CATALOG["prediction"])
SCALINGS = [p.variance_preserving, p.variance_exploding, p.straight_flow]
scalings = pytest.mark.parametrize("scaling", SCALINGS)


def points(n=200, d=3):
    x0, eps = jax.random.normal(jax.random.key(0), (2, n, d), jnp.float64)
    return x0, eps


@every
@scalings
def test_round_trip(name, scaling, x64):
    parameterization = catalog.build("prediction", name)
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
    parameterization = catalog.build("prediction", name)
    answer, x = points()
    level = p.Process(None, 1, scaling).at(jnp.full((200, 1), 0.7))
    got = parameterization.decode(answer, x, level)
    np.testing.assert_allclose(level.alpha * got.x0 + level.sigma * got.eps, x, atol=1e-12)


def test_v_has_the_same_target_under_every_scaling(x64):
    x0, eps = points()
    v = catalog.build("prediction", "v")
    for log_snr in (-8.0, 0.0, 8.0):
        levels = [p.Process(None, 1, scaling).at(jnp.float64(log_snr)) for scaling in SCALINGS]
        targets = [v.target(x0, eps, level) for level in levels]
        np.testing.assert_allclose(targets[1], targets[0], atol=1e-12)
        np.testing.assert_allclose(targets[2], targets[0], atol=1e-12)


def test_clipping_keeps_x0_among_the_data_and_the_two_in_agreement(x64):
    x, answer = points()
    level = p.Process(None, 1).at(-3.0)
    low, high = jnp.array([-1.0, -0.5, -2.0]), jnp.array([1.0, 0.5, 2.0])
    plain = catalog.build("prediction", "eps").decode(answer, x, level)
    got = predictions.clipped(lambda x, level: plain, low, high)(x, level)
    assert (got.x0 >= low[None]).all()
    assert (got.x0 <= high[None]).all()
    assert (got.x0 != plain.x0).any()
    np.testing.assert_allclose(level.alpha * got.x0 + level.sigma * got.eps, x, atol=1e-12)
    inside = ((plain.x0 >= low[None]) & (plain.x0 <= high[None])).all(axis=1)
    np.testing.assert_array_equal(got.eps[inside], plain.eps[inside])


@every
def test_simple_loss_is_zero_for_the_target_and_its_square_for_nothing(name, x64):
    parameterization = catalog.build("prediction", name)
    x0, eps = points()
    level = p.Process(None, 1).at(jnp.linspace(-5, 5, 200)[:, None])
    target = parameterization.target(x0, eps, level)
    loss = losses.simple()
    np.testing.assert_allclose(loss(lambda x, level: target, parameterization, x0, eps, level), 0, atol=1e-15)
    nothing = loss(lambda x, level: jnp.zeros_like(x), parameterization, x0, eps, level)
    np.testing.assert_allclose(nothing, np.mean(np.square(target), axis=1), rtol=1e-12)


def test_simple_loss_sees_the_noised_point(x64):
    x0, eps = points()
    level = p.Process(None, 1).at(jnp.full((200, 1), 1.0))
    seen = []
    losses.simple()(lambda x, level: seen.append(x) or x, catalog.build("prediction", "eps"), x0, eps, level)
    np.testing.assert_allclose(seen[0], level.alpha * x0 + level.sigma * eps)

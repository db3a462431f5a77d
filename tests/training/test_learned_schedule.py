"""A schedule that is learned: it only ever falls, its ends stay, and the bound is better for it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.diffusion import bound, exact
from diffuse_cli.models import build
from diffuse_cli.networks.monotone import Monotone
from diffuse_cli.training import loop

COVARIANCE = np.diag([1.9, 0.1])
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def trained():
    """Eight steps for a Gaussian that is broad one way and narrow the other."""
    settings = {"schedule": "learned:first=8,last=-8", "loss": "vlb", "timesteps": 8, "lr": 0.02, "weight_decay": 0.0}
    made = build.build_experiment(config.make({"width": 32, "depth": 2, "batch_size": 256, "ema": 0.9, **settings}), 2)
    x0 = jnp.asarray(np.random.default_rng(0).multivariate_normal([0, 0], COVARIANCE, 4000), jnp.float32)
    state = loop.initial_state(made)
    for progress in loop.fit(made, state, loop.Points(x0), total=1000):
        state = progress.state
    return made, build.with_learned_schedule(made, state.average)


def test_its_ends_stay_and_it_falls_all_the_way(trained):
    for made in trained:
        log_snr = made.process.knots().log_snr
        np.testing.assert_allclose(log_snr[jnp.array([1, -1])], [8, -8], atol=1e-5)
        assert (np.diff(log_snr) < 0).all()


def test_the_bound_of_the_exact_denoiser_is_better_along_it(trained):
    """By the law's own denoiser, which knows nothing of the network that the course was learned with."""
    predict = jax.tree_util.Partial(exact.denoiser(exact.gaussian(np.zeros(2), COVARIANCE)))
    x0 = jnp.asarray(np.random.default_rng(1).multivariate_normal([0, 0], COVARIANCE, 20_000), jnp.float32)
    straight, learned = (np.asarray(bound.bound_terms(predict, made.process, x0, KEY).total) for made in trained)
    assert np.mean(straight - learned) > 0.02
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * COVARIANCE)[1]
    assert learned.mean() > entropy


def test_any_weights_make_a_course_that_rises_from_0_to_1():
    course = Monotone()
    for seed in range(20):
        for i, part in enumerate((course.place, course.steepness, course.height)):
            part[...] = 2 * jax.random.normal(jax.random.key(3 * seed + i), part.shape)
        got = course(jnp.linspace(0, 1, 500))
        assert (np.diff(got) > 0).all()
        np.testing.assert_allclose(got[jnp.array([0, -1])], [0, 1], atol=1e-5)

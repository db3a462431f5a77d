"""Samplers, scalings and predictions that are the same in theory, and published formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.losses import answer_of
from diffuse_cli.diffusion.schedules import cosine, linear
from diffuse_cli.samplers.ddim import ddim, ddpm
from diffuse_cli.samplers.loop import carry, run_steps
from tests.samplers.table import (
    KEY,
    SAMPLERS,
    SCALINGS,
    first_of,
    gaussian,
    levels_of,
    start_at,
    two_parts,
)

SCALED = ("reverse_sde", "ddpm:large")  # what a step of the forward process is depends on the scaling


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in SCALED])
def test_all_scalings_give_the_same_samples(name, x64):
    ends = []
    for scaling in SCALINGS:
        levels = levels_of("uniform", 30, scaling)
        found = run_steps(gaussian(), catalog.build("sampler", name), levels, start_at(levels), KEY, scaling=scaling)
        ends.append(found.x)
    close = 1e-4 if name == "ode" else 1e-7  # its tolerance: rounding may make it choose other steps
    np.testing.assert_allclose(ends[1], ends[0], atol=close)
    np.testing.assert_allclose(ends[2], ends[0], atol=close)


@pytest.mark.parametrize("prediction", catalog.CATALOG["prediction"])
@pytest.mark.parametrize("name", ["ddpm", "heun", "dpmpp_2m"])  # all samplers read the one Prediction
def test_all_predictions_of_the_exact_denoiser_give_the_same_samples(name, prediction, x64):
    """The exact answer of a network of this kind, read as a network's answer is read."""
    made = catalog.build("prediction", prediction, p.Process(linear(1000), 1000))
    answer = answer_of(two_parts(), made)
    predict = jax.tree_util.Partial(lambda x, level: made.decode(answer(x, level), x, level))
    sampler, levels = catalog.build("sampler", name), levels_of("uniform", 12)
    x = start_at(levels, 16)
    expected = run_steps(two_parts(), sampler, levels, x, KEY).x
    np.testing.assert_allclose(run_steps(predict, sampler, levels, x, KEY).x, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["euler", "dpm_1", "deis:order=1"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_first_order_samplers_are_one(name, scaling, x64):
    levels = levels_of("uniform", 15, scaling)
    x = start_at(levels)
    got, expected = (
        run_steps(two_parts(), catalog.build("sampler", each), levels, x, KEY, trajectory=True).path.x
        for each in (name, "ddim")
    )
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_ddim_at_eta_one_is_ancestral(x64):
    """DDIM with eta = 1 and DDPM with the small variance are the same step, noise for noise."""
    levels = levels_of("uniform", 50, schedule=cosine(1000))
    x = start_at(levels)
    np.testing.assert_allclose(
        run_steps(gaussian(), ddim(eta=1), levels, x, KEY).x,
        run_steps(gaussian(), ddpm(), levels, x, KEY).x,
        atol=1e-10,
    )


def test_ddpm_is_the_published_formula(x64):
    """One step between neighbouring knots against Ho et al. 2020, algorithm 2, for both variances."""
    betas = np.linspace(1e-4, 0.02, 1000)
    alpha_bar = np.cumprod(1 - betas)
    i = 400  # the step from t = 401 to t = 400, in the paper's counting from 1
    process = p.Process(linear(1000), 1000)
    levels = process.level(jnp.array([(i + 1) / 1000, i / 1000]))
    x = jax.random.normal(jax.random.key(3), (5, 2), jnp.float64)
    eps = gaussian()(x, first_of(levels)).eps
    mean = (x - betas[i] / np.sqrt(1 - alpha_bar[i]) * eps) / np.sqrt(1 - betas[i])
    noise = jax.random.normal(jax.random.split(KEY, 1)[0], x.shape, x.dtype)
    posterior = (1 - alpha_bar[i - 1]) / (1 - alpha_bar[i]) * betas[i]
    for variance, value in (("small", posterior), ("large", betas[i])):
        got = carry(gaussian(), ddpm(variance=variance), levels, x, KEY).x
        np.testing.assert_allclose(got, mean + np.sqrt(value) * noise, rtol=1e-6, atol=1e-8)


def test_the_reverse_sde_is_the_published_formula(x64):
    """One Euler-Maruyama step of the variance-preserving SDE, beta dt = -d log alpha_bar, for a small step."""
    process = p.Process(linear(1000), 1000)
    levels = process.level(jnp.array([0.5004, 0.5003]))
    x = jax.random.normal(jax.random.key(3), (5, 2), jnp.float64)
    now = first_of(levels)
    beta = -2 * float(jnp.log(levels.alpha[0] / levels.alpha[1]))
    score = -gaussian()(x, now).eps / now.sigma
    noise = jax.random.normal(jax.random.split(KEY, 1)[0], x.shape, x.dtype)
    expected = x + beta / 2 * x + beta * score + np.sqrt(beta) * noise
    got = carry(gaussian(), catalog.build("sampler", "reverse_sde"), levels, x, KEY).x
    np.testing.assert_allclose(got, expected, atol=1e-5)

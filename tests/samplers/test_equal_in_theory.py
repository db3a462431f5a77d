"""Samplers, scalings and predictions that are the same in theory, and published formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.losses import answer_of
from diffuse_cli.diffusion.schedules import cosine, linear
from diffuse_cli.samplers.base import State
from diffuse_cli.samplers.ddim import ddim, ddpm
from diffuse_cli.samplers.loop import carry, run_steps
from tests.samplers.table import (
    COVARIANCE,
    KEY,
    MEAN,
    SCALINGS,
    STEPPING,
    first_of,
    gaussian,
    levels_of,
    parts,
    slow_but,
    start_at,
)

SCALED = ("reverse_sde", "ddpm:large")  # what a step of the forward process is depends on the scaling


def test_all_scalings_give_the_same_samples(x64):
    names = [name for name in STEPPING if name not in SCALED]
    each = [levels_of("uniform", 30, scaling) for scaling in SCALINGS]

    def run_all(levels, x):
        samplers = {name: catalog.build("sampler", name) for name in names}
        return {name: run_steps(gaussian, sampler, levels, x, KEY).x for name, sampler in samplers.items()}

    levels, x = (jax.tree.map(lambda *a: jnp.stack(a), *trees) for trees in (each, map(start_at, each)))
    ends = jax.jit(jax.vmap(run_all))(levels, x)
    wrong = [name for name, x in ends.items() if not np.abs(x[1:] - x[:1]).max() < 1e-7]
    assert not wrong


@pytest.mark.slow
def test_all_scalings_give_the_adaptive_solver_the_same_samples(x64):
    """Within its tolerance: rounding may make it choose other steps."""
    ends = []
    for scaling in SCALINGS:
        levels = levels_of("uniform", 30, scaling)
        sampler = catalog.build("sampler", "ode")
        ends.append(run_steps(gaussian, sampler, levels, start_at(levels), KEY, scaling=scaling).x)
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-4)
    np.testing.assert_allclose(ends[2], ends[0], atol=1e-4)


@pytest.mark.parametrize("name", slow_but(["heun"], ["ddpm", "heun", "dpmpp_2m"]))  # all read the one Prediction
def test_all_predictions_of_the_exact_denoiser_give_the_same_samples(name, x64):
    """The exact answer of a network of this kind, read as a network's answer is read."""
    sampler, levels = catalog.build("sampler", name), levels_of("uniform", 12)
    x = start_at(levels, 16)

    def run(prediction):
        made = catalog.build("prediction", prediction, p.Process(linear(1000), 1000))
        answer = answer_of(parts, made)
        predict = jax.tree_util.Partial(lambda x, level: made.decode(answer(x, level), x, level))
        return run_steps(predict, sampler, levels, x, KEY).x

    expected = run_steps(parts, sampler, levels, x, KEY).x
    ends = jax.jit(lambda: {prediction: run(prediction) for prediction in catalog.CATALOG["prediction"]})()
    wrong = [prediction for prediction, x in ends.items() if not np.abs(x - expected).max() < 1e-5]
    assert not wrong


def test_the_first_order_samplers_are_one(x64):
    each = [levels_of("uniform", 15, scaling) for scaling in SCALINGS]

    def run_all(levels, x):
        return {
            name: run_steps(parts, catalog.build("sampler", name), levels, x, KEY, trajectory=True).path.x
            for name in ("ddim", "euler", "dpm_1", "deis:order=1")
        }

    levels, x = (jax.tree.map(lambda *a: jnp.stack(a), *trees) for trees in (each, map(start_at, each)))
    paths = jax.jit(jax.vmap(run_all))(levels, x)
    for name, path in paths.items():
        np.testing.assert_allclose(path, paths["ddim"], atol=1e-9, err_msg=name)


def test_ddim_at_eta_one_is_ancestral(x64):
    """DDIM with eta = 1 and DDPM with the small variance are the same step, noise for noise."""
    levels = levels_of("uniform", 50, schedule=cosine(1000))
    x = start_at(levels)
    np.testing.assert_allclose(
        run_steps(gaussian, ddim(eta=1), levels, x, KEY).x,
        run_steps(gaussian, ddpm(), levels, x, KEY).x,
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
    eps = gaussian(x, first_of(levels)).eps
    mean = (x - betas[i] / np.sqrt(1 - alpha_bar[i]) * eps) / np.sqrt(1 - betas[i])
    noise = jax.random.normal(jax.random.split(KEY, 1)[0], x.shape, x.dtype)
    posterior = (1 - alpha_bar[i - 1]) / (1 - alpha_bar[i]) * betas[i]
    for variance, value in (("small", posterior), ("large", betas[i])):
        got = carry(gaussian, ddpm(variance=variance), levels, x, KEY).x
        np.testing.assert_allclose(got, mean + np.sqrt(value) * noise, rtol=1e-6, atol=1e-8)


def test_the_reverse_sde_is_the_published_formula(x64):
    """One Euler-Maruyama step of the variance-preserving SDE, beta dt = -d log alpha_bar, for a small step."""
    process = p.Process(linear(1000), 1000)
    levels = process.level(jnp.array([0.5004, 0.5003]))
    x = jax.random.normal(jax.random.key(3), (5, 2), jnp.float64)
    now = first_of(levels)
    beta = -2 * float(jnp.log(levels.alpha[0] / levels.alpha[1]))
    score = -gaussian(x, now).eps / now.sigma
    noise = jax.random.normal(jax.random.split(KEY, 1)[0], x.shape, x.dtype)
    expected = x + beta / 2 * x + beta * score + np.sqrt(beta) * noise
    got = carry(gaussian, catalog.build("sampler", "reverse_sde"), levels, x, KEY).x
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_correction_is_the_published_formula(x64):
    """What `pc` does after its ancestral step. Song et al. 2021, appendix G, algorithm 4, the score written out."""
    levels = p.Process(linear(1000), 1000).level(jnp.array([0.5, 0.4]))
    now, nxt = (jax.tree.map(lambda field, i=i: field[i], levels) for i in (0, 1))
    state = State(jax.random.normal(jax.random.key(3), (5, 2), jnp.float64), jnp.zeros((5, 2)))
    before, after = jax.random.split(KEY, 2)
    x = ddpm().step(gaussian, state, now, nxt, before).x
    precision = np.linalg.inv(nxt.alpha**2 * COVARIANCE + nxt.sigma**2 * np.eye(2))
    score = -(x - nxt.alpha * MEAN[None]) @ precision
    noise = jax.random.normal(after, x.shape, x.dtype)
    lengths = [np.linalg.norm(each, axis=1).mean() for each in (noise, score)]
    size = 2 * (0.16 * lengths[0] / lengths[1]) ** 2
    got = catalog.build("sampler", "pc").step(gaussian, state, now, nxt, KEY).x
    np.testing.assert_allclose(got, x + size * score + np.sqrt(2 * size) * noise, rtol=1e-9, atol=1e-12)

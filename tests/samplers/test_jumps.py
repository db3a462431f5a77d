"""Samplers of a flow map, given an exact one: the number of steps changes nothing, and every level has its law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion.flow_maps import exact_jump
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.samplers.loop import run_steps, sample
from tests.samplers.table import (
    COVARIANCE,
    JUMPING,
    KEY,
    MEAN,
    SCALINGS,
    first_of,
    gaussian_jump,
    levels_of,
    parts,
    start_at,
)

JUMP, RENOISE = (catalog.build("sampler", name) for name in ("jump", "renoise"))


def test_with_the_exact_map_any_number_of_steps_ends_at_the_same_samples(x64):
    """One jump included: that of a Gaussian, and one that is solved."""
    for map_of, counts in ((gaussian_jump, (1, 2, 3, 7)), (exact_jump(parts), (1, 3))):
        ends = []
        for steps in counts:
            levels = levels_of(steps=steps)
            x = start_at(levels, 16)
            ends.append(run_steps(map_of, JUMP, levels, x, KEY).x)
        np.testing.assert_allclose(ends[0], map_of(x, first_of(levels), CLEAN), atol=1e-6)
        assert np.abs(np.stack(ends) - ends[0][None]).max() < 1e-4


@pytest.mark.parametrize("name", JUMPING)
def test_every_level_has_the_law_of_its_noise(name, x64):
    """Mean alpha m and covariance alpha^2 C + sigma^2 I, at each of a few levels and of clean samples."""
    n, levels = 20_000, jax.device_get(levels_of(steps=4))
    first, noise = first_of(levels), np.random.default_rng(0).standard_normal((2, n, 2))
    x = first.alpha * (MEAN[None] + noise[0] @ np.linalg.cholesky(COVARIANCE).T) + first.sigma * noise[1]
    path = run_steps(gaussian_jump, catalog.build("sampler", name), levels, x, KEY, trajectory=True).path
    for at, alpha, sigma in zip(path.x, levels.alpha, levels.sigma, strict=True):
        np.testing.assert_allclose(at.mean(axis=0), alpha * MEAN, atol=5 / np.sqrt(n))
        expected = alpha**2 * COVARIANCE + sigma**2 * np.eye(2)
        np.testing.assert_allclose(np.cov(np.asarray(at).T), expected, atol=5 * np.sqrt(2 / n))
    for clean in path.x0:
        np.testing.assert_allclose(np.cov(np.asarray(clean).T), COVARIANCE, atol=5 * np.sqrt(2 / n))


def test_new_noise_is_new_and_a_jump_draws_none(x64):
    levels = levels_of(steps=3)
    x = start_at(levels)
    ends = {
        name: [run_steps(gaussian_jump, sampler, levels, x, jax.random.key(seed)).x for seed in (0, 1)]
        for name, sampler in (("jump", JUMP), ("renoise", RENOISE))
    }
    np.testing.assert_array_equal(*ends["jump"])
    assert (np.abs(ends["renoise"][0] - ends["renoise"][1]).max(axis=1) > 1e-6).all()
    assert (JUMP.deterministic, RENOISE.deterministic) == (True, False)


@pytest.mark.parametrize("name", JUMPING)
def test_all_scalings_give_the_same_samples(name, x64):
    each = [levels_of("uniform", 3, scaling) for scaling in SCALINGS]
    levels, x = (jax.tree.map(lambda *a: jnp.stack(a), *trees) for trees in (each, map(start_at, each)))
    sampler = catalog.build("sampler", name)
    ends = jax.vmap(lambda levels, x: run_steps(gaussian_jump, sampler, levels, x, KEY).x)(levels, x)
    np.testing.assert_allclose(ends[1:], jnp.broadcast_to(ends[:1], ends[1:].shape), atol=1e-7)


@pytest.mark.parametrize("name", JUMPING)
@pytest.mark.parametrize("steps", [1, 4])
def test_a_step_costs_one_evaluation(name, steps):
    sampler = catalog.build("sampler", name)
    found = sample(gaussian_jump, sampler, levels_of(steps=steps), KEY, (64, 2))
    assert found.evals == steps == sampler.cost(steps)
    assert found.broken == -1

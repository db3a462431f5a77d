"""Every sampler in the table, asked what has an exact answer: on Gaussian data all of them are affine maps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.schedules import cosine, linear
from diffuse_cli.samplers.loop import carry, run_steps, sample, scan
from tests.samplers.table import (
    ANNEALED,
    COVARIANCE,
    GRIDS,
    KEY,
    MEAN,
    SAMPLERS,
    SCALINGS,
    SCHEDULES,
    every,
    first_of,
    gaussian,
    levels_of,
    noisy,
    start_at,
    stepping,
)


def test_the_table_has_every_sampler():
    assert {name.partition(":")[0] for name in SAMPLERS} == set(catalog.CATALOG["sampler"])


@functools.cache
def levels_of_all(timesteps, steps):
    """The levels of every schedule on every grid, stacked, and what they are."""
    names, each = [], []
    for schedule in SCHEDULES:
        process = p.Process(catalog.build("schedule", schedule, timesteps), timesteps)
        for grid in GRIDS:
            names.append(f"{schedule} on {grid}")
            each.append(catalog.build("grid", grid)(process, steps))
    return names, jax.tree.map(lambda *fields: jnp.stack(fields), *each)


@pytest.mark.parametrize(("timesteps", "steps"), [(1000, 2), (2, 3), (1000, 30)])
@stepping
def test_no_schedule_grid_or_number_of_steps_gives_nan(timesteps, steps, name):
    """In single precision, compiled, where rounding may take a variance below zero."""
    sampler, predict = catalog.build("sampler", name), gaussian()
    names, levels = levels_of_all(timesteps, steps)
    found = jax.vmap(lambda levels: run_steps(predict, sampler, levels, start_at(levels), KEY))(levels)
    finite = np.isfinite(found.x).all(axis=(1, 2))
    assert finite.all(), [name for name, fine in zip(names, finite, strict=True) if not fine]
    assert (found.broken == -1).all()


@every
@pytest.mark.parametrize("steps", [1, 9])
def test_every_number_of_steps_ends_finite_with_the_path_it_took(name, steps):
    levels = levels_of(steps=steps)
    x = start_at(levels)
    sampler = catalog.build("sampler", name)
    if sampler.lookback >= steps:
        return
    found = run_steps(gaussian(), sampler, levels, x, KEY, trajectory=True)
    path = found.path
    assert path.x.shape == (steps + 1, 64, 2)
    assert path.x0.shape == (steps, 64, 2)
    assert np.isfinite(path.x).all()
    np.testing.assert_allclose(path.x[0], x, rtol=1e-6)
    np.testing.assert_array_equal(path.x[-1], found.x)
    np.testing.assert_allclose(found.x, run_steps(gaussian(), sampler, levels, x, KEY).x, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(path.x[-1], path.x0[-1])  # no noise is added in the last step


@stepping
@pytest.mark.parametrize("steps", [4])
def test_evaluations_are_counted(name, steps):
    seen = []

    def counting(x, level):
        jax.debug.callback(lambda: seen.append(1))
        return gaussian()(x, level)

    sampler, levels = catalog.build("sampler", name), levels_of(steps=steps)
    found = run_steps(jax.tree_util.Partial(counting), sampler, levels, start_at(levels), KEY)
    jax.effects_barrier()
    assert len(seen) == found.evals


@pytest.mark.parametrize(
    ("name", "scaling"),
    [*((name, SCALINGS[0]) for name in ("ddpm", "unipc", ANNEALED)), *(("reverse_sde", each) for each in SCALINGS)],
)
def test_samples_have_the_mean_and_covariance_of_the_data(name, scaling):
    """Many fine steps from the prior, in single precision, within five standard errors plus the steps' own error."""
    n = 20_000
    levels = levels_of("log_snr", 200, scaling)
    found = sample(gaussian(), catalog.build("sampler", name), levels, KEY, (n, 2), scaling=scaling)
    x = np.asarray(found.x, np.float64)
    np.testing.assert_allclose(x.mean(axis=0), MEAN, atol=5 / np.sqrt(n) + 0.01)
    np.testing.assert_allclose(np.cov(x.T), COVARIANCE, atol=5 * np.sqrt(2 / n) + 0.02)


def test_plain_langevin_keeps_the_law_of_its_level(x64):
    """From anywhere, at one level: mean alpha m, covariance alpha^2 C + sigma^2 I, up to the step's own error."""
    process = p.Process(linear(1000), 1000)
    levels = catalog.build("grid", "fixed:log_snr=0")(process, 200)
    assert (levels.log_snr[:-1] == 0).all()
    x = jnp.zeros((20_000, 2))
    got = carry(gaussian(), catalog.build("sampler", "langevin:step_size=0.05,inner=1"), noisy(levels), x, KEY).x
    level = first_of(levels)
    np.testing.assert_allclose(np.mean(got, axis=0), level.alpha * MEAN, atol=0.03)
    expected = level.alpha**2 * COVARIANCE + level.sigma**2 * np.eye(2)
    np.testing.assert_allclose(np.cov(np.asarray(got).T), expected, atol=0.04)


# annealed Langevin dynamics would have to go slower than this to keep up at every level
@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != ANNEALED])
def test_every_noise_level_has_its_mean_and_covariance(name, x64):
    """Along fine steps x_t has mean alpha m and covariance alpha^2 C + sigma^2 I at every level, the clean one too."""
    n = 10_000
    levels = levels_of("uniform", 200)
    spread = jnp.asarray(np.linalg.cholesky(COVARIANCE))
    noise = jax.random.normal(KEY, (2, n, 2), jnp.float64)
    first = first_of(levels)
    x = first.alpha * (MEAN[None] + noise[0] @ spread.T) + first.sigma * noise[1]
    path = np.asarray(run_steps(gaussian(), catalog.build("sampler", name), levels, x, KEY, trajectory=True).path.x)
    for i in (50, 100, 150, 195, 200):
        expected = levels.alpha[i] ** 2 * COVARIANCE + levels.sigma[i] ** 2 * np.eye(2)
        np.testing.assert_allclose(np.cov(path[i].T), expected, atol=5 * np.sqrt(2 / n) + 0.02)
        np.testing.assert_allclose(path[i].mean(axis=0), levels.alpha[i] * MEAN, atol=5 / np.sqrt(n) + 0.01)


@stepping
def test_a_second_grid_compiles_nothing(name):
    sampler, predict = catalog.build("sampler", name), gaussian()
    x = start_at(levels_of())
    run_steps(predict, sampler, levels_of("uniform", 9), x, KEY)
    before = scan._cache_size()
    run_steps(predict, sampler, levels_of("quadratic", 9, schedule=cosine(1000)), x + 1, jax.random.key(9))
    assert scan._cache_size() == before


@pytest.mark.parametrize(("name", "lost"), [("ddim", 7), ("heun", 6)])  # Heun asks at the end of its step too
def test_the_step_that_lost_a_value_is_said(name, lost):
    levels = levels_of(steps=20)

    def spoilt(x, level):
        p = gaussian()(x, level)
        return Prediction(p.x0, jnp.where(level.log_snr > levels.log_snr[7] - 1e-3, jnp.nan, p.eps))

    sampler = catalog.build("sampler", name)
    assert run_steps(jax.tree_util.Partial(spoilt), sampler, levels, start_at(levels), KEY).broken == lost

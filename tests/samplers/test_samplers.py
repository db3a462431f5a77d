"""Every sampler in the table, asked what has an exact answer: on Gaussian data all of them are affine maps."""

import collections
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.schedules import cosine, linear
from diffuse_cli.samplers.loop import carry, run_steps, sample, scan
from tests.samplers.table import (
    ANNEALED,
    COVARIANCE,
    DETERMINISTIC,
    GRIDS,
    KEY,
    MEAN,
    PARTS,
    SAMPLERS,
    SCALINGS,
    SCHEDULES,
    STD,
    STEPPING,
    exactly,
    first_of,
    gaussian,
    levels_of,
    noisy,
    parts,
    slow_but,
    start_at,
)


def test_the_table_has_every_sampler():
    assert {name.partition(":")[0] for name in SAMPLERS} == set(catalog.CATALOG["sampler"])


@pytest.mark.parametrize(
    ("written", "law"),
    [(gaussian, exact.gaussian(MEAN, COVARIANCE)), (parts, exact.mixture(PARTS, STD))],
    ids=["gaussian", "parts"],
)
def test_the_denoisers_of_the_table_are_exact(written, law, x64):
    levels = noisy(levels_of(steps=50))
    x = np.random.default_rng(0).normal(size=(50, 20, 2)) * 2
    got, expected = jax.jit(lambda *at: [jax.vmap(each)(*at) for each in (written, exact.denoiser(law))])(x, levels)
    np.testing.assert_allclose(got.x0, expected.x0, atol=1e-9)
    np.testing.assert_allclose(got.eps, expected.eps, atol=1e-9)
    each = jax.tree.map(lambda field: field[25], levels)
    batch = jax.tree.map(lambda field: jnp.full((20, 1), field), each)
    np.testing.assert_allclose(written(x[25], batch).x0, expected.x0[25], atol=1e-9)


def levels_of_all(chains, steps):
    """The levels of every schedule on every grid, of chains of these lengths, stacked, and what they are."""
    names, each = [], []
    for timesteps, schedule in itertools.product(chains, SCHEDULES):
        process = p.Process(catalog.build("schedule", schedule, timesteps), timesteps)
        for grid in GRIDS:
            names.append(f"{schedule} of {timesteps} on {grid}")
            each.append(catalog.build("grid", grid)(process, steps))
    return names, jax.tree.map(lambda *fields: jnp.stack(fields), *each)


@jax.jit
def run_all(levels):
    """What every sampler with steps makes of noise on each of many grids: where it started, and the Outcome."""

    def run(levels):
        x, steps = start_at(levels), len(levels.log_snr) - 1
        samplers = {name: catalog.build("sampler", name) for name in STEPPING}
        return x, {
            name: run_steps(gaussian, sampler, levels, x, KEY, trajectory=True)
            for name, sampler in samplers.items()
            if sampler.lookback < steps
        }

    return jax.lax.map(run, levels)


@pytest.mark.parametrize(
    ("chains", "steps"),
    [((1000, 2), 9), *(pytest.param((1000, 2), steps, marks=pytest.mark.slow) for steps in (2, 3, 30))],
)
def test_no_schedule_grid_or_sampler_gives_nan_and_the_path_is_the_way_taken(chains, steps):
    """In single precision, compiled, where rounding may take a variance below zero."""
    grids, levels = levels_of_all(chains, steps)
    started, outcomes = jax.device_get(run_all(levels))
    assert len(outcomes) > 20
    wrong = []
    for name, found in outcomes.items():
        assert found.path.x.shape == (len(grids), steps + 1, 64, 2)
        assert found.path.x0.shape == (len(grids), steps, 64, 2)
        right = np.isfinite(found.path.x).all(axis=(1, 2, 3)) & (found.broken == -1)
        right &= np.isclose(found.path.x[:, 0], started, rtol=1e-6).all(axis=(1, 2))
        right &= (found.path.x[:, -1] == found.x).all(axis=(1, 2))
        right &= (found.path.x[:, -1] == found.path.x0[:, -1]).all(axis=(1, 2))  # no noise is added in the last step
        wrong += [f"{name}, {grid}" for grid, fine in zip(grids, right, strict=True) if not fine]
    assert not wrong


def test_one_step_is_the_denoisers():
    _, levels = levels_of_all((1000,), 1)
    x, outcomes = run_all(levels)
    expected = jax.jit(jax.vmap(lambda x, levels: gaussian(x, first_of(levels)).x0))(x, levels)
    assert len(outcomes) >= 20
    for found in outcomes.values():
        np.testing.assert_allclose(found.x, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found.path.x0[:, 0], found.x)


FEW = ["ddpm", "unipc", "ode"]  # where it is the loop that is asked about


@pytest.mark.parametrize("name", slow_but(FEW, SAMPLERS))
def test_to_ask_for_the_path_changes_nothing(name):
    levels, sampler = levels_of(steps=9), catalog.build("sampler", name)
    x = start_at(levels)
    found, plain = (run_steps(exactly(name), sampler, levels, x, KEY, trajectory=asked) for asked in (True, False))
    np.testing.assert_allclose(found.x, plain.x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.path.x[0], x, rtol=1e-6)
    np.testing.assert_array_equal(found.path.x[-1], found.x)
    assert found.path.x.shape == (10, 64, 2)
    assert found.path.x0.shape == (9, 64, 2)
    assert np.isfinite(found.path.x).all()


def test_evaluations_are_counted():
    seen = collections.Counter()

    def counting(name, x, level):
        jax.debug.callback(lambda: seen.update([name]))
        return Prediction(level.alpha * x, level.sigma * x)  # the exact denoiser of N(0, I)

    def run_all(levels):
        x = start_at(levels)
        return {
            name: run_steps(
                jax.tree_util.Partial(functools.partial(counting, name)), catalog.build("sampler", name), levels, x, KEY
            ).evals
            for name in STEPPING
        }

    evals = jax.jit(run_all)(levels_of(steps=4))
    jax.effects_barrier()
    assert seen == evals


@pytest.mark.parametrize(
    ("name", "scaling"),
    [
        *((name, SCALINGS[0]) for name in ("ddpm", "unipc")),
        *(("reverse_sde", each) for each in SCALINGS),
        pytest.param(ANNEALED, SCALINGS[0], marks=pytest.mark.slow),
    ],
)
def test_samples_have_the_mean_and_covariance_of_the_data(name, scaling):
    """Many fine steps from the prior, in single precision, within five standard errors plus the steps' own error."""
    n = 20_000
    levels = levels_of("log_snr", 200, scaling)
    found = sample(gaussian, catalog.build("sampler", name), levels, KEY, (n, 2), scaling=scaling)
    x = np.asarray(found.x, np.float64)
    np.testing.assert_allclose(x.mean(axis=0), MEAN, atol=5 / np.sqrt(n) + 0.01)
    np.testing.assert_allclose(np.cov(x.T), COVARIANCE, atol=5 * np.sqrt(2 / n) + 0.02)


def test_plain_langevin_keeps_the_law_of_its_level(x64):
    """From anywhere, at one level: mean alpha m, covariance alpha^2 C + sigma^2 I, up to the step's own error."""
    process = p.Process(linear(1000), 1000)
    levels = catalog.build("grid", "fixed:log_snr=0")(process, 200)
    assert (levels.log_snr[:-1] == 0).all()
    x = jnp.zeros((20_000, 2))
    got = carry(gaussian, catalog.build("sampler", "langevin:step_size=0.05,inner=1"), noisy(levels), x, KEY).x
    level = first_of(levels)
    np.testing.assert_allclose(np.mean(got, axis=0), level.alpha * MEAN, atol=0.03)
    expected = level.alpha**2 * COVARIANCE + level.sigma**2 * np.eye(2)
    np.testing.assert_allclose(np.cov(np.asarray(got).T), expected, atol=0.04)


RANDOM = [name for name in STEPPING if name not in (*DETERMINISTIC, ANNEALED)]


# annealed Langevin dynamics would have to go slower than this to keep up at every level
@pytest.mark.parametrize(
    "names",
    [RANDOM, *(pytest.param([name], marks=pytest.mark.slow) for name in (*DETERMINISTIC, "ode"))],
    ids=["random", *DETERMINISTIC, "ode"],
)
def test_every_noise_level_has_its_mean_and_covariance(names, x64):
    """Along fine steps x_t has mean alpha m and covariance alpha^2 C + sigma^2 I at every level, the clean one too."""
    n, places = 10_000, np.array([50, 100, 150, 195, 200])
    levels = jax.device_get(levels_of("uniform", 200))

    def moments(noise):
        first = first_of(levels)
        x = first.alpha * (MEAN[None] + noise[0] @ np.linalg.cholesky(COVARIANCE).T) + first.sigma * noise[1]
        for name in names:
            sampler = catalog.build("sampler", name)
            path = run_steps(gaussian, sampler, levels, x, KEY, trajectory=True).path.x[places]
            yield path.mean(axis=1), jax.vmap(lambda x: jnp.cov(x.T))(path)

    noise = np.random.default_rng(0).standard_normal((2, n, 2))
    found = jax.jit(lambda noise: list(moments(noise)))(noise)
    wrong = []
    for name, (mean, covariance) in zip(names, found, strict=True):
        for i, place in enumerate(places):
            alpha, sigma = levels.alpha[place], levels.sigma[place]
            near = np.abs(mean[i] - alpha * MEAN).max() < 5 / np.sqrt(n) + 0.01
            error = np.abs(covariance[i] - alpha**2 * COVARIANCE - sigma**2 * np.eye(2))
            if not near or error.max() > 5 * np.sqrt(2 / n) + 0.02:
                wrong.append(f"{name} at level {place}")
    assert not wrong


@pytest.mark.parametrize("name", slow_but(FEW, STEPPING))
def test_a_second_grid_compiles_nothing(name):
    sampler, predict = catalog.build("sampler", name), gaussian
    x = start_at(levels_of())
    run_steps(predict, sampler, levels_of("uniform", 9), x, KEY)
    before = scan._cache_size()
    run_steps(predict, sampler, levels_of("quadratic", 9, schedule=cosine(1000)), x + 1, jax.random.key(9))
    assert scan._cache_size() == before


@pytest.mark.parametrize(("name", "lost"), [("ddim", 7), ("heun", 6)])  # Heun asks at the end of its step too
def test_the_step_that_lost_a_value_is_said(name, lost):
    levels = levels_of(steps=20)

    def spoilt(x, level):
        lost_here = level.log_snr > levels.log_snr[7] - 1e-3
        return Prediction(*(jnp.where(lost_here, jnp.nan, value) for value in gaussian(x, level)[:2]))

    sampler = catalog.build("sampler", name)
    assert run_steps(jax.tree_util.Partial(spoilt), sampler, levels, start_at(levels), KEY).broken == lost

"""Every sampler in the table, asked what has a closed-form answer: on Gaussian data all of them are affine maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.schedules import cosine, linear
from diffuse_cli.sampling.sample import run, sample
from diffuse_cli.sampling.samplers import ddim, ddpm

SAMPLERS = ["ddpm", "ddpm:large", "ddim", "ddim:eta=0.5", "ddim:eta=1", "dpmpp_2m"]
ORDERS = {"ddim": 1, "dpmpp_2m": 2}  # the deterministic ones
GRIDS = list(catalog.CATALOG["grid"])
SCALINGS = [p.variance_preserving, p.variance_exploding, p.straight_flow]
MEAN = np.array([0.6, -0.4])
COVARIANCE = np.array([[0.9, 0.5], [0.5, 0.7]])
KEY = jax.random.key(0)


def gaussian():
    return jax.tree_util.Partial(exact.denoiser(exact.gaussian(MEAN, COVARIANCE)))


def levels_of(grid="uniform", steps=20, scaling=p.variance_preserving, schedule=None):
    return catalog.build("grid", grid)(p.Process(schedule or linear(1000), 1000, scaling), steps)


def start_at(levels, n=64):
    return p.prior(jax.random.key(1), (n, 2), jax.tree.map(lambda a: a[0], levels))


def test_the_table_has_every_sampler():
    assert {name.partition(":")[0] for name in SAMPLERS} == set(catalog.CATALOG["sampler"])


@pytest.mark.parametrize("schedule", catalog.CATALOG["schedule"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_no_schedule_grid_or_number_of_steps_gives_nan(schedule, grid, name):
    """In single precision, compiled, where rounding may take a variance below zero."""
    sampler, predict = catalog.build("sampler", name), gaussian()
    for timesteps, steps in ((1000, 1), (1000, 2), (1000, 3), (1000, 4), (1000, 7), (1000, 10), (2, 3), (10, 30)):
        process = p.Process(catalog.build("schedule", schedule, timesteps), timesteps)
        levels = catalog.build("grid", grid)(process, steps)
        assert np.isfinite(run(predict, sampler, levels, start_at(levels), KEY)).all(), (timesteps, steps)


@pytest.mark.parametrize("schedule", catalog.CATALOG["schedule"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("steps", [1, 2, 50, 3000])
def test_grids_ask_only_about_levels_that_are_trained(schedule, grid, steps):
    process = p.Process(catalog.build("schedule", schedule, 1000), 1000)
    first, last = process.schedule(jnp.array([1.0, 1 / 1000]))
    noisy = catalog.build("grid", grid)(process, steps).log_snr[:-1]
    assert noisy.min() >= first - 1e-4
    assert noisy.max() <= last + 1e-3


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("steps", [1, 2, 3, 50])
def test_grids_run_from_noise_to_exactly_clean(grid, steps):
    levels = levels_of(grid, steps)
    assert levels.log_snr.shape == (steps + 1,)
    assert (np.diff(levels.log_snr) > 0).all()
    assert levels.log_snr[0] == p.Process(linear(1000), 1000).level(1.0).log_snr
    assert (levels.alpha[-1], levels.sigma[-1]) == (1, 0)


@pytest.mark.parametrize("steps", [10, 1000])
def test_the_uniform_grid_visits_the_chains_own_levels(steps):
    process = p.Process(linear(steps), steps)
    got, knots = catalog.build("grid", "uniform")(process, steps), process.knots()
    np.testing.assert_allclose(got.sigma, knots.sigma[::-1], rtol=1e-4)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 25])
def test_every_number_of_steps_ends_finite_with_the_path_it_took(name, steps):
    levels = levels_of(steps=steps)
    x = start_at(levels)
    path = run(gaussian(), catalog.build("sampler", name), levels, x, KEY, trajectory=True)
    assert path.x.shape == (steps + 1, 64, 2)
    assert path.x0.shape == (steps, 64, 2)
    assert np.isfinite(path.x).all()
    np.testing.assert_array_equal(path.x[0], x)
    np.testing.assert_allclose(path.x[-1], run(gaussian(), catalog.build("sampler", name), levels, x, KEY), atol=1e-6)
    np.testing.assert_allclose(path.x[-1], path.x0[-1], atol=1e-6)  # no noise is added in the last step


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_mean_and_covariance_are_those_of_the_data(name, scaling):
    """Many fine steps of the chain from its own prior, within five standard errors plus the steps' own error."""
    n = 20_000
    levels = levels_of("uniform", 400, scaling)
    x = np.asarray(sample(gaussian(), catalog.build("sampler", name), levels, KEY, (n, 2)), np.float64)
    np.testing.assert_allclose(x.mean(axis=0), MEAN, atol=5 / np.sqrt(n) + 0.01)
    np.testing.assert_allclose(np.cov(x.T), COVARIANCE, atol=5 * np.sqrt(2 / n) + 0.02)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_ddim_is_the_flow_map_of_a_gaussian(scaling, x64):
    """x_s = alpha_s m + S_s^(1/2) S_t^(-1/2) (x_t - alpha_t m) with S = alpha^2 C + sigma^2 I, for small steps."""
    levels = jax.device_get(levels_of("log_snr", 4000, scaling))
    noisy = jax.tree.map(lambda a: a[:-1], levels)  # stop at the last noisy level
    x = jnp.asarray(start_at(levels))
    got = run(gaussian(), ddim(), noisy, x, KEY)
    values, basis = np.linalg.eigh(COVARIANCE)
    spread = lambda i: np.sqrt(noisy.alpha[i] ** 2 * values + noisy.sigma[i] ** 2)  # noqa: E731
    expected = (
        noisy.alpha[-1] * MEAN + (np.asarray(x) - noisy.alpha[0] * MEAN) @ basis * (spread(-1) / spread(0)) @ basis.T
    )
    np.testing.assert_allclose(got, expected, atol=2e-3)


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_order_of_convergence(name, order, x64):
    """The error between two noisy levels falls as steps^-order."""
    process = p.Process(linear(1000), 1000)
    ends = process.schedule(jnp.array([0.9, 0.05]))
    x = jax.random.normal(KEY, (64, 2), jnp.float64)

    def end(steps):
        return run(gaussian(), catalog.build("sampler", name), process.at(jnp.linspace(*ends, steps + 1)), x, KEY)

    exact_end = end(20_000)
    errors = [np.sqrt(np.mean((end(steps) - exact_end) ** 2)) for steps in (40, 80, 160)]
    slope = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(slope, order, atol=0.15)


@pytest.mark.parametrize("name", ORDERS)
def test_all_scalings_give_the_same_samples(name, x64):
    ends = []
    for scaling in SCALINGS:
        levels = levels_of("uniform", 30, scaling)
        ends.append(run(gaussian(), catalog.build("sampler", name), levels, start_at(levels), KEY))
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-9)
    np.testing.assert_allclose(ends[2], ends[0], atol=1e-9)


def test_ddim_at_eta_one_is_ancestral(x64):
    """DDIM with eta = 1 and DDPM with the small variance are the same step, noise for noise."""
    levels = levels_of("uniform", 50, schedule=cosine(1000))
    x = start_at(levels)
    np.testing.assert_allclose(
        run(gaussian(), ddim(eta=1), levels, x, KEY), run(gaussian(), ddpm(), levels, x, KEY), atol=1e-10
    )


def test_ddpm_is_the_published_formula(x64):
    """One step between neighbouring knots against Ho et al. 2020, algorithm 2, for both variances."""
    betas = np.linspace(1e-4, 0.02, 1000)
    alpha_bar = np.cumprod(1 - betas)
    i = 400  # the step from t = 401 to t = 400, in the paper's counting from 1
    process = p.Process(linear(1000), 1000)
    levels = process.level(jnp.array([(i + 1) / 1000, i / 1000]))
    x = jax.random.normal(jax.random.key(3), (5, 2), jnp.float64)
    now = jax.tree.map(lambda a: a[0], levels)
    eps = gaussian()(x, now).eps
    mean = (x - betas[i] / np.sqrt(1 - alpha_bar[i]) * eps) / np.sqrt(1 - betas[i])
    noise = jax.random.normal(jax.random.split(KEY, 1)[0], x.shape, x.dtype)
    posterior = (1 - alpha_bar[i - 1]) / (1 - alpha_bar[i]) * betas[i]
    for variance, value in (("small", posterior), ("large", betas[i])):
        got = run(gaussian(), ddpm(variance=variance), levels, x, KEY)
        np.testing.assert_allclose(got, mean + np.sqrt(value) * noise, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_noise_level_keeps_its_variance(name, x64):
    """Along fine steps x_t has covariance alpha^2 C + sigma^2 I at every level, not only at the end."""
    levels = levels_of("uniform", 200)
    spread = jnp.asarray(np.linalg.cholesky(COVARIANCE))
    noise = jax.random.normal(KEY, (2, 20_000, 2), jnp.float64)
    first = jax.tree.map(lambda a: a[0], levels)
    x = first.alpha * (MEAN[None] + noise[0] @ spread.T) + first.sigma * noise[1]
    path = np.asarray(run(gaussian(), catalog.build("sampler", name), levels, x, KEY, trajectory=True).x)
    for i in (50, 100, 150, 195):
        expected = levels.alpha[i] ** 2 * COVARIANCE + levels.sigma[i] ** 2 * np.eye(2)
        np.testing.assert_allclose(np.cov(path[i].T), expected, atol=5 * np.sqrt(2 / 20_000) + 0.02)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_second_grid_compiles_nothing(name):
    sampler, predict = catalog.build("sampler", name), gaussian()
    x = start_at(levels_of())
    run(predict, sampler, levels_of("uniform"), x, KEY)
    before = run._cache_size()
    run(predict, sampler, levels_of("quadratic", schedule=cosine(1000)), x + 1, jax.random.key(9))
    assert run._cache_size() == before

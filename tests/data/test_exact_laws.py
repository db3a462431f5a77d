"""Every set's density against its draws: one table over all sets, which a new one inherits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Process

SETS = [name for name in catalog.CATALOG["dataset"] if name != "file"]
SETS += ["swiss_roll:dim=3", "s_curve:dim=3", "moons:noise=0.3", "bimodal:weight=0.2", "curves:dim=8", "line:noise=0"]
LEVELS = (-2.0, 2.0, 6.0)
every_set = pytest.mark.parametrize("name", SETS)


def model_draws(dataset, n, seed=1):
    return dataset.standard.to_model(dataset.draw(np.random.default_rng(seed), n))


@every_set
@pytest.mark.parametrize("log_snr", LEVELS)
def test_the_score_is_that_of_the_draws(name, log_snr, x64):
    """For x ~ p: E score = 0 and E x_i score_j = -delta_ij (Stein), within six standard errors; other laws miss it."""
    dataset = catalog.build("dataset", name)
    level = Process(None, 1).at(jnp.float64(log_snr))
    x0 = model_draws(dataset, 6000)
    x = level.alpha * x0 + level.sigma * np.random.default_rng(2).normal(size=x0.shape)
    score = np.asarray(-jax.jit(lambda x: exact.denoiser(dataset.exact())(x, level).eps)(x) / level.sigma)
    for values, expected in ((score, 0.0), (np.asarray(x) * score, -1.0)):
        error = (values.mean(axis=0) - expected) / (values.std(axis=0) / np.sqrt(len(values)))
        assert np.abs(error).max() < 6


@pytest.mark.parametrize("name", [name for name in SETS if catalog.build("dataset", name).dim <= 2])
def test_the_density_integrates_to_one_and_is_that_of_the_draws(name, x64):
    """At a fine noise level: the mass on a grid, and -E log p over draws against the entropy on the grid, within five
    standard errors. By Gibbs' inequality any other law would give the draws a larger one."""
    dataset = catalog.build("dataset", name)
    level = Process(None, 1).at(jnp.float64(6.0))
    law = jax.jit(lambda x: exact.log_prob(dataset.exact(), x, level))
    side = np.linspace(-4, 4, 321)
    grid = jnp.asarray(np.stack(np.meshgrid(*[side] * dataset.dim), axis=-1).reshape(-1, dataset.dim))
    log_p = np.concatenate([law(part) for part in jnp.array_split(grid, 40)])
    cell = (side[1] - side[0]) ** dataset.dim
    assert np.exp(log_p).sum() * cell == pytest.approx(1, abs=1e-3)
    entropy = -(np.exp(log_p) * log_p).sum() * cell
    x0 = model_draws(dataset, 6000)
    surprise = -np.asarray(law(level.alpha * x0 + level.sigma * np.random.default_rng(2).normal(size=x0.shape)))
    assert surprise.mean() == pytest.approx(entropy, abs=5 * surprise.std() / np.sqrt(len(surprise)))


def test_curves_have_the_entropy_of_their_covariance(x64):
    """1/2 log det(2 pi e (alpha^2 C + sigma^2 I)), C = sum_k a_k^2 cos pi k (t_i - t_j) + noise^2 I, standardised."""
    dataset = catalog.build("dataset", "curves:dim=8,terms=3,decay=1,noise=0.1")
    order, t = np.arange(1, 4), np.linspace(0, 1, 8)
    shares = order**-2.0 / np.sum(order**-2.0)
    covariance = sum(a * np.cos(np.pi * k * (t[:, None] - t)) for a, k in zip(shares, order, strict=True))
    covariance = (covariance + 0.01 * np.eye(8)) / 1.01
    level = Process(None, 1).at(jnp.float64(3.0))
    noisy = float(level.alpha) ** 2 * covariance + float(level.sigma) ** 2 * np.eye(8)
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * noisy)[1]
    x0 = model_draws(dataset, 20_000)
    x = level.alpha * x0 + level.sigma * np.random.default_rng(2).normal(size=x0.shape)
    surprise = -np.asarray(exact.log_prob(dataset.exact(), x, level))
    assert surprise.mean() == pytest.approx(entropy, abs=5 * surprise.std() / np.sqrt(len(surprise)))


@pytest.mark.parametrize(("name", "entropy"), [("moons:noise=0.05", 0.2892), ("moons:noise=0.1", 1.0075)])
def test_published_entropies(name, entropy, x64):
    """-E log p at the clean level, back in data units, within five standard errors."""
    dataset = catalog.build("dataset", name)
    level = Process(None, 1).at(jnp.inf)
    law = dataset.exact()
    log_p = jax.lax.map(lambda x: law(x, level), jnp.asarray(model_draws(dataset, 40_000)), batch_size=4096)
    found = -np.asarray(log_p) + np.log(dataset.standard.scale).sum()
    assert found.mean() == pytest.approx(entropy, abs=5 * found.std() / np.sqrt(len(found)))


def test_a_file_is_the_mixture_on_its_points(tmp_path, x64):
    points = np.random.default_rng(0).normal(size=(30, 2)) * [1.0, 50.0]
    np.savetxt(tmp_path / "points.csv", points, delimiter=",")
    dataset = catalog.build("dataset", f"file:{tmp_path / 'points.csv'}")
    level = Process(None, 1).at(12.0)
    at = level.alpha * dataset.standard.to_model(points)
    got = exact.denoiser(dataset.exact())(jnp.asarray(at), level).x0
    np.testing.assert_allclose(dataset.standard.to_data(np.asarray(got)), points, atol=1e-5)

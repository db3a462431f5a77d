"""Log-likelihoods by the flow against densities in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.diffusion import exact, likelihood
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.likelihood import SPACING, frozen_below, grid_density, log_likelihood, mass
from diffuse_cli.diffusion.process import Process, straight_flow, variance_exploding, variance_preserving
from diffuse_cli.diffusion.schedules import cosine, linear
from diffuse_cli.errors import UsageError

SCALINGS = [variance_preserving, variance_exploding, straight_flow]
SHORT = Process(linear(1000), 1000)


def mixture():
    """A new one for every test, because jax keeps what it made of a numpy array in single or in double precision."""
    return exact.mixture(np.array([[-0.8, 0.3], [0.9, -0.2], [0.1, 1.1]]), 0.2, np.array([0.2, 0.5, 0.3]))


def whole(scaling=variance_preserving):
    """From next to no noise to next to nothing else: neither the frozen score matters nor the prior."""
    return Process(lambda t: 22 - 64 * t, 10_000, scaling)


def denoiser(law):
    return jax.tree_util.Partial(exact.denoiser(law))


def gaussian(dim, seed=0):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(dim, dim + 2)) / np.sqrt(dim + 2)
    return rng.normal(size=dim) / 2, root @ root.T + 0.05 * np.eye(dim)


def model_log_prob(mean, covariance, process, x0):
    """The density of the flow on Gaussian data, from its stretch along each principal axis with variance v.

    d (x/alpha) / dtau = eps: above the finest level eps = tau z / (v + tau^2), z = x / alpha - mean, and below it
    tau / tau_1 times eps at tau_1, so that z grows by exp(tau_1^2 / 2 (v + tau_1^2)) and then as sqrt(v + tau^2).
    """
    values, basis = np.linalg.eigh(covariance)
    first, last = (np.exp(-np.float64(process.schedule(jnp.float64(t)))) for t in (1 / process.timesteps, 1.0))
    stretch = np.exp(first / (2 * (values + first))) * np.sqrt((values + last) / (values + first))
    x = (mean @ basis + stretch * ((x0 - mean) @ basis)) / np.sqrt(1 + last)
    each = -0.5 * (x**2 + np.log(2 * np.pi)) + np.log(stretch) - 0.5 * np.log(1 + last)
    return each.sum(axis=1)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_gaussian_data(dim, x64):
    """Also where the finest level is coarse, so that the frozen score matters, and the last one is not all noise."""
    mean, covariance = gaussian(dim)
    x0 = np.random.default_rng(1).multivariate_normal(mean, 2 * covariance, 20)
    predict = denoiser(exact.gaussian(mean, covariance))
    for process in (SHORT, Process(lambda t: 2 - 5 * t, 10)):
        got = log_likelihood(predict, process, x0, tolerance=1e-9)
        np.testing.assert_allclose(got.log_p, model_log_prob(mean, covariance, process, x0), atol=1e-7)
        np.testing.assert_array_equal(got.stderr, 0)
        assert got.failed == 0


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_mixture_has_its_own_density_under_every_scaling(scaling, x64):
    x0 = np.random.default_rng(0).normal(size=(50, 2))
    got = log_likelihood(denoiser(mixture()), whole(scaling), x0, tolerance=1e-9)
    expected = exact.log_prob(mixture(), jnp.asarray(x0), whole().at(jnp.inf))
    np.testing.assert_allclose(got.log_p, expected, atol=1e-6)


def bent(x, level):
    """A denoiser that is no law's."""
    x, tau = x / level.alpha, level.sigma / level.alpha
    x0 = x / (1 + tau**2) + 0.3 * jnp.tanh(2 * x[:, ::-1]) / (1 + tau)
    return Prediction(x0, (x - x0) / tau)


def test_all_scalings_describe_one_flow(x64):
    """Also where neither end of the process is far away."""
    x0 = np.random.default_rng(0).normal(size=(50, 2))
    found = [
        log_likelihood(jax.tree_util.Partial(bent), Process(cosine(20), 20, scaling), x0, tolerance=1e-7)
        for scaling in SCALINGS
    ]
    assert [each.failed for each in found] == [0, 0, 0]
    np.testing.assert_allclose(found[1].log_p, found[0].log_p, atol=1e-5)
    np.testing.assert_allclose(found[2].log_p, found[0].log_p, atol=1e-5)


@pytest.fixture(scope="module")
def in_single_precision():
    """300 points with the default settings: more than two blocks."""
    x0 = np.float32(np.random.default_rng(0).normal(size=(300, 2)))
    return x0, log_likelihood(denoiser(mixture()), whole(), x0)


def test_the_default_tolerance_in_single_precision(in_single_precision):
    x0, got = in_single_precision
    expected = exact.log_prob(mixture(), jnp.asarray(x0), SHORT.at(jnp.inf))
    np.testing.assert_allclose(got.log_p, expected, atol=1e-3, rtol=1e-4)
    assert got.log_p.dtype == np.float32
    assert 60 < got.evals < 600


def test_a_point_knows_nothing_of_the_others(in_single_precision):
    x0, together = in_single_precision
    alone = [log_likelihood(denoiser(mixture()), whole(), x0[rows]).log_p for rows in (slice(1), slice(130, 131))]
    np.testing.assert_allclose(np.concatenate(alone), together.log_p[[0, 130]], rtol=1e-4, atol=2e-4)


@pytest.fixture(scope="module")
def six_dimensions():
    with jax.enable_x64(True):
        mean, covariance = gaussian(6)
        x0 = np.random.default_rng(1).multivariate_normal(mean, covariance, 400)
        predict = denoiser(exact.gaussian(mean, covariance))
        return predict, x0, model_log_prob(mean, covariance, SHORT, x0)


def test_the_divergence_is_exact_when_asked(six_dimensions, x64):
    predict, x0, expected = six_dimensions
    np.testing.assert_allclose(log_likelihood(predict, SHORT, x0, tolerance=1e-8, probes=0).log_p, expected, atol=1e-6)


def test_probes_say_how_uncertain_they_are(six_dimensions, x64):
    """The errors of eight probes a point, in their own standard errors, against Student's t with 7 degrees of freedom.

    Signs are not normal numbers, so the coverage is only about 95 %; the mean over points has to be right.
    """
    predict, x0, expected = six_dimensions
    got = log_likelihood(predict, SHORT, x0, tolerance=1e-6)
    error = got.log_p - expected
    assert error.std() > 0.05
    assert 0.9 < np.mean(np.abs(error) < 2.365 * got.stderr) < 0.99
    assert error.std() == pytest.approx(np.sqrt(np.mean(got.stderr**2)), rel=0.15)
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(x0))


def test_probes_belong_to_the_key_and_the_row(six_dimensions, x64):
    predict, x0, _ = six_dimensions
    one, same, other = (
        log_likelihood(predict, SHORT, x0[:n], tolerance=1e-6, key=jax.random.key(seed)).log_p[:2]
        for n, seed in ((2, 1), (200, 1), (2, 2))
    )
    np.testing.assert_allclose(one, same, rtol=1e-9)
    assert np.abs(one - other).min() > 1e-4


def test_what_the_solver_cannot_do_is_not_a_number():
    x0 = np.random.default_rng(0).normal(size=(20, 2))
    got = log_likelihood(denoiser(mixture()), SHORT, x0, max_steps=5)
    assert got.failed == 20
    assert np.isnan(got.log_p).all()
    assert np.isnan(got.stderr).all()
    assert got.evals == 5 * 6
    assert np.isnan(grid_density(denoiser(mixture()), SHORT, [-1, -1], [1, 1], (4, 4), max_steps=5).mass)


def test_a_point_that_fails_spoils_no_other(in_single_precision):
    x0, expected = in_single_precision
    spoilt = x0.copy()
    spoilt[[3, 200]] = [[np.nan, 0], [np.inf, 0]]
    got = log_likelihood(denoiser(mixture()), whole(), spoilt)
    assert got.failed == 2
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(got.log_p)), [3, 200])
    good = np.isfinite(got.log_p)
    np.testing.assert_allclose(got.log_p[good], expected.log_p[good], rtol=1e-4, atol=2e-4)


def test_mass_on_a_grid():
    """All of it, and the half on one side of the middle of a symmetric law."""
    law = exact.mixture(np.array([[-1.0, 0.5], [1.0, -0.5]]), 0.1)
    everywhere = grid_density(denoiser(law), whole(), [-1.6, -1.0], [1.6, 1.0])
    assert everywhere.mass == pytest.approx(1, abs=1e-3)
    assert everywhere.failed == 0
    assert everywhere.log_p.shape == (64, 40)
    half = grid_density(denoiser(law), whole(), [-1.6, -1.0], [0.0, 1.0])
    assert half.mass == pytest.approx(0.5, abs=1e-3)


def test_a_grid_knows_its_columns():
    found = grid_density(denoiser(mixture()), whole(), [-1.0, 0.0], [1.0, 1.5], (5, 3))
    for axis, expected in zip(found.axes, ([-0.8, -0.4, 0, 0.4, 0.8], [0.25, 0.75, 1.25]), strict=True):
        np.testing.assert_allclose(axis, expected, atol=1e-12)
    assert found.volume == pytest.approx(0.4 * 0.5)
    for i, j in ((0, 2), (4, 0)):
        x = jnp.array([[found.axes[0][i], found.axes[1][j]]])
        assert found.log_p[i, j] == pytest.approx(float(exact.log_prob(mixture(), x, SHORT.at(jnp.inf))[0]), abs=1e-3)


def test_mass_on_a_line():
    law = exact.mixture(np.array([[-1.0], [1.0]]), 0.1)
    found = grid_density(denoiser(law), whole(), [-2.0], [2.0])
    assert found.mass == pytest.approx(1, abs=1e-3)
    assert found.log_p.shape == (80,)


def test_mass_and_its_error():
    law = exact.mixture(np.array([[-1.0, 0.5], [1.0, -0.5]]), 0.1)
    found = mass(denoiser(law), whole(), [-1.6, -1.0], [1.6, 1.0])
    assert found.value == pytest.approx(1, abs=1e-3)
    assert found.error < 1e-3
    assert (found.resolved, found.failed) == (True, 0)
    spoilt = mass(denoiser(law), whole(), [-0.2, -0.1], [0.2, 0.1], max_steps=3)
    assert np.isnan(spoilt.value)
    assert (spoilt.resolved, spoilt.failed > 10) == (False, True)


@pytest.mark.parametrize("std", [0.04, 0.01, 0.002])
@pytest.mark.parametrize("dim", [1, 2])
def test_the_error_of_a_grid_too_coarse_is_seen(dim, std, monkeypatch):
    """With the density itself in the flow's place, which has it to six digits."""
    means = np.random.default_rng(0).uniform(-0.8, 0.8, (20, dim))
    law = jax.jit(lambda x: exact.log_prob(exact.mixture(means, std), x, SHORT.at(jnp.float32(jnp.inf))))
    monkeypatch.setattr(
        likelihood,
        "log_likelihood",
        lambda _predict, _process, x, **_: likelihood.Likelihood(np.asarray(law(jnp.float32(x))), None, 0, 0, 0),
    )
    found = mass(denoiser(mixture()), SHORT, [-1.2] * dim, [1.2] * dim)
    if std > 0.005:  # finer detail it may miss
        assert abs(found.value - 1) < 2 * found.error + 1e-4
    assert found.resolved == (std > 0.6 * SPACING)


def test_a_grid_that_misses_everything_is_not_resolved():
    law = exact.mixture(np.array([[0.013, 0.0172]]), 1e-4)
    found = mass(denoiser(law), whole(), [-0.2, -0.2], [0.2, 0.2])
    assert found.value < 0.5
    assert not found.resolved


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_frozen_score(scaling, x64):
    process = Process(None, 1, scaling)
    finest = process.at(jnp.float64(3.0))
    frozen = frozen_below(jax.tree_util.Partial(bent), finest)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(10, 2)))
    for log_snr in (-9.0, 0.0, 2.99, 3.0):
        level = process.at(jnp.float64(log_snr))
        for got, expected in zip(frozen(x, level)[:2], bent(x, level)[:2], strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12)
    limit = -bent(finest.alpha * x, finest).eps * finest.alpha / finest.sigma  # the score in x / alpha
    for log_snr in (3.01, 9.0, 40.0):
        level = process.at(jnp.float64(log_snr))
        got = frozen(level.alpha * x, level)
        np.testing.assert_allclose(-got.eps * level.alpha / level.sigma, limit, rtol=1e-9)
        np.testing.assert_allclose(level.alpha * got.x0 + level.sigma * got.eps, level.alpha * x, atol=1e-12)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_at_the_clean_level_everything_is_clean(scaling):
    process = Process(None, 1, scaling)
    frozen = frozen_below(jax.tree_util.Partial(bent), process.at(jnp.float32(3.0)))
    clean = process.at(jnp.float32(jnp.inf))
    x = jnp.array([[0.3, -2.0]])
    np.testing.assert_array_equal(frozen(x, clean).eps, 0)
    np.testing.assert_array_equal(frozen(x, clean).x0, x)
    slope = jax.jacobian(lambda x: frozen(x[None], clean))(x[0])
    np.testing.assert_array_equal(slope.x0[0], np.eye(2))
    np.testing.assert_array_equal(slope.eps[0], 0)


def test_a_level_each_and_a_level_for_all_agree():
    frozen = frozen_below(jax.tree_util.Partial(bent), SHORT.at(jnp.float32(3.0)))
    x, log_snr = jnp.ones((3, 2)), jnp.array([0.0, 5.0, jnp.inf])
    together = frozen(x, SHORT.at(log_snr[:, None]))
    for i in range(3):
        alone = frozen(x[:1], SHORT.at(log_snr[i]))
        for one, other in zip(alone[:2], together[:2], strict=True):
            np.testing.assert_allclose(one[0], other[i], rtol=1e-6)


def linear_denoiser(weights, x, level):
    x0 = x @ weights / jnp.hypot(level.alpha, level.sigma)
    return Prediction(x0, (x - level.alpha * x0) / level.sigma)


def test_other_weights_points_and_schedules_compile_nothing():
    def ask(scale, n, process, tolerance):
        predict = jax.tree_util.Partial(linear_denoiser, scale * jnp.eye(2))
        return log_likelihood(predict, process, np.ones((n, 2)), tolerance=tolerance).log_p

    first = ask(0.3, 3, SHORT, 1e-4)
    before = likelihood._solve._cache_size()
    assert np.abs(ask(0.5, 3, SHORT, 1e-4) - first).min() > 0.01
    ask(0.3, 300, SHORT, 1e-4)
    ask(0.3, 3, Process(cosine(50), 50), 1e-3)
    assert likelihood._solve._cache_size() == before


def test_weights_remain_leaves():
    weights = jnp.eye(2)
    frozen = frozen_below(jax.tree_util.Partial(linear_denoiser, weights), SHORT.level(0.001))
    assert any(leaf is weights for leaf in jax.tree.leaves(frozen))


@pytest.mark.parametrize(
    ("x0", "settings", "said"),
    [
        (np.zeros(3), {}, "shape"),
        (np.zeros((0, 2)), {}, "shape"),
        (np.zeros((1, 2)), {"probes": 1}, "probes is 1"),
        (np.zeros((1, 2)), {"probes": -1}, "probes is -1"),
        (np.zeros((1, 2)), {"tolerance": 1e-9}, "float32"),
        (np.zeros((1, 2)), {"tolerance": float("nan")}, "tolerance is nan"),
        (np.zeros((1, 2)), {"max_steps": 0}, "max_steps is 0"),
    ],
)
def test_what_has_no_meaning_is_refused(x0, settings, said):
    with pytest.raises(UsageError, match=said):
        log_likelihood(denoiser(mixture()), SHORT, x0, **settings)


def test_grids_that_have_no_meaning_are_refused():
    with pytest.raises(UsageError, match="not in 3"):
        grid_density(denoiser(mixture()), SHORT, [0, 0, 0], [1, 1, 1])
    with pytest.raises(UsageError, match="low to high"):
        grid_density(denoiser(mixture()), SHORT, [0, 1], [1, 1])

"""Schedules judged for data whose answers are known in closed form: Gaussians, two Gaussians, points, lines."""

import jax
import numpy as np
import pytest
from scipy import integrate, stats

from diffuse_cli import catalog
from diffuse_cli.analysis import schedule_check
from diffuse_cli.analysis.schedule_check import COARSE, EARLY, LOG_SNR_GRID, WASTED
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level, Process, straight_flow, variance_exploding, variance_preserving

MEAN, VARIANCE = np.array([0.2, -0.1, 0.0]), np.array([1.7, 1.0, 0.3])
TURN = stats.ortho_group.rvs(3, random_state=0)
COVARIANCE = TURN * VARIANCE @ TURN.T


def draws(n, seed=1):
    return np.random.default_rng(seed).multivariate_normal(MEAN, COVARIANCE, n)


def process(schedule, timesteps, scaling=variance_preserving):
    return Process(catalog.build("schedule", schedule, timesteps), timesteps, scaling)


def level_at(log_snr, scaling=variance_preserving):
    with jax.enable_x64(True):
        return Level(log_snr, *map(float, scaling(jax.numpy.float64(log_snr))))


def gaussian_kl(level):
    """KL(N(m, C) || N(0, s^2 I)) = 1/2 sum(c / s^2 - 1 - log(c / s^2)) + |m|^2 / 2 s^2, c the eigenvalues of C."""
    scale = level.alpha**2 + level.sigma**2
    ratio = (level.alpha**2 * VARIANCE + level.sigma**2) / scale
    return 0.5 * np.sum(ratio - 1 - np.log(ratio)) + 0.5 * level.alpha**2 * np.sum(MEAN**2) / scale


@pytest.fixture(scope="module")
def gaussian():
    return schedule_check.study_law(exact.gaussian(MEAN, COVARIANCE), draws(20_000))


@pytest.fixture(scope="module")
def moons():
    dataset = catalog.build("dataset", "moons")
    x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), schedule_check.DRAWS))
    return schedule_check.study_law(dataset.exact(), x0)


@pytest.fixture(scope="module")
def normal():
    """N(0, 1), of which everything is known: the noise as well as sigma^2, the signal as alpha^2 says."""
    x0 = np.random.default_rng(0).standard_normal((20_000, 1))
    return schedule_check.study_law(exact.gaussian(np.zeros(1), np.eye(1)), x0)


@pytest.mark.parametrize("scaling", [variance_preserving, variance_exploding, straight_flow])
@pytest.mark.parametrize("log_snr", [6.0, 1.0, -1.0, -4.0, -10.0, -20.0])
def test_kl_of_a_gaussian(log_snr, scaling, gaussian):
    level = level_at(log_snr, scaling)
    found = gaussian.kl(level)
    assert found.value == pytest.approx(gaussian_kl(level), abs=5 * found.stderr)
    assert found.stderr < 0.05 * found.value


def test_a_few_draws_tell_the_kl():
    few, schedule = draws(300), process("linear:end=0.005", 1000)
    found = schedule_check.kl_to_prior(schedule, exact.gaussian(MEAN, COVARIANCE), few)
    truth = gaussian_kl(schedule_check.end_levels(schedule)[1])
    assert found.value == pytest.approx(truth, abs=5 * found.stderr)
    assert found.stderr < 0.3 * truth


def test_no_signal_at_all_is_no_kl(gaussian):
    assert gaussian.kl(Level(-np.inf, 0.0, 1.0)).value == pytest.approx(0, abs=1e-12)


def test_gains_of_a_gaussian(gaussian):
    """E |eps*|^2 / d = mean sigma^2 / c, Var(D) / Var(x0) = sum alpha^2 v^2 / c over sum v; c = alpha^2 v + sigma^2."""
    alpha, sigma = (
        np.array(field)[:, None] for field in zip(*(level_at(snr)[1:] for snr in LOG_SNR_GRID), strict=True)
    )
    c = alpha**2 * VARIANCE + sigma**2
    np.testing.assert_allclose(gaussian.gains.noise, np.mean(sigma**2 / c, axis=1), rtol=0.03)
    signal = np.sum(alpha**2 * VARIANCE**2 / c, axis=1) / VARIANCE.sum()
    np.testing.assert_allclose(gaussian.gains.signal, signal, rtol=0.03)


def test_both_gains_follow_from_the_mean_square_of_the_score():
    """For two Gaussians on a line, E score^2 by quadrature over x."""
    modes, std = np.array([[-1.0], [0.9]]), 0.3
    rng = np.random.default_rng(0)
    x0 = modes[rng.integers(2, size=20_000)] + std * rng.standard_normal((20_000, 1))
    found = schedule_check.study_law(exact.mixture(modes, std), x0).gains
    variance = np.var(modes) + std**2
    for log_snr, noise, signal in zip(*found, strict=True):
        _, alpha, sigma = level_at(log_snr)
        width = np.hypot(alpha * std, sigma)

        def density(x, alpha=alpha, width=width):
            return 0.5 * stats.norm.pdf(x, alpha * modes[:, 0], width)

        def square(x, density=density, alpha=alpha, width=width):
            slope = np.sum(density(x) * (alpha * modes[:, 0] - x)) / width**2
            return slope**2 / np.sum(density(x))

        ends = alpha * modes.min() - 9 * width, alpha * modes.max() + 9 * width
        score = integrate.quad(square, *ends, points=list(alpha * modes[:, 0]), limit=200)[0]
        assert noise == pytest.approx(sigma**2 * score, rel=0.03)
        if log_snr > -12:  # beyond, 1 - … has no digits left
            truth = 1 - sigma**2 * (1 - sigma**2 * score) / alpha**2 / variance
            assert signal == pytest.approx(truth, rel=0.04, abs=1e-7)


def test_useless_steps_are_counted(normal):
    schedule = process("cosine", 1000)
    levels = jax.device_get(schedule.knots())
    found = schedule_check.diagnose(normal, schedule)
    assert found.useless_clean == pytest.approx(np.mean(levels.sigma[1:] ** 2 < 0.01), abs=0.002)
    assert found.useless_noisy == pytest.approx(np.mean(levels.alpha[1:] ** 2 < 0.01), abs=0.002)
    assert found.useless_clean > 0.04
    assert found.noise_gain == pytest.approx(float(levels.sigma[1]) ** 2, rel=0.05)
    assert found.alpha_bar == pytest.approx(float(levels.alpha[-1]) ** 2, rel=1e-4)
    assert found.problems == ()


def test_the_level_that_is_fine_enough(normal):
    assert schedule_check.finest_needed(normal) == pytest.approx(np.log(0.9 / 0.1), abs=0.1)  # where sigma^2 = 0.1
    short = schedule_check.diagnose(normal, process("linear:start=0.2,end=0.9", 10))
    assert short.noise_gain == pytest.approx(0.2, rel=0.05)
    assert short.problems == (COARSE,)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_what_is_known_to_work_fits(schedule, moons):
    found = schedule_check.diagnose(moons, process(schedule, 1000))
    assert found.problems == ()
    assert found.kl.value < 1e-6
    assert not found.detail_at_all_scales


def test_made_easy_ends_much_too_early():
    """T = 100 and beta to 5e-3: the product of 1 - beta is 0.78."""
    dataset = catalog.build("dataset", "s_curve")
    x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), schedule_check.DRAWS))
    schedule = process("sigmoid:start=1e-5,end=5e-3", 100)
    found = schedule_check.diagnose(schedule_check.study_law(dataset.exact(), x0), schedule)
    assert found.problems == (EARLY,)
    assert found.kl.value > 10 * schedule_check.TOO_EARLY
    betas = 1e-5 + (5e-3 - 1e-5) / (1 + np.exp(-np.linspace(-6, 6, 100)))
    assert found.alpha_bar == pytest.approx(np.prod(1 - betas))


def test_too_many_steps_in_the_noise(moons):
    assert schedule_check.diagnose(moons, process("tanh", 1000)).problems == (WASTED,)


@pytest.mark.parametrize("scaling", [variance_preserving, variance_exploding])
def test_what_sampling_starts_from(gaussian, scaling):
    """x_T has mean alpha m and covariance alpha^2 C + sigma^2 I, in units of the prior's standard deviation."""
    schedule = process("linear:end=0.003", 1000, scaling)
    found = schedule_check.diagnose(gaussian, schedule)
    last = schedule_check.end_levels(schedule)[1]
    scale = np.hypot(last.alpha, last.sigma)
    std = np.sqrt(last.alpha**2 * VARIANCE + last.sigma**2) / scale
    np.testing.assert_allclose(found.std, (std.min(), std.max()), rtol=0.01)
    assert found.mean == pytest.approx(last.alpha * np.abs(MEAN).max() / scale, abs=0.03)


def test_points_are_judged_like_their_law_where_there_is_noise(gaussian):
    points = schedule_check.study_points(draws(5000))
    assert points.finite
    schedule = process("linear:end=0.002", 1000)
    one, other = schedule_check.diagnose(points, schedule), schedule_check.diagnose(gaussian, schedule)
    assert one.problems == other.problems == (EARLY,)
    assert one.kl.value == pytest.approx(other.kl.value, rel=0.3)
    assert one.useless_clean is None
    noisy = LOG_SNR_GRID < 0
    np.testing.assert_allclose(points.gains.signal[noisy], gaussian.gains.signal[noisy], rtol=0.15)


def test_what_points_tell_of_each_other_is_never_more_than_their_law_does(gaussian):
    points = schedule_check.study_points(draws(5000))
    assert (points.gains.noise < gaussian.gains.noise + 0.03).all()
    assert points.gains.noise[-1] < 0
    coarse = (LOG_SNR_GRID > -2) & (LOG_SNR_GRID < 1)
    np.testing.assert_allclose(points.gains.noise[coarse], gaussian.gains.noise[coarse], atol=0.03)


def test_repeated_points_and_bare_lines_have_no_finest_level():
    repeated = schedule_check.study_points(np.repeat([[0.0, 0.0], [1.0, 1.0], [-1.0, 1.0]], 100, axis=0))
    dataset = catalog.build("dataset", "line:noise=0")
    x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), 300))
    for subject in (repeated, schedule_check.study_law(dataset.exact(), x0)):
        found = schedule_check.diagnose(subject, process("cosine", 1000))
        assert found.detail_at_all_scales
        assert found.noise_gain > 0.4
        assert found.problems == ()


@pytest.mark.parametrize("points", [[[0.0], [1.0]], [[0.0, 0.0], [1.0, 0.5], [0.0, 2.0]]])
def test_hardly_any_points(points):
    found = schedule_check.diagnose(schedule_check.study_points(np.array(points)), process("cosine", 50))
    assert np.isfinite(found.kl.value)
    assert np.isfinite(found.noise_gain)


def test_noise_does_not_repeat_the_draws():
    """With eps = x0 in place of an independent draw, E (x0 eps*) would be far from 0, and the gain at t = 1/2 off."""
    x0 = np.random.default_rng(0).standard_normal((5000, 1))
    found = schedule_check.study_law(exact.gaussian(np.zeros(1), np.eye(1)), x0, seed=0)
    at_equal_parts = np.interp(0, found.gains.log_snr, found.gains.noise)
    assert at_equal_parts == pytest.approx(0.5, abs=0.03)


def test_the_seed_decides():
    law = exact.gaussian(MEAN, COVARIANCE)
    one, same, other = (schedule_check.study_law(law, draws(100), seed=seed).gains.noise for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_the_estimate_of_the_kl_is_a_smooth_function_of_the_level(moons):
    """It goes from one estimator to another, and a sudden change would be a kink in the figure of schedules."""
    log_kl = np.log([moons.kl(level_at(log_snr)).value for log_snr in np.linspace(-6, 4, 81)])
    assert (np.diff(log_kl) > 0).all()
    assert np.abs(np.diff(log_kl, 2)).max() < 0.01

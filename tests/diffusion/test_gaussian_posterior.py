"""Posteriors and products of mixtures of Gaussians, against quadrature and closed forms; the exact classifier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from diffuse_cli.diffusion import exact, grid_law
from diffuse_cli.diffusion.gaussian_posterior import posterior_of, times_gaussian
from diffuse_cli.diffusion.process import CLEAN, Level
from diffuse_cli.errors import DiffuseError

RNG = np.random.default_rng(0)
MEANS, WEIGHTS = RNG.normal(size=(4, 2)), np.array([0.1, 0.2, 0.3, 0.4])
COVARIANCES = np.array([[[a, b], [b, c]] for a, b, c in [(1, 0.9, 1), (0.1, 0, 0.5), (0.3, -0.2, 0.3), (2, 1, 1)]])
PRIORS = {
    "gaussians": exact.gaussians(MEANS, COVARIANCES, WEIGHTS),
    "mixture": exact.mixture(MEANS, 0.4, WEIGHTS),
    "one gaussian": exact.gaussian(MEANS[0], COVARIANCES[2]),
}
GRID = (np.array([-11.0, -11.0]), np.array([11.0, 11.0]), 360)
MEASUREMENTS = {
    "all": (np.eye(2), np.array([0.3, -0.5]), np.array([[0.4, 0.1], [0.1, 0.2]])),
    "a column": (np.array([[0.0, 1.0]]), np.array([0.7]), np.array([[0.1]])),
    "a mix": (np.array([[1.0, -2.0]]), np.array([1.0]), np.array([[0.3]])),
    "three": (np.array([[1.0, 0.0], [0.5, 0.5], [1.0, 0.2]]), np.array([0.3, -0.5, 0.2]), 0.5 * np.eye(3)),
}
log_prob = jax.jit(exact.log_prob, static_argnames="law")
CLEANLY = Level(*map(np.float64, CLEAN))


def log_normal(apart, covariance):
    """log N(apart [n, m]; 0, covariance)."""
    white = apart @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    return -0.5 * jnp.sum(white**2, axis=1) - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]


@pytest.mark.parametrize("name", PRIORS)
def test_posteriors_are_those_of_quadrature(name, x64):
    wrong = {}
    for measured, (a, y, noise) in MEASUREMENTS.items():
        law, log_p = posterior_of(PRIORS[name], a, y, noise)
        grid = grid_law.multiplied(
            PRIORS[name], lambda x, a=a, y=y, noise=noise: log_normal(y[None] - x @ a.T, noise), *GRID
        )
        x = np.stack(np.meshgrid(*grid.axes, indexing="ij"), axis=-1)[100:260:9, 100:260:9].reshape(-1, 2)
        apart = np.abs(log_prob(law, x, CLEANLY) - grid.log_p[100:260:9, 100:260:9].ravel()).max()
        if apart > 1e-6 or abs(grid.log_z - log_p) > 1e-6:
            wrong[measured] = (float(apart), grid.log_z - log_p)
    assert not wrong


@pytest.mark.parametrize("name", PRIORS)
def test_products_are_those_of_quadrature_also_when_a_direction_is_left_alone(name, x64):
    centre = np.array([0.5, 0.2])
    for precision in (np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([[4.0, 2.0], [2.0, 1.0]]), np.diag([0.0, 5.0])):
        law, log_z = times_gaussian(PRIORS[name], centre, precision)

        def log_h(x, precision=precision):
            return -0.5 * jnp.sum((x - centre[None]) @ precision * (x - centre[None]), axis=1)

        grid = grid_law.multiplied(PRIORS[name], log_h, *GRID)
        assert log_z == pytest.approx(grid.log_z, abs=1e-6)
        x = grid.draw(np.random.default_rng(1), 50)
        expected = log_prob(PRIORS[name], x, CLEANLY) + log_h(x) - log_z
        np.testing.assert_allclose(log_prob(law, x, CLEANLY), expected, atol=1e-9)


def test_of_one_gaussian_the_posterior_is_that_of_precisions():
    """S' = (S⁻¹ + AᵀR⁻¹A)⁻¹ and μ' = S' (S⁻¹μ + AᵀR⁻¹y) in five dimensions, and p(y) = N(y; Aμ, ASAᵀ + R)."""
    root, a, mean, y = (RNG.normal(size=shape) for shape in ((5, 5), (3, 5), (5,), (3,)))
    prior, noise = root @ root.T, np.diag([0.1, 0.2, 0.3])
    law, log_p = posterior_of(exact.gaussian(mean, prior), a, y, noise)
    got = law.gaussians()
    covariance = np.linalg.inv(np.linalg.inv(prior) + a.T @ np.linalg.solve(noise, a))
    np.testing.assert_allclose(got.covariances[0], covariance, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(
        got.means[0], covariance @ (np.linalg.solve(prior, mean) + a.T @ np.linalg.solve(noise, y))
    )
    assert log_p == pytest.approx(stats.multivariate_normal(a @ mean, a @ prior @ a.T + noise).logpdf(y))


def test_two_measurements_are_one_of_both():
    a, y, noise = MEASUREMENTS["three"]
    law, log_p = posterior_of(PRIORS["gaussians"], a, y, noise)
    first, log_first = posterior_of(PRIORS["gaussians"], a[:1], y[:1], noise[:1, :1])
    second, log_second = posterior_of(first, a[1:], y[1:], noise[1:, 1:])
    assert log_first + log_second == pytest.approx(log_p, abs=1e-9)
    for one, other in zip(law.gaussians()[:3], second.gaussians()[:3], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_without_noise_what_is_measured_is_known():
    a, y = np.array([[1.0, -2.0]]), np.array([0.7])
    for name, prior in PRIORS.items():
        law, _ = posterior_of(prior, a, y, np.zeros((1, 1)))
        got = law.gaussians()
        np.testing.assert_allclose(got.means @ a[0], y[0], atol=1e-12, err_msg=name)
        np.testing.assert_allclose(got.covariances @ a[0], 0, atol=1e-12, err_msg=name)
        assert law.entropy(Level(*CLEAN)) == -np.inf


def test_hardly_any_information_changes_hardly_anything_and_much_decides():
    prior = PRIORS["gaussians"].gaussians()
    vague = posterior_of(PRIORS["gaussians"], np.eye(2), np.zeros(2), 1e12 * np.eye(2))[0].gaussians()
    for one, other in zip(prior[:3], vague[:3], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    y = np.array([0.3, 0.4])
    sharp = posterior_of(PRIORS["gaussians"], np.eye(2), y, 1e-12 * np.eye(2))[0].gaussians()
    np.testing.assert_allclose(sharp.means, np.broadcast_to(y, sharp.means.shape), atol=1e-9)
    law, log_z = times_gaussian(PRIORS["gaussians"], y, np.zeros((2, 2)))
    assert law is PRIORS["gaussians"]
    assert log_z == 0


def test_separate_points_keep_their_places_and_get_other_weights():
    """The law of a file: only the weights change, in proportion to the likelihood of each point."""
    points = RNG.normal(size=(20, 3))
    law, log_p = posterior_of(exact.mixture(points, 0.0), np.eye(3)[:1], np.array([0.2]), np.array([[0.25]]))
    got, likelihood = law.gaussians(), stats.norm.pdf(points[:, 0], 0.2, 0.5)
    np.testing.assert_allclose(got.weights, likelihood / likelihood.sum(), atol=1e-12)
    np.testing.assert_allclose(got.means, points, atol=1e-12)
    assert log_p == pytest.approx(np.log(likelihood.mean()))


def test_the_entropy_of_overlapping_components_stays_within_reach():
    """The narrowest feature of a posterior follows from that of the prior, not from its narrowest component."""
    line = np.linspace(-1, 1, 2001)[:, None] * np.ones(2)
    prior = exact.gaussians(line, np.broadcast_to(1e-8 * np.eye(2), (2001, 2, 2)) + 0.04 * np.eye(2), narrowest=0.2)
    law, _ = posterior_of(prior, np.eye(2)[:1], np.array([0.1]), np.array([[0.04]]))
    assert 0.1 < law.gaussians().narrowest < 0.2
    assert np.isfinite(law.entropy(Level(*CLEAN)))


REFUSED = {
    "needs a mixture of Gaussians": lambda: posterior_of(
        exact.boxes(np.zeros((1, 2)), np.ones((1, 2))), *MEASUREMENTS["all"]
    ),
    "without noise of what has no variance": lambda: posterior_of(
        exact.mixture(MEANS, 0.0), np.eye(2)[:1], np.zeros(1), np.zeros((1, 1))
    ),
    "must be symmetric, without negative eigenvalues": lambda: times_gaussian(
        PRIORS["mixture"], np.zeros(2), np.diag([1.0, -1.0])
    ),
    "the product has no mass: Z = .*e-[0-9]+ of the largest": lambda: times_gaussian(
        PRIORS["mixture"], np.full(2, 100.0), np.eye(2)
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_has_no_posterior_is_refused(message):
    with pytest.raises(DiffuseError, match=message):
        REFUSED[message]()


SHARES = np.array([0.7, 0.3])
CLASSES = [exact.gaussians(MEANS[:2], COVARIANCES[:2], WEIGHTS[:2] / WEIGHTS[:2].sum()), exact.mixture(MEANS[2:], 0.4)]
WHOLE = exact.gaussians(
    MEANS,
    np.concatenate([COVARIANCES[:2], np.broadcast_to(0.16 * np.eye(2), (2, 2, 2))]),
    np.concatenate([SHARES[0] * WEIGHTS[:2] / WEIGHTS[:2].sum(), SHARES[1] / 2 * np.ones(2)]),
)
LOG_SNRS = (-8.0, -2.0, 0.0, 3.0, 8.0)


def classified(dtype):
    """log p(c | x) [l, n, k], sigma times its slope [l, n, d] for class 0, and eps of class 0 and of the whole."""
    x = jnp.asarray(np.random.default_rng(3).normal(size=(30, 2)), dtype)
    classify = exact.classifier(CLASSES, SHARES)

    @jax.jit
    @jax.vmap
    def at(log_snr):
        level = Level(log_snr, jnp.sqrt(jax.nn.sigmoid(log_snr)), jnp.sqrt(jax.nn.sigmoid(-log_snr)))
        slope = level.sigma * jax.grad(lambda x: classify(x, level)[:, 0].sum())(x)
        return classify(x, level), slope, *(exact.denoiser(law)(x, level).eps for law in (CLASSES[0], WHOLE))

    return map(np.asarray, at(jnp.asarray(LOG_SNRS, dtype)))


def test_the_slope_of_the_classifier_is_the_difference_of_the_scores(x64):
    """∇ log p(c | x) = s(x | c) − s(x) at every noise level: the two exact answers are one."""
    log_p, slope, of_class, of_whole = classified(np.float64)
    np.testing.assert_allclose(slope, of_whole - of_class, atol=1e-9)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=2), 1, atol=1e-12)
    assert np.abs(log_p[0] - np.log(SHARES)).max() < 0.2  # with much noise little is known of the class


def test_the_classifier_keeps_its_digits_in_single_precision():
    single = list(classified(np.float32))
    with jax.enable_x64(True):
        double = list(classified(np.float64))
    assert single[0].dtype == np.float32
    for one, other in zip(single[:2], double[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


def test_a_class_that_is_never_drawn_has_no_probability():
    classify = jax.jit(exact.classifier(CLASSES, np.array([1.0, 0.0])))
    log_p = classify(np.zeros((3, 2), np.float32), Level(*map(np.float32, CLEAN)))
    np.testing.assert_array_equal(log_p, [[0.0, -np.inf]] * 3)

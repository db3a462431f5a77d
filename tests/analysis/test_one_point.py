"""One point explained, where every answer is known: Gaussians, two Gaussians on a line, a few points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from diffuse_cli import catalog
from diffuse_cli.analysis.one_point import explain_point, on_a_line
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.process import Process, straight_flow, variance_exploding, variance_preserving

TIMES = np.array([0.001, 0.2, 0.5, 0.9, 1.0])
MEAN, COVARIANCE = np.array([0.3, -0.2]), np.array([[1.2, 0.4], [0.4, 0.5]])
X0, EPS = np.array([1.0, -0.5]), np.array([0.7, 1.4])
MODES, STD, SHARES = np.array([[-1.0], [0.8]]), 0.3, np.array([0.3, 0.7])
PREDICTIONS = list(catalog.CATALOG["prediction"])


def process(scaling=variance_preserving):
    return Process(catalog.build("schedule", "cosine", 1000), 1000, scaling)


def off_by(law, shift):
    """The exact denoiser with its x0 shifted."""

    def predict(x, level):
        x0 = exact.denoiser(law)(x, level).x0 + shift
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    return predict


def explained(law, x0, eps, *, shift=0.0, prediction="v", scaling=variance_preserving):
    whole = process(scaling)
    parameterization = catalog.build("prediction", prediction, whole)
    return explain_point(off_by(law, shift), parameterization, law, whole, x0, eps, TIMES)


@pytest.fixture(scope="module")
def two():
    law = exact.mixture(MODES, STD, SHARES)
    return law, explained(law, np.array([0.9]), np.array([-0.4]), shift=0.25)


@pytest.mark.parametrize("scaling", [variance_preserving, variance_exploding, straight_flow])
def test_the_posterior_of_a_gaussian(scaling):
    """Mean m + G (x - alpha m), covariance (I - alpha G) C, G = alpha C (alpha^2 C + sigma^2 I)^-1."""
    found = explained(exact.gaussian(MEAN, COVARIANCE), X0, EPS, scaling=scaling)
    for i in range(len(TIMES)):
        alpha, sigma = found.level.alpha[i], found.level.sigma[i]
        np.testing.assert_allclose(found.x[i], alpha * X0 + sigma * EPS, rtol=1e-9)
        gain = alpha * COVARIANCE @ np.linalg.inv(alpha**2 * COVARIANCE + sigma**2 * np.eye(2))
        covariance = COVARIANCE - alpha * gain @ COVARIANCE
        np.testing.assert_allclose(found.mean[i], MEAN + gain @ (found.x[i] - alpha * MEAN), atol=1e-6)
        np.testing.assert_allclose(found.covariance[i], covariance, atol=1e-6)
        np.testing.assert_allclose(found.std[i] ** 2, np.linalg.eigvalsh(covariance)[::-1], atol=1e-6)
    np.testing.assert_allclose(found.irreducible, np.trace(found.covariance, axis1=1, axis2=2))
    np.testing.assert_allclose(found.model_error, 0, atol=1e-9)


def test_the_posterior_of_two_gaussians(two):
    """A mixture again: each mode's weight times its density of x, each mode's Gaussian posterior."""
    _, found = two
    for i in range(len(TIMES)):
        alpha, sigma, x = found.level.alpha[i], found.level.sigma[i], found.x[i]
        spread = np.hypot(alpha * STD, sigma)
        weight = SHARES * stats.norm.pdf(x, alpha * MODES[:, 0], spread)
        weight /= weight.sum()
        means = MODES[:, 0] + alpha * STD**2 / spread**2 * (x - alpha * MODES[:, 0])
        mean = weight @ means
        variance = weight @ (means**2 + (STD * sigma / spread) ** 2) - mean**2
        assert found.mean[i, 0] == pytest.approx(mean, abs=1e-6)
        assert found.covariance[i, 0, 0] == pytest.approx(variance, abs=1e-6)


def test_the_expected_error_is_what_cannot_be_known_and_what_the_model_adds(two):
    """E (x0 - x0_hat)^2 over the density of x0 given x, which `on_a_line` has on its own way."""
    law, found = two
    places = np.linspace(-6, 6, 6001)
    data, posterior = on_a_line(law, process(), found, places)
    step = places[1] - places[0]
    np.testing.assert_allclose([p.sum() * step for p in (data, *posterior)], 1)
    clean = SHARES @ stats.norm.pdf(places, MODES, STD)
    np.testing.assert_allclose(data, clean, atol=1e-3)
    for i in range(1, len(TIMES)):  # at the first one the density itself is taken at that level
        expected = np.sum(posterior[i] * (places - found.x0_hat[i]) ** 2) * step
        assert found.irreducible[i] + found.model_error[i] == pytest.approx(expected, rel=2e-3)
    np.testing.assert_allclose(found.model_error, 0.25**2, rtol=1e-6)
    np.testing.assert_allclose(found.squared_error, (found.x0_hat[:, 0] - 0.9) ** 2)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_target_and_answer_are_in_the_networks_own_terms(prediction):
    found = explained(exact.gaussian(MEAN, COVARIANCE), X0, EPS, shift=0.1, prediction=prediction)
    decode = catalog.build("prediction", prediction, process()).decode
    level = jax.tree.map(lambda part: jnp.asarray(part)[:, None], found.level)
    middle = slice(1, 4)  # in single precision, where nothing is divided by almost zero
    for asked, x0, eps in ((found.target, X0, EPS), (found.answer, found.x0_hat, found.eps_hat)):
        read = decode(jnp.asarray(asked), jnp.asarray(found.x), level)
        np.testing.assert_allclose(read.x0[middle], np.broadcast_to(x0, asked.shape)[middle], atol=5e-4)
        np.testing.assert_allclose(read.eps[middle], np.broadcast_to(eps, asked.shape)[middle], atol=5e-4)


def test_points_are_remembered_until_noise_covers_them():
    points = np.array([[1.0, -0.5], [-1.0, 0.0], [0.5, 1.5]])
    found = explained(exact.mixture(points, 0.0), points[0], EPS)
    np.testing.assert_allclose(found.mean[0], points[0], atol=1e-9)
    np.testing.assert_allclose(found.std[0], 0, atol=1e-6)
    np.testing.assert_allclose(found.mean[-1], points.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(found.covariance[-1], np.cov(points, rowvar=False, bias=True), atol=1e-3)

"""Mixtures of Gaussians times half-planes and boxes, at every noise level, against integrals over where h is 1."""

import jax
import numpy as np
import pytest

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level
from diffuse_cli.guidance import factors, smoothed_law

MEANS = np.array([[-1.0, 0.2], [0.9, -0.5], [0.3, 1.0]])
SLANTED = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.25, -0.1], [-0.1, 0.4]], [[0.1, 0.0], [0.0, 0.3]]])
ROUND = np.array([0.3, 0.2, 0.5])[:, None, None] * np.eye(2)
WEIGHTS = np.array([0.3, 0.5, 0.2])
PLACES = np.array([[0.1, 0.0], [-1.2, 0.7], [0.9, -1.1]])
LOG_SNRS = [-8.0, -1.0, 2.0, 4.0]
CASES = {
    "halfplane": (SLANTED, factors.halfplane(2, x=1.0, y=-0.5, at=0.4)),
    "box": (ROUND, factors.box(2, left=-0.4, right=1.3, bottom=-0.8)),
}


def nodes_where_h_is_1(name):
    """Nodes [m, 2] and weights [m] of Gauss's rule on the half-plane or the box, cut at 7."""
    z, w = np.polynomial.legendre.leggauss(160)

    def on(low, high):
        return (low + high) / 2 + (high - low) / 2 * z, (high - low) / 2 * w

    ends = [(0.4, 7.0), (-7.0, 7.0)] if name == "halfplane" else [(-0.4, 1.3), (-0.8, 7.0)]
    (first, one), (second, two) = (on(*pair) for pair in ends)
    points = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    weights = np.outer(one, two).ravel()
    if name == "halfplane":
        normal = np.array([1.0, -0.5]) / np.sqrt(1.25)
        points = points @ np.array([normal, [-normal[1], normal[0]]])
    return points, weights


def density(points, covariances):
    apart = points[:, None] - MEANS
    each = np.exp(-0.5 * np.einsum("nki,kij,nkj->nk", apart, np.linalg.inv(covariances), apart))
    return each @ (WEIGHTS / (2 * np.pi * np.sqrt(np.linalg.det(covariances))))


@pytest.mark.parametrize("name", CASES)
def test_against_integration(name, x64):
    covariances, h = CASES[name]
    law, log_z = smoothed_law.times(exact.gaussians(MEANS, covariances, WEIGHTS).gaussians(), h, lambda level: 0.0)
    points, weights = nodes_where_h_is_1(name)
    mass = weights * density(points, covariances)
    assert abs(np.exp(log_z) / mass.sum() - 1) < 1e-9
    log_snr = np.repeat(LOG_SNRS, len(PLACES))[:, None]
    alpha, sigma = (np.sqrt(1 / (1 + np.exp(-sign * log_snr))) for sign in (1, -1))
    x, level = np.tile(PLACES, (len(LOG_SNRS), 1)), Level(log_snr, alpha, sigma)

    @jax.jit
    def run(x, level):
        return exact.log_prob(law, x, level), exact.denoiser(law)(x, level).eps, exact.posterior(law)(x, level)

    log_p, eps, (x0, covariance) = run(x, level)
    kernel = np.exp(-0.5 * np.sum((x[:, None] - alpha[..., None] * points) ** 2, axis=2) / sigma**2) / (
        2 * np.pi * sigma**2
    )
    given = kernel * mass
    np.testing.assert_allclose(log_p, np.log(given.sum(axis=1) / mass.sum()), atol=1e-6)
    given /= given.sum(axis=1, keepdims=True)
    mean = given @ points
    np.testing.assert_allclose(x0, mean, atol=1e-6)
    np.testing.assert_allclose(eps, (x - alpha * mean) / sigma, atol=1e-5)
    second = np.einsum("nm,mi,mj->nij", given, points, points) - mean[:, :, None] * mean[:, None]
    np.testing.assert_allclose(covariance, second, atol=1e-6)


def test_single_precision_from_end_to_end():
    """x0 and eps have four digits from log-SNR −30 to 25, where x was drawn from."""
    log_snr = np.repeat(np.linspace(-30, 25, 12), 8)[:, None]
    alpha, sigma = (np.sqrt(1 / (1 + np.exp(-sign * log_snr))) for sign in (1, -1))
    rng = np.random.default_rng(0)
    for name, (covariances, h) in CASES.items():
        law, _ = smoothed_law.times(exact.gaussians(MEANS, covariances, WEIGHTS).gaussians(), h, lambda level: 0.0)
        points, weights = nodes_where_h_is_1(name)
        mass = weights * density(points, covariances)
        x0 = points[rng.choice(len(points), len(log_snr), p=mass / mass.sum())]
        x = alpha * x0 + sigma * rng.standard_normal(x0.shape)
        predict = jax.jit(exact.denoiser(law))
        single = jax.device_get(
            predict(x.astype(np.float32), Level(*(part.astype(np.float32) for part in (log_snr, alpha, sigma))))
        )
        with jax.enable_x64(True):
            double = jax.device_get(predict(x.astype(np.float32).astype(float), Level(log_snr, alpha, sigma)))
        np.testing.assert_allclose(single.x0, double.x0, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(single.eps, double.eps, atol=1e-3, err_msg=name)

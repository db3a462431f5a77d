"""Entropies of Gaussians in many columns, against quadrature in the plane."""

import numpy as np
import pytest

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.gaussian_entropy import entropy_of_gaussians
from diffuse_cli.diffusion.process import Level

MEANS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
COVARIANCES = np.array([[[0.3, 0.1], [0.1, 0.05]], [[0.02, 0.0], [0.0, 0.3]], [[0.1, 0.0], [0.0, 0.1]]])
SHARES = np.array([0.2, 0.3, 0.5])
LEVELS = [Level(np.inf, 1.0, 0.0), Level(0.0, np.sqrt(0.5), np.sqrt(0.5)), Level(-6.0, np.exp(-3.0), 1.0)]


@pytest.mark.parametrize("level", LEVELS)
def test_in_the_plane_it_is_what_quadrature_finds(level):
    expected = exact.gaussians(MEANS, COVARIANCES, SHARES).entropy(level)
    assert entropy_of_gaussians(MEANS, COVARIANCES, SHARES, level) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("variance", [0.05, 0.3, 2.0])
def test_round_gaussians_are_those_of_a_plane_and_noise_across_it(variance):
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 9)))[0]
    clean = LEVELS[0]
    many = entropy_of_gaussians(MEANS @ turned[:2], np.array([variance * np.eye(9)] * 3), SHARES, clean)
    flat = exact.mixture(MEANS, np.sqrt(variance), SHARES).entropy(clean)
    assert many == pytest.approx(flat + 3.5 * np.log(2 * np.pi * np.e * variance), abs=5e-4)


def test_components_that_are_never_drawn_or_have_no_density():
    alone = entropy_of_gaussians(MEANS, COVARIANCES, np.array([0.0, 0.0, 1.0]), LEVELS[0])
    assert alone == pytest.approx(np.log(2 * np.pi * np.e * 0.1))
    assert entropy_of_gaussians(MEANS, 0 * COVARIANCES, SHARES, LEVELS[0]) == -np.inf
    assert np.isfinite(entropy_of_gaussians(MEANS, 0 * COVARIANCES, SHARES, LEVELS[1]))

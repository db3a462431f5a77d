import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.noisy_curve import nodes, noisy_curve

ON_CURVES = [
    "moons",
    "circles",
    "swiss_roll",
    "s_curve",
    "line",
    "sine",
    "lissajous",
    "rose",
    "heart",
    "trefoil",
    "rings",
    "two_spirals",
]


@pytest.mark.parametrize("name", ON_CURVES)
def test_the_noise_is_round_and_has_the_given_standard_deviation(name):
    n, noise = 20_000, 0.3
    bare, noisy = (catalog.build("dataset", f"{name}:noise={s}").draw(np.random.default_rng(1), n) for s in (0, noise))
    xi = (noisy - bare) / noise
    np.testing.assert_allclose(xi.mean(axis=0), 0, atol=5 / np.sqrt(n))
    np.testing.assert_allclose(np.cov(xi.T), np.eye(2), atol=5 * np.sqrt(2 / n))
    assert np.all(np.abs(np.corrcoef(bare.T, xi.T)[:2, 2:]) < 5 / np.sqrt(n))


def test_the_constants_are_those_of_the_law():
    """On a parabola: E u = 1, E u² = 4/3, Var u = 1/3, Var u² = 16/5 − 16/9, and the noise adds s²."""
    dataset = noisy_curve(lambda u: np.stack([u, u**2], axis=1), (0.0, 2.0), 0.5)
    np.testing.assert_allclose(dataset.standard.mean, [1, 4 / 3], rtol=1e-7)
    np.testing.assert_allclose(dataset.standard.scale**2, (1 / 3 + 16 / 5 - 16 / 9) / 2 + 0.25, rtol=1e-7)


def test_nodes_integrate_polynomials_over_the_interval():
    """∫ u^k du / 4 from −1 to 3; sixteen nodes in a panel are exact to degree 31."""
    for panels in (1, 5):
        u, weights = nodes((-1.0, 3.0), panels)
        assert u.shape == weights.shape == (16 * panels,)
        for k in (0, 1, 2, 7, 20):
            np.testing.assert_allclose(weights @ u**k, (3.0 ** (k + 1) - (-1.0) ** (k + 1)) / (4 * (k + 1)), rtol=1e-10)


def test_pieces_are_equal_parts_of_the_interval_and_labelled_in_turn():
    dataset = noisy_curve(lambda u: np.stack([u, 0 * u], axis=1), (2.0, 5.0), 0.0, pieces=3)
    points, labels = dataset.classes.draw(np.random.default_rng(0), 1000)
    np.testing.assert_array_equal(labels, np.floor(points[:, 0]) - 2)
    assert noisy_curve(lambda u: np.stack([u, 0 * u], axis=1), (2.0, 5.0), 0.0).classes is None

import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.data.noisy_curve import midpoints, noisy_curve

ON_CURVES = ["moons", "circles", "swiss_roll", "s_curve", "line", "sine", "lissajous", "rose", "heart", "trefoil"]


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


def test_midpoints_lie_inside_cells_of_equal_size():
    np.testing.assert_allclose(midpoints((-1.0, 3.0), 4), [-0.5, 0.5, 1.5, 2.5])

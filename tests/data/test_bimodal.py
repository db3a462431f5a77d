import numpy as np
import pytest

from diffuse_cli.data.bimodal import bimodal

N = 40_000


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_each_mode_is_the_gaussian_it_should_be(weight):
    dataset = bimodal(distance=20, std=0.5, weight=weight)  # so far apart that the sign tells the mode
    x = dataset.draw(np.random.default_rng(0), N)[:, 0]
    assert abs(np.mean(x > 0) - weight) <= 5 * np.sqrt(weight * (1 - weight) / N)
    for mode in (x[x > 0] - 10, x[x < 0] + 10):
        if len(mode):
            assert abs(mode.mean()) < 5 * 0.5 / np.sqrt(len(mode))
            assert abs(mode.var() / 0.25 - 1) < 5 * np.sqrt(2 / len(mode))


def test_the_constants_are_exact():
    standard = bimodal(distance=4, std=0.5, weight=0.25).standard
    np.testing.assert_allclose(standard.mean, [-1])  # ¼ · 2 − ¾ · 2
    np.testing.assert_allclose(standard.scale**2, [0.25 + 4 - 1])

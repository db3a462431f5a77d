import numpy as np
import pytest

from diffuse_cli.datasets.checkerboard import checkerboard

N = 20_000


@pytest.mark.parametrize(("squares", "scale"), [(4, 1.0), (3, 0.5), (2, 10.0)])
def test_the_dark_squares_are_filled_evenly(squares, scale):
    place = checkerboard(squares=squares, scale=scale).draw(np.random.default_rng(0), N) / scale + squares / 2
    column, row = np.floor(place).astype(int).T
    assert place.min() >= 0
    assert place.max() <= squares
    assert np.all((row + column) % 2 == 0)
    dark = (squares**2 + 1) // 2
    counts = np.bincount(row * squares + column)
    assert np.abs(counts[counts > 0] - N / dark).max() < 5 * np.sqrt(N / dark)
    assert np.count_nonzero(counts) == dark
    inside = place % 1
    np.testing.assert_allclose(inside.mean(axis=0), 0.5, atol=5 / np.sqrt(12 * N))
    np.testing.assert_allclose((inside - 0.5).T @ (inside - 0.5) / N, np.eye(2) / 12, atol=5 * 0.1 / np.sqrt(N))


def test_the_constants_are_exact():
    np.testing.assert_allclose(checkerboard().standard.scale ** 2, 16 / 12)  # every row and column is half dark
    np.testing.assert_allclose(checkerboard(variant="ffjord", noise=0.1).standard.scale ** 2, 4 * (16 / 12 + 0.01))
    np.testing.assert_allclose(checkerboard(squares=5).standard.mean, 0, atol=1e-12)

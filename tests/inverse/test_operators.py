"""Matrices of measurements, and what is said of those that do not fit."""

import numpy as np
import pytest

from diffuse_cli.errors import UsageError
from diffuse_cli.inverse import operators

RNG = np.random.default_rng(0)


def test_columns_are_picked_by_name():
    np.testing.assert_array_equal(operators.of_columns(["z", "x"], ("x", "y", "z")), np.eye(3)[[2, 0]])
    with pytest.raises(UsageError, match="unknown column 'temprature'; did you mean 'temperature'"):
        operators.of_columns(["temprature"], ("temperature", "pressure"))
    with pytest.raises(UsageError, match="column x is observed twice"):
        operators.of_columns(["x", "y", "x"], ("x", "y"))


@pytest.mark.parametrize(("share", "kept"), [(0.5, 4), (0.01, 7), (0.99, 1), (0.25, 6)])
def test_a_mask_leaves_out_a_share_at_random(share, kept):
    masks = np.array([operators.mask(8, share, RNG) for _ in range(200)])
    assert masks.shape[1:] == (kept, 8)
    assert (masks.sum(axis=2) == 1).all()
    assert (masks.sum(axis=1) <= 1).all()
    each = masks.sum(axis=1).mean(axis=0)  # how often a column is kept
    assert (np.abs(each - kept / 8) < 4.5 * np.sqrt(kept / 8 * (1 - kept / 8) / 200)).all()
    with pytest.raises(UsageError, match="at least two columns"):
        operators.mask(1, share, RNG)


def test_a_blur_is_a_mean_of_neighbours():
    matrix = operators.blur(64, 3.0)
    np.testing.assert_allclose(matrix @ np.ones(64), 1)
    np.testing.assert_allclose(matrix[32] @ np.arange(64), 32, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(matrix[32] @ (np.arange(64) - 32.0) ** 2), 3, rtol=1e-3)
    np.testing.assert_allclose(operators.blur(5, 1e-3), np.eye(5), atol=1e-12)


def test_random_directions_keep_lengths():
    matrix = operators.random_rows(64, 4000, RNG)
    lengths = (matrix**2).sum(axis=1)
    assert abs(lengths.mean() - 1) < 4 * np.sqrt(2 / 64 / 4000)
    assert abs(matrix.mean()) < 4 / np.sqrt(64 * matrix.size)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3), "a has 3 columns, and the data have 5; .*all columns of a point$"),
        ((5, 1), "1 column, .*; turn it round"),
    ],
)
def test_a_matrix_of_another_size_names_both_sizes(shape, message):
    with pytest.raises(UsageError, match=message):
        operators.checked(np.ones(shape), 5, "a")


def test_one_value_for_all_or_one_for_each():
    np.testing.assert_array_equal(operators.spread_over([0.1, 0.2], 2, "--noise"), [0.1, 0.2])
    with pytest.raises(
        UsageError, match="--values has 2 numbers, and 3 values are measured; give one, or one for each"
    ):
        operators.spread_over([0.1, 0.2], 3, "--values")

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.true_loss import true_loss_figure

from .drawing import assert_nothing_cut_or_overlapping, in_both_themes

TIMES = np.linspace(1, 0, 9)


def triangle(values):
    return np.where(TIMES[:, None] >= TIMES[None], values, np.nan)


@in_both_themes
def test_each_cell_is_the_loss_at_its_times(dark):
    t, r = TIMES[:, None], TIMES[None]
    losses = triangle(0.01 + t + 10 * r)
    figure = true_loss_figure(TIMES, losses, exact=triangle(1 + 0 * losses), subject="moons", dark=dark)
    axes, bar = figure.axes
    (mesh,) = axes.collections
    shown = mesh.get_array().reshape(9, 9)
    np.testing.assert_array_equal(np.ma.filled(shown, np.nan), losses.T)  # r upwards, t to the right
    corners = mesh.get_coordinates()
    np.testing.assert_allclose(corners[:, :, 0].max(), 1 + 1 / 16)
    (corner,) = (patch for patch in axes.patches if isinstance(patch, Rectangle))
    assert corner.get_bbox().bounds == pytest.approx((1 - 1 / 16, -1 / 16, 1 / 8, 1 / 8))
    (note,) = axes.texts
    assert "one jump, t = 1 to r = 0: 1.0\n" in note.get_text()
    assert "true loss" in bar.get_ylabel()
    assert_nothing_cut_or_overlapping(figure)


def test_the_diagonal_is_outlined_cell_by_cell():
    (line,) = true_loss_figure(TIMES, triangle(np.ones((9, 9)))).axes[0].lines
    x, y = line.get_data()
    diagonal = np.stack([TIMES, TIMES], axis=1) + np.array([-1 / 16, 1 / 16])  # the upper left corners of its cells
    assert all(np.isclose(np.stack([x, y], axis=1), corner).all(axis=1).any() for corner in diagonal)


def test_equal_losses_have_one_colour():
    mesh = true_loss_figure(TIMES, triangle(0.3 + 1e-9 * np.arange(81).reshape(9, 9))).axes[0].collections[0]
    assert mesh.norm.vmax / mesh.norm.vmin == pytest.approx(10)


def test_errors():
    with pytest.raises(UsageError, match=r"the shape \[9, 9\]"):
        true_loss_figure(TIMES, np.ones((8, 9)))
    with pytest.raises(DiffuseError, match="nothing to draw"):
        true_loss_figure(TIMES, np.full((9, 9), np.nan))
    with pytest.raises(UsageError, match="too narrow"):
        true_loss_figure(TIMES, triangle(np.ones((9, 9))), width=2)

import numpy as np
import pytest

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.density import density_figure

from .drawing import assert_nothing_cut_or_overlapping, in_both_themes

X, Y = np.linspace(-3, 3, 40), np.linspace(-2, 2, 30)
EXACT = np.exp(-0.5 * (X[:, None] ** 2 + (2 * Y) ** 2))
MODEL = np.roll(EXACT, 2, axis=0)


@in_both_themes
@pytest.mark.parametrize("model", [None, MODEL])
def test_nothing_is_cut_or_overlaps(model, dark):
    figure = density_figure(X, Y, model, EXACT, subject="rings", dark=dark)
    assert [axes.get_title().partition(",")[0] for axes in figure.axes] == (
        ["exact"] if model is None else ["model", "exact", "difference"]
    )
    assert_nothing_cut_or_overlapping(figure)


def test_both_have_one_scale_and_the_same_lines():
    model, exact, difference = density_figure(X, Y, MODEL, EXACT).axes
    images = [axes.images[0] for axes in (model, exact, difference)]
    for image, p in zip(images, (MODEL, EXACT, MODEL - EXACT), strict=True):
        np.testing.assert_allclose(image.get_array(), p.T)
    assert images[0].get_clim() == images[1].get_clim() == (0, EXACT.max())
    assert images[2].get_clim() == (-EXACT.max(), EXACT.max())
    levels = [axes.collections[0].levels for axes in (model, exact)]
    np.testing.assert_array_equal(*levels)
    for level, share in zip(levels[0], (0.9, 0.6, 0.3), strict=True):
        assert EXACT[level <= EXACT].sum() / EXACT.sum() == pytest.approx(share, abs=0.02)


def test_the_title_says_how_much_of_the_mass_is_elsewhere():
    wall = np.zeros((40, 30))
    wall[:20] = 1.0
    other = np.roll(wall, 5, axis=0)
    assert density_figure(X, Y, other, wall).axes[2].get_title() == "difference, 25 % of the mass"


def test_an_even_density_has_one_line():
    wall = np.where(np.abs(X[:, None]) + 0 * Y < 1, 1.0, 0.0)
    assert len(density_figure(X, Y, None, wall).axes[0].collections[0].levels) == 1


def test_the_line_of_a_flat_part_is_its_edge():
    wall = np.where(np.abs(X[:, None]) + 0 * Y < 1, 1.0, 0.0) + np.where(X[:, None] + 0 * Y > 2, 0.4, 0.0)
    rounded = wall * (1 + 1e-6 * np.random.default_rng(0).normal(size=wall.shape))
    lines = density_figure(X, Y, None, rounded).axes[0].collections[0]
    for places in lines.get_paths():
        x = np.abs(places.vertices[:, 0])
        assert np.minimum(np.abs(x - 1), np.abs(x - 2)).max() < X[1] - X[0]
    assert len(lines.levels) == 2


def test_on_a_line_both_are_in_one_panel():
    exact = np.exp(-(X**2))
    figure = density_figure(X, None, 1.1 * exact, exact, truth="smoothed data")
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), 1.1 * exact)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["smoothed data", "model"]
    assert_nothing_cut_or_overlapping(figure)


def test_another_shape_is_told():
    with pytest.raises(UsageError, match=r"needs \(40, 30\)"):
        density_figure(X, Y, MODEL.T, EXACT)

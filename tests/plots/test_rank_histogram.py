import numpy as np
import pytest
from matplotlib.patches import Rectangle, StepPatch
from scipy.stats import binom

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.rank_histogram import RANK_BINS, Ranks, rank_density, rank_figure

from .drawing import assert_nothing_cut_or_overlapping, in_both_themes

DRAWS = 99
WORDS = "coverage 50 %: 48 ± 4, 90 %: 89 ± 2"


def ranks(count):
    values = np.random.default_rng(0).integers(0, DRAWS + 1, (200, 2))
    return [Ranks(f"method {i}", values, WORDS) for i in range(count)]


@in_both_themes
@pytest.mark.parametrize("count", [1, 4, 7])
def test_nothing_is_cut_or_overlaps(count, dark):
    figure = rank_figure(ranks(count), draws=DRAWS, pairs=200, subject="moons, x = 0.5", dark=dark)
    assert len(figure.axes) == count
    assert len({axes.get_position().y0.round(3) for axes in figure.axes}) == -(-count // 4)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert_nothing_cut_or_overlapping(figure)


def test_a_narrow_figure_has_fewer_panels_in_a_row():
    for width, rows in ((3.2, 4), (6.0, 2), (12.0, 1)):
        figure = rank_figure(ranks(4), draws=DRAWS, pairs=200, width=width)
        assert figure.get_figwidth() == pytest.approx(width)
        assert len({axes.get_position().y0.round(3) for axes in figure.axes}) == rows
        assert_nothing_cut_or_overlapping(figure)
    with pytest.raises(UsageError, match="too narrow"):
        rank_figure(ranks(4), draws=DRAWS, pairs=200, width=2.5)


def test_uniform_ranks_are_flat_whatever_the_number_of_draws():
    for draws in (7, 19, 100, 1000):
        np.testing.assert_allclose(rank_density(np.arange(draws + 1), draws, 20), 1.0)


def test_a_histogram_has_area_one_and_counts_its_ranks():
    values = np.array([0, 0, 5, 99])
    heights = rank_density(values, DRAWS, 20)
    assert heights.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(heights[[0, 1, 2, 19]], [10.0, 5.0, 0.0, 5.0])


def test_a_bin_of_uniform_ranks_lies_in_the_band_as_often_as_told():
    pairs = 400
    axes = rank_figure(ranks(1), draws=DRAWS, pairs=pairs).axes[0]
    (band,) = (patch for patch in axes.patches if isinstance(patch, Rectangle))
    low, high = np.array([band.get_y(), band.get_y() + band.get_height()]) * pairs / RANK_BINS
    inside = binom.cdf(round(high), pairs, 1 / RANK_BINS) - binom.cdf(round(low) - 1, pairs, 1 / RANK_BINS)
    assert 0.95 <= inside < 0.97
    assert [line.get_ydata()[0] for line in axes.lines] == [1]


def test_a_method_that_is_far_off_does_not_flatten_the_others():
    off = Ranks("off", np.zeros((200, 2), int))
    axes = rank_figure([*ranks(1), off], draws=DRAWS, pairs=200).axes
    (outline,) = (patch for patch in axes[1].patches if isinstance(patch, StepPatch) and not patch.get_fill())
    assert outline.get_data().values[0] == RANK_BINS
    assert axes[0].get_ylim()[1] < 5


def test_what_are_no_ranks_is_refused():
    for values in ([], [0.5], [-1], [DRAWS + 1]):
        with pytest.raises(UsageError, match="integers from 0 to 99"):
            rank_figure([Ranks("any", np.array(values))], draws=DRAWS, pairs=4)
    with pytest.raises(UsageError, match="no ranks"):
        rank_figure([], draws=DRAWS, pairs=4)

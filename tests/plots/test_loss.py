import numpy as np
import pytest
from matplotlib.figure import Figure

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.loss import loss_figure, running_mean
from diffuse_cli.plots.style import LIGHT

from .drawing import assert_nothing_cut_or_overlapping, in_both_themes


def falling(steps, floor=0.1):
    rng = np.random.default_rng(0)
    return (floor + np.exp(-steps / (0.05 * steps[-1]))) * (1 + 0.1 * rng.normal(size=len(steps)))


@in_both_themes
@pytest.mark.parametrize("last", [5, 60, 20_000])
def test_a_loss_of_any_length(last, dark):
    steps = np.arange(1, last + 1)
    figure = loss_figure(
        steps, falling(steps), held_out_steps=steps[::5], held_out=falling(steps[::5]), irreducible=0.08
    )
    assert isinstance(figure, Figure)
    axes, excess = figure.axes
    assert excess.get_ylabel() == "held out minus irreducible"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "training, running mean",
        "held out, averaged weights",
        "irreducible",
    ]
    assert_nothing_cut_or_overlapping(figure)


def test_the_strong_line_is_the_held_out_loss():
    steps = np.arange(1, 200)
    axes = loss_figure(steps, falling(steps), held_out_steps=[10, 100, 190], held_out=[0.9, 0.3, 0.2]).axes[0]
    strong = max(axes.lines, key=lambda line: line.get_linewidth())
    assert strong.get_color() == LIGHT.model
    np.testing.assert_array_equal(strong.get_ydata(), [0.9, 0.3, 0.2])


@pytest.mark.parametrize(("last", "scale"), [(50, "linear"), (5000, "log")])
def test_steps_are_logarithmic_over_decades(last, scale):
    steps = np.arange(1, last + 1)
    assert loss_figure(steps, falling(steps)).axes[0].get_xscale() == scale


@pytest.mark.parametrize(("floor", "scale"), [(0.02, "log"), (5.0, "linear")])
def test_the_loss_is_logarithmic_where_it_falls_far(floor, scale):
    steps = np.arange(1, 2000)
    assert loss_figure(steps, falling(steps, floor)).axes[0].get_yscale() == scale


def test_losses_below_zero_are_drawn():
    steps = np.arange(1, 300)
    axes = loss_figure(steps, falling(steps) - 1.0).axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] < -0.9


def test_the_tail_and_the_irreducible_loss_are_in_view():
    steps = np.arange(1, 20_001)
    train = falling(steps)
    train[:3] = 1e6
    low, high = loss_figure(steps, train, irreducible=0.05).axes[0].get_ylim()
    assert low < 0.05
    assert high < 10


@pytest.mark.parametrize("last", [8, 20_000])
def test_the_excess_has_a_logarithmic_axis_beside_the_loss(last):
    steps = np.arange(1, last + 1)
    held = 0.3 + 1 / steps
    held[2] = 0.299  # of sampling errors
    figure = loss_figure(steps, falling(steps), held_out_steps=steps, held_out=held, irreducible=0.3)
    loss, excess = figure.axes
    assert (excess.get_yscale(), excess.get_xscale(), excess.get_xlim()) == ("log", loss.get_xscale(), loss.get_xlim())
    (line,) = excess.lines
    np.testing.assert_array_equal(line.get_xdata(), np.delete(steps, 2))
    np.testing.assert_allclose(line.get_ydata(), np.delete(held, 2) - 0.3)
    low, high = excess.get_ylim()
    shown = 1 / steps[steps >= excess.get_xlim()[0]]
    assert low < shown.min() < shown.max() < high
    assert [text.get_text() for text in excess.texts] == [f"1 of {last} below zero, left out"]


@pytest.mark.parametrize("known", [{"irreducible": 0.05}, {"held_out_steps": [9], "held_out": [0.4]}, {}])
def test_without_both_losses_there_is_no_excess(known):
    assert len(loss_figure(np.arange(1, 50), falling(np.arange(1, 50)), **known).axes) == 1


def test_an_excess_that_is_nowhere_above_zero_is_told():
    figure = loss_figure([1, 2], [0.5, 0.4], held_out_steps=[1, 2], held_out=[0.2, 0.2], irreducible=0.3)
    assert [text.get_text() for text in figure.axes[1].texts] == ["2 of 2 below zero, left out"]
    assert_nothing_cut_or_overlapping(figure)


def test_a_running_mean_of_a_line_is_the_line():
    steps = np.arange(1.0, 400.0)
    middle = slice(40, 350)
    np.testing.assert_allclose(running_mean(steps, 3 * steps, 0.1 * steps)[middle], 3 * steps[middle], rtol=0.02)
    np.testing.assert_allclose(running_mean(steps, 3 * steps, 7.0)[middle], 3 * steps[middle])
    np.testing.assert_allclose(running_mean(steps, np.full(399, 2.5), 9.0), 2.5)


def test_losses_that_are_not_finite_are_left_out_and_steps_put_in_order():
    (_, mean) = loss_figure([3, 2, 1, 4], [1.0, np.nan, 3.0, np.inf]).axes[0].lines
    np.testing.assert_array_equal(mean.get_xdata(), [1, 3])


def test_one_loss_alone_can_be_seen():
    figure = loss_figure([100], [0.5], held_out_steps=[100], held_out=[0.4])
    assert [line.get_marker() for line in figure.axes[0].lines[1:]] == ["o", "o"]
    assert_nothing_cut_or_overlapping(figure)


def test_many_steps_are_thinned():
    steps = np.arange(1, 100_001)
    assert len(loss_figure(steps, falling(steps)).axes[0].lines[0].get_xdata()) <= 1500


def test_errors():
    with pytest.raises(UsageError, match="train has shape"):
        loss_figure([1, 2, 3], [1.0, 2.0])
    with pytest.raises(UsageError, match="belong together"):
        loss_figure([1, 2], [1.0, 2.0], held_out=[1.0])
    with pytest.raises(DiffuseError, match="held_out holds no finite loss"):
        loss_figure([1, 2], [1.0, 2.0], held_out=[np.nan], held_out_steps=[2])


@in_both_themes
def test_the_true_loss_of_a_flow_map_is_the_one_to_watch(dark):
    """Beside a loss that stays where it is, as one that is normalised by itself does."""
    steps = np.arange(1, 5001)
    true = 1 / steps[::50]
    figure = loss_figure(
        steps, 1 + 0 * steps, held_out_steps=steps[::50], held_out=1 + 0 * true, true_loss=true, dark=dark
    )
    trained, watched = figure.axes
    (line,) = watched.lines
    np.testing.assert_array_equal(line.get_ydata(), true)
    assert "true loss" in watched.get_ylabel()
    assert "watch" in watched.get_title()
    assert "watch" not in trained.get_title()
    assert_nothing_cut_or_overlapping(figure)

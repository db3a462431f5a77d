import numpy as np
import pytest
from matplotlib.figure import Figure

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.lines import DASHES
from diffuse_cli.plots.schedule import betas, log_alpha_bar, schedule_figure
from tests.support.cases import few_fast

from .drawing import assert_nothing_cut_or_overlapping, in_both_themes


def from_betas(beta):
    """t [T + 1] and log-SNR [T + 1] at the knots; +inf at t = 0, -inf where a beta is 1."""
    with np.errstate(divide="ignore"):
        log_bar = np.concatenate([[0.0], np.cumsum(np.log1p(-beta))])
        return np.linspace(0, 1, len(beta) + 1), log_bar - np.log(-np.expm1(log_bar))


LINEAR = np.linspace(1e-4, 0.02, 200)


def test_log_alpha_bar_is_exact_at_both_ends():
    np.testing.assert_array_equal(log_alpha_bar(np.array([np.inf, -np.inf])), [0.0, -np.inf])
    np.testing.assert_allclose(log_alpha_bar(np.array([-60.0, 0.0])), [-60.0, np.log(0.5)])


def test_betas_come_back_from_the_log_snr():
    np.testing.assert_allclose(betas(*from_betas(LINEAR), 200), LINEAR, rtol=1e-9)


def test_fewer_steps_each_add_more():
    merged = 1 - (1 - LINEAR[::2]) * (1 - LINEAR[1::2])
    np.testing.assert_allclose(betas(*from_betas(LINEAR), 100), merged, rtol=1e-9)


def test_a_signal_that_is_gone_at_the_end_gives_a_last_beta_of_one():
    beta = np.append(LINEAR, 1.0)
    t, log_snr = from_betas(beta)
    assert log_snr[-1] == -np.inf
    np.testing.assert_allclose(betas(t, log_snr, 201), beta, rtol=1e-9)
    finer = betas(t, log_snr, 402)
    assert finer[-1] == 1.0
    assert ((finer > 0) & (finer <= 1)).all()


@pytest.mark.parametrize("count", few_fast([1, 2, 5, 9], 2, 9))
@in_both_themes
def test_three_panels_and_nothing_cut(count, dark):
    named = {f"linear:beta_max={i}e-2": from_betas(LINEAR * i / 2) for i in range(1, count + 1)}
    figure = schedule_figure(named, timesteps=200, subject="moons", dark=dark)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 3
    assert all(len(axes.lines) == count for axes in figure.axes)
    assert bool(figure.legends) == (count > 1)
    assert_nothing_cut_or_overlapping(figure)


def test_lines_differ_in_colour_and_in_pattern():
    figure = schedule_figure({str(i): from_betas(LINEAR * i / 8) for i in range(1, 7)}, timesteps=50)
    for axes in figure.axes:
        assert len({line.get_color() for line in axes.lines}) == 6
        assert [line.is_dashed() for line in axes.lines] == [bool(dashes) for dashes in DASHES]
    assert len(set(DASHES)) == 6
    colors = [[line.get_color() for line in axes.lines] for axes in figure.axes]
    assert colors[0] == colors[1] == colors[2]


def test_every_panel_draws_a_schedule_with_the_pattern_of_the_key():
    named = {str(i): from_betas(LINEAR * i / 8) for i in range(1, 7)}
    figure = schedule_figure(named, timesteps=200, kl={name: np.geomspace(1, 1e-9, 201) for name in named})
    patterns = [[line._dash_pattern for line in axes.lines] for axes in figure.axes]
    assert patterns[3] == patterns[0]
    assert len({str(each) for each in patterns[0]}) == 6


def test_the_panels_show_what_they_say():
    t, log_snr = from_betas(LINEAR)
    kept, added, ratio = schedule_figure({"linear": (t, log_snr)}, timesteps=200).axes
    np.testing.assert_allclose(kept.lines[0].get_ydata(), np.concatenate([[1.0], np.cumprod(1 - LINEAR)]))
    np.testing.assert_allclose(added.lines[0].get_ydata(), LINEAR)
    assert added.get_yscale() == "log"
    np.testing.assert_array_equal(ratio.lines[0].get_ydata()[1:], log_snr[1:])


@pytest.mark.parametrize("count", few_fast([1, 5, 10], 1, 10))
def test_the_kl_has_a_panel_and_is_marked_where_it_ends(count):
    named = {f"linear:beta_max={i}e-2": from_betas(LINEAR * i / 2) for i in range(1, count + 1)}
    kl = {name: np.geomspace(1.0, 10.0**-i, 201) for i, name in enumerate(named, start=1)}
    figure = schedule_figure(named, timesteps=200, kl=kl, subject="moons")
    assert_nothing_cut_or_overlapping(figure)
    *_, last = figure.axes
    lines = [line for line in last.lines if len(line.get_xdata()) > 1]
    dots = [line for line in last.lines if len(line.get_xdata()) == 1]
    for line, (name, value) in zip(lines, kl.items(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), np.maximum(value, 1e-7), err_msg=name)
    np.testing.assert_allclose([dot.get_ydata()[0] for dot in dots], [10.0**-i for i in range(1, min(count, 6) + 1)])
    words = figure.get_suptitle() if count == 1 else figure.legends[0].get_texts()[0].get_text()
    assert "(KL 0.1)" in words


@pytest.mark.parametrize("timesteps", [1, 10])
def test_a_short_chain_is_marked_step_by_step(timesteps):
    figure = schedule_figure({"linear": from_betas(LINEAR)}, timesteps=timesteps)
    assert figure.axes[1].lines[0].get_marker() == "o"
    assert_nothing_cut_or_overlapping(figure)


def test_errors():
    with pytest.raises(UsageError, match="no schedule"):
        schedule_figure({}, timesteps=10)
    with pytest.raises(UsageError, match="timesteps is 0"):
        schedule_figure({"linear": from_betas(LINEAR)}, timesteps=0)
    with pytest.raises(UsageError, match=r"both need to be \[k\]"):
        schedule_figure({"linear": (np.arange(3), np.arange(4))}, timesteps=5)
    with pytest.raises(UsageError, match="t does not rise"):
        schedule_figure({"linear": (np.array([1.0, 0.0]), np.array([1.0, 0.0]))}, timesteps=5)

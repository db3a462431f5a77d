import numpy as np
import pytest
from matplotlib.figure import Figure

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.strips import both_strips, forward_strip, reverse_strip, shortened
from tests.support.cases import few_fast

from .drawing import VIEWS, assert_nothing_cut_or_overlapping, noised, scatters


def backwards(frames, log_snr, t):
    return frames[::-1], log_snr[::-1], t[::-1]


@pytest.mark.parametrize(("view", "dim"), VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("make", [forward_strip, reverse_strip])
def test_a_strip_has_a_panel_for_each_frame(make, view, dim):
    frames, log_snr, t = noised(3, 40, dim)
    figure = make(frames, log_snr, t=t, view=view)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 3
    assert ("noise → data" in figure.get_suptitle()) == (make is reverse_strip)


@pytest.mark.parametrize("panels", few_fast(range(1, 13), 1, 6, 7, 12))
def test_nothing_is_cut_or_overlaps(panels):
    frames, log_snr, t = noised(panels, 30, 2)
    figure = forward_strip(frames, log_snr, t=t, subject="two moons, cosine")
    assert_nothing_cut_or_overlapping(figure)
    assert len({axes.get_position().y0.round(3) for axes in figure.axes}) == (1 if panels <= 6 else 2)


@pytest.mark.parametrize("panels", few_fast([1, 5, 12], 5))
@pytest.mark.parametrize("kind", [kind for kind in VIEWS if kind != "plane"])
def test_nothing_is_cut_or_overlaps_in_any_view(kind, panels):
    view, dim = VIEWS[kind]
    frames, log_snr, t = noised(panels, 30, dim)
    assert_nothing_cut_or_overlapping(forward_strip(frames, log_snr, t=t, view=view, dark=True))


@pytest.mark.parametrize("panels", few_fast([1, 6, 12], 6))
@pytest.mark.parametrize(("view", "dim"), VIEWS.values(), ids=VIEWS)
def test_both_rows_have_the_same_levels_above_each_other(view, dim, panels):
    frames, log_snr, t = noised(panels, 40, dim)
    figure = both_strips(frames, frames + 0.1, log_snr, t=t, view=view, subject="two moons, cosine")
    above, below = figure.axes[:panels], figure.axes[panels:]
    assert len(below) == panels
    assert all(axes.get_title() for axes in above)
    assert not any(axes.get_title() for axes in below)
    for one, other in zip(above, below, strict=True):
        assert one.get_position().x0 == pytest.approx(other.get_position().x0)
        assert one.get_xlim() == other.get_xlim()
    if dim == 2:
        np.testing.assert_allclose(scatters(below[0])[0].get_offsets(), scatters(above[0])[0].get_offsets() + 0.1)
    assert_nothing_cut_or_overlapping(figure)


@pytest.mark.parametrize("width", [4.5, 7.0, 14.0])
def test_a_strip_is_as_wide_as_asked_and_keeps_its_text(width):
    frames, log_snr, t = noised(3, 40, 2)
    figure = forward_strip(frames, log_snr, t=t, subject="two moons, cosine", width=width)
    assert figure.get_figwidth() == pytest.approx(width)
    assert_nothing_cut_or_overlapping(figure)
    plain = forward_strip(frames, log_snr, t=t, subject="two moons, cosine")
    sizes = [[axes.title.get_fontsize() for axes in drawn.axes] for drawn in (figure, plain)]
    assert sizes[0] == sizes[1]


def test_a_strip_without_room_for_its_titles_says_how_much_it_needs():
    frames, log_snr, t = noised(6, 40, 2)
    with pytest.raises(UsageError, match="too narrow") as told:
        forward_strip(frames, log_snr, t=t, width=4.0)
    needed = float(str(told.value).split("needs ")[1].split()[0])
    assert_nothing_cut_or_overlapping(forward_strip(frames, log_snr, t=t, width=needed))


@pytest.mark.parametrize(("view", "dim"), VIEWS.values(), ids=VIEWS)
def test_limits_are_equal_across_panels(view, dim):
    frames, log_snr, t = noised(8, 40, dim)
    figure = forward_strip(frames, log_snr, t=t, view=view)
    names = ["x", "y", "z"] if dim == 3 else ["x", "y"]
    limits = [[getattr(axes, f"get_{name}lim")() for name in names] for axes in figure.axes]
    for other in limits[1:]:
        np.testing.assert_array_equal(other, limits[0])


def test_panels_of_a_plane_are_square():
    frames, log_snr, t = noised(4, 40, 2)
    for axes in forward_strip(frames, log_snr, t=t).axes:
        assert np.ptp(axes.get_xlim()) == pytest.approx(np.ptp(axes.get_ylim()))


@pytest.mark.parametrize("panels", [1, 4, 9])
def test_panels_of_a_plane_fill_their_place(panels):
    frames, log_snr, t = noised(panels, 40, 2)
    figure = forward_strip(frames, log_snr, t=t, subject="a name so long that it takes another line " * 3)
    for axes in figure.axes:
        given = axes.get_position(original=True).bounds
        axes.apply_aspect()
        np.testing.assert_allclose(axes.get_position().bounds, given, atol=1e-6)


@pytest.mark.parametrize("dim", [2, 3, 10])
@pytest.mark.parametrize("make", [forward_strip, reverse_strip])
def test_a_point_keeps_its_colour(make, dim):
    frames, log_snr, t = noised(4, 40, dim)
    if make is reverse_strip:
        frames, log_snr, t = backwards(frames, log_snr, t)
    first, *others = (scatters(axes)[0].get_facecolors() for axes in make(frames, log_snr, t=t).axes)
    assert len(np.unique(first, axis=0)) > 30
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_curves_keep_their_colour_and_stay_the_same_samples():
    frames, log_snr, t = noised(3, 40, 16)
    figure = forward_strip(frames, log_snr, t=t, view="curves")
    colors = [[line.get_color() for line in axes.lines] for axes in figure.axes]
    for other in colors[1:]:
        np.testing.assert_array_equal(other, colors[0])
    shown = [np.flatnonzero((frames[0] == line.get_ydata()).all(axis=1))[0] for line in figure.axes[0].lines]
    for axes, frame in zip(figure.axes, frames, strict=True):
        np.testing.assert_array_equal([line.get_ydata() for line in axes.lines], frame[shown])


def test_colours_come_from_the_clean_end():
    frames, log_snr, t = noised(3, 40, 2)
    there = scatters(forward_strip(frames, log_snr, t=t).axes[0])[0]
    back = scatters(reverse_strip(*backwards(frames, log_snr, t)[:2], t=t[::-1]).axes[0])[0]
    np.testing.assert_array_equal(there.get_facecolors(), back.get_facecolors())


def test_one_dimensional_panels_have_area_one_and_the_normal_law():
    frames, log_snr, t = noised(5, 200, 1)
    for axes in forward_strip(frames, log_snr, t=t).axes:
        outline = axes.patches[-1].get_data()
        assert (outline.values * np.diff(outline.edges)).sum() == pytest.approx(1.0)
        assert axes.lines[0].get_ydata().max() == pytest.approx(0.3989, abs=0.01)


def test_titles_say_time_and_alpha_bar():
    frames, _, _ = noised(3, 20, 2)
    axes = forward_strip(frames, np.array([np.inf, 0.0, -np.inf]), t=np.array([0.0, 0.33, 1.0])).axes
    assert [a.get_title() for a in axes] == ["$t = 0.00$", "$t = 0.33$", "$t = 1.00$"]
    assert [a.texts[-1].get_text() for a in axes] == [rf"$\bar\alpha_t = {v}$" for v in ("1", "0.50", "0")]


def test_whole_times_are_steps_of_a_chain():
    frames, log_snr, _ = noised(2, 20, 2)
    assert [a.get_title() for a in forward_strip(frames, log_snr, t=np.array([0, 500])).axes] == [
        "$t = 0$",
        "$t = 500$",
    ]


def test_titles_can_be_given_and_times_left_out():
    frames, log_snr, _ = noised(2, 20, 2)
    assert [a.get_title() for a in forward_strip(frames, log_snr, titles=["one", "two"]).axes] == ["one", "two"]
    assert forward_strip(frames, log_snr).axes[0].get_title() == r"$\bar\alpha_t = 1$"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1"), (0.5, "0.50"), (0.999, "0.999"), (0.9996, "0.9996"), (0.99999, "1"), (0.004, "0.004")],
)
def test_numbers_are_short_but_tell_themselves_from_0_and_1(value, text):
    assert shortened(value) == text


def test_tiny_numbers_are_powers_of_ten():
    assert shortened(2.4e-9) == r"2 \times 10^{-9}"


@pytest.mark.parametrize("shape", [(13, 5, 2), (0, 5, 2), (5, 2)])
def test_a_wrong_number_of_frames_is_told(shape):
    with pytest.raises(UsageError, match="1 to 12 frames"):
        forward_strip(np.zeros(shape), np.zeros(shape[0]))


def test_levels_and_times_must_match_the_frames():
    frames, log_snr, t = noised(3, 20, 2)
    with pytest.raises(UsageError, match="one for each frame"):
        forward_strip(frames, log_snr[:2])
    with pytest.raises(UsageError, match="2 times but 3 noise levels"):
        forward_strip(frames, log_snr, t=t[:2])
    with pytest.raises(UsageError, match="view"):
        forward_strip(frames, log_snr, view="points3")


def test_a_frame_that_is_not_finite_is_named():
    frames, log_snr, _ = noised(3, 20, 2)
    frames[1] = np.nan
    with pytest.raises(DiffuseError, match="frame 2 holds no finite"):
        forward_strip(frames, log_snr)


def test_arrays_are_left_as_they_were():
    frames, log_snr, t = noised(2, 20, 2)
    copies = frames.copy(), log_snr.copy(), t.copy()
    forward_strip(frames, log_snr, t=t)
    for array, copy in zip((frames, log_snr, t), copies, strict=True):
        np.testing.assert_array_equal(array, copy)

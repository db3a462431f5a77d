import itertools
import subprocess
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, features

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots import encoding, formats
from diffuse_cli.plots.animation import Stage, animation_of_points
from diffuse_cli.plots.formats import check_animation_path
from diffuse_cli.plots.frame_times import even_frames
from diffuse_cli.plots.panels import coordinates
from tests.support.cases import few_fast

from .drawing import VIEWS, assert_nothing_cut_or_overlapping, in_both_themes, noised, scatters


def stages(count=40, dim=2, frames=4, both=True):
    """The way there, and the same way back."""
    x, log_snr, t = noised(frames, count, dim)
    there = Stage(x, log_snr, t)
    return [there, Stage(x[::-1], log_snr[::-1], t[::-1], forward=False)] if both else [there]


def film(animation):
    """What an animation is drawn by."""
    return animation._draw.__self__


def axes(animation):
    return film(animation)._figure.axes[0]


def opened(path):
    return Image.open(BytesIO(path.read_bytes()))


def read(image):
    """All frames of a moving picture, [k, height, width, 3], and how long each stays in ms."""
    frames, durations = [], []
    for index in range(image.n_frames):
        image.seek(index)
        frames.append(np.asarray(image.convert("RGB")))
        durations.append(image.info["duration"])
    return np.array(frames), durations


# --- when a frame is


def movement(x):
    return np.sqrt(np.square(np.diff(x, axis=0)).sum(axis=2).mean(axis=1))


def course():
    """Points that hardly move, run, and hardly move again: [k, n, d], log_snr [k], t [k]."""
    t = np.linspace(0, 1, 101)
    way = np.array([[3.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    return 0.5 * (1 + np.tanh(30 * (t - 0.6)))[:, None, None] * way, np.linspace(8, -8, 101), t


def test_eased_points_move_about_equally_from_frame_to_frame():
    x, log_snr, t = course()
    plain, even = (even_frames(x, log_snr, t, 30, ease=ease)[0] for ease in (False, True))
    assert movement(plain).max() > 1000 * movement(plain).min()
    middle = movement(even)[movement(even) > 0.5 * np.median(movement(even))]
    assert len(middle) >= 22  # the others are where time has to go by
    assert middle.max() < 1.2 * np.median(middle)


def test_without_ease_frames_are_equally_spaced_in_time():
    _, _, t = even_frames(*course(), 21, ease=False)
    np.testing.assert_allclose(t, np.linspace(0, 1, 21))


@pytest.mark.parametrize("ease", [True, False])
@pytest.mark.parametrize("count", [2, 3, 250])
def test_the_ends_are_the_ends_of_the_journey(count, ease):
    x, log_snr, t = noised(9, 20, 3)
    moved, levels, times = even_frames(x, log_snr, t, count, ease=ease)
    assert len(moved) == len(levels) == len(times) == count
    np.testing.assert_array_equal(moved[[0, -1]], x[[0, -1]])
    np.testing.assert_array_equal(levels[[0, -1]], log_snr[[0, -1]])
    np.testing.assert_array_equal(times[[0, -1]], t[[0, -1]])
    assert (np.diff(levels) < 0).all()
    assert (np.diff(times) > 0).all()


def test_time_never_jumps_where_points_do():
    x, log_snr, t = course()
    x[50:] += 100.0
    times = even_frames(x, log_snr, t, 60)[2]
    assert np.diff(times).max() < 0.2


def test_points_that_stay_where_they_are_still_have_frames():
    t = np.linspace(0, 1, 5)
    for same in (t, np.zeros(5)):
        moved, _, _ = even_frames(np.ones((5, 3, 2)), np.zeros(5), same, 7)
        np.testing.assert_array_equal(moved, np.ones((7, 3, 2)))


def test_points_that_are_not_finite_do_not_count():
    x, log_snr, t = course()
    broken = np.concatenate([x, np.full((101, 1, 2), np.nan)], axis=1)
    np.testing.assert_allclose(even_frames(broken, log_snr, t, 12)[2], even_frames(x, log_snr, t, 12)[2])


# --- what a frame shows


@in_both_themes
@pytest.mark.parametrize(("view", "dim"), VIEWS.values(), ids=VIEWS)
def test_nothing_is_cut_or_overlaps_in_any_view(view, dim, dark):
    animation = animation_of_points(stages(dim=dim), view=view, subject="two moons, dpmpp_2m, 50 steps", dark=dark)
    assert_nothing_cut_or_overlapping(film(animation)._figure)
    assert len(animation) == 8
    width, height = animation.size
    for frame in (animation[0], animation[-1]):
        assert frame.shape == (height, width, 3)
        assert frame.dtype == np.uint8
        edge = np.concatenate([frame[[0, -1]].reshape(-1, 3), frame[:, [0, -1]].reshape(-1, 3)])
        assert (edge == edge[0]).all()  # paper all round


@pytest.mark.parametrize(("view", "dim"), VIEWS.values(), ids=VIEWS)
def test_frames_differ_and_can_be_asked_for_in_any_order(view, dim):
    animation = animation_of_points(stages(dim=dim, both=False), view=view)
    once = list(animation)
    assert all((before != after).any() for before, after in itertools.pairwise(once))
    for index in (2, 0, 3, 0):
        np.testing.assert_array_equal(animation[index], once[index])
    np.testing.assert_array_equal(animation[-1], once[3])
    with pytest.raises(IndexError):
        animation[4]


@pytest.mark.parametrize("dim", [2, 10])
def test_points_are_where_the_frame_has_them(dim):
    given = stages(dim=dim)
    animation = animation_of_points(given)
    scene = film(animation)._cloud.scene
    for index, cloud in ((0, given[0].frames[0]), (7, given[1].frames[-1]), (2, given[0].frames[2])):
        animation[index]
        offsets = scatters(axes(animation))[0].get_offsets()
        np.testing.assert_allclose(offsets, coordinates(cloud, scene.basis))


def test_a_frame_in_space_does_not_depend_on_those_before():
    one, other = animation_of_points(stages(dim=3)), animation_of_points(stages(dim=3))
    for index in (7, 0, 2):
        one[index]
    other[2]
    marks = [scatters(axes(animation))[0] for animation in (one, other)]
    np.testing.assert_array_equal(*(each.get_offsets() for each in marks))
    np.testing.assert_array_equal(*(each.get_facecolors() for each in marks))


def test_a_histogram_has_area_one_in_every_frame():
    animation = animation_of_points(stages(dim=1, count=300))
    for index in range(len(animation)):
        animation[index]
        outline = axes(animation).patches[-1].get_data()
        assert (outline.values * np.diff(outline.edges)).sum() == pytest.approx(1.0)


def test_curves_are_those_of_the_frame():
    given = stages(dim=16, both=False)
    animation = animation_of_points(given, view="curves")
    for index in (3, 0):
        animation[index]
        cloud = given[0].frames[index]
        for line in axes(animation).lines:
            assert (cloud == line.get_ydata()).all(axis=1).any()


def test_colours_come_from_the_clean_end_of_each_way():
    given = stages()
    shuffled = given[1]._replace(frames=given[1].frames[:, ::-1])
    animation = animation_of_points([given[0], shuffled])
    animation[3]
    there = scatters(axes(animation))[0].get_facecolors()
    animation[4]
    back = scatters(axes(animation))[0].get_facecolors()
    np.testing.assert_array_equal(there, back[::-1])
    assert len(np.unique(there, axis=0)) > 10


def test_what_is_said_is_of_the_frame():
    animation = animation_of_points(stages())
    time_bar = film(animation)._time_bar
    said = []
    for index in (0, 3, 4, 7):
        animation[index]
        said.append(([text.get_text() for text in time_bar._numbers], time_bar._mark.get_marker()))
    first, last = (["0.000", "∞", "1.000"], ["1.000", "−14.3", "0.000"])
    assert said == [(first, ">"), (last, ">"), (last, "<"), (first, "<")]


@pytest.mark.parametrize(("chosen", "title"), [(slice(1), "data → noise"), (slice(1, 2), "noise → data")])
def test_the_title_says_which_way(chosen, title):
    assert title in film(animation_of_points(stages()[chosen]))._figure.get_suptitle()


def test_what_lies_outside_is_said_of_each_frame():
    given = stages(count=1000, both=False)[0]
    frames = given.frames.copy()
    frames[2, 0] = 1000.0
    animation = animation_of_points([given._replace(frames=frames)])
    words = film(animation)._cloud._words
    animation[2]
    assert words.get_text() == "1 outside the frame"
    animation[3]
    assert words.get_text() == ""


@pytest.mark.parametrize("dim", [2, 3])
def test_tails_follow_points_and_fade(dim):
    given = stages(dim=dim, both=False, frames=6)
    animation = animation_of_points(given, tail=3)
    tails = film(animation)._cloud._tails
    animation[0]
    assert len(tails.get_segments()) == 0
    animation[5]
    segments, opacity = np.array(tails.get_segments()), tails.get_colors()[:, 3]
    assert len(segments) == 3 * 40
    np.testing.assert_array_equal(segments[:40, 1], segments[40:80, 0])  # one goes on where the last one ended
    assert (np.diff(opacity.reshape(3, 40), axis=0) > 0).all()
    if dim == 2:
        np.testing.assert_allclose(np.sort(segments[80:, 1], axis=0), np.sort(given[0].frames[5], axis=0))


def test_tails_do_not_reach_over_the_turn():
    animation = animation_of_points(stages(), tail=3)
    animation[4]
    assert len(film(animation)._cloud._tails.get_segments()) == 0


def test_arrays_are_left_as_they_were():
    given = stages()
    copies = [tuple(np.copy(field) for field in stage) for stage in given]
    list(animation_of_points(given))
    for stage, copy in zip(given, copies, strict=True):
        for field, before in zip(stage, copy, strict=True):
            np.testing.assert_array_equal(field, before)


# --- what is written


@pytest.mark.parametrize("dark", [False, True])
def test_a_gif_has_the_frames_as_they_are_drawn(dark, tmp_path):
    animation = animation_of_points(stages(count=300), dark=dark, size=300)
    image = opened(animation.save(tmp_path / "a.gif"))
    frames, _ = read(image)
    assert image.size == animation.size
    assert image.size[0] == 300
    assert image.info["loop"] == 0  # for ever
    off = np.abs(frames.astype(int) - np.array(list(animation)))
    assert off.mean() < 2
    paper = (np.array(list(animation)) == animation[0][0, 0]).all(axis=3)
    assert off[paper].max() == 0


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    one, two = (animation_of_points(stages()).save(tmp_path / name).read_bytes() for name in ("a.gif", "b.gif"))
    assert one == two


@pytest.mark.parametrize("fps", few_fast([20, 7.5, 50, 1], 7.5, 50))
def test_frames_stay_as_long_as_they_should_and_the_ends_longer(fps, tmp_path):
    animation = animation_of_points(stages(), fps=fps, size=160)
    _, durations = read(opened(animation.save(tmp_path / "a.gif")))
    np.testing.assert_allclose(durations, animation.ticks / fps * 1000, atol=10)
    assert sum(durations) == pytest.approx(animation.seconds * 1000, abs=10)
    assert durations[-1] >= durations[0] > durations[1]
    assert durations[3] == pytest.approx(durations[4], abs=10)  # each has half of the turn


@pytest.mark.skipif(not features.check("webp"), reason="Pillow has no WebP here")
def test_a_webp_has_all_frames(tmp_path):
    animation = animation_of_points(stages(), size=160)
    frames, durations = read(opened(animation.save(tmp_path / "a.webp")))
    assert frames.shape == (8, *animation.size[::-1], 3)
    assert sum(durations) == pytest.approx(animation.seconds * 1000, abs=8)
    assert np.abs(frames[5].astype(int) - animation[5]).mean() < 12


@pytest.mark.skipif(formats.ffmpeg() is None, reason="there is no ffmpeg; it comes with the extra video")
def test_an_mp4_shows_what_was_drawn_and_as_long(tmp_path):
    animation = animation_of_points(stages(), size=161)
    assert animation.size[0] == 160
    path = animation.save(tmp_path / "a.mp4")
    command = [formats.ffmpeg(), "-loglevel", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, *animation.size[::-1], 3)
    assert len(frames) == animation.ticks.sum()
    assert np.abs(frames[-1].astype(int) - animation[-1]).mean() < 5


def test_what_ffmpeg_complains_of_is_told_in_a_line(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho first >&2\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    program.chmod(0o755)
    for module in (formats, encoding):
        monkeypatch.setattr(module, "ffmpeg", lambda: str(program))
    with pytest.raises(DiffuseError, match=r"^ffmpeg could not .*: Unknown encoder libx264; a .gif needs no ffmpeg.$"):
        animation_of_points(stages(), size=160).save(tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    def stop():
        raise KeyboardInterrupt

    animation = animation_of_points(stages(), size=160)
    with pytest.raises(KeyboardInterrupt):
        animation.save(tmp_path / "a.gif", report=stop)
    assert not list(tmp_path.iterdir())


def test_each_frame_is_reported(tmp_path):
    calls = []
    animation_of_points(stages(), size=160).save(tmp_path / "a.gif", report=lambda: calls.append(1))
    assert len(calls) == 8


def test_a_notebook_shows_the_gif():
    page = animation_of_points(stages(), size=160)._repr_html_()
    assert page.startswith('<img width="160"')
    assert "data:image/gif;base64,R0lGOD" in page


def test_a_pale_picture_of_few_colours_is_exact():
    frames = [np.full((20, 20, 3), 255, np.uint8) for _ in range(2)]
    frames[1][5:10, 5:10] = (1, 2, 3)
    found, _ = read(Image.open(BytesIO(encoding.gif(frames, frames, np.zeros((0, 3), np.uint8), [50, 50]))))
    np.testing.assert_array_equal(found, frames)


# --- what cannot be


def test_endings_and_folders_are_checked(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"ends in '.avi'; known: .gif, .mp4, .webp"):
        check_animation_path(tmp_path / "a.avi")
    with pytest.raises(UsageError, match="has no ending"):
        check_animation_path(tmp_path / "a")
    with pytest.raises(DiffuseError, match=r"folder .* does not exist"):
        check_animation_path(tmp_path / "none" / "a.gif")
    assert check_animation_path(tmp_path / "a.GIF").name == "a.GIF"
    monkeypatch.setattr(formats, "ffmpeg", lambda: None)
    with pytest.raises(DiffuseError, match=r'pip install "diffuse-cli\[video\]"; or write a .gif'):
        check_animation_path(tmp_path / "a.mp4")
    monkeypatch.setattr(formats, "_has_webp", lambda: False)
    with pytest.raises(DiffuseError, match=r"WebP.* a .gif"):
        check_animation_path(tmp_path / "a.webp")


def test_shapes_must_agree():
    there, back = stages()
    for wrong, words in (
        ([], "one stage, or two"),
        ([back, there], "the first one forward"),
        ([there, back._replace(frames=back.frames[:, :5])], "same number of points"),
        ([there._replace(frames=there.frames[0])], r"stage 1 has frames of shape \(40, 2\)"),
        ([there._replace(t=there.t[:2])], r"times of shape \(2,\)"),
    ):
        with pytest.raises(UsageError, match=words):
            animation_of_points(wrong)
    with pytest.raises(DiffuseError, match="frame 2 of stage 1 holds no finite"):
        animation_of_points([there._replace(frames=np.where(np.arange(4)[:, None, None] == 1, np.nan, there.frames))])


def test_options_out_of_range_are_told():
    with pytest.raises(UsageError, match="tail >= 0"):
        animation_of_points(stages(), tail=-1)
    with pytest.raises(UsageError, match="size >= 160"):
        animation_of_points(stages(), size=100)
    with pytest.raises(UsageError, match="fps <= 50"):
        animation_of_points(stages(), fps=100)
    with pytest.raises(UsageError, match="view"):
        animation_of_points(stages(), view="pictures")

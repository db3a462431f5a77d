import numpy as np
import pytest
from matplotlib.collections import LineCollection
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.style import LIGHT
from diffuse_cli.plots.trajectories import HEAVY, Paths, trajectories_figure

from .drawing import assert_nothing_cut_or_overlapping, in_both_themes, noised, scatters


def paths(count=30, dim=2, steps=6):
    frames, _, t = noised(steps, count, dim)
    return Paths(frames[::-1], t[::-1])


def lines(axes):
    return next(artist for artist in axes.collections if isinstance(artist, LineCollection | Line3DCollection))


@in_both_themes
@pytest.mark.parametrize("panels", [1, 4])
@pytest.mark.parametrize("dim", [1, 2, 3, 10])
def test_nothing_is_cut_or_overlaps(dim, panels, dark):
    figure = trajectories_figure(
        {f"sampler {i}": paths(dim=dim) for i in range(panels)}, subject="two moons", dark=dark
    )
    assert len(figure.axes) == panels
    assert_nothing_cut_or_overlapping(figure)


def test_by_time_every_piece_of_every_path_is_drawn():
    given = paths(count=7, steps=5)
    axes = trajectories_figure({"ddim": given}).axes[0]
    pieces = np.array(lines(axes).get_segments()).reshape(4, 7, 2, 2)
    np.testing.assert_array_equal(pieces[:, :, 0], given.x[:-1])
    np.testing.assert_array_equal(pieces[:, :, 1], given.x[1:])
    colors = lines(axes).get_colors().reshape(4, 7, 4)
    np.testing.assert_array_equal(colors, np.repeat(colors[:, :1], 7, axis=1))
    assert len(np.unique(colors[:, 0], axis=0)) == 4


@pytest.mark.parametrize("color_by", ["place", np.arange(7) % 2])
def test_by_anything_else_a_path_has_one_colour(color_by):
    given = paths(count=7, steps=5)
    axes = trajectories_figure({"ddim": given}, color_by=color_by).axes[0]
    np.testing.assert_array_equal(np.array(lines(axes).get_segments()), given.x.swapaxes(0, 1))
    ends = scatters(axes)[1].get_facecolors()
    np.testing.assert_allclose(lines(axes).get_colors()[:, :3], ends[:, :3])
    assert len(np.unique(ends, axis=0)) == (2 if isinstance(color_by, np.ndarray) else 7)


def test_a_ring_at_the_start_and_a_dot_at_the_end():
    given = paths(count=9)
    start, end = scatters(trajectories_figure({"ddim": given}).axes[0])
    np.testing.assert_array_equal(start.get_offsets(), given.x[0])
    np.testing.assert_array_equal(end.get_offsets(), given.x[-1])
    assert len(start.get_facecolors()) == 0
    np.testing.assert_allclose(end.get_facecolors()[0], LIGHT.ramp(1.0))


def test_a_single_value_is_drawn_over_time_from_noise_at_the_left():
    given = paths(count=5, dim=1)
    axes = trajectories_figure({"ddim": given}, color_by="place").axes[0]
    line = np.array(lines(axes).get_segments())
    np.testing.assert_allclose(line[..., 0], np.tile(given.t, (5, 1)))
    np.testing.assert_allclose(line[..., 1], given.x[:, :, 0].T)
    assert axes.get_xlim()[0] > 1 > 0 > axes.get_xlim()[1]


@pytest.mark.parametrize("color_by", ["time", "place"])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_paths_that_fade_are_the_fainter_the_noisier_they_are(dim, color_by):
    given = paths(count=7, dim=dim, steps=9)
    drawn, plain = (
        lines(trajectories_figure({"ddpm": given}, color_by=color_by, fade=fade).axes[0]) for fade in (True, False)
    )
    opacity = drawn.get_colors()[:, 3].reshape(8, 7)  # pieces from noise to data, of each path
    assert (np.diff(opacity, axis=0) > 0).all()
    assert (opacity == opacity[:, :1]).all()
    assert opacity[0, 0] < 0.25 * opacity[-1, 0] < 0.25 * plain.get_colors()[0, 3]
    assert len(np.unique(plain.get_colors()[:, 3])) == 1


def test_the_whole_density_is_in_view_behind_a_few_paths():
    x = np.linspace(-9, 9, 91)
    p = np.exp(-((x[:, None] - 6) ** 2) - (x + 5) ** 2)
    axes = trajectories_figure({"ddpm": paths(count=3)}, background=Background(x, x, p)).axes[0]
    assert axes.get_xlim()[1] > 7
    assert axes.get_ylim()[0] < -6


def test_many_pieces_are_rasterised():
    small, large = paths(count=10), paths(count=HEAVY)
    assert not lines(trajectories_figure({"ddim": small}).axes[0]).get_rasterized()
    assert lines(trajectories_figure({"ddim": large}).axes[0]).get_rasterized()


def test_the_background_lies_behind_and_moves_no_limits():
    x, y = np.linspace(-9, 9, 20), np.linspace(-8, 8, 30)
    p = np.exp(-(x[:, None] ** 2) - y**2)
    plain = trajectories_figure({"ddim": paths()}).axes[0]
    axes = trajectories_figure({"ddim": paths()}, background=Background(x, y, p)).axes[0]
    (image,) = axes.images
    assert image.get_zorder() < lines(axes).get_zorder()
    assert (axes.get_xlim(), axes.get_ylim()) == (plain.get_xlim(), plain.get_ylim())
    shown = image.get_array()
    assert shown.shape == (30, 20)  # rows of an image go up
    np.testing.assert_allclose(shown, np.sqrt(p / p.max()).T)
    np.testing.assert_allclose(image.get_extent(), (-9 - 9 / 19, 9 + 9 / 19, -8 - 8 / 29, 8 + 8 / 29))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, UsageError, "1 to 4"),
        ({"a": Paths(np.zeros((1, 5, 2)), np.zeros(1))}, UsageError, "k > 1"),
        ({"a": Paths(np.zeros((3, 5, 2)), np.zeros(2))}, UsageError, r"\[k, n, d\]"),
        ({"a": Paths(np.full((3, 5, 2), np.nan), np.zeros(3))}, DiffuseError, "no finite"),
    ],
)
def test_what_cannot_be_drawn_is_told(given, error, words):
    with pytest.raises(error, match=words):
        trajectories_figure(given)


def test_a_background_of_another_shape_is_told():
    with pytest.raises(UsageError, match="20 by 30"):
        trajectories_figure({"a": paths()}, background=Background(np.arange(20), np.arange(30), np.ones((30, 20))))

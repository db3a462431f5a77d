import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.quiver import Quiver

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.arrows import LONGEST, TYPICAL
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.field import Field, field_figure
from diffuse_cli.plots.style import LIGHT

from .drawing import assert_nothing_cut_or_overlapping

LOG_SNR = np.array([4.0, 0.0, -4.0, -6.0, -8.0, -10.0])
X, Y = np.linspace(-3, 3, 13), np.linspace(-3, 3, 11)


def a_field(levels, *, model=True, exact=True):
    places = np.stack(np.meshgrid(X, Y, indexing="ij"), axis=-1)
    truth = np.stack([-(1 + k) * places for k in range(levels)])
    usual = 1.0 + np.arange(levels)
    own = truth + np.array([0.1, 0.0])
    backgrounds = [Background(X, Y, np.exp(-(places**2).sum(axis=-1)))] * levels
    return Field(X, Y, own if model else None, truth if exact else None, usual, np.full(levels, 0.1), backgrounds)


def draw(found, **look):
    levels = len(found.usual)
    return field_figure(found, name="Score", t=np.linspace(0.1, 1, levels), log_snr=LOG_SNR[:levels], **look)


def quivers(axes):
    return [artist for artist in axes.collections if isinstance(artist, Quiver)]


@pytest.mark.parametrize("style", ["arrows", "streams"])
@pytest.mark.parametrize("levels", [1, 4, 6])
def test_nothing_is_cut_or_overlaps(levels, style):
    figure = draw(a_field(levels), style=style, subject="rings, cosine schedule", dark=levels == 4)
    assert len(figure.axes) == 3 * levels
    assert_nothing_cut_or_overlapping(figure)


def test_rows_are_model_exact_and_difference_in_their_colours():
    found = a_field(2)
    panels = draw(found).axes
    rows = [panels[:2], panels[2:4], panels[4:]]
    for row, name, color in zip(
        rows, ("model", "exact", "difference"), (LIGHT.model, LIGHT.data, LIGHT.ink), strict=True
    ):
        assert row[0].get_ylabel().startswith(name)
        assert row[1].get_ylabel() == ""
        np.testing.assert_allclose(quivers(row[0])[0].get_facecolors()[0, :3], to_rgb(color))
    assert rows[2][0].get_title() == "10 % of exact"
    assert [text.get_text() for text in rows[2][0].texts] == ["arrows × 10"]
    assert [axes.get_title() for axes in rows[0]] == ["$t = 0.10$", "$t = 1.00$"]


def test_arrows_point_along_the_field_and_are_measured_by_the_usual():
    found = a_field(2)
    for axes, values, usual in zip(draw(found).axes[2:4], found.exact, found.usual, strict=True):
        (arrows,) = quivers(axes)
        drawn = np.stack([arrows.U, arrows.V], axis=-1).reshape(11, 13, 2).swapaxes(0, 1)
        size, long = (np.hypot(*np.moveaxis(v, -1, 0)) for v in (values, drawn))
        there = size > 0
        np.testing.assert_allclose(drawn[there] / long[there, None], values[there] / size[there, None], atol=1e-9)
        apart = X[1] - X[0]
        assert long.max() < LONGEST * apart
        at_one = np.interp(1.0, np.sort((size / usual).ravel()), np.sort(long.ravel()))
        assert at_one == pytest.approx(TYPICAL * apart, rel=0.02)


def test_the_difference_is_longer_by_the_number_in_its_title():
    """It is measured in its root mean square, which is a tenth of the usual here."""
    found = a_field(2)
    for axes, usual in zip(draw(found).axes[4:], found.usual, strict=True):
        (arrows,) = quivers(axes)
        relative = 0.1 / (0.1 * usual)  # the difference is (0.1, 0) everywhere
        apart = X[1] - X[0]
        np.testing.assert_allclose(arrows.U, LONGEST * relative / (relative + LONGEST / TYPICAL - 1) * apart)


def test_arrows_of_the_difference_fade_with_the_density():
    """Exactly as the shade behind them, on a grid of another size than that of the density."""
    found = a_field(2)
    x, y = np.linspace(-4, 4, 161), np.linspace(-5, 5, 201)
    p = [np.exp(-((x[:, None] - centre) ** 2) - 2 * y**2) for centre in (0.0, 1.5)]
    panels = draw(found._replace(density=[Background(x, y, each) for each in p])).axes
    places = np.stack(np.meshgrid(X, Y, indexing="ij"), axis=-1)
    for axes, centre in zip(panels[4:], (0.0, 1.5), strict=True):
        (arrows,) = quivers(axes)
        expected = np.sqrt(np.exp(-((places[..., 0] - centre) ** 2) - 2 * places[..., 1] ** 2))
        np.testing.assert_allclose(arrows.get_facecolors()[:, 3].reshape(11, 13).T, expected, atol=0.01)
    assert all((quivers(axes)[0].get_facecolors()[:, 3] == 1).all() for axes in panels[:4])
    without = draw(found._replace(density=None)).axes[-1]
    assert (quivers(without)[0].get_facecolors()[:, 3] == 1).all()


@pytest.mark.parametrize(("model", "exact"), [(True, False), (False, True)])
def test_one_alone_has_one_row(model, exact):
    figure = draw(a_field(3, model=model, exact=exact))
    assert len(figure.axes) == 3
    assert figure.axes[0].get_ylabel().startswith("model" if model else "exact")


def test_streams_are_lines_and_the_difference_keeps_arrows():
    panels = draw(a_field(1), style="streams").axes
    assert [len(quivers(axes)) for axes in panels] == [0, 0, 1]
    assert all(isinstance(axes.collections[0], LineCollection) for axes in panels[:2])


def test_on_a_line_both_are_lines():
    truth = np.stack([-X[:, None], -2 * X[:, None]])
    found = Field(X, None, truth + 0.1, truth, np.array([1.0, 2.0]), None, np.exp(-(np.stack([X, X]) ** 2)))
    figure = draw(found, subject="bimodal")
    assert_nothing_cut_or_overlapping(figure)
    for axes, values in zip(figure.axes, truth, strict=True):
        exact, model = (line for line in axes.lines if not line.get_label().startswith("_"))
        np.testing.assert_array_equal(exact.get_ydata(), values[:, 0])
        np.testing.assert_allclose(model.get_ydata(), values[:, 0] + 0.1)


@pytest.mark.parametrize(
    ("found", "look", "words"),
    [
        (a_field(1), {"style": "dots"}, "arrows, streams"),
        (a_field(1, model=False, exact=False), {}, "no field"),
        (a_field(2)._replace(model=np.zeros((1, 13, 11, 2))), {}, r"needs \(2, 13, 11, 2\)"),
    ],
)
def test_what_cannot_be_drawn_is_told(found, look, words):
    with pytest.raises(UsageError, match=words):
        draw(found, **look)


def test_too_many_levels_are_told():
    with pytest.raises(UsageError, match="1 to 6"):
        field_figure(a_field(2), name="Score", t=np.linspace(0, 1, 7), log_snr=np.zeros(7))

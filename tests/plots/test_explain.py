import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.explain import Density, Panels, explanation_figure
from diffuse_cli.plots.style import DARK, LIGHT, save_figure
from tests.support.cases import few_fast

from .drawing import VIEWS, assert_nothing_cut_or_overlapping, cloud, in_both_themes

every_view = pytest.mark.parametrize(("view", "dim"), VIEWS.values(), ids=list(VIEWS))
PLACES = np.linspace(-4, 4, 200)


def panels(count, dim, seed=0):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(count, dim, dim)) / np.sqrt(dim)
    points = [0.5 * rng.normal(size=(count, dim)) for _ in range(3)]
    return Panels(cloud(5, dim)[0], *points, 0.1 * root @ np.swapaxes(root, 1, 2) + 0.01 * np.eye(dim))


def density(count):
    bell = np.exp(-0.5 * PLACES**2) / np.sqrt(2 * np.pi)
    return Density(PLACES, bell, np.stack([bell] * count))


def drawn(count, dim, view="points", **changes):
    arguments = {"t": np.linspace(0.1, 1, count), "log_snr": np.linspace(4, -9, count), "view": view}
    arguments |= {"density": density(count) if dim == 1 else None} | changes
    return explanation_figure(arguments.pop("panels", panels(count, dim)), cloud(300, dim), **arguments)


def marked(axes, marker):
    return [line for line in axes.lines if line.get_marker() == marker]


@every_view
@in_both_themes
def test_everything_can_be_drawn(view, dim, dark, tmp_path):
    figure = drawn(3, dim, view, dark=dark, subject="moons, cosine schedule")
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 3
    assert_nothing_cut_or_overlapping(figure)
    assert save_figure(figure, tmp_path / "f.png", dpi=50).stat().st_size > 1000


@pytest.mark.parametrize("count", few_fast([1, 2, 4, 5, 7, 12], 1, 5, 12))
@pytest.mark.parametrize("dim", [1, 2])
def test_a_panel_for_each_time_and_nothing_cut(count, dim):
    figure = drawn(count, dim)
    assert len(figure.axes) == count
    assert_nothing_cut_or_overlapping(figure)
    assert all(axes.get_title().startswith("$t = ") for axes in figure.axes)


def test_points_stand_where_they_are():
    given = panels(2, 2)
    for i, axes in enumerate(drawn(2, 2, panels=given).axes):
        places = {name: np.squeeze([line.get_data() for line in marked(axes, marker)], axis=-1) for name, marker in
                  (("circles", "o"), ("square", "s"), ("triangle", "^"))}  # fmt: skip
        np.testing.assert_allclose(places["circles"], [given.x0, given.mean[i]])
        np.testing.assert_allclose(places["square"], [given.x[i]])
        np.testing.assert_allclose(places["triangle"], [given.x0_hat[i]])


def test_the_ellipse_is_one_standard_deviation():
    """Its boundary are the points with (p - mean)' C^-1 (p - mean) = 1."""
    given = panels(3, 2)
    for i, axes in enumerate(drawn(3, 2, panels=given).axes):
        (ellipse,) = [patch for patch in axes.patches if isinstance(patch, Ellipse)]
        edge = ellipse.get_patch_transform().transform(np.stack([np.cos([0, 1, 2]), np.sin([0, 1, 2])], axis=1))
        away = edge - given.mean[i]
        np.testing.assert_allclose(np.sum(away @ np.linalg.inv(given.covariance[i]) * away, axis=1), 1)


def test_a_projection_keeps_the_ellipse_of_the_projected_law():
    """Of three columns the third of which is always 0, nothing is lost."""
    flat = panels(1, 2)
    covariance = np.zeros((1, 3, 3))
    covariance[:, :2, :2] = flat.covariance
    deep = Panels(*(np.concatenate([part, np.zeros((*part.shape[:-1], 1))], axis=-1) for part in flat[:-1]), covariance)
    data = np.concatenate([cloud(300, 2), np.zeros((300, 1))], axis=1)
    axes = explanation_figure(deep, data, t=np.array([0.5]), log_snr=np.zeros(1)).axes[0]
    (ellipse,) = [patch for patch in axes.patches if isinstance(patch, Ellipse)]
    lengths = np.sort([ellipse.width, ellipse.height]) / 2
    np.testing.assert_allclose(lengths**2, np.linalg.eigvalsh(flat.covariance[0]))
    assert axes.get_xlabel() == "PC 1, model units"


def test_the_band_of_curves_is_one_standard_deviation():
    given = panels(1, 16)
    axes = drawn(1, 16, "curves", panels=given).axes[0]
    (band,) = axes.collections
    outline = band.get_paths()[0].vertices
    std = np.sqrt(np.diagonal(given.covariance[0]))
    for side in (given.mean[0] - std, given.mean[0] + std):
        for point in np.stack([np.linspace(0, 1, 16), side], axis=1):
            assert np.abs(outline - point).sum(axis=1).min() < 1e-12


def test_an_answer_far_away_is_said_to_be_outside():
    given = panels(2, 2)
    given.x0_hat[1] = 1e4
    inside, outside = drawn(2, 2, panels=given, answer="the answer").axes
    assert not inside.texts
    assert [text.get_text() for text in outside.texts] == ["the answer is outside"]
    assert np.ptp(outside.get_xlim()) < 20


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_model_and_truth_have_their_colours(theme):
    axes = drawn(1, 2, dark=theme is DARK).axes[0]
    assert to_hex(marked(axes, "^")[0].get_markeredgecolor()) == theme.model
    assert to_hex(marked(axes, "o")[-1].get_color()) == theme.data


def test_errors():
    with pytest.raises(UsageError, match="13 noise levels"):
        drawn(13, 2)
    with pytest.raises(UsageError, match="mean has shape"):
        drawn(2, 2, panels=panels(2, 2)._replace(mean=np.zeros((3, 2))))
    with pytest.raises(UsageError, match="densities"):
        drawn(2, 1, density=None)
    with pytest.raises(UsageError, match="unknown view"):
        drawn(2, 2, "waves")

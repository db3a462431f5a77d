import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.samples import samples_figure
from diffuse_cli.plots.style import DARK, LIGHT

from .drawing import VIEWS, assert_nothing_cut_or_overlapping, cloud, in_both_themes, scatters


@pytest.mark.parametrize(("kind", "view", "dim"), [(kind, *how) for kind, how in VIEWS.items()])
@in_both_themes
def test_model_and_data_share_limits_and_nothing_is_cut(kind, view, dim, dark):
    figure = samples_figure(cloud(60, dim, 1), cloud(60, dim), view=view, subject="two moons", dark=dark)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == (1 if kind == "histogram" else 2)
    assert_nothing_cut_or_overlapping(figure)
    for name in "xyz" if kind == "space" else "xy":
        limits = [getattr(axes, f"get_{name}lim")() for axes in figure.axes]
        np.testing.assert_array_equal(limits[0], limits[-1])


@pytest.mark.parametrize("dark", [False, True])
def test_data_and_model_have_their_own_colours(dark):
    theme = DARK if dark else LIGHT
    figure = samples_figure(cloud(60, 2, 1), cloud(60, 2), dark=dark)
    for axes, name, color in zip(figure.axes, ("Data", "Model"), (theme.data, theme.model), strict=True):
        assert axes.get_title() == name
        np.testing.assert_allclose(scatters(axes)[0].get_facecolors()[0, :3], to_rgb(color))


def test_one_dimension_overlays_two_histograms_of_area_one():
    axes = samples_figure(cloud(300, 1, 1), cloud(200, 1)).axes[0]
    data, model = (patch.get_data() for patch in axes.patches)
    for outline in (data, model):
        assert (outline.values * np.diff(outline.edges)).sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(data.edges, model.edges)


def test_the_exact_density_is_a_line_that_fits():
    x = np.linspace(-3, 3, 50)
    axes = samples_figure(cloud(30, 1, 1), cloud(30, 1), exact=(x[:, None], 5 * np.exp(-(x**2)))).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), x)
    assert axes.get_ylim()[1] > axes.lines[0].get_ydata().max()


@pytest.mark.parametrize(("drawn", "held"), [(800, 600), (30, 900), (900, 30), (40, 50), (9000, 5000)])
@pytest.mark.parametrize("dim", [2, 3, 13])
def test_as_many_points_of_data_as_of_the_model(drawn, held, dim):
    figure = samples_figure(cloud(drawn, dim, 1), cloud(held, dim))
    points = [scatters(axes)[0]._offsets3d[0] if dim == 3 else scatters(axes)[0].get_offsets() for axes in figure.axes]
    assert [len(each) for each in points] == 2 * [min(drawn, held, 4000)]


def test_points_that_lie_over_each_other_are_the_fainter_the_more_they_are():
    """One opacity in both panels, that of a mark of ink where a point lies alone."""
    rng = np.random.default_rng(0)
    wide = rng.uniform(-1, 1, size=(2000, 2))
    crowds = [np.concatenate([wide[:20], share * rng.normal(size=(1980, 2))]) for share in (0.3, 0.1, 0.03)]
    opacity = []
    for data in (wide[:30], wide, *crowds):
        of_both = {scatters(axes)[0].get_alpha() for axes in samples_figure(wide, data).axes}
        assert len(of_both) == 1
        opacity += of_both
    assert opacity == sorted(opacity, reverse=True)
    assert opacity[0] > 0.8 > 0.4 > opacity[-2] > opacity[-1] >= 0.08


def test_both_are_projected_on_the_axes_of_the_data():
    data = cloud(80, 16)
    figure = samples_figure(data + 0.5, data)
    offsets = [np.asarray(scatters(axes)[0].get_offsets()) for axes in figure.axes]
    shifts = offsets[1] - offsets[0]
    np.testing.assert_allclose(shifts, np.broadcast_to(shifts[0], shifts.shape), atol=1e-9)
    assert figure.axes[0].get_xlabel() == "PC 1, standard deviations"


def test_the_models_values_are_held_against_the_datas():
    data = cloud(50, 16)
    figure = samples_figure(cloud(50, 16, 1), data, view="curves")
    filled, _, outline = (
        figure.axes[0].child_axes[0].patches[0],
        *figure.axes[1].child_axes[0].patches,
    )
    np.testing.assert_array_equal(outline.get_data().values, filled.get_data().values)


def test_errors():
    with pytest.raises(UsageError, match="3 values, one of the data 2"):
        samples_figure(cloud(5, 3), cloud(5, 2))
    with pytest.raises(UsageError, match="unknown view"):
        samples_figure(cloud(5, 2), cloud(5, 2), view="pints")
    with pytest.raises(UsageError, match="unknown view"):
        samples_figure(cloud(5, 1), cloud(5, 1), view="pints")
    with pytest.raises(DiffuseError, match="model holds no finite"):
        samples_figure(np.full((5, 2), np.inf), cloud(5, 2))

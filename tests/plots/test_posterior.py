import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Ellipse

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.measurement_shape import MeasuredLine, MeasuredPoint, MeasurementShape, along
from diffuse_cli.plots.posterior import ExactPosterior, MethodSamples, posterior_figure
from diffuse_cli.plots.style import LIGHT

from .drawing import assert_nothing_cut_or_overlapping, cloud, in_both_themes, scatters

X, Y = np.linspace(-3, 3, 30), np.linspace(-2, 2, 20)
DENSITY = Background(X, Y, np.exp(-0.5 * (X[:, None] ** 2 + (2 * Y) ** 2)))
LINE = MeasurementShape([MeasuredLine(np.array([3.0, 4.0]), 2.0, 0.5)])
POINT = MeasurementShape(point=MeasuredPoint(np.array([0.5, 1.0]), np.array([0.2, 0.1])))
LIKELIHOOD = MeasurementShape(likelihood=DENSITY)


def methods(count, dim=2):
    return [MethodSamples(f"method {i}", 0.4 * cloud(200, dim, i), f"0.03{i}, 1.2 floors") for i in range(count)]


def draw(shape, count=2, dim=2, *, exact=True, **look):
    posterior = ExactPosterior(0.4 * cloud(300, dim, 9), DENSITY if dim == 2 else None) if exact else None
    return posterior_figure(cloud(400, dim), shape, posterior, methods(count, dim), **look)


@in_both_themes
@pytest.mark.parametrize("shape", [MeasurementShape(), LINE, POINT, LIKELIHOOD], ids=["none", "line", "point", "other"])
@pytest.mark.parametrize("exact", [True, False])
def test_nothing_is_cut_or_overlaps(shape, exact, dark):
    figure = draw(shape, exact=exact, subject="moons", dark=dark)
    assert_nothing_cut_or_overlapping(figure)
    points = [axes for axes in figure.axes if scatters(axes) or axes.images]
    assert len(points) == 3 + exact
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in points}) == 1
    assert [axes.get_ylabel().split("\n")[0] for axes in points][-2:] == ["method 0", "method 1"]
    assert points[-1].get_title() == "0.031, 1.2 floors"


@pytest.mark.parametrize("dim", [1, 3, 6])
@pytest.mark.parametrize("exact", [True, False])
def test_other_numbers_of_columns(dim, exact):
    shape = MeasurementShape([MeasuredLine(np.array([2.0]), 1.0, 0.3)]) if dim == 1 else MeasurementShape()
    figure = draw(shape, 6, dim, exact=exact, subject="some set")
    assert_nothing_cut_or_overlapping(figure)
    assert len(figure.axes) == (7 if dim == 1 else 13) + exact
    assert dim == 1 or figure.axes[-1].get_xlabel() == "PC 1, standard deviations"


def test_a_line_and_its_band_are_where_the_measurement_holds():
    axes = draw(LINE).axes[0]
    normal = LINE.lines[0].normal
    np.testing.assert_allclose(axes.lines[0].get_xydata() @ normal, 2.0)
    corners = axes.patches[0].get_xy()
    np.testing.assert_allclose(np.unique((corners @ normal).round(6)), [1.0, 3.0])
    without = MeasurementShape([LINE.lines[0]._replace(std=0.0)])
    assert not draw(without).axes[0].patches
    over_one = draw(MeasurementShape([MeasuredLine(np.array([-2.0]), 1.0)]), dim=1).axes[0]
    np.testing.assert_allclose(over_one.lines[-1].get_xdata(), -0.5)


def test_a_point_has_a_circle_of_two_standard_deviations():
    (circle,) = (patch for patch in draw(POINT).axes[0].patches if isinstance(patch, Ellipse))
    assert circle.center == (0.5, 1.0)
    np.testing.assert_allclose([circle.width, circle.height], [0.8, 0.4])


def test_a_measurement_far_from_the_prior_is_in_the_frame():
    far = MeasurementShape([MeasuredLine(np.array([1.0, 0.0]), 9.0)])
    low, high = draw(far).axes[0].get_xlim()
    assert low < -1 < 9 < high


def test_the_coordinate_is_the_one_that_is_not_measured():
    """Else the widest of the posterior."""
    wide = np.array([[-3.0, -0.1], [3.0, 0.1], [0.0, 0.0]])
    np.testing.assert_allclose(along(LINE, wide), [0.8, -0.6])
    np.testing.assert_allclose(along(POINT, wide) @ [-0.1, 3.0], 0.0, atol=1e-9)
    assert draw(LINE).axes[-1].get_xlabel() == "0.8 x − 0.6 y, data units"
    observed = MeasurementShape([MeasuredLine(np.array([1.0, 0.0]), 0.5)])
    figure = draw(observed, 1)
    assert figure.axes[-1].get_xlabel() == "y, data units"
    method, exact = (patch.get_data() for patch in figure.axes[-1].patches)
    for drawn, samples in ((method, methods(1)[0].samples), (exact, 0.4 * cloud(300, 2, 9))):
        np.testing.assert_allclose(drawn.values, np.histogram(samples[:, 1], drawn.edges, density=True)[0])


def test_draws_stand_behind_the_samples_where_there_is_no_density():
    prior = cloud(400, 2)
    exact = ExactPosterior(prior * [0.0, 1.0])
    panel = posterior_figure(prior, LINE, exact, methods(1)).axes[2]
    below, above = (points.get_facecolors()[0, :3] for points in scatters(panel))
    np.testing.assert_allclose([below, above], [to_rgb(LIGHT.data), to_rgb(LIGHT.model)])


def test_a_width_is_kept():
    figure = draw(LINE, width=8.0)
    assert figure.get_figwidth() == pytest.approx(8.0)
    assert_nothing_cut_or_overlapping(figure)


def test_what_does_not_fit_together_is_refused():
    prior = cloud(50, 2)
    with pytest.raises(UsageError, match="3 values, one of the prior 2"):
        posterior_figure(prior, LINE, None, methods(1, 3))
    with pytest.raises(UsageError, match="normal"):
        posterior_figure(prior[:, :1], LINE, None, [])
    with pytest.raises(UsageError, match="as a line"):
        posterior_figure(prior[:, :1], POINT, None, [])
    with pytest.raises(DiffuseError, match="method 0 holds no finite"):
        posterior_figure(prior, LINE, None, [MethodSamples("method 0", np.full((5, 2), np.nan))])

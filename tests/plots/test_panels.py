import numpy as np
import pytest

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.panels import (
    add_panel,
    checked_cloud,
    draw_cloud,
    histogram_density,
    kind_of,
    make_scene,
    normal_density,
    spread,
)
from diffuse_cli.plots.point_colors import by_label, by_rank, one_color, point_colors, principal_axes
from diffuse_cli.plots.style import LIGHT, default_style, new_figure

from .drawing import VIEWS, cloud, scatters


def panel(points, view="points", *, colors=None, reference=None, **options):
    """The axes of one cloud, and the scene it was drawn in."""
    with default_style() as theme:
        reference = points if reference is None else reference
        scene = make_scene([points], reference=reference, view=view, side=2.0, theme=theme, **options)
        figure = new_figure(3, 3, theme)
        axes = add_panel(figure, figure.add_gridspec(1, 1)[0, 0], scene)
        draw_cloud(axes, points, scene, colors or one_color(theme.data, len(points)), normal=True)
    return axes, scene


@pytest.mark.parametrize(("kind", "view", "dim"), [(kind, *how) for kind, how in VIEWS.items()])
def test_what_is_drawn_follows_from_view_and_dimension(kind, view, dim):
    assert kind_of(view, dim) == kind
    axes, scene = panel(cloud(40, dim), view)
    assert scene.kind == kind
    assert bool(scatters(axes)) == (kind in ("plane", "space", "projected"))
    assert axes.name == ("3d" if kind == "space" else "rectilinear")


def test_unknown_views_are_named():
    with pytest.raises(UsageError, match="did you mean 'curves'"):
        kind_of("curve", 3)
    with pytest.raises(UsageError, match="at least 2 values"):
        kind_of("curves", 1)


@pytest.mark.parametrize("shape", [(5,), (0, 2), (3, 0), (2, 3, 4)])
def test_a_wrong_shape_is_told(shape):
    with pytest.raises(UsageError, match=r"data has shape .*\[n, d\]"):
        checked_cloud(np.zeros(shape), "data")


def test_a_cloud_without_a_finite_sample_is_told():
    with pytest.raises(DiffuseError, match="no finite sample"):
        checked_cloud(np.full((4, 2), np.nan), "data")


def test_density_has_area_one():
    edges = np.linspace(-6, 6, 40)
    values = np.concatenate([cloud(500, 1)[:, 0], [np.nan, np.inf]])
    assert (histogram_density(values, edges) * np.diff(edges)).sum() == pytest.approx(1.0)
    grid = np.linspace(-9, 9, 4001)
    assert np.trapezoid(normal_density(grid), grid) == pytest.approx(1.0)


@pytest.mark.parametrize("groups", [1, 3, 8])
def test_a_stacked_histogram_has_area_one_and_its_bands_their_share(groups):
    points = cloud(400, 1)
    colors = by_rank(points[:, 0], LIGHT, groups)
    axes, scene = panel(points, colors=colors)
    bands = [patch.get_data() for patch in axes.patches]
    areas = [((band.values - band.baseline) * np.diff(band.edges)).sum() for band in bands]
    np.testing.assert_allclose(areas, np.bincount(colors.group) / len(points), atol=0.01)
    assert (bands[-1].values * np.diff(scene.edges)).sum() == pytest.approx(1.0)


def test_the_histogram_of_curves_has_area_one_and_shares_the_axis():
    axes, scene = panel(cloud(100, 16), "curves")
    beside = axes.child_axes[0]
    assert (beside.patches[0].get_data().values * np.diff(scene.edges)).sum() == pytest.approx(1.0)
    assert beside.get_ylim() == axes.get_ylim()
    assert beside.patches[0].orientation == "horizontal"


def test_columns_in_different_units_have_scales_of_their_own():
    points = cloud(100, 2) * [1.0, 50.0]
    axes, scene = panel(points)
    assert scene.free
    assert axes.get_aspect() == "auto"
    assert not panel(cloud(100, 2))[1].free
    assert panel(points, square=True)[1].free
    assert not panel(points, columns=Columns(("a", "b"), "model"))[1].free


def test_a_box_in_different_units_is_a_cube():
    assert panel(cloud(100, 3))[1].free is False
    axes, scene = panel(cloud(100, 3) * [1.0, 50.0, 1e-3])
    assert scene.free
    assert len({round(float(side), 9) for side in axes.get_box_aspect()}) == 1


def test_no_column_hides_the_others_in_a_projection():
    points = cloud(200, 16)
    shown = [scatters(panel(points * by)[0])[0].get_offsets() for by in (1.0, 10.0 ** np.arange(-8, 8))]
    np.testing.assert_allclose(*shown, atol=1e-9)


def test_limits_are_those_of_the_frame_if_there_is_one():
    points = cloud(100, 2)
    plain = panel(points)[1].limits
    np.testing.assert_array_equal(panel(3 * points, frame=points)[1].limits, plain)
    assert np.ptp(panel(3 * points)[1].limits) > np.ptp(plain)


def test_the_histogram_of_a_followed_curve_is_of_its_values_alone():
    points = cloud(100, 16)
    axes, scene = panel(points, "curves", curves=3, follow=True)
    heights = axes.child_axes[0].patches[0].get_data().values
    np.testing.assert_allclose(heights, histogram_density(points[scene.followed], scene.edges))
    assert scene.followed == scene.curves[-1]
    dotted = [line for line in axes.lines if line.get_marker() == "."]
    np.testing.assert_array_equal(dotted[0].get_ydata(), points[scene.followed])


def test_curves_are_samples_over_the_unit_interval():
    points = cloud(100, 16)
    axes, scene = panel(points, "curves", curves=3)
    assert len(axes.lines) == 3
    for line, index in zip(axes.lines, scene.curves, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), points[index])
        assert (line.get_xdata()[0], line.get_xdata()[-1]) == (0.0, 1.0)


def test_few_curves_are_spread_over_the_first_axis():
    points = np.arange(10.0)[:, None] * [1.0, 2.0]
    np.testing.assert_array_equal(np.sort(spread(points, 5)), [1, 3, 5, 7, 9])
    assert len(spread(points[:2], 5)) == 2


def test_the_normal_law_is_where_it_should_be():
    line = panel(cloud(50, 1))[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), normal_density(line.get_xdata()))
    np.testing.assert_allclose(np.hypot(*panel(cloud(50, 2))[0].lines[0].get_xydata().T), 2.0)


def test_the_circle_of_a_projection_is_around_the_projected_origin():
    points = cloud(80, 6) + 3.0
    mean, axes = principal_axes(points, 2)
    circle = panel(points, columns=columns_of(6, None, "model"))[0].lines[0].get_xydata()
    np.testing.assert_allclose(np.linalg.norm(circle + mean @ axes, axis=1), 2.0)


def test_projection_keeps_most_variance_and_has_a_fixed_sign():
    points = cloud(200, 10)
    mean, axes = principal_axes(points, 2)
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-12)
    variances = ((points - mean) @ axes).var(axis=0)
    assert variances[0] > variances[1] > 0
    np.testing.assert_allclose(variances, np.linalg.eigvalsh(np.cov(points.T, bias=True))[::-1][:2])
    np.testing.assert_allclose(principal_axes(points[::-1], 2)[1], axes, atol=1e-9)
    shown = scatters(panel(points, columns=columns_of(10, None, "model"))[0])[0].get_offsets()
    np.testing.assert_allclose(shown, (points - mean) @ axes)


def test_equal_scales_in_the_plane():
    axes, _ = panel(cloud(50, 2))
    assert axes.get_aspect() == 1.0


@pytest.mark.parametrize("count", [200, 1000])
def test_more_points_are_smaller_and_fainter(count):
    few, many = (scatters(panel(cloud(n, 2))[0])[0] for n in (count, 10 * count))
    assert few.get_sizes()[0] > many.get_sizes()[0]
    assert few.get_alpha() >= many.get_alpha()


def test_a_large_cloud_is_thinned_the_same_way_each_time():
    points = cloud(900, 2)
    first, second = (scatters(panel(points, most=100)[0])[0].get_offsets() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(first) == 100


def test_one_far_sample_does_not_flatten_the_rest_and_is_counted():
    points = cloud(1000, 2)
    points[3] = 500.0
    points[7] = np.nan
    axes, scene = panel(points)
    assert np.abs(scene.limits).max() < 10
    assert axes.texts[0].get_text() == "1 not finite\n1 outside the frame"


def test_all_samples_lie_within_the_limits():
    points = cloud(300, 2)
    axes, scene = panel(points)
    assert ((points > scene.limits[:, 0]) & (points < scene.limits[:, 1])).all()
    assert not axes.texts


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_samples_that_are_all_the_same_can_be_drawn(dim):
    axes, scene = panel(np.ones((20, dim)))
    assert (np.ptp(scene.limits, axis=1) > 0).all()
    assert axes.figure._repr_png_()


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_one_sample_can_be_drawn(dim):
    axes, _ = panel(np.full((1, dim), 0.5))
    assert axes.figure._repr_png_()


def test_every_shade_is_used_equally():
    colors = by_rank(np.random.default_rng(0).normal(size=640), LIGHT, 64)
    np.testing.assert_array_equal(np.bincount(colors.group), 10)


def test_colour_follows_the_first_axis_of_the_clean_cloud():
    points = cloud(100, 2)
    mean, axes = principal_axes(points, 1)
    along = (points - mean) @ axes[:, 0]
    colors = point_colors(points, None, LIGHT)
    assert (np.diff(colors.group[np.argsort(along)]) >= 0).all()


def test_labels_get_one_colour_each():
    labels = np.array(["b", "a", "b", "c"])
    colors = by_label(labels, LIGHT)
    np.testing.assert_array_equal(colors.group, [1, 0, 1, 2])
    assert len(np.unique(colors.palette, axis=0)) == 3
    assert len(np.unique(by_label(np.arange(20), LIGHT).palette, axis=0)) == 20


def test_colour_by_orders_floats_and_names_integers():
    points = cloud(6, 2)
    order = np.array([0.1, 5.0, 0.2, 9.0, 0.3, 7.0])
    np.testing.assert_array_equal(point_colors(points, order, LIGHT).group, np.argsort(np.argsort(order)))
    assert len(point_colors(points, order.astype(int), LIGHT).palette) == 4
    with pytest.raises(UsageError, match="one value for each of 6 points"):
        point_colors(points, order[:3], LIGHT)

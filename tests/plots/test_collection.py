import numpy as np
import pytest
from matplotlib.colors import to_rgb

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.collection import Column, collection_figure
from diffuse_cli.plots.style import LIGHT
from tests.support.cases import few_fast

from .drawing import VIEWS, assert_nothing_cut_or_overlapping, cloud, drawn, scatters


@pytest.mark.parametrize("count", few_fast(range(1, 13), 1, 6, 12))
@pytest.mark.parametrize("modelled", [False, True])
def test_nothing_is_cut_or_overlaps(count, modelled):
    columns = [(f"data_{i}", Column(cloud(40, 2, i), cloud(40, 2, i + 1) if modelled else None)) for i in range(count)]
    figure = collection_figure(columns, dark=modelled)
    assert len(figure.axes) == (2 * count if modelled else count)
    assert_nothing_cut_or_overlapping(figure)


def test_every_view_beside_every_other():
    columns = [(kind, Column(cloud(40, dim), cloud(30, dim, 1), view)) for kind, (view, dim) in VIEWS.items()]
    assert_nothing_cut_or_overlapping(collection_figure(columns))


@pytest.mark.parametrize("modelled", [False, True])
def test_panels_of_every_kind_stand_on_one_grid(modelled):
    """Each fills a cell of one size: equal tops and bottoms in a row, and equal steps from cell to cell."""
    columns = [
        (kind, Column(cloud(40, dim), cloud(30, dim, 1) if modelled else None, view))
        for kind, (view, dim) in VIEWS.items()
    ]
    figure = collection_figure(columns)
    drawn(figure)
    boxes = np.array([axes.get_position(original=True).extents for axes in figure.axes])
    boxes = boxes.reshape(5, 1 + modelled, 4)
    np.testing.assert_allclose(boxes[:, :, [1, 3]], np.broadcast_to(boxes[:1, :, [1, 3]], (5, 1 + modelled, 2)))
    np.testing.assert_allclose(np.diff(boxes[:, 0, 0]), boxes[1, 0, 0] - boxes[0, 0, 0])
    for kind, axes in zip(VIEWS, figure.axes[:: 1 + modelled], strict=True):
        given, shown = (axes.get_position(original=original).extents for original in (True, False))
        if kind != "space":  # whose box has no frame
            np.testing.assert_allclose(shown, given, atol=1e-3, err_msg=kind)


def test_a_name_may_come_twice():
    figure = collection_figure([("a", Column(cloud(40, 2))), ("a", Column(cloud(40, 2, 1)))])
    assert [axes.get_title() for axes in figure.axes] == ["a", "a"]


def test_a_set_without_a_model_has_an_empty_place_below():
    figure = collection_figure([("a", Column(cloud(40, 2), cloud(40, 2, 1))), ("b", Column(cloud(40, 2)))])
    assert [axes.get_title() for axes in figure.axes] == ["a", "", "b"]
    a, model, b = figure.axes
    assert model.get_position().x0 == pytest.approx(a.get_position().x0)
    assert model.get_position().y1 < a.get_position().y0
    assert b.get_position().y0 == pytest.approx(a.get_position().y0)


def test_data_and_model_share_limits_and_have_their_colours():
    figure = collection_figure([("a", Column(cloud(40, 2), 3 * cloud(40, 2, 1))), ("b", Column(9 * cloud(40, 2)))])
    data, model, other = figure.axes
    assert (data.get_xlim(), data.get_ylim()) == (model.get_xlim(), model.get_ylim())
    assert data.get_xlim() != other.get_xlim()
    for axes, color in ((data, LIGHT.data), (model, LIGHT.model)):
        np.testing.assert_allclose(scatters(axes)[0].get_facecolors()[0, :3], to_rgb(color))


def test_data_and_model_have_equal_numbers_of_points_and_one_opacity():
    first, second = Column(cloud(900, 2), cloud(70, 2, 1)), Column(cloud(900, 2))
    panels = [scatters(axes)[0] for axes in collection_figure([("a", first), ("b", second)]).axes]
    assert [len(points.get_offsets()) for points in panels] == [70, 70, 900]
    assert panels[0].get_alpha() == panels[1].get_alpha() > panels[2].get_alpha()


def test_what_cannot_be_drawn_is_told():
    with pytest.raises(UsageError, match="1 to 12"):
        collection_figure([])
    with pytest.raises(UsageError, match="has 3 values"):
        collection_figure([("a", Column(cloud(40, 2), cloud(40, 3)))])


def test_labels_have_a_colour_each_and_a_key_where_all_columns_share_them():
    points, labels = np.random.default_rng(0).normal(size=(60, 2)), np.array(["a", "b", "c"] * 20)
    one, other = Column(points, points, labels=(labels, labels[::-1])), Column(points, labels=(labels == "a", None))
    figure = collection_figure([("one", one)])
    assert [text.get_text() for text in figure.legends[0].texts] == ["a", "b", "c"]
    colours = [np.unique(axes.collections[0].get_facecolor()[:, :3], axis=0) for axes in figure.axes]
    assert [len(each) for each in colours] == [3, 3]
    assert_nothing_cut_or_overlapping(figure)
    assert not collection_figure([("one", one), ("other", other)]).legends

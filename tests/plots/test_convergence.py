import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.convergence import ErrorCurve, convergence_figure

from .drawing import assert_nothing_cut_or_overlapping, drawn, in_both_themes

STEPS = np.array([20, 40, 80, 160, 320])


def falling(order, at=1.0):
    return ErrorCurve(order, at * STEPS.astype(float) ** -order, float(order))


def many():
    return {f"sampler_{i}:order={1 + i % 4}": falling(1 + i % 4, 1 + i / 10) for i in range(16)}


@in_both_themes
@pytest.mark.parametrize("count", [1, 16, 40])
def test_any_number_of_samplers_can_be_read(count, dark):
    curves = {f"sampler_{i}": falling(1 + i % 4) for i in range(count)}
    figure = convergence_figure(STEPS, curves, subject="moons, cosine schedule", dark=dark)
    assert isinstance(figure, Figure)
    assert_nothing_cut_or_overlapping(figure)
    (axes,) = figure.axes
    renderer = drawn(figure).get_renderer()
    names = [text for text in axes.texts if text.get_text().startswith("sampler")]
    assert len(names) == count
    boxes = sorted((Text.get_window_extent(text, renderer) for text in names), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 2 for low, high in itertools.pairwise(boxes))
    assert all(box.x0 > axes.bbox.x1 for box in boxes)


def test_lines_show_the_errors_and_guides_have_the_orders_slopes():
    curves = many()
    (axes,) = convergence_figure(STEPS, curves).axes
    for line, curve in zip(axes.lines, curves.values(), strict=False):
        np.testing.assert_array_equal(line.get_ydata(), curve.errors)
    guides = axes.lines[len(curves) :]
    slopes = [-np.diff(np.log(line.get_ydata())) / np.diff(np.log(line.get_xdata())) for line in guides]
    np.testing.assert_allclose(np.concatenate(slopes), [1, 2, 3, 4])
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_lines_of_one_order_share_a_colour_and_differ_in_pattern():
    (axes,) = convergence_figure(STEPS, {"a": falling(1), "b": falling(1, 2), "c": falling(2)}).axes
    a, b, c = axes.lines[:3]
    assert a.get_color() == b.get_color() != c.get_color()
    assert a.is_dashed() != b.is_dashed()


def test_a_failure_is_marked_and_what_shows_no_order_has_a_dash():
    curves = {
        "good": falling(1),
        "bad": falling(2)._replace(passed=False),
        "exact": ErrorCurve(1, 0 * STEPS, None, None),
    }
    (axes,) = convergence_figure(STEPS, curves).axes
    assert [line.get_marker() for line in axes.lines[:2]] == ["o", "x"]
    assert {"good  1.00", "bad  2.00"} <= {text.get_text() for text in axes.texts}


def test_rounding_is_shaded_where_it_is_in_view():
    assert len(convergence_figure(STEPS, {"a": falling(4)}, rounding=1e-9).axes[0].patches) == 1
    assert not convergence_figure(STEPS, {"a": falling(1)}, rounding=1e-12).axes[0].patches


def test_errors():
    with pytest.raises(UsageError, match="no curve"):
        convergence_figure(STEPS, {})
    with pytest.raises(UsageError, match=r"both need to be \[k\]"):
        convergence_figure(STEPS[:3], {"a": falling(1)})
    with pytest.raises(DiffuseError, match="nothing to draw"):
        convergence_figure(STEPS, {"a": ErrorCurve(1, np.full(5, np.nan), None, False)})

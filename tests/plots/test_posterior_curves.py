import numpy as np
import pytest
from matplotlib.collections import PathCollection

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.posterior import MethodSamples
from diffuse_cli.plots.posterior_curves import CurveMeasurement, posterior_curves_figure

from .drawing import assert_nothing_cut_or_overlapping, cloud, in_both_themes

PRIOR, EXACT = cloud(100, 16), 0.3 * cloud(80, 16, 1)
SIGNAL = np.sin(np.linspace(0, 3, 16))
MASKED = CurveMeasurement(SIGNAL, np.array([0.2, 0.6]), np.array([0.5, 1.0]))


def methods(count):
    return [MethodSamples(f"method {i}", 0.4 * cloud(90, 16, 2 + i), f"0.03{i}, 1.2 floors") for i in range(count)]


@in_both_themes
@pytest.mark.parametrize("measurement", [MASKED, CurveMeasurement(SIGNAL), CurveMeasurement(None)])
@pytest.mark.parametrize(("exact", "count"), [(EXACT, 1), (EXACT, 6), (None, 2)])
def test_nothing_is_cut_or_overlaps(measurement, exact, count, dark):
    figure = posterior_curves_figure(PRIOR, measurement, exact, methods(count), subject="curves", dark=dark)
    assert_nothing_cut_or_overlapping(figure)
    assert len(figure.axes) == 2 * count + 1 + (exact is not None)
    right = figure.axes[1::2] if exact is not None else figure.axes[2::2]
    for column in (right, [axes for axes in figure.axes if axes not in right]):
        assert len({(axes.get_xlim(), axes.get_ylim()) for axes in column}) == 1
    assert figure.axes[-2].get_title() == f"0.03{count - 1}, 1.2 floors"
    for axes in figure.axes:
        about = 0.0 if exact is None or axes not in right else exact.mean(axis=0)
        drawn = any(np.array_equal(line.get_ydata(), SIGNAL - about) for line in axes.lines)
        assert drawn == (measurement.signal is not None)
        dots = [part for part in axes.collections if isinstance(part, PathCollection)]
        assert len(dots) == (measurement.places is not None)


def test_bands_hold_their_share_of_the_samples_at_each_place():
    figure = posterior_curves_figure(PRIOR, MASKED, EXACT, methods(1))
    about = EXACT.mean(axis=0)  # bands are less the mean of the exact posterior
    samples, exact = methods(1)[0].samples - about, EXACT - about
    panel = figure.axes[-1]
    outlines = np.array([line.get_ydata() for line in panel.lines[:4]])
    filled = [part.get_paths()[0].vertices for part in panel.collections[:2]]
    for (low, high), vertices, share in zip((outlines[:2], outlines[2:]), filled, (0.9, 0.5), strict=True):
        np.testing.assert_allclose(((low <= exact) & (high >= exact)).mean(axis=0), share, atol=0.03)
        at_start = vertices[np.isclose(vertices[:, 0], 0.0), 1]
        inside = (samples[:, 0] >= at_start.min()) & (samples[:, 0] <= at_start.max())
        assert inside.mean() == pytest.approx(share, abs=0.03)


def test_what_does_not_fit_together_is_refused():
    for prior, measurement in (
        (PRIOR[:, :8], CurveMeasurement(None)),
        (PRIOR, CurveMeasurement(SIGNAL[:3])),
        (PRIOR, MASKED._replace(values=None)),
    ):
        with pytest.raises(UsageError):
            posterior_curves_figure(prior, measurement, EXACT, methods(1))

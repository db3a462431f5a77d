"""Posteriors of curves: a few samples of each method, and its bands beside those of the exact posterior."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.axis_names import mark_unit_interval, name_axis
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.layout import arrange, panel_rows
from diffuse_cli.plots.panels import Scene, checked_cloud, keep_outer_labels, make_scene, spread
from diffuse_cli.plots.posterior import MethodSamples
from diffuse_cli.plots.style import Theme, default_style
from diffuse_cli.plots.user_text import plain

_SIDE = 3.3  # inches
_HEIGHT = 0.55  # of a panel, as a share of its width
_CURVES = 14  # samples in one panel
_BANDS = (0.9, 0.5)  # probabilities of the bands
_WIDEST = 5.0  # of the exact bands, up to which those of a method are shown


class CurveMeasurement(NamedTuple):
    """The true curve [d], or None, and what was measured of it: values at places u in [0, 1], or None for a measurement
    of other things than places."""

    signal: np.ndarray | None
    places: np.ndarray | None = None
    values: np.ndarray | None = None


def posterior_curves_figure(
    prior: np.ndarray,
    measurement: CurveMeasurement,
    exact: np.ndarray | None,
    methods: Sequence[MethodSamples],
    *,
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The prior and the bands of the exact posterior, then a row for each method: samples, and its bands of 50 and 90 %
    at each place over those of the exact posterior; data units. Bands are less the mean of the exact posterior where it
    is known, since a posterior may be much narrower than the prior.

    prior [n, d], exact [m, d] or None where it is unknown, and the samples of methods: curves at d places on [0, 1].

    Raises UsageError where shapes disagree or `width` is too small, DiffuseError where no sample is finite.
    """
    prior = checked_cloud(prior, "the prior")
    clouds = [checked_cloud(each.samples, f"the samples of {each.name}") for each in methods]
    exact = None if exact is None else checked_cloud(exact, "the exact posterior")
    _check(prior.shape[1], [*clouds, *([] if exact is None else [exact])], measurement)
    with default_style(dark=dark, width=width) as theme:
        look = {"view": "curves", "side": _SIDE, "theme": theme, "columns": columns_of(prior.shape[1], columns, "data")}
        every = [prior, *clouds, *([] if exact is None else [exact])]
        truth = [] if measurement.signal is None else [np.atleast_2d(measurement.signal)]
        scene = make_scene(every, reference=prior, frame=np.concatenate([prior, *truth]), **look)
        # panels as wide as their places, since no histogram stands beside them
        shape = scene._replace(kind="plane", limits=np.array([[0.0, 1.0], [0.0, _HEIGHT]]))
        layout = panel_rows(1 + len(methods), 2, shape, theme)
        rows = [("prior", prior, theme.muted, "samples of the prior", exact)]
        for method, cloud in zip(methods, clouds, strict=True):
            rows.append((plain(method.name), cloud, theme.model, plain(method.words), cloud))
        centre = np.zeros(prior.shape[1]) if exact is None else exact.mean(axis=0)
        about, beside, bands = _less(measurement, centre), scene, "bands of 50 and 90 %"
        if exact is not None:
            reach = _reach([exact, *clouds], centre)
            bands = f"{bands} about the exact mean, ± {reach:.2g}"
            beside = scene._replace(limits=np.array([scene.limits[0], [-reach, reach]]))
        for row, (name, left, color, words, right) in enumerate(rows):
            axes = layout.figure.add_subplot(layout.grid[row, 0])
            _draw_samples(axes, left, color)
            _finish(axes, measurement, scene, theme, words)
            axes.set_ylabel(f"{name}\n{axes.get_ylabel()}")
            keep_outer_labels(axes, left=True, bottom=row == len(methods))
            if right is None:
                continue
            axes = layout.figure.add_subplot(layout.grid[row, 1])
            _draw_bands(axes, right - centre, theme.model if row else theme.data)
            if row and exact is not None:
                _draw_outlines(axes, exact - centre, theme.data)
            _finish(axes, about, beside, theme, "" if row else bands)
            keep_outer_labels(axes, left=False, bottom=row == len(methods))
        return arrange(layout, "Posteriors of curves", subject, _keys(measurement, exact is not None, theme))


def band_edges(samples: np.ndarray, probability: float) -> np.ndarray:
    """The central interval [2, d] of this probability at each place, of finite samples [n, d].

    >>> band_edges(np.arange(101.0)[:, None], 0.9).ravel()
    array([ 5., 95.])
    """
    finite = samples[np.isfinite(samples).all(axis=1)]
    return np.quantile(finite, [(1 - probability) / 2, (1 + probability) / 2], axis=0)


def _less(measurement: CurveMeasurement, centre: np.ndarray) -> CurveMeasurement:
    """The signal and the measured values less a curve [d]."""
    signal = None if measurement.signal is None else measurement.signal - centre
    if measurement.places is None or measurement.values is None:
        return measurement._replace(signal=signal)
    at = np.rint(np.asarray(measurement.places) * (len(centre) - 1)).astype(int)
    return measurement._replace(signal=signal, values=measurement.values - centre[at])


def _reach(clouds: Sequence[np.ndarray], centre: np.ndarray) -> float:
    """How far bands about the exact mean are shown: all of the first cloud, of the others up to _WIDEST times this."""
    edges = [float(np.abs(band_edges(cloud, _BANDS[0]) - centre).max()) for cloud in clouds]
    return 1.15 * min(max(edges), _WIDEST * edges[0]) or 1.0


def _check(dim: int, clouds: Sequence[np.ndarray], measurement: CurveMeasurement) -> None:
    if any(cloud.shape[1] != dim for cloud in clouds):
        raise UsageError("all curves need as many values as those of the prior.")
    if measurement.signal is not None and np.shape(measurement.signal) != (dim,):
        raise UsageError(f"the signal has shape {np.shape(measurement.signal)}; it needs ({dim},).")
    places, values = measurement.places, measurement.values
    if (places is None) != (values is None) or np.shape(places) != np.shape(values):
        raise UsageError("measured places need a value each.")


def _u(curves: np.ndarray) -> np.ndarray:
    return np.linspace(0, 1, curves.shape[1])


def _draw_samples(axes: Axes, samples: np.ndarray, color: str) -> None:
    finite = samples[np.isfinite(samples).all(axis=1)]
    axes.plot(_u(samples), finite[spread(finite, _CURVES)].T, color=color, linewidth=0.7, alpha=0.6)


def _draw_bands(axes: Axes, samples: np.ndarray, color: str) -> None:
    for probability in _BANDS:
        low, high = band_edges(samples, probability)
        axes.fill_between(_u(samples), low, high, color=color, alpha=0.38, linewidth=0)


def _draw_outlines(axes: Axes, samples: np.ndarray, color: str) -> None:
    for probability, dashes in zip(_BANDS, ((3.5, 1.8), ()), strict=True):
        look = {"color": color, "linewidth": 0.9, "linestyle": (0, dashes) if dashes else "solid"}
        axes.plot(_u(samples), band_edges(samples, probability).T, **look)


def _finish(axes: Axes, measurement: CurveMeasurement, scene: Scene, theme: Theme, title: str) -> None:
    """The signal, the measured places, the frame and the title of a panel."""
    if measurement.signal is not None:
        axes.plot(np.linspace(0, 1, len(measurement.signal)), measurement.signal, color=theme.ink, linewidth=1.1)
    if measurement.places is not None:
        edge = {"edgecolors": theme.paper, "linewidths": 0.5}
        axes.scatter(measurement.places, measurement.values, s=13, color=theme.ink, zorder=4, **edge)
    axes.set(xlim=scene.limits[0], ylim=scene.limits[1], xlabel="u")
    mark_unit_interval(axes.xaxis)
    axes.locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
    name_axis(axes.yaxis, "x(u)", scene.columns.unit("curves"), _HEIGHT * scene.side)
    axes.spines[["right", "top"]].set_visible(False)
    axes.set_title(title)


def _keys(measurement: CurveMeasurement, known: bool, theme: Theme) -> list[Line2D]:
    keys = []
    if measurement.signal is not None:
        keys.append(Line2D([], [], color=theme.ink, linewidth=1.1, label="truth"))
    if measurement.places is not None:
        keys.append(Line2D([], [], color=theme.ink, linestyle="", marker="o", markersize=3.5, label="measured"))
    if known:
        keys.append(Line2D([], [], color=theme.data, linewidth=0.9, label="exact posterior"))
    return keys

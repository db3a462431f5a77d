"""Errors against the number of steps: the slope of each line is the order of its sampler."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, StrMethodFormatter

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots import lines
from diffuse_cli.plots.style import Theme, default_style, heading, new_figure, settle
from diffuse_cli.plots.user_text import plain

_HEIGHT = 4.3  # inches of a figure of few lines
_AROUND = 0.85  # inches of the height that title and axis take
_GUIDE = 2.6  # ratio of the numbers of steps at the two ends of a guide


class ErrorCurve(NamedTuple):
    """The errors [k] of one sampler. order: in theory; observed: by the slope, None where it cannot be measured;
    passed: whether the two agree, None where that cannot be decided."""

    order: int
    errors: np.ndarray
    observed: float | None
    passed: bool | None = True


def convergence_figure(
    steps: np.ndarray,
    curves: Mapping[str, ErrorCurve],
    *,
    rounding: float = 0.0,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """Log error over log steps: a line for each name in the colour of its order; failed ones have crosses, not dots.

    steps [k], rising. rounding: errors below it are dominated by rounding; that part of the figure is shaded. Short
    lines at the lower left show the slopes of the orders that occur.

    Raises UsageError where there is no curve, shapes do not agree or `width` is too small, DiffuseError where no error
    can be drawn.
    """
    steps = np.asarray(steps, float)
    if not curves:
        raise UsageError("there is no curve to draw.")
    for name, curve in curves.items():
        if steps.ndim != 1 or np.shape(curve.errors) != steps.shape:
            raise UsageError(
                f"{name} has errors {np.shape(curve.errors)} for steps {steps.shape}; both need to be [k]."
            )
    drawable = np.concatenate([_positive(curve.errors) for curve in curves.values()])
    if np.isnan(drawable).all():
        raise DiffuseError("no error is a finite number above zero, so there is nothing to draw.")
    with default_style(dark=dark, width=width) as theme:
        names = [_label(name, curve) for name, curve in curves.items()]
        height = max(_HEIGHT, _AROUND + lines.NAME_HEIGHT * (len(curves) + 1))
        figure = new_figure(4.6 + lines.width(names), height, theme)
        axes = figure.add_subplot()
        _scale(axes, steps, np.nanmin(drawable), np.nanmax(drawable))
        ends = [_draw(axes, steps, curve, theme, _pattern(name, curves)) for name, curve in curves.items()]
        _guides(axes, steps, sorted({curve.order for curve in curves.values()}), theme)
        if rounding > axes.get_ylim()[0]:
            axes.axhspan(axes.get_ylim()[0], rounding, color=theme.fill, alpha=0.35, linewidth=0)
        named = [
            lines.Label(plain(name), *end, _order_color(curve.order, theme))
            for name, end, curve in zip(names, ends, curves.values(), strict=True)
            if np.isfinite(end).all()
        ]
        lines.beside(axes, named, height=height - _AROUND)
        heading(figure, "Error against the exact flow", subject)
        return settle(figure)


def _positive(errors: np.ndarray) -> np.ndarray:
    """The `errors` that a logarithmic axis can show; NaN in place of the others."""
    errors = np.asarray(errors, float)
    return np.where(np.isfinite(errors) & (errors > 0), errors, np.nan)


def _label(name: str, curve: ErrorCurve) -> str:
    return f"{name}  {'–' if curve.observed is None else format(curve.observed, '.2f')}"


def _pattern(name: str, curves: Mapping[str, ErrorCurve]) -> str | tuple:
    """Lines of one order share a colour, and differ in their pattern."""
    alike = [other for other, curve in curves.items() if curve.order == curves[name].order]
    return lines.pattern(alike.index(name))


def _order_color(order: int, theme: Theme) -> str:
    return theme.classes[(order - 1) % len(theme.classes)]


def _draw(axes: Axes, steps: np.ndarray, curve: ErrorCurve, theme: Theme, style: str | tuple) -> tuple[float, float]:
    """Draw one line, and return where it ends."""
    errors = _positive(curve.errors)
    marker = {"marker": "x", "markersize": 5} if curve.passed is False else {"marker": "o", "markersize": 2.6}
    axes.plot(steps, errors, color=_order_color(curve.order, theme), linestyle=style, linewidth=1.2, **marker)
    seen = np.flatnonzero(np.isfinite(errors))
    return (steps[seen[-1]], errors[seen[-1]]) if len(seen) else (np.nan, np.nan)


def _guides(axes: Axes, steps: np.ndarray, orders: list[int], theme: Theme) -> None:
    """Lines with the slopes of `orders` from one point, below the curves."""
    x = np.array([steps[0], steps[0] * _GUIDE])
    top = axes.get_ylim()[0] * 1.6 * _GUIDE ** orders[-1]
    for order in orders:
        y = top * (x / x[0]) ** -float(order)
        color = _order_color(order, theme)
        axes.plot(x, y, color=color, linewidth=0.8, zorder=1)
        words = {"textcoords": "offset points", "va": "center", "color": color, "fontsize": lines.NAME_SIZE}
        axes.annotate(f"order {order}", (x[1], y[1]), (3, 0), **words)


def _scale(axes: Axes, steps: np.ndarray, low: float, high: float) -> None:
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="distance from the exact end, root mean square")
    axes.set_xlim(steps[0] / 1.12, steps[-1] * 1.12)
    axes.set_ylim(low / 2.5, high * 2.5)
    axes.xaxis.set_major_locator(FixedLocator(steps))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(numticks=9))
    axes.spines[["right", "top"]].set_visible(False)

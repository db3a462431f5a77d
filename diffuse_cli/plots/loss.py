"""The loss over the steps of training."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.panels import SMALL_TEXT
from diffuse_cli.plots.style import Theme, default_style, heading, new_figure, settle

_MOST_POINTS = 1500  # of the raw losses that are drawn: as many as the figure has pixels
_SPAN = 1000  # ratio of the ends of a logarithmic axis of steps: earlier decades would take half of the figure


def loss_figure(
    steps: np.ndarray,
    train: np.ndarray,
    *,
    held_out_steps: np.ndarray | None = None,
    held_out: np.ndarray | None = None,
    irreducible: float | None = None,
    true_loss: np.ndarray | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The training loss (faint, with its running mean) and the held-out loss of the averaged weights (strong).

    steps [k], train [k]; held_out_steps [h], held_out [h]; all losses in the same unit. irreducible: the loss of the
    exact denoiser on the held-out draws, a horizontal line; with held_out a second panel shows the excess, the
    held-out loss minus the irreducible one, on a logarithmic axis. The axis of steps is logarithmic if they span two
    decades or more, and shows the last three; the axis of the loss is logarithmic if it falls by a factor of 2.5 or
    more.

    true_loss [h]: of a flow map, how far its jumps are from the exact ones. The second panel then shows it, and titles
    say which of the panels to watch: the loss that trains a flow map has a large irreducible part, or says how well the
    map agrees with itself, or is normalised and hardly falls at all.

    Raises UsageError where shapes do not agree or `width` is too small, DiffuseError where no loss is finite.
    """
    steps, train = _checked(steps, train, "train")
    if (held_out_steps is None) != (held_out is None):
        raise UsageError("held_out and held_out_steps belong together; only one of them was given.")
    held = None if held_out is None else _checked(held_out_steps, held_out, "held_out")
    with default_style(dark=dark, width=width) as theme:
        true = None if true_loss is None else _checked(held_out_steps, true_loss, "true_loss")
        both = held is not None and (irreducible is not None or true is not None)
        figure = new_figure(9.2 if both else 5.4, 3.5, theme)
        panels = figure.subplots(1, 1 + both, squeeze=False)[0]
        _draw_losses(panels[0], steps, train, held, irreducible, theme)
        if true is not None:
            panels[0].set_title("what training makes smaller")
            panels[1].set_title("error of the jumps: the one to watch")
            _draw_excess(panels[1], steps, *true, theme, name=r"true loss $\mathbb{E}\,|u_\theta - u^*|^2 / d$")
        elif both:
            excess = held[1] - irreducible
            _draw_excess(panels[1], steps, held[0], excess, theme, name="held out minus irreducible")
        for axes in panels:
            axes.set_xlabel("training step")
            axes.spines[["right", "top"]].set_visible(False)
        heading(figure, "Loss", subject)
        return settle(figure)


def _draw_losses(
    axes: Axes,
    steps: np.ndarray,
    train: np.ndarray,
    held: tuple[np.ndarray, np.ndarray] | None,
    irreducible: float | None,
    theme: Theme,
) -> None:
    smooth = smoothed_loss(steps, train)
    axes.plot(*_thinned(steps, train), color=theme.fill, linewidth=0.6, alpha=0.6)
    axes.plot(steps, smooth, color=theme.muted, linewidth=1.1, marker=_dot(steps), label="training, running mean")
    # The limits hold every line, and 96 % of the raw losses of the second half of training.
    hold = [smooth[steps >= steps[-1] / _SPAN], np.quantile(train[len(train) // 2 :], [0.02, 0.98])]
    if held is not None:
        look = {"linewidth": 2.1, "marker": _dot(held[0]), "markersize": 5}
        axes.plot(*held, color=theme.model, label="held out, averaged weights", **look)
        hold.append(held[1][held[0] >= steps[-1] / _SPAN])
    if irreducible is not None:
        look = {"linewidth": 0.9, "dashes": (4, 2.5), "label": "irreducible"}
        axes.axhline(irreducible, color=theme.ink, **look)
        hold.append(np.array([irreducible]))
    _scale(axes, steps, np.concatenate(hold))
    axes.set_ylabel("loss")
    axes.legend(loc="best")


def _draw_excess(
    axes: Axes, steps: np.ndarray, held_out_steps: np.ndarray, excess: np.ndarray, theme: Theme, *, name: str
) -> None:
    """Draw what learning could still remove, where it is above zero; name: what it is."""
    above = excess > 0  # both losses have sampling errors, so their difference may be below zero
    look = {"linewidth": 2.1, "marker": "o", "markersize": 3.2, "color": theme.model}
    axes.plot(held_out_steps[above], excess[above], **look)
    axes.set(ylabel=name)
    _scale_steps(axes, steps)
    seen = excess[above & (held_out_steps >= axes.get_xlim()[0])]
    if len(seen):
        axes.set_yscale("log")
        room = max(seen.max() / seen.min(), 2.0) ** 0.08
        _label_logarithmic(axes, seen.min() / room, seen.max() * room)
    if not above.all():
        words = f"{(~above).sum()} of {len(above)} below zero, left out"
        place = {"xycoords": "axes fraction", "ha": "right", "va": "top", "fontsize": SMALL_TEXT}
        axes.annotate(words, (0.97, 0.97), color=theme.muted, **place)


def smoothed_loss(steps: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The running mean [k] of the training loss, over a window of constant width on the axis of the figure."""
    return running_mean(steps, train, 0.1 * steps if decades(steps) else 0.04 * np.ptp(steps))


def running_mean(steps: np.ndarray, values: np.ndarray, reach: np.ndarray | float) -> np.ndarray:
    """The mean [k], at each step, of the `values` [k] whose steps [k] lie within `reach` (one, or [k]) of it."""
    first = np.searchsorted(steps, steps - reach, side="left")
    last = np.searchsorted(steps, steps + reach, side="right")
    total = np.concatenate([[0.0], np.cumsum(values)])
    return (total[last] - total[first]) / (last - first)


def _checked(steps: np.ndarray, values: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    steps, values = np.atleast_1d(np.asarray(steps, dtype=float)), np.atleast_1d(np.asarray(values, dtype=float))
    if steps.ndim != 1 or steps.shape != values.shape:
        raise UsageError(f"{what} has shape {values.shape} and its steps {steps.shape}; they need to be equal and [k].")
    finite = np.isfinite(values)
    if not finite.any():
        raise DiffuseError(f"{what} holds no finite loss, so there is nothing to draw.")
    order = np.argsort(steps[finite], kind="stable")
    return steps[finite][order], values[finite][order]


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most _MOST_POINTS of the raw losses, evenly spaced in the logarithm of the step."""
    if len(steps) <= _MOST_POINTS:
        return steps, values
    chosen = np.unique(np.geomspace(1, len(steps), _MOST_POINTS).astype(int) - 1)
    return steps[chosen], values[chosen]


def _dot(steps: np.ndarray) -> str:
    """The marker of a line: a dot for a single point, which as a line would be invisible."""
    return "o" if len(steps) == 1 else ""


def decades(steps: np.ndarray) -> bool:
    """Whether the axis of steps [k] is logarithmic: they span two decades or more."""
    return bool(steps[-1] >= 100 * max(steps[0], 1))


def _scale(axes: Axes, steps: np.ndarray, hold: np.ndarray) -> None:
    """Set linear or logarithmic axes, and limits that hold the losses `hold`."""
    _scale_steps(axes, steps)
    low, high = hold.min(), hold.max()
    if low > 0 and high > 2.5 * low:
        axes.set_yscale("log")
        _label_logarithmic(axes, low / (high / low) ** 0.08, high * (high / low) ** 0.08)
    else:
        room = 0.08 * (high - low) or 0.1 * max(abs(high), 1.0)
        axes.set_ylim(low - room, high + room)


def _scale_steps(axes: Axes, steps: np.ndarray) -> None:
    last = max(steps[-1], steps[0] + 1)
    if decades(steps):
        axes.set_xscale("log")
        axes.set_xlim(max(steps[0], last / _SPAN), last)
    else:
        axes.set_xlim(steps[0], last)


def _label_logarithmic(axes: Axes, low: float, high: float) -> None:
    """Set the limits of a logarithmic axis, and as many round numbers at it as there is room for."""
    axes.set_ylim(low, high)
    decades_shown = np.log10(high / low)
    subs = (1, 1.5, 2, 3, 4, 5, 6, 8) if decades_shown < 1.1 else (1, 2, 5) if decades_shown < 3.5 else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())

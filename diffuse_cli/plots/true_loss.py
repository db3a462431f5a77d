"""The true loss of a student over the times t and r of its jumps, as a triangle."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.panels import SMALL_TEXT
from diffuse_cli.plots.style import Theme, default_style, heading, new_figure, settle

_LEAST_SPAN = 10.0  # ratio of the ends of the colours: equal losses have equal colours, and not those of their rounding


def true_loss_figure(
    times: np.ndarray,
    losses: np.ndarray,
    *,
    exact: np.ndarray | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """The mean squared error of an average velocity u(x, t, r), in a cell for each t and each r up to t.

    times [k]: evenly spaced, falling from 1 to 0. losses [k, k]: at t = times[i] and r = times[j], NaN where r is above
    t or the loss is not known. Colours are logarithmic. The corner t = 1, r = 0, one jump from noise to data, and the
    diagonal r = t, the velocity, are outlined, and their losses written into the empty half. exact [k, k]: the mean
    squares of the exact average velocity, whose mean is written there too.

    Raises UsageError where shapes do not agree or `width` is too small, DiffuseError where no loss is above zero.
    """
    times, losses = np.asarray(times, float), np.asarray(losses, float)
    if losses.shape != (len(times), len(times)) or (exact is not None and np.shape(exact) != losses.shape):
        raise UsageError(f"the losses at {len(times)} times need the shape [{len(times)}, {len(times)}].")
    shown = np.where(np.isfinite(losses) & (losses > 0), losses, np.nan)
    if np.isnan(shown).all():
        raise DiffuseError("no loss is a finite number above zero, so there is nothing to draw.")
    with default_style(dark=dark, width=width) as theme:
        figure = new_figure(5.4, 4.5, theme)
        axes = figure.add_subplot()
        middle = np.sqrt(np.nanmin(shown) * np.nanmax(shown))
        low = min(np.nanmin(shown), middle / np.sqrt(_LEAST_SPAN))
        high = max(np.nanmax(shown), middle * np.sqrt(_LEAST_SPAN))
        mesh = axes.pcolormesh(
            times, times, shown.T, cmap=theme.ramp, norm=LogNorm(low, high), shading="nearest", linewidth=0
        )
        bar = figure.colorbar(mesh, ax=axes, pad=0.03)
        bar.set_label(r"true loss $\mathbb{E}\,|u_\theta - u^*|^2 / d$")
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        bar.ax.yaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="t, from where", ylabel="r, to where", aspect="equal")
        axes.spines[["right", "top"]].set_visible(False)
        _mark(axes, times, theme)
        _write(axes, losses, exact, theme)
        heading(figure, "True loss", subject)
        return settle(figure)


def _mark(axes: Axes, times: np.ndarray, theme: Theme) -> None:
    """Outline the cell of one jump from noise to data, and the cells of the diagonal."""
    half = (times[0] - times[1]) / 2
    look = {"fill": False, "edgecolor": theme.ink, "linewidth": 1.8, "zorder": 3, "clip_on": False}
    axes.add_patch(Rectangle((times[0] - half, times[-1] - half), 2 * half, 2 * half, **look))
    along = np.concatenate([[times[-1] - half], np.repeat(times[::-1] + half, 2)])
    steps = along[:-1]  # a staircase over the cells of the diagonal
    axes.plot(steps, along[1:], color=theme.ink, linewidth=1.0, zorder=3, clip_on=False)


def _write(axes: Axes, losses: np.ndarray, exact: np.ndarray | None, theme: Theme) -> None:
    """Write the losses that matter most into the empty half."""
    lines = [
        f"one jump, t = 1 to r = 0: {losses[0, -1]:#.2g}",
        f"all jumps: {np.nanmean(losses[np.triu_indices(len(losses), 1)]):#.2g}",
        f"velocity, r = t: {np.nanmean(np.diag(losses)):#.2g}",
    ]
    if exact is not None:
        lines.append(rf"$\mathbb{{E}}\,|u^*|^2 / d$: {np.nanmean(exact):#.2g}")
    axes.annotate(
        "\n".join(lines), (0.03, 0.97), xycoords="axes fraction", ha="left", va="top",
        color=theme.muted, fontsize=SMALL_TEXT, linespacing=1.5,
    )  # fmt: skip

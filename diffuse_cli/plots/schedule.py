"""Noise schedules side by side: how fast the signal goes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.lines import KEY_ROW, key_shape, pattern
from diffuse_cli.plots.style import heading, house_style, new_figure, settle

TITLES = (r"signal kept, $\bar\alpha_t$", r"noise added by a step, $\beta_t$", "log-SNR")
WIDTH = 8.6
FEW_STEPS = 25  # of a chain: its betas are then marked one by one


def schedule(
    schedules: dict[str, tuple[np.ndarray, np.ndarray]], *, timesteps: int, subject: str = "", dark: bool = False
) -> Figure:
    """Three panels over time: the signal kept (alpha_bar), the noise that a step adds (beta), and the log-SNR.

    schedules: name -> (t [k], log_snr [k]), t rising in [0, 1], log_snr falling; +inf and -inf are allowed. timesteps:
    T, the length of the discrete chain whose betas are shown, beta_i = 1 - alpha_bar_i / alpha_bar_{i-1} at t = i/T.

    Raises UsageError where there is no schedule, shapes do not agree, t does not rise, or timesteps < 1.
    """
    if not schedules:
        raise UsageError("there is no schedule to draw.")
    if timesteps < 1:
        raise UsageError(f"timesteps is {timesteps}; it needs to be 1 or more.")
    curves = {name: _checked(name, *pair) for name, pair in schedules.items()}
    several = len(curves) > 1
    with house_style(dark=dark) as theme:
        rows, columns = key_shape(list(curves), WIDTH)
        figure = new_figure(WIDTH, 2.75 + (KEY_ROW * rows if several else 0), theme)
        panels = figure.subplots(1, 3)
        lines = [
            _draw(panels, curve, timesteps, theme.classes[i % len(theme.classes)], pattern(i))
            for i, curve in enumerate(curves.values())
        ]
        _finish(panels)
        heading(figure, "Noise schedules" if several else f"Noise schedule: {next(iter(curves))}", subject)
        if several:
            figure.legend(lines, list(curves), loc="outside lower center", ncols=columns, handlelength=2.6)
        return settle(figure)


def log_alpha_bar(log_snr: np.ndarray) -> np.ndarray:
    """log alpha_bar = log sigmoid(log_snr), exact at both ends: 0 at +inf, -inf at -inf."""
    return -np.logaddexp(0.0, -log_snr)


def betas(t: np.ndarray, log_snr: np.ndarray, timesteps: int) -> np.ndarray:
    """beta_i [T] of the chain with knots i/T. Between the given times [k] log alpha_bar is taken as linear."""
    knots = np.arange(timesteps + 1) / timesteps
    log_bar = log_alpha_bar(log_snr)
    with np.errstate(invalid="ignore", divide="ignore"):
        at_knots = np.interp(knots, t, log_bar)
        # No line leads to -inf, where the signal is gone: on that last stretch alpha_bar itself is taken as linear.
        ending = np.log(np.interp(knots, t, np.exp(log_bar)))
        at_knots = np.where(np.isfinite(at_knots), at_knots, ending)
        return np.nan_to_num(-np.expm1(np.diff(at_knots)), nan=0.0)


def _draw(
    panels: list[Axes], curve: tuple[np.ndarray, np.ndarray], timesteps: int, colour: str, style: str | tuple
) -> Line2D:
    t, log_snr = curve
    kept, added, ratio = panels
    look = {"color": colour, "linestyle": style, "linewidth": 1.6}
    marker = {"marker": "o", "markersize": 2.5} if timesteps <= FEW_STEPS else {}
    beta = betas(t, log_snr, timesteps)
    added.plot(np.arange(1, timesteps + 1) / timesteps, np.where(beta > 0, beta, np.nan), **look, **marker)
    ratio.plot(t, np.where(np.isfinite(log_snr), log_snr, np.nan), **look)
    return kept.plot(t, np.exp(log_alpha_bar(log_snr)), **look)[0]


def _finish(panels: list[Axes]) -> None:
    for axes, title in zip(panels, TITLES, strict=True):
        axes.set_title(title)
        axes.set(xlabel="$t$", xlim=(0, 1), xticks=[0, 0.5, 1])
        axes.spines[["right", "top"]].set_visible(False)
    panels[0].set_ylim(-0.02, 1.02)
    panels[1].set_yscale("log")


def _checked(name: str, t: np.ndarray, log_snr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    t, log_snr = np.asarray(t, dtype=float), np.asarray(log_snr, dtype=float)
    if t.ndim != 1 or t.shape != log_snr.shape or len(t) < 2:
        raise UsageError(f"schedule {name!r}: t is {t.shape} and log_snr {log_snr.shape}; both need to be [k], k > 1.")
    if not (np.diff(t) > 0).all():
        raise UsageError(f"schedule {name!r}: t does not rise; it needs to go from data (0) to noise (1).")
    return t, log_snr

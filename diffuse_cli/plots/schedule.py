"""Noise schedules side by side: how the signal falls over time, and how far the noised data are from pure noise."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.lines import KEY_ROW, key_shape, pattern
from diffuse_cli.plots.style import default_style, heading, new_figure, settle
from diffuse_cli.plots.user_text import plain

_TITLES = (r"signal kept, $\bar\alpha_t$", r"noise added by a step, $\beta_t$", "log-SNR")
_KL = r"$\mathrm{KL}(q(x_t)\,\|\,\mathcal{N}(0, I))$, nats"
_PANEL = 2.85  # inches: the width of a panel
_LEAST_KL = 1e-6  # nats: the lower end of the axis
_WRITTEN_KL = 1e-3  # nats: a smaller KL is not written in the key
_FEW_STEPS = 25  # of a chain: up to this number each beta has a mark


def schedule_figure(
    schedules: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    timesteps: int,
    kl: dict[str, np.ndarray] | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """Panels over time: the signal (alpha_bar), the noise that a step adds (beta), the log-SNR, and the KL if given.

    schedules: name -> (t [k], log_snr [k]), t rising in [0, 1], log_snr falling; +inf and -inf are allowed. timesteps:
    T, the length of the discrete chain whose betas are shown, beta_i = 1 - alpha_bar_i / alpha_bar_{i-1} at t = i/T.
    kl: name -> [k], KL(q(x_t) || N(0, I)) in nats at the same times. Its value at t = 1, the error with which sampling
    starts, is marked, and written in the key unless it is below 0.001.

    Raises UsageError where there is no schedule, shapes do not agree, t does not rise, timesteps < 1 or `width` is too
    small.
    """
    if not schedules:
        raise UsageError("there is no schedule to draw.")
    if timesteps < 1:
        raise UsageError(f"timesteps is {timesteps}; it needs to be 1 or more.")
    curves = {name: _checked(name, *pair) for name, pair in schedules.items()}
    several = len(curves) > 1
    with default_style(dark=dark, width=width) as theme:
        count = 3 if kl is None else 4
        names = [name if kl is None else _with_kl(name, kl[name][-1]) for name in curves]
        rows, columns = key_shape(names, theme.across(_PANEL * count))
        figure = new_figure(_PANEL * count, 2.75 + (KEY_ROW * rows if several else 0), theme)
        panels = figure.subplots(1, count)
        lines = [
            _draw(panels[:3], curve, timesteps, theme.classes[i % len(theme.classes)], pattern(i))
            for i, curve in enumerate(curves.values())
        ]
        if kl is not None:
            for i, (line, (name, (t, _))) in enumerate(zip(lines, curves.items(), strict=True)):
                _draw_kl(panels[3], t, np.asarray(kl[name], float), line.get_color(), pattern(i))
            panels[3].set_title(_KL)
        _finish(panels)
        heading(figure, "Noise schedules" if several else f"Noise schedule: {plain(names[0])}", subject)
        if several:
            figure.legend(lines, list(map(plain, names)), loc="outside lower center", ncols=columns, handlelength=2.6)
        return settle(figure)


def log_alpha_bar(log_snr: np.ndarray) -> np.ndarray:
    """log alpha_bar = log sigmoid(log_snr) […]; 0 at +inf and -inf at -inf."""
    return -np.logaddexp(0.0, -log_snr)


def betas(t: np.ndarray, log_snr: np.ndarray, timesteps: int) -> np.ndarray:
    """beta_i [T] of the chain with knots i/T; log alpha_bar is interpolated linearly between the given times [k]."""
    knots = np.arange(timesteps + 1) / timesteps
    log_bar = log_alpha_bar(log_snr)
    with np.errstate(invalid="ignore", divide="ignore"):
        at_knots = np.interp(knots, t, log_bar)
        # log alpha_bar may end at -inf; on that last interval alpha_bar itself is interpolated linearly.
        ending = np.log(np.interp(knots, t, np.exp(log_bar)))
        at_knots = np.where(np.isfinite(at_knots), at_knots, ending)
        return np.nan_to_num(-np.expm1(np.diff(at_knots)), nan=0.0)


def _draw(
    panels: list[Axes], curve: tuple[np.ndarray, np.ndarray], timesteps: int, color: str, style: str | tuple
) -> Line2D:
    t, log_snr = curve
    signal, step_noise, snr = panels
    look = {"color": color, "linestyle": style, "linewidth": 1.6}
    marker = {"marker": "o", "markersize": 2.5} if timesteps <= _FEW_STEPS else {}
    beta = betas(t, log_snr, timesteps)
    step_noise.plot(np.arange(1, timesteps + 1) / timesteps, np.where(beta > 0, beta, np.nan), **look, **marker)
    snr.plot(t, np.where(np.isfinite(log_snr), log_snr, np.nan), **look)
    return signal.plot(t, np.exp(log_alpha_bar(log_snr)), **look)[0]


def _draw_kl(axes: Axes, t: np.ndarray, kl: np.ndarray, color: str, style: str | tuple) -> None:
    look = {"color": color, "linewidth": 1.6}
    axes.plot(t, np.maximum(kl, _LEAST_KL / 10), linestyle=style, **look)
    if kl[-1] >= _LEAST_KL:
        axes.plot(t[-1:], kl[-1:], marker="o", markersize=4, clip_on=False, zorder=3, **look)
    axes.set_yscale("log")
    axes.set_ylim(bottom=_LEAST_KL)


def _with_kl(name: str, kl: float) -> str:
    """A schedule's name, and its KL at t = 1 unless that is below _WRITTEN_KL."""
    return name if kl < _WRITTEN_KL else f"{name} (KL {kl:.2g})"


def _finish(panels: list[Axes]) -> None:
    for axes, title in zip(panels, _TITLES, strict=False):
        axes.set_title(title)
    for axes in panels:
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

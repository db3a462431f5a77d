"""The time of a frame, above the moving panel: as a mark on a bar from data to noise, and in numbers."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Text

from diffuse_cli.plots.panels import BESIDE, SMALL_TEXT
from diffuse_cli.plots.style import Theme

TIME_BAR_HEIGHT = 0.56  # inches above the panel
_BAR, _NUMBERS = 0.13, 0.33  # inches from the panel to the middle of the bar, and to the base line of the numbers
_ENDS = 0.46  # inches at each end of the bar, for the words there
_SLOTS = (  # the place of a label as a fraction of the width; the label; inches from its start to its number
    (0.0, r"$t$ =", 0.22),
    (0.33, "log SNR =", 0.67),
    (0.79, r"$\bar\alpha_t$ =", 0.28),
)


class TimeBar:
    """The time, the log-SNR and alpha_bar of a frame. `show` changes them; `artists` are to be drawn afterwards."""

    def __init__(self, axes: Axes, theme: Theme):
        self._theme = theme
        figure = axes.get_figure()
        width, height = figure.get_size_inches()
        place = axes.get_position()
        left, right, top = place.x0 * width, place.x1 * width, place.y1 * height
        if axes.child_axes:  # the histogram at the right of curves
            right = left + (right - left) * (BESIDE[0] + BESIDE[2])
        self._inches, self._figure = (width, height), figure
        self._start, self._end, self._height = left + _ENDS, right - _ENDS, top + _BAR
        self._words(left, top + _BAR, "data", theme.muted, ha="left", va="center", fontsize=SMALL_TEXT)
        self._words(right, top + _BAR, "noise", theme.muted, ha="right", va="center", fontsize=SMALL_TEXT)
        self._line(self._start, self._end, theme.frame)
        self._numbers = []
        for begins, label, after in _SLOTS:
            at = left + begins * (right - left)
            self._words(at, top + _NUMBERS, label, theme.muted, va="baseline")
            self._numbers.append(self._words(at + after, top + _NUMBERS, "", theme.ink, va="baseline"))
        self._done = self._line(self._start, self._start, theme.ink)
        self._mark = self._line(self._start, self._start, theme.ink)
        self._mark.set(marker=">", markersize=5.5, linestyle="none")
        self.artists: list[Artist] = [self._done, self._mark, *self._numbers]
        for artist in self.artists:
            artist.set_animated(True)

    def show(self, t: float, log_snr: float, forward: bool) -> None:
        """Set the numbers, and move the mark to the time t in [0, 1]; forward: the direction of its arrow."""
        with np.errstate(over="ignore"):
            alpha_bar = 1 / (1 + np.exp(-log_snr))
        texts = (f"{t:.3f}", _signed(log_snr), f"{alpha_bar:.3f}")
        for text, number in zip(self._numbers, texts, strict=True):
            text.set_text(number)
        at = self._start + t * (self._end - self._start)
        self._done.set_xdata(np.array([self._start, at]) / self._inches[0])
        self._mark.set_xdata([at / self._inches[0]])
        self._mark.set_marker(">" if forward else "<")

    def _words(self, x: float, y: float, words: str, color: str, **place: str | float) -> Text:
        return self._figure.text(x / self._inches[0], y / self._inches[1], words, color=color, **place)

    def _line(self, start: float, end: float, color: str) -> Line2D:
        across, up = np.array([start, end]) / self._inches[0], self._height / self._inches[1]
        line = Line2D(across, [up, up], color=color, linewidth=1.2, transform=self._figure.transFigure)
        return self._figure.add_artist(line)


def _signed(value: float) -> str:
    """A log-SNR with one decimal and the minus sign of the figures' tick labels."""
    text = "∞" if np.isinf(value) else f"{abs(value):.1f}"
    return text if value >= 0 else f"−{text}"

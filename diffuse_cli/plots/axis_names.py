"""The name of an axis with its units, and tick labels that can be read far from zero and at any size."""

import math
from typing import NamedTuple

from matplotlib import rcParams
from matplotlib.axis import Axis
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter

from diffuse_cli.plots.user_text import fitted, plain, text_width

_FAR = 1e4  # ratio of the distance from zero to the range of an axis, above which its ticks are counted from an offset
_LARGE, _SMALL = 1e5, 1e-2  # numbers outside are written in another power of ten
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class Ticks(NamedTuple):
    """How numbers are written along an axis: the value is offset + 10^power · the number at its tick."""

    offset: float
    power: int

    def text(self, value: float) -> str:
        """The number at a tick.

        >>> Ticks(500000.0, 0).text(500000.25), Ticks(0.0, 6).text(-2.5e6)
        ('0.25', '−2.5')
        """
        number = (value - self.offset) / 10.0**self.power
        return f"{number + 0.0:.6g}".replace("-", "−")


def ticks_between(low: float, high: float) -> Ticks:
    """The Ticks of an axis with these limits.

    >>> ticks_between(499999.4, 500000.6)
    Ticks(offset=500000.0, power=0)
    >>> ticks_between(0.0, 3e7), ticks_between(-1.0, 2.0)
    (Ticks(offset=0.0, power=6), Ticks(offset=0.0, power=0))
    """
    span, offset = high - low, 0.0
    if not (math.isfinite(span) and span > 0):
        return Ticks(0.0, 0)
    if max(abs(low), abs(high)) > _FAR * span:
        step = 10.0 ** math.floor(math.log10(span))
        offset = round(round((low + high) / 2 / step) * step, max(0, -round(math.log10(step))))
    largest = max(abs(low - offset), abs(high - offset))
    usual = _SMALL <= largest < _LARGE
    return Ticks(offset, 0 if usual else 3 * math.floor(math.log10(largest) / 3))


def name_axis(axis: Axis, name: str, unit: str, inches: float, *, size: float | None = None) -> None:
    """Write the name of a user's column and its unit beside an axis `inches` long, whose limits are final, and have
    its ticks written so that they can be read.

    A name that is too long is cut in its middle; the unit goes to a second line where one line is too short. unit:
    empty where the figure says it elsewhere. size: of the font in points, by default that of axis names.
    """
    if size is None:
        size = FontProperties(size=rcParams["axes.labelsize"]).get_size_in_points()
    ticks = ticks_between(*sorted(axis.get_view_interval()))
    if ticks.offset or ticks.power:
        axis.set_major_formatter(FuncFormatter(lambda value, _: ticks.text(value)))
    axis.set_label_text(axis_text(name, unit, ticks, inches, size), fontsize=size)


def axis_text(name: str, unit: str, ticks: Ticks, inches: float, size: float) -> str:
    """The text of `name_axis`.

    >>> axis_text("x", "data units", Ticks(0.0, 3), 2.0, 10.0), axis_text("easting", "", Ticks(5e5, 0), 2.0, 10.0)
    ('x, 10³ data units', 'easting − 500,000')
    """
    offset = "" if not ticks.offset else f" {'−' if ticks.offset > 0 else '+'} {abs(ticks.offset):,.15g}"
    power = f"10{str(ticks.power).translate(_SUPERSCRIPT)}" if ticks.power else ""
    unit = " ".join(part for part in (power, unit) if part)
    line = f"{name}{offset}, {unit}" if unit else f"{name}{offset}"
    if text_width(line, size) <= inches:
        return plain(line)
    first = fitted(name, inches - text_width(offset, size) if offset else inches, size)
    return "\n".join(plain(part) for part in (first + offset, unit) if part)


def mark_unit_interval(axis: Axis) -> None:
    """Ticks of an axis from 0 to 1 whose numbers stay within it, so that those of neighbours do not touch."""
    axis.set_ticks([0, 0.5, 1], ["0", "0.5", "1"])
    for label, alignment in zip(axis.get_ticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(alignment)

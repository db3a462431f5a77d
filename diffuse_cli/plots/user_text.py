"""Text of a user in a figure: names of columns, files and runs are drawn as they are, whatever they hold.

`plain` is for every text that is not ours; without it matplotlib reads mathematics between two dollar signs.
"""

import functools
import re

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

_FONTS = ("STIXGeneral", "DejaVu Sans")  # they come with matplotlib
_WIDER = (  # families with letters that those lack, in this order, where the system has them
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Noto Sans SC",
    "Noto Sans JP",
    "Noto Sans KR",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Source Han Sans SC",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Emoji",
    "Symbola",
    "Segoe UI Symbol",
)
_MISSING = "□"
_CUT = "…"
_LEAST = 4  # letters that are left of a name, however narrow its place


@functools.cache
def font_families() -> tuple[str, ...]:
    """The families of fonts in which text is drawn: each letter in the first that has it."""
    installed = set(font_manager.get_font_names())
    return (*_FONTS, *(family for family in _WIDER if family in installed))


def plain(text: str, *, beside_math: bool = False) -> str:
    """A text for matplotlib that is drawn as it is: no mathematics, one line, and a box for a letter in no font.

    beside_math: whether it becomes a part of a text with mathematics of ours, which is drawn in the first font alone.
    """
    text = re.sub(r"\s", " ", text)
    if not text.isascii() or not text.isprintable():
        known = _letters(font_families()[:1] if beside_math else font_families())
        text = "".join(letter if ord(letter) in known else _MISSING for letter in text)
    return text.replace("$", r"\$")


def fitted(text: str, inches: float, size: float) -> str:
    """A user's text, cut in its middle to be at most `inches` wide at a font size in points; not yet `plain`.

    >>> fitted("median_income_of_households_2020", 1.0, 10.0)
    'median…s_2020'
    """
    kept = len(text)
    cut = text
    while text_width(cut, size) > inches and kept > _LEAST:
        kept -= 1
        cut = text[: kept // 2] + _CUT + text[len(text) - (kept - kept // 2) :]
    return cut


def text_width(text: str, size: float) -> float:
    """The width of a line of text in inches, at a font size in points."""
    shown = plain(text).replace(r"\$", "$")
    font = FontProperties(family=list(font_families()), size=size)
    return float(text_to_path.get_text_width_height_descent(shown, font, ismath=False)[0]) / 72


@functools.cache
def _letters(families: tuple[str, ...]) -> frozenset[int]:
    """The code points that some font of these families has."""
    fonts = (font_manager.get_font(font_manager.findfont(family)) for family in families)
    return frozenset(code for font in fonts for code in font.get_charmap())

"""The letters of a font as boxes: each letter is cut into rows, which are filled from edge to edge."""

import functools
import math
from pathlib import Path

import numpy as np

from diffuse_cli.datasets.box_mixture import stacked
from diffuse_cli.errors import UsageError

_FONT = "DejaVuSans-Bold.ttf"  # it comes with matplotlib, so that letters are the same on every machine
_ROWS = 48  # in the height of a capital letter
_FINE = 1000  # the size at which curves are divided into straight lines, so that they stay round
_DECIMALS = 6  # spans whose ends are equal to so many are one box


def glyph_boxes(sign: str) -> np.ndarray:
    """The boxes [k, 4] of one letter, (left, lower, right, upper) ends each; a capital letter has height 1.

    The left end of the letter is at x = 0 and its base line at y = 0. A row, 1/48 high, is as wide as the letter is
    in its middle; rows that are equal are one box.

    Raises UsageError where the font has no such letter.

    >>> glyph_boxes("I").round(2) + 0.0
    array([[0.  , 0.  , 0.26, 1.  ]])
    """
    capital = _outlines("H")[0][:, 1].max()
    outlines = [outline / capital for outline in _outlines(sign)]
    if not outlines:
        raise UsageError(f"the font DejaVu Sans has nothing to draw for {sign!r} (U+{ord(sign):04X})")
    boxes = _boxes(outlines)
    boxes[:, [0, 2]] -= boxes[:, 0].min()
    return boxes


@functools.cache
def _outlines(sign: str) -> tuple[np.ndarray, ...]:
    """The closed outlines [vertices, 2] of a letter, in a thousandth of the size of the font; none if it has none."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties, get_font
    from matplotlib.textpath import TextPath

    file = Path(mpl.get_data_path(), "fonts", "ttf", _FONT)
    if not get_font(file).get_char_index(ord(sign)):
        return ()
    with mpl.rc_context({"text.usetex": False}):
        path = TextPath((0, 0), sign.replace("$", r"\$"), size=_FINE, prop=FontProperties(fname=file))
    return tuple(np.asarray(outline) for outline in path.to_polygons())


def _boxes(outlines: list[np.ndarray]) -> np.ndarray:
    """What is inside of the outlines, [k, 4]."""
    heights = np.concatenate(outlines)[:, 1] * _ROWS
    first, last = math.ceil(heights.min() - 0.5), math.floor(heights.max() - 0.5)
    rows = ([(*span, 1.0) for span in _spans(outlines, (row + 0.5) / _ROWS)] for row in range(first, last + 1))
    boxes, _ = stacked(rows)
    boxes[:, [1, 3]] = (boxes[:, [1, 3]] + first) / _ROWS
    return boxes


def _spans(outlines: list[np.ndarray], y: float) -> list[tuple[float, float]]:
    """The parts of the line at height y that are inside: where the outlines wind around a point, as fonts have it."""
    crossings = []
    for outline in outlines:
        above = np.append(outline[:, 1], outline[0, 1]) > y
        edges = np.flatnonzero(above[1:] != above[:-1])
        (x0, y0), (x1, y1) = outline[edges].T, outline[(edges + 1) % len(outline)].T
        x = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
        turns = np.where(above[edges], -1, 1)  # down or up
        crossings += zip(x.round(_DECIMALS).tolist(), turns.tolist(), strict=True)
    spans, winding = [], 0
    for x, turn in sorted(crossings):
        if winding == 0:
            left = x
        winding += turn
        if winding == 0 and x > left:
            spans.append((left, x))
    return spans

"""Letters as points: the glyphs of the font that comes with matplotlib, filled evenly."""

import unicodedata
from typing import Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.box_mixture import box_mixture
from diffuse_cli.datasets.dataset import Dataset, Scale, named, numbered, scaled
from diffuse_cli.datasets.glyphs import glyph_boxes
from diffuse_cli.datasets.noisy_curve import Noise
from diffuse_cli.errors import UsageError

_GAP, _SPACE = 0.2, 0.4  # between two letters, and for each space, in heights of a capital letter
_ALONG = np.array([1.0, 0.0, 1.0, 0.0])  # of a box, (left, lower, right, upper), what changes along the line


def text(
    *,
    letters: Annotated[str, Meta(min_length=1, max_length=30)] = "HELLO",
    noise: Noise = 0.015,
    scale: Scale = 1.0,
) -> Dataset:
    """Letters side by side, evenly filled with points, plus noise · ξ, ξ ~ N(0, I): `text:HELLO`.

    A capital letter has height 1 and stands on y = 0; `scale` then multiplies all. A letter is taken to be made of
    rows, 48 in its height, each as wide as the letter is in the middle of the row: the law is uniform on these boxes,
    with the same density in all letters. Draws are [n, 2].

    The letters are the classes, with themselves as names; of two equal ones the second is numbered: H, E, L, L2, O. A
    space is a gap. The font is DejaVu Sans, bold.

    Raises UsageError for a letter that the font does not have, or if there are only spaces.

    >>> text(letters="HELLO").classes.names
    ('H', 'E', 'L', 'L2', 'O')
    >>> points, labels = text(letters="I.", noise=0.0).classes.draw(np.random.default_rng(0), 1000)
    >>> bool(points[labels == 0, 1].max() > 0.9), bool(points[labels == 1, 1].max() < 0.3)
    (True, True)
    """
    signs = unicodedata.normalize("NFC", letters)  # a letter with its accent is one sign
    names = [sign for sign in signs if not sign.isspace()]
    if not names:
        raise UsageError("dataset text: there is no letter in it, only spaces; give a word, like text:HELLO")
    placed, right = [], -_GAP
    for sign in signs:
        if sign.isspace():
            right += _SPACE
        else:
            placed.append(glyph_boxes(sign) + (right + _GAP) * _ALONG)
            right = placed[-1][:, 2].max()
    boxes = np.concatenate(placed)
    boxes -= (boxes[:, 0].min() + right) / 2 * _ALONG
    labels = np.repeat(np.arange(len(names)), [len(glyph) for glyph in placed])
    return named(scaled(box_mixture(boxes[:, :2], boxes[:, 2:], noise, labels=labels), scale), *numbered(names))

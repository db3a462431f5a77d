"""Letters against the font's own pictures of them."""

import io
import itertools

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from diffuse_cli import catalog
from diffuse_cli.datasets.glyphs import glyph_boxes
from diffuse_cli.datasets.text import text
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import UsageError

SIGNS = "HOB8g%&Åé$\\"


def picture(sign, dots):
    """The sign drawn by matplotlib, its ink cut out: [rows, columns], 1 where there is ink, the lowest row first."""
    figure = Figure(figsize=(2, 2), dpi=dots)
    figure.text(0.2, 0.3, sign, fontsize=72, family="DejaVu Sans", weight="bold", parse_math=False)
    with rc_context({"text.hinting": "none", "text.antialiased": True}):
        figure.savefig(out := io.BytesIO(), format="raw", dpi=dots)
    ink = 1 - np.frombuffer(out.getvalue(), np.uint8).reshape(2 * dots, 2 * dots, 4)[::-1, :, 0] / 255
    rows, columns = (np.flatnonzero(ink.max(axis=axis) > 0.5) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize("sign", SIGNS)
def test_boxes_cover_what_the_font_draws(sign):
    """Pixel by pixel, but for 3 % of the area, at the edges; the holes of a letter have more."""
    drawn = picture(sign, 200)
    boxes = glyph_boxes(sign)
    boxes = (boxes - np.tile(boxes[:, :2].min(axis=0), 2)) / np.tile(
        boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0), 2
    )
    y, x = ((np.arange(size) + 0.5) / size for size in drawn.shape)
    left, lower, right, upper = (ends[:, None] for ends in boxes.T)
    covered = np.einsum("ky,kx->yx", (y > lower) & (y < upper), (x > left) & (x < right), dtype=int)
    assert covered.max() == 1  # boxes do not overlap
    assert np.abs(covered - drawn).mean() < 0.03


def test_letters_stand_in_their_order_and_are_equally_dense():
    dataset = text(letters="LI LL", noise=0.0)
    points, labels = dataset.classes.draw(np.random.default_rng(0), 20_000)
    assert dataset.classes.names == ("L", "I", "L2", "L3")
    ends = [(points[labels == c, 0].min(), points[labels == c, 0].max()) for c in range(4)]
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(ends)]
    np.testing.assert_allclose(gaps, [0.2, 0.6, 0.2], atol=0.01)
    np.testing.assert_allclose(ends[0][0], -ends[3][1], atol=0.01)  # the middle of the word is at 0
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).sum() for boxes in map(glyph_boxes, "LILL")]
    np.testing.assert_allclose(dataset.classes.shares, np.array(areas) / np.sum(areas))
    assert dataset.exact().entropy(Level(np.inf, 1.0, 0.0)) + 2 * np.log(dataset.standard.scale[0]) == pytest.approx(
        np.log(np.sum(areas))
    )


def test_a_letter_written_in_two_signs_is_one():
    assert text(letters="e\u0301").classes.names == ("é",)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ('text:" \u3000"', "only spaces"),
        ("text:中", r"nothing to draw for '中' \(U\+4E2D\)"),
        ("text:a\x00", "U.0000"),
        ("text:letters=" + "A" * 31, "letters"),
    ],
)
def test_what_cannot_be_drawn_is_refused(choice, says):
    with pytest.raises(UsageError, match=says):
        catalog.build("dataset", choice)

import numpy as np
import pytest

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.guidance import GuidedRow, guidance_figure

from .drawing import assert_nothing_cut_or_overlapping, in_both_themes

X, Y = np.linspace(-3, 3, 30), np.linspace(-2, 2, 20)
TARGET = Background(X, Y, np.exp(-0.5 * (X[:, None] ** 2 + (2 * Y) ** 2)))
CLOUD = np.random.default_rng(0).normal(size=(200, 2))


def rows(scales):
    return [
        GuidedRow(name, [CLOUD + w for w in range(scales)], [f"{0.1 * w:.2f}, {w} floors" for w in range(scales)])
        for name in ("cfg", "fkc")
    ]


@in_both_themes
@pytest.mark.parametrize("scales", [1, 4])
def test_nothing_is_cut_or_overlaps(scales, dark):
    w = np.arange(1.0, scales + 1)
    figure = guidance_figure(w, [TARGET] * scales, rows(scales), subject="overlap", dark=dark)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:scales] == [f"w = {each:g}" for each in w]
    assert titles[scales : 2 * scales] == rows(scales)[0].words
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    assert_nothing_cut_or_overlapping(figure)


def test_what_does_not_fit_together_is_refused():
    for scales, target in (([], []), (range(7), [TARGET] * 7), ([1.0], [TARGET] * 2), ([1.0, 2.0], [TARGET] * 2)):
        with pytest.raises(UsageError):
            guidance_figure(scales, target, rows(1))

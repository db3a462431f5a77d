"""Clouds to draw, and questions that any drawn figure can be asked."""

import itertools

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from tests.support.cases import few_fast

# view and dimension of everything a panel can show
VIEWS = {
    "histogram": ("points", 1),
    "plane": ("points", 2),
    "space": ("points", 3),
    "projected": ("points", 16),
    "curves": ("curves", 16),
}

in_both_themes = pytest.mark.parametrize("dark", few_fast([False, True], False))


def cloud(count: int, dim: int, seed: int = 0) -> np.ndarray:
    """Two clumps, so that principal axes and colours are well defined. [count, dim]"""
    rng = np.random.default_rng(seed)
    side = np.where(rng.random(count) < 0.4, -1.2, 0.8)[:, None]
    return side * np.linspace(1.0, 0.5, dim) + 0.3 * rng.normal(size=(count, dim))


def noised(panels: int, count: int, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames [panels, count, dim] from data to noise, their log-SNR (+inf at the start) and times."""
    rng = np.random.default_rng(1)
    t = np.linspace(0, 1, panels) if panels > 1 else np.array([0.5])
    alpha, sigma = np.cos(1.57 * t)[:, None, None], np.sin(1.57 * t)[:, None, None]
    with np.errstate(divide="ignore"):
        log_snr = 2 * np.log(alpha / sigma)[:, 0, 0]
    return alpha * cloud(count, dim) + sigma * rng.normal(size=(count, dim)), log_snr, t


def drawn(figure: Figure) -> FigureCanvasAgg:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


def pieces(figure: Figure) -> dict[str, Bbox]:
    """What a figure is laid out from, in pixels: each panel with all its text, the title of the whole, the key."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = {f"panel {i}": axes.get_tightbbox(renderer) for i, axes in enumerate(figure.axes)}
    boxes |= {f"title {i}": text.get_window_extent(renderer) for i, text in enumerate(figure.texts)}
    boxes |= {f"key {i}": legend.get_window_extent(renderer) for i, legend in enumerate(figure.legends)}
    assert "title 0" in boxes
    return boxes


def assert_nothing_cut_or_overlapping(figure: Figure) -> None:
    boxes = pieces(figure)
    page = figure.bbox
    for name, box in boxes.items():
        assert page.x0 - 1 <= box.x0, name
        assert page.y0 - 1 <= box.y0, name
        assert box.x1 <= page.x1 + 1, name
        assert box.y1 <= page.y1 + 1, name
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        common = Bbox.intersection(a, b)
        assert common is None or min(common.width, common.height) <= 1, f"{one} overlaps {other}"


def scatters(axes: Axes) -> list:
    return [artist for artist in axes.collections if hasattr(artist, "get_sizes")]

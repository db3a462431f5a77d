"""The layout of rows of panels, in inches, so that panels of one kind have the same size in every figure.

matplotlib's layout engine is used for figures of a few panels with long labels (see `settle`). For panels of equal
scale it needs many slow passes and leaves gaps. Here the size of a panel is given, and only labels are measured.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.gridspec import GridSpec

from diffuse_cli.plots.panels import BESIDE, Scene
from diffuse_cli.plots.style import MARGIN, TITLE_LINE, Theme, ThemedFigure, heading, new_figure, too_narrow

_GAP = {
    "histogram": 0.08,
    "plane": 0.12,
    "projected": 0.12,
    "curves": 0.14,
    "images": 0.14,
    "space": 0.0,
}  # between columns, inches
_BETWEEN = 0.14  # inches between two rows, in addition to the titles of the lower one
_KEY_GAP = 0.15  # inches between the title and the keys beside it
_LEAST_SIDE = 1.25  # inches: the least width of a panel that has room for its title
ONE_LINE, TWO_LINES = 0.26, 0.45  # inches above a panel for its title


class Rows(NamedTuple):
    """A figure of rows of panels, before its panels have their final places.

    grid: the cells to which panels are added, [rows, columns]. scene: what all panels share. above, again: inches above
    the first row and above each later one, for the titles of panels. beside: inches at the left of each later column,
    for the names of its axes.
    """

    figure: ThemedFigure
    grid: GridSpec
    rows: int
    columns: int
    scene: Scene
    above: float
    again: float
    beside: float = 0.0

    @property
    def gap(self) -> float:
        """The inches between two columns."""
        return _GAP[self.scene.kind] + self.beside


def panel_rows(
    rows: int,
    columns: int,
    scene: Scene,
    theme: Theme,
    *,
    above: float = ONE_LINE,
    again: float | None = None,
    beside: float = 0.0,
) -> Rows:
    """An empty figure for rows of panels: draw into cells of its grid, then call `arrange`.

    above: inches above the first row for its titles. again: the same for each later row, as much unless given. beside:
    inches for the names of axes at the left of each column but the first.
    """
    figure = new_figure(6.0, 4.0, theme._replace(width=None), layout="none")
    figure.theme = theme
    grid = figure.add_gridspec(rows, columns)
    layout = Rows(figure, grid, rows, columns, scene, above, above if again is None else again, beside)
    _place(layout, left=0.5, bottom=0.5, top=0.5)
    return layout


def arrange(layout: Rows, title: str, subject: str, keys: Sequence[Artist] = ()) -> ThemedFigure:
    """Place the panels and give the figure the size that they, their labels and the title need, once all is drawn.

    keys: the entries of a key at the upper right, in the row of the title. If the theme has a width, panels are as
    large as it allows.

    Raises UsageError if that width leaves too little room for the titles of panels.
    """
    figure = layout.figure
    left, bottom = _overhang(figure)
    layout = _fitted(layout, left)
    width, _ = _place(layout, left=left, bottom=bottom, top=0.0)
    beside = 0.0
    if keys:
        corner = {"loc": "upper right", "borderpad": 0.1, "columnspacing": 1.2, "handletextpad": 0.5}
        legend = figure.legend(handles=keys, ncols=len(keys), **corner)
        beside = legend.get_window_extent().width / figure.dpi + _KEY_GAP
    head = heading(figure, title, subject, beside=beside)
    lines = head.get_text().count("\n") + 1
    _, height = _place(layout, left=left, bottom=bottom, top=MARGIN + lines * TITLE_LINE)
    head.set(y=1 - MARGIN / height, va="top")
    if keys:
        legend.set_bbox_to_anchor((1 - MARGIN / width, 1 - 0.8 * MARGIN / height))
    return figure


def _fitted(layout: Rows, left: float) -> Rows:
    """The rows with the size of panels that fills the theme's width, if it has one."""
    width, gap = layout.scene.theme.width, layout.gap
    if width is None:
        return layout
    side = (width - left - MARGIN + gap) / layout.columns
    if side < _LEAST_SIDE:
        raise too_narrow(width, width + layout.columns * (_LEAST_SIDE - side))
    return layout._replace(scene=layout.scene._replace(side=side))


def _place(layout: Rows, *, left: float, bottom: float, top: float) -> tuple[float, float]:
    """Place the panels, with these margins in inches, and return the width and height of the figure."""
    scene, gap = layout.scene, layout.gap
    across = scene.side - gap
    beside = across * (1 - 1 / (BESIDE[0] + BESIDE[2])) if scene.kind == "curves" else 0.0
    across -= beside
    down = scene.height * (scene.side - gap) / scene.side
    width = left + layout.columns * scene.side - gap + MARGIN
    height = top + layout.above + layout.rows * down + (layout.rows - 1) * (layout.again + _BETWEEN) + bottom
    layout.figure.set_size_inches(width, height)
    layout.figure.subplots_adjust(
        left=left / width,
        right=1 - (MARGIN + beside) / width,
        bottom=bottom / height,
        top=1 - (top + layout.above) / height,
        wspace=(gap + beside) / across,
        hspace=(layout.again + _BETWEEN) / down,
    )
    return width, height


def _overhang(figure: ThemedFigure) -> tuple[float, float]:
    """The inches that labels need at the left of the panels and below them, a margin included."""
    boxes = [(axes.get_window_extent(), axes.get_tightbbox()) for axes in (figure.axes[0], figure.axes[-1])]
    reach = np.array([(panel.x0 - full.x0, panel.y0 - full.y0) for panel, full in boxes]) / figure.dpi
    return tuple(np.maximum(reach, 0.0).max(axis=0) + MARGIN)

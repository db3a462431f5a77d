"""Where panels stand. Rows of panels are laid out in inches, so that a panel of a kind has its size in every figure.

matplotlib's own layout engine suits figures of a few panels with long labels (see `settle`). With panels of equal scale
it needs many slow passes, and leaves gaps; here the size of a panel is known before, and only labels are measured.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D

from diffuse_cli.plots.clouds import BESIDE, Scene
from diffuse_cli.plots.style import MARGIN, TITLE_LINE, HouseFigure, Theme, heading, new_figure

GAP = {"histogram": 0.08, "plane": 0.12, "projected": 0.12, "curves": 0.14, "space": 0.0}  # between columns, inches
BETWEEN = 0.14  # inches between two rows, beyond the titles of the lower one
KEY = 1.4  # inches that the key beside the title takes
ONE_LINE, TWO_LINES = 0.26, 0.45  # inches above a panel for its title


class Rows(NamedTuple):
    """A figure of `rows` times `columns` panels and its grid, in which panels are added; `arrange` then places them."""

    figure: HouseFigure
    grid: GridSpec
    rows: int
    columns: int
    scene: Scene
    above: float


def panel_rows(rows: int, columns: int, scene: Scene, theme: Theme, *, above: float = ONE_LINE) -> Rows:
    """A figure for rows of panels of a scene, with `above` inches for the title of each."""
    figure = new_figure(6.0, 4.0, theme, layout="none")
    grid = figure.add_gridspec(rows, columns)
    made = Rows(figure, grid, rows, columns, scene, above)
    _place(made, left=0.5, bottom=0.5, top=0.5)
    return made


def arrange(made: Rows, title: str, subject: str, key: Line2D | None = None) -> HouseFigure:
    """Give the figure the size that its panels, their labels and its title need, once all is drawn.

    key: a line to be explained at the upper right, in the row of the title.
    """
    figure = made.figure
    left, bottom = _overhang(figure)
    width, _ = _place(made, left=left, bottom=bottom, top=0.0)
    head = heading(figure, title, subject, beside=KEY if key else 0.0)
    lines = head.get_text().count("\n") + 1
    _, height = _place(made, left=left, bottom=bottom, top=MARGIN + lines * TITLE_LINE)
    head.set(y=1 - MARGIN / height, va="top")
    if key:
        corner = (1 - MARGIN / width, 1 - 0.8 * MARGIN / height)
        figure.legend(handles=[key], loc="upper right", bbox_to_anchor=corner, borderpad=0.1)
    return figure


def _place(made: Rows, *, left: float, bottom: float, top: float) -> tuple[float, float]:
    """Put the panels where they belong, all in inches, and return the size of the figure."""
    scene, gap = made.scene, GAP[made.scene.kind]
    across = scene.side - gap
    beside = across * (1 - 1 / (BESIDE[0] + BESIDE[2])) if scene.kind == "curves" else 0.0
    across -= beside
    down = scene.height * (scene.side - gap) / scene.side
    width = left + made.columns * scene.side - gap + MARGIN
    height = top + made.rows * (made.above + down) + (made.rows - 1) * BETWEEN + bottom
    made.figure.set_size_inches(width, height)
    made.figure.subplots_adjust(
        left=left / width,
        right=1 - (MARGIN + beside) / width,
        bottom=bottom / height,
        top=1 - (top + made.above) / height,
        wspace=(gap + beside) / across,
        hspace=(made.above + BETWEEN) / down,
    )
    return width, height


def _overhang(figure: HouseFigure) -> tuple[float, float]:
    """How far labels reach beyond the outer panels at the left and at the bottom, with a margin, in inches."""
    boxes = [(axes.get_window_extent(), axes.get_tightbbox()) for axes in (figure.axes[0], figure.axes[-1])]
    reach = np.array([(panel.x0 - full.x0, panel.y0 - full.y0) for panel, full in boxes]) / figure.dpi
    return tuple(np.maximum(reach, 0.0).max(axis=0) + MARGIN)

"""Cells of a comparison as the lines of its figure, and what it left out in words."""

import numpy as np

from diffuse_cli.analysis.sampler_comparison import Cell, TooSmall
from diffuse_cli.plots.comparison import Line


def by_sampler(cells: list[Cell]) -> dict[str, list[Cell]]:
    """The cells of each sampler."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.method.sampler, []).append(cell)
    return found


def line_of(cells: list[Cell], *, medians: bool = False) -> Line:
    """The line of one sampler, with the medians of its map gaps if asked for."""
    return Line(
        evals=np.array([cell.evals for cell in cells]),
        values=np.array([cell.score.value if cell.score else np.nan for cell in cells]),
        differs=np.array([cell.score is None or cell.score.indistinguishable is False for cell in cells]),
        gaps=_known([cell.rms for cell in cells]),
        maps=_known([cell.map_rms for cell in cells]),
        medians=_known([cell.map_median for cell in cells]) if medians else None,
    )


def left_out(small: list[TooSmall]) -> list[tuple[str, str, int]]:
    """The samplers that are left out, with the budgets that are too small, in words, and the least that would do.

    >>> left_out([TooSmall("ddim", 1, 2), TooSmall("heun", 1, 3), TooSmall("heun", 2, 3)])
    [('ddim', '1 evaluation', 2), ('heun', '1, 2 evaluations', 3)]
    """
    budgets: dict[tuple[str, int], list[int]] = {}
    for each in small:
        budgets.setdefault((each.sampler, each.least), []).append(each.budget)
    return [
        (name, f"{', '.join(map(str, each))} evaluation{'s' * (each != [1])}", least)
        for (name, least), each in budgets.items()
    ]


def _known(distances: list[float | None]) -> np.ndarray | None:
    values = np.array(distances, float)
    return None if np.isnan(values).all() else values

"""What methods of posterior sampling add to the score of the prior, beside what would be right, by noise level."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.arrows import draw_arrows
from diffuse_cli.plots.background import Background, draw_background
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.field import MOST_FIELDS
from diffuse_cli.plots.layout import ONE_LINE, TWO_LINES, arrange, panel_rows
from diffuse_cli.plots.panels import add_panel, frame_plane, keep_outer_labels, make_scene
from diffuse_cli.plots.strips import PANEL_SIDES, draw_title, level_titles
from diffuse_cli.plots.style import default_style
from diffuse_cli.plots.user_text import plain

_HEAVY = 6  # panels: in a figure with more of them arrows are pixels, since vectors would be slow to open


class ExactAddition(NamedTuple):
    """∇ log p_t(y | x) [k, nx, ny, 2] at k noise levels and places x [nx], y [ny]: the score of the noised posterior
    less that of the noised prior.

    usual [k]: its root mean square over the noised posterior, the unit of the arrows' lengths. density: of the noised
    posterior or prior, for each level.
    """

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    usual: np.ndarray
    density: Sequence[Background]


class MethodAddition(NamedTuple):
    """What a method adds [k, nx, ny, 2], and the root mean square [k] of its difference from the exact addition, as a
    share of the usual size of that."""

    name: str
    values: np.ndarray
    relative: np.ndarray


def posterior_field_figure(
    exact: ExactAddition,
    methods: Sequence[MethodAddition],
    *,
    t: np.ndarray,
    log_snr: np.ndarray,
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """A column for each noise level, 1 to 6: the exact addition, then a row for each method; model units.

    The arrows of a column have one scale, that of `plots.arrows`. The title of a method's panel is its relative
    difference.

    Raises UsageError where shapes disagree, there are more than 6 levels or `width` is too small.
    """
    t, log_snr = np.atleast_1d(t), np.atleast_1d(log_snr)
    _check(exact, methods, len(t))
    titles = level_titles(log_snr, t)
    with default_style(dark=dark, width=width) as theme:
        corners = np.array([[exact.x[0], exact.y[0]], [exact.x[-1], exact.y[-1]]])
        shared = {"columns": columns_of(2, columns, "model"), "side": PANEL_SIDES[len(t)], "theme": theme}
        scene = make_scene([corners], reference=corners, view="points", **shared)
        layout = panel_rows(1 + len(methods), len(t), scene, theme, above=TWO_LINES, again=ONE_LINE)
        rows = [("exact", exact.values, titles, theme.data)]
        for method in methods:
            words = [_off(share) for share in method.relative]
            rows.append((plain(method.name), method.values, words, theme.model))
        for row, (name, values, words, color) in enumerate(rows):
            for column in range(len(t)):
                axes = add_panel(layout.figure, layout.grid[row, column], scene)
                frame_plane(axes, scene)
                draw_background(axes, exact.density[column], theme)
                draw_arrows(axes, exact.x, exact.y, values[column], exact.usual[column], color)
                axes.collections[-1].set_rasterized(len(rows) * len(t) > _HEAVY)
                draw_title(axes, words[column], scene)
                axes.set_ylabel(f"{name}\n{axes.get_ylabel()}")
                keep_outer_labels(axes, left=column == 0, bottom=row == len(methods))
        return arrange(layout, "What is added to the score of the prior", subject)


def _off(share: float) -> str:
    return f"{100 * share:.0f} % off" if share > 0.1 else f"{100 * share:.2g} % off"


def _check(exact: ExactAddition, methods: Sequence[MethodAddition], levels: int) -> None:
    if not 1 <= levels <= MOST_FIELDS:
        raise UsageError(f"there are {levels} noise levels; a figure of fields takes 1 to {MOST_FIELDS}.")
    shape = (levels, len(exact.x), len(exact.y), 2)
    for name, values in [("exact", exact.values), *((method.name, method.values) for method in methods)]:
        if np.shape(values) != shape:
            raise UsageError(f"the addition of {name} has shape {np.shape(values)}; it needs {shape}.")
    per_level = [exact.usual, exact.density, *(method.relative for method in methods)]
    if any(len(part) != levels for part in per_level):
        raise UsageError("each row needs a number, and the figure a density, for each noise level.")

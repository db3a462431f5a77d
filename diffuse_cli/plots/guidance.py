"""What guidance does: the law that it is said to sample, and what it samples, for several scales."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.background import Background, draw_background
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.layout import ONE_LINE, arrange, panel_rows
from diffuse_cli.plots.panels import (
    MOST_POINTS_SHOWN,
    add_panel,
    checked_cloud,
    draw_cloud,
    frame_plane,
    keep_outer_labels,
    make_scene,
)
from diffuse_cli.plots.point_colors import one_color
from diffuse_cli.plots.strips import PANEL_SIDES, draw_title
from diffuse_cli.plots.style import default_style
from diffuse_cli.plots.user_text import plain

MOST_SCALES = 6
_OPACITY = 0.45  # of points, through which the density is seen


class GuidedRow(NamedTuple):
    """The samples of one way to guide, a cloud [n, 2] for each scale, and words over each panel."""

    name: str
    clouds: Sequence[np.ndarray]
    words: Sequence[str]


def guidance_figure(
    scales: Sequence[float],
    target: Sequence[Background],
    rows: Sequence[GuidedRow],
    *,
    truth: str = r"target $\pi_w$",
    columns: Columns | None = None,
    subject: str = "",
    dark: bool = False,
    width: float | None = None,
) -> Figure:
    """A column for each scale w, 1 to 6: the density of π_w alone, then behind the samples of each row; data units.

    target: of π_w, one for each scale; truth: its name. All panels have the same limits.

    Raises UsageError where lengths disagree or `width` is too small, DiffuseError where no sample is finite.
    """
    if not 1 <= len(scales) <= MOST_SCALES:
        raise UsageError(f"there are {len(scales)} scales; a figure takes 1 to {MOST_SCALES}.")
    if any(len(part) != len(scales) for row in rows for part in row[1:]) or len(target) != len(scales):
        raise UsageError("each row needs a cloud, words and a law for each scale.")
    clouds = [checked_cloud(cloud, f"the samples of {row.name}") for row in rows for cloud in row.clouds]
    everything = np.concatenate(clouds)
    with default_style(dark=dark, width=width) as theme:
        side = PANEL_SIDES[len(scales)]
        shared = {"columns": columns_of(2, columns, "data"), "most": min(MOST_POINTS_SHOWN, *map(len, clouds))}
        scene = make_scene(clouds, reference=everything, view="points", side=side, theme=theme, **shared)
        scene = scene._replace(opacity=_OPACITY)
        layout = panel_rows(1 + len(rows), len(scales), scene, theme, again=ONE_LINE)
        for row, (name, samples, words) in enumerate([GuidedRow(truth, (), ()), *rows]):
            for column, w in enumerate(scales):
                axes = add_panel(layout.figure, layout.grid[row, column], scene)
                frame_plane(axes, scene)
                draw_background(axes, target[column], theme, strong=True)
                if samples:
                    draw_cloud(axes, samples[column], scene, one_color(theme.model, len(samples[column])))
                draw_title(axes, words[column] if samples else f"w = {w:g}", scene)
                axes.set_ylabel(f"{plain(name) if samples else name}\n{axes.get_ylabel()}")
                keep_outer_labels(axes, left=column == 0, bottom=row == len(rows))
        return arrange(layout, "Guidance", subject)

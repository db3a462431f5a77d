"""A cloud of points that moves: its artists are created once and moved for each frame.

Only these artists are drawn again, over an image of everything that does not move.
"""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from mpl_toolkits.mplot3d import proj3d

from diffuse_cli.plots.panels import (
    NORMAL_LABELS,
    SMALL_TEXT,
    Scene,
    bands,
    coordinates,
    draw_cloud,
    histogram_density,
    note_left_out,
    shown,
    spread,
)
from diffuse_cli.plots.point_colors import PointColors

_MARKS = 0.7  # the area of a mark relative to that in a still figure: moving points are seen easily, files are smaller
_MOST_TAILS = 120  # points that have a tail: more tails would hide the points
_TAIL = {"linewidths": 0.9, "zorder": 0.5, "capstyle": "butt"}
_TAIL_STRENGTH = 0.6  # the opacity of a tail where it begins


class MovingCloud:
    """A cloud in a panel. `move` changes it; `artists` are to be drawn afterwards, in this order."""

    def __init__(self, axes: Axes, cloud: np.ndarray, scene: Scene, colors: PointColors, *, normal: bool = True):
        self.axes, self.scene = axes, scene
        draw_cloud(axes, cloud, scene, colors, normal=normal)
        for marks in axes.collections:
            marks.set_sizes(_MARKS * marks.get_sizes())
        panels = [axes, *axes.child_axes]
        for text in list(axes.texts):  # the note of points outside the limits, which each frame writes anew
            text.remove()
        self._words = axes.annotate(
            "", (0.97, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=SMALL_TEXT, zorder=5
        )
        self._tails = LineCollection([], **_TAIL)
        self._tails.set_figure(axes.get_figure())
        self._tails.set_transform(axes.transData)
        self._tails.set_clip_path(axes.patch)
        self._tailed = spread(cloud, _MOST_TAILS) if scene.kind in ("plane", "projected", "space") else None
        cloud_artists = [artist for panel in panels for artist in (*panel.collections, *panel.patches, *panel.lines)]
        self.artists: list[Artist] = sorted(
            [*cloud_artists, self._tails, self._words], key=lambda artist: artist.zorder
        )
        for artist in self.artists:
            artist.set_animated(True)

    @property
    def keys(self) -> list[Artist]:
        """The entries of the key: the line of the normal density, where there is one."""
        return [artist for artist in self.artists if artist.get_label() in NORMAL_LABELS][:1]

    def move(self, cloud: np.ndarray, colors: PointColors, past: np.ndarray) -> None:
        """Show another cloud [n, d] in these colours, with tails through `past` [frames, n, d], oldest frame first."""
        kind = self.scene.kind
        if kind == "histogram":
            self._move_histogram(cloud[:, 0], colors)
        elif kind == "curves":
            self._move_curves(cloud, colors)
        else:
            self._move_points(cloud, colors)
        if self._tailed is not None:
            self._draw_tails(np.concatenate([past, cloud[None]])[:, self._tailed], colors)
        self._words.set_text(note_left_out(cloud, self.scene))

    def _move_points(self, cloud: np.ndarray, colors: PointColors) -> None:
        some = shown(len(cloud), self.scene)
        points, marks = coordinates(cloud, self.scene.basis)[some], self.axes.collections[0]
        marks.set_offsets(points[:, :2])
        marks.set_facecolor(colors.of(some))
        if self.scene.kind == "space":
            marks.set_3d_properties(points[:, 2], "z")
            marks.do_3d_projection()

    def _draw_tails(self, way: np.ndarray, colors: PointColors) -> None:
        """Lines along the paths [frames, m, d] of a few points, fainter in older frames."""
        length, count, dim = way.shape
        flat = coordinates(way.reshape(-1, dim), self.scene.basis)
        if self.scene.kind == "space":
            flat = np.stack(proj3d.proj_transform(*flat.T, self.axes.get_proj())[:2], axis=1)
        places = np.asarray(flat).reshape(length, count, 2)
        segments = np.stack([places[:-1], places[1:]], axis=2).reshape(-1, 2, 2)
        rgba = np.tile(colors.of(self._tailed), (length - 1, 1))
        rgba[:, 3] = np.repeat(_TAIL_STRENGTH * np.arange(1, length) / max(length - 1, 1), count)
        self._tails.set_segments(segments)
        self._tails.set_color(rgba)

    def _move_histogram(self, values: np.ndarray, colors: PointColors) -> None:
        edges = bands(values, self.scene, colors)
        for band, base, top, color in zip(self.axes.patches, edges[:-1], edges[1:], colors.palette, strict=True):
            band.set_data(top, self.scene.edges, base)
            band.set_color(color)

    def _move_curves(self, cloud: np.ndarray, colors: PointColors) -> None:
        scene = self.scene
        for line, index in zip(self.axes.lines, scene.curves, strict=True):
            line.set_ydata(cloud[index])
            line.set_color(colors.of(index))
        values = cloud if scene.followed is None else cloud[scene.followed]
        (heights,) = self.axes.child_axes[0].patches
        heights.set_data(histogram_density(values, scene.edges))
        if scene.followed is not None:
            heights.set_color(colors.of(scene.followed))

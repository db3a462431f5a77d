"""Animations: points that move from data to noise and back. Arrays in, an `Animation` out.

    stages = [Stage(frames, log_snr, t)]
    animation_of_points(stages, subject="two moons").save("moons.gif")

A notebook shows an animation that is the last value of a cell.
"""

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from diffuse_cli import files
from diffuse_cli.errors import UsageError
from diffuse_cli.plots import encoding
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.formats import check_animation_path
from diffuse_cli.plots.layout import arrange, panel_rows
from diffuse_cli.plots.moving_points import MovingCloud
from diffuse_cli.plots.panels import Scene, add_panel, checked_cloud, make_scene
from diffuse_cli.plots.point_colors import HISTOGRAM_SHADES, PointColors, point_colors
from diffuse_cli.plots.style import Theme, ThemedFigure, default_style
from diffuse_cli.plots.time_bar import TIME_BAR_HEIGHT, TimeBar

_SIDE = 3.6  # inches, the width of the panel
_SHADES = 16  # fewer colours than a figure has, for a smaller file
_SMOOTH = 6  # steps from the colour of paper to that of text
_HOLD = (0.7, 0.7, 1.2)  # seconds that the first frame, a turn and the last frame stay
_MOST_FPS = 50  # a GIF counts in hundredths of a second, and many viewers ignore a duration of one hundredth
_TITLES = {
    (True,): "Forward: data → noise",
    (False,): "Reverse: noise → data",
    (True, False): "Data → noise → samples",
}


class Stage(NamedTuple):
    """One process, forward or reverse: the same n samples at k times, k >= 2.

    frames [k, n, d]: in model units (the noise is N(0, I)), in the order in which they are shown.
    log_snr [k]: the log-SNR of each frame, +inf for clean data. t [k]: the time of each frame, 0 for data and 1 for
    noise. forward: whether the frames go from data to noise.
    """

    frames: np.ndarray
    log_snr: np.ndarray
    t: np.ndarray
    forward: bool = True


class Animation:
    """A sequence of frames, each drawn when it is indexed. `save` writes them to a file; a notebook shows them.

    draw: index -> the frame [height, width, 3] in 0..255. size: width and height in pixels, both even.
    ticks [frames]: the duration of each frame in units of 1 / fps seconds. fps: frames a second.
    fixed_colors [colours, 3]: colours that the palette of a GIF always contains.
    """

    def __init__(
        self,
        draw: Callable[[int], np.ndarray],
        size: tuple[int, int],
        ticks: np.ndarray,
        fps: float,
        fixed_colors: np.ndarray,
    ):
        self._draw, self.size, self.ticks, self.fps, self._fixed_colors = draw, size, ticks, fps, fixed_colors

    def __len__(self) -> int:
        return len(self.ticks)

    def __getitem__(self, index: int) -> np.ndarray:
        """A frame as it is drawn, [height, width, 3] in 0..255."""
        return self._draw(range(len(self))[index])

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self._draw, range(len(self)))

    @property
    def seconds(self) -> float:
        """The duration of the whole animation, in seconds."""
        return float(self.ticks.sum() / self.fps)

    def save(self, path: str | os.PathLike, *, report: Callable[[], None] | None = None) -> Path:
        """Write a .gif, .webp or .mp4 and return the path. `report` is called after each frame.

        The file appears complete or not at all. The same arrays give the same bytes of a GIF.

        Raises UsageError for another ending, and DiffuseError where the folder is missing or cannot be written to, or
        an .mp4 is asked for and ffmpeg is not installed.
        """
        path = check_animation_path(path)
        files.write_file(path, self._encoded(path.suffix.lower(), report))
        return path

    def _encoded(self, kind: str, report: Callable[[], None] | None = None) -> bytes:
        frames = _reporting(self, report) if report else self
        if kind == ".mp4":
            return encoding.mp4(frames, self.size, self.ticks, self.fps)
        if kind == ".webp":
            return encoding.webp(frames, encoding.milliseconds(self.ticks, self.fps, 1))
        some = [self[index] for index in np.unique(np.linspace(0, len(self) - 1, encoding.SAMPLED).astype(int))]
        return encoding.gif(frames, some, self._fixed_colors, encoding.milliseconds(self.ticks, self.fps, 10))

    def _repr_html_(self) -> str:
        data = base64.b64encode(self._encoded(".gif")).decode()
        return f'<img width="{self.size[0]}" height="{self.size[1]}" src="data:image/gif;base64,{data}">'


def animation_of_points(
    stages: Sequence[Stage],
    *,
    view: str = "points",
    color_by: np.ndarray | None = None,
    columns: Columns | None = None,
    subject: str = "",
    tail: int = 8,
    size: int = 480,
    fps: float = 20,
    dark: bool = False,
) -> Animation:
    """An animation of moving points: one stage, or a forward stage followed by a reverse one.

    view: "points", or "curves" where a sample is a function on [0, 1].
    color_by [n]: labels (whole numbers or words) or an order (floats). Without it the colour of a point shows its place
    at the clean end of the stage. So colours change between two stages: in the forward stage they show where a point
    comes from, in the reverse stage where it will end.
    columns: the names of the columns. subject: written after the title. tail: the length of the tails of points in
    frames, 0 for none; histograms and curves have no tails. size: the width in pixels. fps: frames a second; the first
    and the last frame, and the frames where two stages meet, stay longer.

    Raises UsageError where shapes do not agree or options are out of range, DiffuseError where no point is finite.
    """
    stages = [_checked(stage, number) for number, stage in enumerate(stages, start=1)]
    ways = tuple(stage.forward for stage in stages)
    if ways not in _TITLES:
        raise UsageError("an animation has one stage, or two: the first one forward, the second one not.")
    if len({stage.frames.shape[1:] for stage in stages}) > 1:
        raise UsageError("the stages of an animation need the same number of points and of columns.")
    if tail < 0 or size < 160 or not 0 < fps <= _MOST_FPS:
        raise UsageError(f"an animation needs tail >= 0, size >= 160 and 0 < fps <= {_MOST_FPS}.")
    columns = columns_of(stages[0].frames.shape[2], columns, "model")
    film = _Film(stages, view, color_by, columns, subject, tail, size, dark)
    ticks = _ticks([len(stage.frames) for stage in stages], fps)
    return Animation(film.draw, film.size, ticks, fps, film.text_colors)


class _Film:
    """The figure of an animation, drawn once, with an image of everything in it that does not move."""

    def __init__(
        self,
        stages: list[Stage],
        view: str,
        color_by: np.ndarray | None,
        columns: Columns,
        subject: str,
        tail: int,
        size: int,
        dark: bool,
    ):
        self._stages, self._tail, self._dark = stages, tail, dark
        self._index = [(stage, frame) for stage, given in enumerate(stages) for frame in range(len(given.frames))]
        with default_style(dark=dark) as theme:
            scene = _scene(stages, view, columns, theme)
            shades = HISTOGRAM_SHADES if scene.kind == "histogram" else _SHADES
            self._colors = [point_colors(_clean(stage), color_by, theme, shades) for stage in stages]
            self._figure, axes, self._cloud = _figure(stages, scene, self._colors[0], subject, size, theme)
            self._time_bar = TimeBar(axes, theme)
            self._canvas = FigureCanvasAgg(self._figure)
            self._canvas.draw()
            self._background = self._canvas.copy_from_bbox(self._figure.bbox)
        self.size = self._canvas.get_width_height()
        self.text_colors = _mixed(theme)

    def draw(self, index: int) -> np.ndarray:
        """A frame, [height, width, 3] in 0..255."""
        number, frame = self._index[index]
        stage = self._stages[number]
        with default_style(dark=self._dark):
            self._cloud.move(
                stage.frames[frame], self._colors[number], stage.frames[max(frame - self._tail, 0) : frame]
            )
            self._time_bar.show(stage.t[frame], stage.log_snr[frame], stage.forward)
            self._canvas.restore_region(self._background)
            for artist in (*self._cloud.artists, *self._time_bar.artists):
                artist.draw(self._canvas.get_renderer())
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()


def _scene(stages: list[Stage], view: str, columns: Columns, theme: Theme) -> Scene:
    clouds = [frame for stage in stages for frame in stage.frames]
    shared = {"columns": columns, "square": True, "follow": True}
    return make_scene(clouds, reference=_clean(stages[0]), view=view, side=_SIDE, theme=theme, **shared)


def _clean(stage: Stage) -> np.ndarray:
    return stage.frames[0 if stage.forward else -1]


def _figure(
    stages: list[Stage], scene: Scene, colors: PointColors, subject: str, size: int, theme: Theme
) -> tuple[ThemedFigure, Axes, MovingCloud]:
    """The figure with its panel and its first frame, `size` pixels wide and both sides even."""
    layout = panel_rows(1, 1, scene, theme, above=TIME_BAR_HEIGHT)
    axes = add_panel(layout.figure, layout.grid[0, 0], scene)
    cloud = MovingCloud(axes, stages[0].frames[0], scene, colors)
    figure = arrange(layout, _TITLES[tuple(stage.forward for stage in stages)], subject, cloud.keys)
    width, height = figure.get_size_inches()
    across = size // 2 * 2
    figure.dpi = across / width
    down = round(height * figure.dpi / 2) * 2
    figure.set_size_inches(width, down / figure.dpi)
    return figure, axes, cloud


def _mixed(theme: Theme) -> np.ndarray:
    """The colours [colours, 3], 0..255, of text and lines, and of their anti-aliased edges on the paper."""
    paper, *others = (np.array(to_rgb(color)) for color in (theme.paper, theme.ink, theme.muted, theme.frame))
    mixed = [paper + part * (color - paper) for color in others for part in np.linspace(0, 1, _SMOOTH)]
    return np.rint(255 * np.array(mixed)).astype(np.uint8)


def _ticks(frames: list[int], fps: float) -> np.ndarray:
    """The duration [frames] of each frame in units of 1 / fps seconds: longer at both ends and where stages meet."""
    first, turn, last = (round(hold * fps) for hold in _HOLD)
    ticks = np.ones(sum(frames), int)
    ticks[0] += first
    ticks[-1] += last
    for end in np.cumsum(frames)[:-1]:  # half of the hold before points change their colours, half after
        ticks[[end - 1, end]] += turn // 2
    return ticks


def _reporting(frames: Animation, report: Callable[[], None]) -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame
        report()


def _checked(stage: Stage, number: int) -> Stage:
    frames = np.asarray(stage.frames)
    if frames.ndim != 3 or len(frames) < 2:
        raise UsageError(
            f"stage {number} has frames of shape {frames.shape}; it needs [k, n, d] with 2 or more frames."
        )
    levels, t = (np.asarray(values, np.float64) for values in (stage.log_snr, stage.t))
    if levels.shape != (len(frames),) or t.shape != levels.shape:
        raise UsageError(
            f"stage {number} has {len(frames)} frames, noise levels of shape {levels.shape} and times of shape "
            f"{t.shape}; it needs one of each for a frame."
        )
    for index, frame in enumerate(frames, start=1):
        checked_cloud(frame, f"frame {index} of stage {number}")
    return Stage(frames, levels, t, bool(stage.forward))

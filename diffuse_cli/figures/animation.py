"""An animation of points: data that turn into noise, and noise that turns into samples of a model."""

from typing import Literal

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import as_points
from diffuse_cli.figures import paths
from diffuse_cli.figures.paths import Trajectory
from diffuse_cli.models import build
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.animation import Animation, Stage
from diffuse_cli.plots.animation import animation_of_points as animation
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.frame_times import even_frames

Direction = Literal["forward", "reverse", "both"]


def animate_model(
    model: Model,
    method: Method,
    *,
    direction: Direction = "both",
    frames: int = 60,
    count: int = 2000,
    seed: int = 0,
    ease: bool = True,
    tail: int = 8,
    size: int = 480,
    fps: float = 20,
    dark: bool = False,
) -> Animation:
    """An animation of `count` points through the levels of a method: data to noise, noise to samples, or both.

    frames: the number of frames in all. The reverse process starts from the noise in which the forward process ends.
    With `ease` points move equally far from frame to frame; plots.animation.animation_of_points has the other options.

    Raises UsageError where options are out of range, and DiffuseError where the forward process needs a data file that
    is missing, or no sample is finite.
    """
    ways: list[tuple[Trajectory, bool]] = []
    labels = None if direction != "reverse" else model.labels_of_rows(count)
    if direction != "reverse":
        ways.append((paths.forward_trajectory(model, method, model.dataset(), count, seed), True))
    if direction != "forward":
        drawn = draw_samples(model, method, count, seed, trajectory=True)
        ways.append((paths.reverse_trajectory(model, drawn), False))
    shares = [frames] if len(ways) == 1 else [frames - frames // 2, frames // 2]
    stages = [
        Stage(*even_frames(*way, share, ease=ease), forward) for (way, forward), share in zip(ways, shares, strict=True)
    ]
    of_what = f"{model.name}, {method.title}"
    if direction == "forward":
        of_what = f"{build.title_of_data(model.config.dataset)}, {catalog.short_name(model.config.schedule)} schedule"
    shown = {"columns": Columns(model.columns, "model"), "tail": tail, "size": size, "fps": fps, "dark": dark}
    shown["color_by"] = labels
    return animation(stages, view=as_points(model.view), subject=of_what, **shown)

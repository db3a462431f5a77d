"""From a model to an animation of its points, on their way to noise and back."""

from typing import Literal

from diffuse_cli import catalog
from diffuse_cli.figures import paths
from diffuse_cli.figures.paths import Trajectory
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.animation import Animation, Stage
from diffuse_cli.plots.animation import animation_of_points as animation
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
    """`count` points in `frames` frames through the levels of a method: data to noise, noise to samples, or both.

    The way back starts from the noise that points are given on the way there. With `ease` points move equally far from
    frame to frame; see plots.animation.animate for the other options.

    Raises DiffuseError where the data of a run have gone, which only the way there needs.
    """
    ways: list[tuple[Trajectory, bool]] = []
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
        of_what = f"{model.config.dataset}, {catalog.short_name(model.config.schedule)} schedule"
    return animation(stages, view=model.view, subject=of_what, tail=tail, size=size, fps=fps, dark=dark)

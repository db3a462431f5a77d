"""From a source to an animation of its points, on their way to noise and back."""

from typing import Literal

from diffuse_cli import catalog, journey
from diffuse_cli.figures import described
from diffuse_cli.generate import Method, draw
from diffuse_cli.journey import Journey
from diffuse_cli.plots.animation import Animation, Stage
from diffuse_cli.plots.animation import animate as animation
from diffuse_cli.plots.easing import eased
from diffuse_cli.sources import Source

Direction = Literal["forward", "reverse", "both"]


def animate(
    source: Source,
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
    ways: list[tuple[Journey, bool]] = []
    if direction != "reverse":
        ways.append((journey.forward(source, method, source.dataset(), count, seed), True))
    if direction != "forward":
        drawn = draw(source, method, count, seed, trajectory=True)
        ways.append((journey.reverse(source, drawn), False))
    shares = [frames] if len(ways) == 1 else [frames - frames // 2, frames // 2]
    stages = [
        Stage(*eased(*way, share, ease=ease), forward) for (way, forward), share in zip(ways, shares, strict=True)
    ]
    of_what = f"{source.name}, {described(method)}"
    if direction == "forward":
        of_what = f"{source.config.dataset}, {catalog.short(source.config.schedule)} schedule"
    return animation(stages, view=source.view, subject=of_what, tail=tail, size=size, fps=fps, dark=dark)

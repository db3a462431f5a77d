"""diffuse animate"""

from pathlib import Path
from typing import Literal

import click

from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.errors import UsageError
from diffuse_cli.plots.formats import Look, check_animation_path

_MOST_PIXELS = 500_000_000  # of all frames together, which are held at once: some two gigabytes
_EPILOG = """\b
Examples:
  diffuse animate
  diffuse animate --run moons --sampler ddpm --steps 1000 --direction reverse --out reverse.mp4
  diffuse animate --exact --dataset two_spirals --schedule linear --size 640 --dark
  diffuse animate --exact --dataset swiss_roll:dim=3 --direction forward --tail 0 --out roll.webp"""


@click.command(epilog=_EPILOG)
@options.model_option
@options.method_options
@options.option(
    "--direction",
    type=click.Choice(["forward", "reverse", "both"]),
    default="both",
    show_default=True,
    help="Data to noise, noise to samples, or there and back.",
)
@options.option("--frames", type=options.WholeNumber(4, 1000), default=60, show_default=True, help="How many frames.")
@options.option(
    "--fps", type=click.FloatRange(1, 50), default=20, show_default=True, help="Frames a second; the ends stay longer."
)
@options.option(
    "--ease/--no-ease",
    default=True,
    show_default=True,
    help="More frames where points move more, or frames equally spaced in time.",
)
@options.option(
    "--tail",
    type=options.WholeNumber(0, 1000),
    default=8,
    show_default=True,
    help="How many frames long the tails of points are; 0 for none. Histograms and curves have none.",
)
@options.count(2, 2000, "points")
@options.seed
@options.option(
    "--size", type=options.WholeNumber(160, 2160), default=480, show_default=True, help="The width in pixels."
)
@options.option("--dark", is_flag=True, help="Light on dark.")
@options.out_option(
    check_animation_path, "Where to: .gif, .webp, or .mp4, which needs ffmpeg.", shown="the figures/ of the run"
)
@options.open_option("the animation")
@options.device
@options.common
def animate(
    opener: options.ModelOption,
    sampling: options.MethodOption,
    direction: Literal["forward", "reverse", "both"],
    frames: int,
    fps: float,
    ease: bool,
    tail: int,
    count: int,
    seed: int,
    size: int,
    dark: bool,
    out: Path | None,
    show: bool,
) -> None:
    """Animate points on their way: data into noise, noise into samples of a run or the exact denoiser, or both.

    The way back starts from the noise that points are given on the way there. Points are in model space, scaled to unit
    variance at every noise level; their colours say where they come from on the way there, and where they will be on
    the way back.
    """
    from diffuse_cli.figures import animation

    if frames * size**2 > _MOST_PIXELS:
        raise UsageError(f"{frames} frames of {size} pixels are too much for one file; give fewer, or a smaller --size")
    signals.at_once()
    model = opener.open()
    moving = animation.animate_model(
        model,
        sampling.method(model.config),
        direction=direction,
        frames=frames,
        count=count,
        seed=seed,
        ease=ease,
        tail=tail,
        size=size,
        fps=fps,
        dark=dark,
    )
    name = "animation" + (f"-{direction}" if direction != "both" else "") + model.suffix + sampling.suffix(model.config)
    out = out or options.place_in_run(model.folder, name, Look(dark), ending=".gif")
    with terminal.counter(len(moving), "frames") as report:
        path = moving.save(out, report=report)
    click.echo(path)
    if show:
        options.launch(path)

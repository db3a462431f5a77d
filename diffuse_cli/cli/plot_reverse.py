"""diffuse plot-reverse"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options, signals

EPILOG = """\b
Examples:
  diffuse plot-reverse
  diffuse plot-reverse --run moons --sampler ddpm --steps 1000 --frames 6 --out reverse.pdf
  diffuse plot-reverse --exact --dataset two_spirals --schedule linear"""


@click.command(epilog=EPILOG)
@options.source
@options.method
@options.frames
@options.count(2, 2000, "points")
@options.seed
@options.figure_out(where="the figures/ of the run")
@options.device
@options.common
@click.pass_context
def plot_reverse(
    ctx: click.Context,
    frames: int,
    count: int,
    seed: int,
    out: Path | None,
    dark: bool,
    dpi: int,
    **_choices: Any,
) -> None:
    """Draw noise turning into data under a run or the exact denoiser, the same points in every frame."""
    from diffuse_cli import figures, generate

    signals.at_once()
    source = options.open_source(ctx)
    method = options.gather_method(ctx, source.config)
    drawn = generate.draw(source, method, count, seed, trajectory=True)
    figure = figures.reverse(source, method, drawn, frames=frames, dark=dark)
    if out is None:
        own = method == generate.own_method(source.config) and not dark
        name = "reverse" if own else f"reverse-{method.label}{'-dark' if dark else ''}"
        out = source.folder / "figures" / f"{name}.png"
        out.parent.mkdir(parents=True, exist_ok=True)
    options.save_figure(figure, out, dpi)

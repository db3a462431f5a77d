"""diffuse plot-reverse"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options, signals
from diffuse_cli.plots.formats import Look

EPILOG = """\b
Examples:
  diffuse plot-reverse
  diffuse plot-reverse --run moons --sampler ddpm --steps 1000 --frames 6 --out reverse.pdf
  diffuse plot-reverse --exact --dataset two_spirals --schedule linear"""


@click.command(epilog=EPILOG)
@options.model_options
@options.method_options
@options.option(
    "--rows",
    type=click.Choice(["reverse", "both"]),
    default="reverse",
    show_default=True,
    help="With both, the forward process stands above, at the same noise levels.",
)
@options.frames(None, words="10; 6 with --rows both")
@options.count(2, 2000, "points")
@options.seed
@options.figure_out(where="the figures/ of the run")
@options.device
@options.common
@click.pass_context
def plot_reverse_command(
    ctx: click.Context,
    rows: str,
    frames: int | None,
    count: int,
    seed: int,
    out: Path | None,
    look: Look,
    dpi: int,
    **_choices: Any,
) -> None:
    """Draw noise turning into data under a run or the exact denoiser, the same points in every frame."""
    from diffuse_cli.figures import strips
    from diffuse_cli.models import draw

    signals.at_once()
    model = options.open_model(ctx)
    method = options.gather_method(ctx, model.config)
    dataset = model.dataset() if rows == "both" else None  # a file may have gone: better told now
    drawn = draw.draw_samples(model, method, count, seed, trajectory=True)
    if dataset is None:
        drawing = strips.reverse_drawing(model, method, drawn, frames=frames or 10, look=look)
    else:
        drawing = strips.both_ways_drawing(model, method, drawn, dataset, frames=frames or 6, seed=seed, look=look)
    name = ("both" if dataset else "reverse") + options.of_method(method, model.config)
    options.write_figure(drawing(), out or options.run_figure(model.folder, name, look), dpi)

"""diffuse plot-forward"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options
from diffuse_cli.plots.formats import Look

EPILOG = """\b
Examples:
  diffuse plot-forward
  diffuse plot-forward --dataset s_curve --schedule sigmoid:start=1e-5,end=5e-3 --timesteps 100
  diffuse plot-forward --dataset file:points.csv --frames 5 --out forward.svg"""


@click.command(epilog=EPILOG)
@options.settings("dataset", "schedule", "timesteps", "scaling", "zero_terminal_snr", "seed")
@options.frames()
@options.count(2, 2000, "points")
@options.figure_out(Path("forward.png"))
@options.device
@options.common
@click.pass_context
def plot_forward_command(
    ctx: click.Context, frames: int, count: int, out: Path, look: Look, dpi: int, **_settings: Any
) -> None:
    """Draw data turning into noise, the same points in every frame. Needs no run."""
    from diffuse_cli.figures import strips
    from diffuse_cli.models import build

    settings = options.gather_settings(ctx)
    process, dataset = build.build_process(settings), build.build_dataset(settings)
    drawing = strips.forward_drawing(
        settings, process, dataset, frames=frames, count=count, seed=settings.seed, look=look
    )
    options.write_figure(drawing(), out, dpi)

"""diffuse plot-density"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options, signals
from diffuse_cli.plots.formats import Look

EPILOG = """\b
Examples:
  diffuse plot-density
  diffuse plot-density --run moons --out density.pdf
  diffuse plot-density --exact --dataset pinwheel --dark"""


@click.command(epilog=EPILOG)
@options.model_options
@options.figure_out(where="the figures/ of the run")
@options.device
@options.common
@click.pass_context
def plot_density_command(ctx: click.Context, out: Path | None, look: Look, dpi: int, **_choices: Any) -> None:
    """Draw how probable a run finds each place, beside the exact density at the same levels, and their difference.

    The model's is its likelihood by the probability-flow ODE. For data of one or two columns; beside a file stands a
    smooth estimate from its points.
    """
    from diffuse_cli.figures import densities

    signals.at_once()
    model = options.open_model(ctx)
    figure = densities.plot_density(model, model.dataset(), look=look)
    options.write_figure(figure, out or options.run_figure(model.folder, "density", look), dpi)

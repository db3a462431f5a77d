"""diffuse plot-trajectories"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options, signals
from diffuse_cli.plots.formats import Look

EPILOG = """\b
Examples:
  diffuse plot-trajectories
  diffuse plot-trajectories --run moons --sampler ddpm --steps 200 -n 50
  diffuse plot-trajectories --exact --dataset eight_gaussians --color-by class --out paths.pdf"""


@click.command(epilog=EPILOG)
@options.model_options
@options.method_options
@options.option(
    "color_by",
    "--color-by",
    "--colour-by",
    type=click.Choice(["time", "place", "class"]),
    default="time",
    show_default=True,
    help="Along each path, by where it ends, or by the class it ends in.",
)
@options.count(1, 300, "paths")
@options.seed
@options.figure_out(where="the figures/ of the run")
@options.device
@options.common
@click.pass_context
def plot_trajectories_command(
    ctx: click.Context, color_by: str, count: int, seed: int, out: Path | None, look: Look, dpi: int, **_choices: Any
) -> None:
    """Draw the paths that points take from noise to data, over the density of the data.

    A single value is drawn over time; data of more than three columns on their first two principal axes.
    """
    from diffuse_cli.figures import grids, trajectories
    from diffuse_cli.models import draw

    signals.at_once()
    model = options.open_model(ctx)
    method = options.gather_method(ctx, model.config)
    # In space nothing lies behind the paths, and a run needs no data then.
    dataset = model.dataset() if model.dim != 3 or color_by == "class" else None
    if color_by == "class":
        grids.check_classes(model.config, dataset)
    drawn = draw.draw_samples(model, method, count, seed, trajectory=True)
    figure = trajectories.plot_trajectories(model, method, drawn, dataset, color_by=color_by, look=look)
    name = "trajectories" + (f"-by-{color_by}" if color_by != "time" else "")
    name += options.of_method(method, model.config)
    options.write_figure(figure, out or options.run_figure(model.folder, name, look), dpi)

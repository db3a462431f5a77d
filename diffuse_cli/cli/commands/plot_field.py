"""diffuse plot-field"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options, signals
from diffuse_cli.plots.formats import Look

MOST_TIMES = 6
EPILOG = """\b
Examples:
  diffuse plot-field
  diffuse plot-field --run moons --field velocity --style streams --times 0.1,0.4,0.9
  diffuse plot-field --exact --dataset checkerboard --out field.svg"""


@click.command(epilog=EPILOG)
@options.model_options
@options.option(
    "kind",
    "--field",
    type=click.Choice(["score", "eps", "v", "velocity", "x0"]),
    default="score",
    show_default=True,
    help="Which of the things that a denoiser can be asked for.",
)
@options.option(
    "--style",
    type=click.Choice(["arrows", "streams"]),
    default="arrows",
    show_default=True,
    help="Arrows, or the lines that follow them.",
)
@options.times_option("0.02,0.1,0.3,0.7", MOST_TIMES)
@options.figure_out(where="the figures/ of the run")
@options.device
@options.common
@click.pass_context
def plot_field_command(
    ctx: click.Context,
    kind: str,
    style: str,
    out: Path | None,
    look: Look,
    dpi: int,
    **_choices: Any,
) -> None:
    """Draw the field of a run at a few times: the model's, the exact one, and their difference.

    The number over a difference is its root mean square where the data are, as a share of the exact field's. For data
    of one or two columns.
    """
    import numpy as np

    from diffuse_cli.figures import fields

    signals.at_once()
    model = options.open_model(ctx)
    times = options.gather_times(ctx, model.process.timesteps, MOST_TIMES)
    figure = fields.plot_field(model, model.dataset(), np.array(times), kind=kind, style=style, look=look)
    options.write_figure(figure, out or options.run_figure(model.folder, f"field-{kind}-{style}", look), dpi)

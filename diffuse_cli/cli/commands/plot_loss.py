"""diffuse plot-loss"""

from pathlib import Path

import click

from diffuse_cli.cli import options
from diffuse_cli.plots.formats import Look

EPILOG = """\b
Examples:
  diffuse plot-loss
  diffuse plot-loss --run moons --out loss.pdf"""


@click.command(epilog=EPILOG)
@options.run_option
@options.figure_out(where="the run's figures/loss.png")
@options.common
def plot_loss_command(run_name: str, outputs: Path, out: Path | None, look: Look, dpi: int) -> None:
    """Draw a run's loss: of the training batches, and of held-out points under the averaged weights."""
    from diffuse_cli.figures import losses
    from diffuse_cli.models import run_folder

    folder, _ = run_folder.folder_and_file(run_folder.find_run(outputs, run_name))
    drawing = losses.loss_drawing(folder.name, run_folder.read_log(folder), look=look)
    options.write_figure(drawing(), out or options.run_figure(folder, "loss", look), dpi)

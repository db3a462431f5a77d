"""diffuse plot-loss"""

from pathlib import Path

import click

from diffuse_cli.cli import options

EPILOG = """\b
Examples:
  diffuse plot-loss
  diffuse plot-loss --run moons --out loss.pdf"""


@click.command(epilog=EPILOG)
@options.run
@options.figure_out("the run's figures/loss.png")
@options.common
def plot_loss(run_name: str, outputs: Path, trust: bool, out: Path | None, dark: bool, dpi: int) -> None:
    """Draw a run's loss: of the training batches, and of held-out points under the averaged weights."""
    from diffuse_cli import figures, runs

    run = runs.open_run(runs.find(outputs, run_name), trust=trust)
    figure = figures.loss(run.name, runs.read_log(run.folder), dark=dark)
    options.save_figure(figure, out or run.folder / "figures" / "loss.png", dpi)

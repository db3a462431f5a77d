"""diffuse plot-students"""

from pathlib import Path

import click

from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.cli.figure_command import figure_options, named_after_row
from diffuse_cli.figures.options import StudentsOptions
from diffuse_cli.figures.table import FIGURES


@named_after_row("plot-students")
@options.several_runs("A student; may be repeated.  [default: latest]")
@options.option(
    "--metric", type=options.ChoiceParam("metric"), default="sliced_w2", show_default=True, help="Which distance."
)
@figure_options(FIGURES["plot-students"])
@options.figure_output("students.png")
@options.device
@options.common
def plot_students_command(
    runs: options.RunsOption, metric: str, asked: StudentsOptions, output: options.FigureOutput
) -> None:
    """The quality of students against network evaluations."""
    from diffuse_cli.figures.students import students_of_models
    from diffuse_cli.models.model import model_of_run

    signals.at_once()
    if not runs.names:
        runs = runs._replace(names=("latest",))
    models = [model_of_run(run, trust=runs.trust) for run in runs.open()]
    figure = students_of_models(models, metric, asked, output.look, begin=terminal.note)
    click.echo(output.save(figure, output.file or Path("students.png")))

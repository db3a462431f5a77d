"""diffuse plot-schedule"""

from pathlib import Path

import click

from diffuse_cli.cli import options, terminal
from diffuse_cli.cli.figure_command import named_after_row
from diffuse_cli.errors import DiffuseError

_NOT_BY_NAME_ALONE = ("table", "learned")  # a file says what they are, or training


@named_after_row("plot-schedule")
@options.option(
    "schedules",
    "--schedule",
    type=options.ChoiceParam("schedule"),
    multiple=True,
    help="A schedule to draw; may be repeated.  [default: all]",
)
@options.several_runs("A run whose schedule to draw too, first, as it was learned; may be repeated.")
@options.gathered(
    "settings",
    ("dataset", "timesteps"),
    options.setting("dataset", default="the first run's, else moons", help_text="The data that noise is to hide."),
    options.setting("timesteps", default="the first run's, else 1000"),
)
@options.figure_output("schedule.png")
@options.common
def plot_schedule_command(
    schedules: tuple[str, ...],
    runs: options.RunsOption,
    settings: options.Settings,
    output: options.FigureOutput,
) -> None:
    """The schedules of runs and those that are named."""
    from diffuse_cli import catalog
    from diffuse_cli.figures import grids
    from diffuse_cli.figures.schedules import plot_schedules
    from diffuse_cli.models import build

    opened = runs.open()
    chosen = settings.config(opened[0].config if opened else None)
    names = schedules or [name for name in catalog.CATALOG["schedule"] if name not in _NOT_BY_NAME_ALONE]
    drawn = {run.name: run.experiment.process.schedule for run in opened}
    drawn |= {catalog.short_name(name): catalog.build("schedule", name, chosen.timesteps) for name in names}
    typed, kl_at = settings.typed("dataset"), None
    try:
        dataset = build.build_dataset(chosen, trust=bool(runs.trust or not opened or typed))
        kl_at = grids.kl_of(chosen, dataset)
    except DiffuseError as error:  # a run's data may have gone, or have no density; its schedule is there all the same
        if typed:
            raise
        terminal.note(f"Without the KL: {error}")
    of = "" if kl_at is None else build.title_of_data(chosen.dataset)
    figure = plot_schedules(drawn, timesteps=chosen.timesteps, kl_at=kl_at, of=of, look=output.look)
    click.echo(output.save(figure, output.file or Path("schedule.png")))

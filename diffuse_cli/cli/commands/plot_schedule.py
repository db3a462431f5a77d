"""diffuse plot-schedule"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options, terminal
from diffuse_cli.errors import DiffuseError
from diffuse_cli.plots.formats import Look

EPILOG = """\b
Examples:
  diffuse plot-schedule
  diffuse plot-schedule --schedule cosine --schedule linear --out schedules.pdf
  diffuse plot-schedule --schedule sigmoid:start=1e-5,end=5e-3 --timesteps 100
  diffuse plot-schedule --run learned --schedule cosine --schedule log_linear"""

_NOTHING_OF_THEIR_OWN = ("table", "learned")  # what they are is said by a file, or by training


@click.command(epilog=EPILOG)
@options.option(
    "schedules",
    "--schedule",
    type=options.ChoiceParam("schedule"),
    multiple=True,
    help="A schedule to draw; may be repeated.  [default: all]",
)
@options.several_runs("A run whose schedule to draw too, first, as it was learned; may be repeated.")
@options.trust
@options.setting("dataset", default="the first run's, else moons", help_text="The data that noise is to hide.")
@options.setting("timesteps", default="the first run's, else 1000")
@options.figure_out(Path("schedule.png"))
@options.common
@click.pass_context
def plot_schedule_command(
    ctx: click.Context,
    schedules: tuple[str, ...],
    run_names: tuple[str, ...],
    outputs: Path,
    trust: bool,
    out: Path,
    look: Look,
    dpi: int,
    **_settings: Any,
) -> None:
    """Draw noise schedules beside each other: the signal left, the noise each step adds, the log-SNR, and the KL.

    The KL between the noised data and pure noise should be nothing at t = 1, from where sampling starts.
    """
    from diffuse_cli import catalog
    from diffuse_cli.figures import grids
    from diffuse_cli.figures.schedules import plot_schedules
    from diffuse_cli.models import build, run_folder

    opened = [run_folder.open_run(run_folder.find_run(outputs, name), trust=trust) for name in run_names]
    settings = options.gather_settings(ctx, opened[0].config if opened else None, only=("dataset", "timesteps"))
    names = schedules or [name for name in catalog.CATALOG["schedule"] if name not in _NOTHING_OF_THEIR_OWN]
    drawn = {run.name: run.experiment.process.schedule for run in opened}
    drawn |= {catalog.short_name(name): catalog.build("schedule", name, settings.timesteps) for name in names}
    try:
        typed = options.on_command_line(ctx, "dataset")
        dataset = build.build_dataset(settings, trust=trust or not opened or typed)
        known = {"kl_at": grids.kl_of(settings, dataset), "of": settings.dataset}
    except DiffuseError as error:  # a run's data may have gone, or have no density; its schedule is there all the same
        if typed:
            raise
        terminal.note(f"Without the KL: {error}")
        known = {}
    options.write_figure(plot_schedules(drawn, timesteps=settings.timesteps, look=look, **known), out, dpi)

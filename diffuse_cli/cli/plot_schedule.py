"""diffuse plot-schedule"""

from pathlib import Path

import click

from diffuse_cli.cli import options

EPILOG = """\b
Examples:
  diffuse plot-schedule
  diffuse plot-schedule --schedule cosine --schedule linear --out schedules.pdf
  diffuse plot-schedule --schedule sigmoid:start=1e-5,end=5e-3 --timesteps 100"""


@click.command(epilog=EPILOG)
@options.option(
    "schedules",
    "--schedule",
    type=options.ChoiceParam("schedule"),
    multiple=True,
    help="A schedule to draw; may be repeated.  [default: all]",
)
@options.setting("timesteps")
@options.figure_out(Path("schedule.png"))
@options.common
def plot_schedule(schedules: tuple[str, ...], timesteps: int, out: Path, dark: bool, dpi: int) -> None:
    """Draw noise schedules beside each other: the signal that is left, the noise each step adds, the log-SNR."""
    import numpy as np

    from diffuse_cli import catalog
    from diffuse_cli.plots.schedule import schedule

    t = np.arange(timesteps + 1) / timesteps
    names = schedules or [name for name in catalog.CATALOG["schedule"] if name != "table"]  # which has none of its own
    curves = {}
    for name in names:
        schedule_of_t = catalog.build("schedule", name, timesteps)
        curves[catalog.short(name)] = (t, np.asarray(schedule_of_t(t), np.float64))
    options.save_figure(schedule(curves, timesteps=timesteps, subject=f"T = {timesteps}", dark=dark), out, dpi)

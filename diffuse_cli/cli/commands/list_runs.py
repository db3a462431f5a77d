"""diffuse runs"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffuse_cli.cli import options, terminal

if TYPE_CHECKING:
    from diffuse_cli.config import Config

_EPILOG = """\b
Examples:
  diffuse runs
  diffuse runs --outputs elsewhere --json"""


def _learned(config: "Config") -> str:
    """What the network of a run predicts, or the family that it is of."""
    if not config.diffuses:
        return config.family
    return "label" if config.classifier else config.prediction


@click.command("runs", epilog=_EPILOG)
@options.outputs
@options.as_json
@options.common
def list_runs(outputs: Path, as_json: bool) -> None:
    """Show the runs there are, the latest first."""
    from diffuse_cli.errors import DiffuseError
    from diffuse_cli.models import run_folder

    rows = []
    for folder in reversed(run_folder.run_folders(outputs)):
        try:
            header = run_folder.read_run_header(folder / run_folder.NEWEST)
        except DiffuseError as error:
            terminal.warn(str(error))
            continue
        written = datetime.fromtimestamp((folder / run_folder.NEWEST).stat().st_mtime).isoformat(" ", "minutes")
        rows.append(
            {
                "name": folder.name,
                "dataset": header.config.dataset,
                "step": header.step,
                "steps": header.config.steps,
                "schedule": header.config.schedule,
                "prediction": _learned(header.config),
                "written": written,
            }
        )
    if as_json:
        terminal.print_json(rows)
    elif rows:
        terminal.print_table(([str(value) for value in row.values()] for row in rows), header=rows[0])
    else:
        terminal.note(f"There is no run in {outputs} yet; make one with: diffuse train --dataset moons")

"""diffuse info"""

import json
from pathlib import Path

import click

from diffuse_cli.cli import options, terminal

EPILOG = """\b
Examples:
  diffuse info
  diffuse info moons --json
  diffuse info moons/best.safetensors"""


# What a run's folder holds.
OWN = ("config.toml", "log.jsonl", "*.safetensors", "figures/*", "samples/*", "report.html")


@click.command(epilog=EPILOG)
@click.argument("run", metavar="[RUN]", required=False, shell_complete=options.complete_run)
@options.run_option
@options.as_json
@options.common
def info(run: str | None, run_name: str, outputs: Path, as_json: bool) -> None:
    """Show a run's settings, versions and history. RUN is a name, a path, a checkpoint file or latest."""
    import msgspec

    from diffuse_cli import config
    from diffuse_cli.models import checkpoint, run_folder

    folder, file = run_folder.folder_and_file(run_folder.find_run(outputs, run or run_name))
    header = checkpoint.read_header(file)
    settings = config.make(config.loads(header["config"]), str(file))
    log = run_folder.read_log(folder) if (folder / "log.jsonl").is_file() else []
    history = [record for record in log if "held_out" in record]
    document = {
        "run": str(folder),
        "checkpoint": file.name,
        "step": int(header["step"]),
        "seconds": float(header["seconds"]),
        "dim": int(header["dim"]),
        "settings": {key: value for key, value in msgspec.structs.asdict(settings).items() if value is not None},
        "versions": json.loads(header["versions"]),
        "history": history,
        "files": sorted(str(found.relative_to(folder)) for pattern in OWN for found in folder.glob(pattern)),
    }
    if as_json:
        terminal.print_json(document)
        return
    rows = [(key, str(document[key])) for key in ("run", "checkpoint", "step", "dim")]
    rows += [("trained for", f"{document['seconds']:.1f} s")]
    rows += [("versions", ", ".join(f"{name} {version}" for name, version in document["versions"].items()))]
    rows += [("files", "  ".join(document["files"]))]
    terminal.print_table(rows)
    terminal.print_table([(key, str(value)) for key, value in document["settings"].items()], title="settings")
    if history:
        shown = [(f"{r['step']:,}", f"{r['loss']:.4f}", f"{r['held_out']:.4f}", f"{r['seconds']:.1f}") for r in history]
        terminal.print_table(shown, header=("step", "loss", "held-out loss", "seconds"), title="history")

"""diffuse info"""

import click

from diffuse_cli.cli import options, terminal

_EPILOG = """\b
Examples:
  diffuse info
  diffuse info moons --json
  diffuse info moons/best.safetensors"""


# What a run's folder holds.
_FILES = ("config.toml", "log.jsonl", "*.safetensors", "figures/*", "samples/*", "report.html")


@click.command(epilog=_EPILOG)
@click.argument("name", metavar="[RUN]", required=False, shell_complete=options.complete_run)
@options.run_option
@options.as_json
@options.common
def info(name: str | None, run: options.RunOption, as_json: bool) -> None:
    """Show a run's settings, versions and history. RUN is a name, a path, a checkpoint file or latest."""
    import msgspec

    from diffuse_cli.models import run_folder

    folder, file = run_folder.folder_and_file((run._replace(name=name) if name else run).path())
    header = run_folder.read_run_header(file, whole=True)
    log = run_folder.read_log(folder) if (folder / "log.jsonl").is_file() else []
    history = [record for record in log if "held_out" in record]
    settings_now = {key: value for key, value in msgspec.structs.asdict(header.config).items() if value is not None}
    files = sorted(str(path.relative_to(folder)) for pattern in _FILES for path in folder.glob(pattern))
    document = {
        "run": str(folder),
        "checkpoint": file.name,
        "step": header.step,
        "seconds": header.seconds,
        "dim": header.dim,
        "settings": settings_now,
        "conditions": header.conditions and {"kind": header.conditions.kind, "names": list(header.conditions.names)},
        "versions": header.versions,
        "history": history,
        "files": files,
    }
    if as_json:
        terminal.print_json(document)
        return
    rows = [(key, str(document[key])) for key in ("run", "checkpoint", "step", "dim")]
    rows += [("trained for", f"{document['seconds']:.1f} s")]
    if header.conditions is not None:
        rows += [("told", f"{header.conditions.kind}: {', '.join(header.conditions.names)}")]
    rows += [("versions", ", ".join(f"{name} {version}" for name, version in header.versions.items()))]
    rows += [("files", "  ".join(files))]
    terminal.print_table(rows)
    terminal.print_table([(key, str(value)) for key, value in settings_now.items()], title="settings")
    if history:
        columns = {"step": "step", "loss": "loss", "held_out": "held-out loss", "true_loss": "true loss"}
        columns = {key: name for key, name in columns.items() if key in history[-1]} | {"seconds": "seconds"}
        digits = {"step": ",", "seconds": ".1f"}
        shown = [
            [f"{record[key]:{digits.get(key, '.4f')}}" if key in record else "" for key in columns]
            for record in history
        ]
        terminal.print_table(shown, header=columns.values(), title="history")

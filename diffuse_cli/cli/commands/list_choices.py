"""diffuse list"""

import inspect
import typing

import click

from diffuse_cli.catalog import CATALOG
from diffuse_cli.cli import options, terminal
from diffuse_cli.errors import unknown

_EPILOG = """\b
Examples:
  diffuse list
  diffuse list datasets
  diffuse list samplers --json"""

_PLURALS = {"loss": "losses", "levels": "levels", "guidance": "guidance", "family": "families"}


@click.command("list", epilog=_EPILOG)
@click.argument("kind", required=False)
@options.as_json
@options.common
def list_choices(kind: str | None, as_json: bool) -> None:
    """Show what there is to choose from, with the options of each and their defaults.

    KIND is datasets, schedules, scalings, predictions, losses, levels, samplers, grids, guidance, factors,
    posteriors, metrics or presets; all of them if left out. Factors are those of --times, posteriors the methods of
    solve.
    """
    kinds = {_PLURALS.get(name, f"{name}s"): name for name in [*CATALOG, "preset"]}
    if kind is not None:
        wanted = kind.lower()
        plural = next((plural for plural, name in kinds.items() if wanted in (plural, name)), None)
        if plural is None:
            raise unknown("kind", kind, kinds)
        kinds = {plural: kinds[plural]}
    tables = {plural: _presets() if name == "preset" else _entries(name) for plural, name in kinds.items()}
    if as_json:
        keys = ("name", "options", "summary")
        terminal.print_json(
            {plural: [dict(zip(keys, row, strict=True)) for row in rows] for plural, rows in tables.items()}
        )
        return
    for plural, rows in tables.items():
        terminal.print_table(rows, title=plural)


def _values(option: inspect.Parameter) -> str:
    """The default; of a few words to choose from all of them, the default first."""
    if option.default in (None, option.empty):
        return "…"
    others = typing.get_args(option.annotation) if typing.get_origin(option.annotation) is typing.Literal else ()
    return "|".join(map(str, dict.fromkeys((option.default, *others))))


def _entries(kind: str) -> list[tuple[str, str, str]]:
    """Name, options as they would be written, summary."""
    from diffuse_cli import catalog

    rows = []
    for name, entry in CATALOG[kind].items():
        known = catalog.options_of(catalog.factory(catalog.parse(kind, name)))
        shown = ",".join(f"{key}={_values(option)}" for key, option in known.items())
        rows.append((name, shown, entry.summary))
    return rows


def _presets() -> list[tuple[str, str, str]]:
    """Name, the setting it starts from, and the first comment line of the file."""
    from diffuse_cli import config

    rows = []
    for name, path in sorted(config.presets().items()):
        text = path.read_text(encoding="utf-8")
        rows.append((name, f"--config {name}", text.splitlines()[0].removeprefix("# ")))
    return rows

"""Filling the missing cells of a user's table: what `solve --impute` does."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffuse_cli import catalog
from diffuse_cli.cli import terminal
from diffuse_cli.errors import UsageError

if TYPE_CHECKING:
    from diffuse_cli.models.model import Model
    from diffuse_cli.models.solving import Way


def fill_table(
    model: "Model", text: str, way: "Way", out: Path | None, *, draws: int, seed: int, every: bool, as_json: bool
) -> None:
    """Read the table that `text` names, in the grammar of the dataset `file`, and write it filled.

    Raises UsageError and DiffuseError like `read_incomplete` and `impute`, and UsageError without `out`.
    """
    import numpy as np

    from diffuse_cli.datasets.files.incomplete import read_incomplete
    from diffuse_cli.datasets.files.options import ReadOptions
    from diffuse_cli.models.imputed_files import write_imputed
    from diffuse_cli.models.imputing import impute, outside
    from diffuse_cli.models.sample_files import STDOUT

    if out is None:
        raise UsageError("where does the filled table go? Give --out filled.csv")
    asked = catalog.convert_options(catalog.parse("dataset", f"file:{text}"))
    table = read_incomplete(ReadOptions(**asked, flag="--impute"), model.columns)
    if far := outside(model, table.points):
        terminal.warn(f"{far:,} rows have a cell outside of the range of the training points")
    missing = table.missing
    gaps, rows = int(missing.sum()), int(missing.any(axis=1).sum())
    terminal.note(f"Filling {gaps:,} cells of {rows:,} rows by {way.text}, {draws} draws each")
    filled = impute(model, table.points, way, draws=draws, seed=seed)
    write_imputed(out, table, filled, model.columns, model.standard.scale, every=every)
    spread = filled.std(axis=0, ddof=1)
    columns = [
        (name, int(missing[:, place].sum()), float(np.sqrt((spread[missing[:, place], place] ** 2).mean())))
        for place, name in enumerate(model.columns)
        if missing[:, place].any()
    ]
    if as_json:
        document = {"run": str(model.folder), "file": str(out), "rows": len(missing), "filled": gaps, "draws": draws}
        by_column = {name: {"filled": count, "std": std} for name, count, std in columns}
        terminal.print_json(document | {"method": way.text, "columns": by_column})
    elif out != STDOUT:
        terminal.print_table(
            [(name, f"{count:,}", f"{std:.4g}") for name, count, std in columns], header=("column", "filled", "std")
        )
        click.echo(str(out))

"""The file that an imputed table is written to: the table as it was, with its gaps filled."""

import csv
import io
import math
from pathlib import Path

import numpy as np
from jaxtyping import Float

from diffuse_cli.datasets.files.incomplete import Incomplete
from diffuse_cli.models.sample_files import write_bytes

_DIGITS = 4  # of a column's scale


def write_imputed(
    path: Path,
    table: Incomplete,
    draws: Float[np.ndarray, "k n d"],
    columns: tuple[str, ...],
    scale: Float[np.ndarray, " d"],
    *,
    every: bool = False,
) -> None:
    """Write the table with each gap filled by the mean of its draws, or once for each draw with `every`.

    .csv: the header and the cells of the file, in its order, as they are. With means there is a column NAME_std behind
    for each column with gaps, the standard deviation of the draws, empty where the cell was not missing. With `every`
    the table is repeated, behind a first column `draw`, 1, 2, …. .npy: the columns of the model, [n, d], or [k, n, d]
    with `every`. .npz: `mean`, `std` [n, d], `draws` [k, n, d], `missing` [n, d] and `columns` [d].

    Raises DiffuseError where the file cannot be written.
    """
    mean, std = draws.mean(axis=0), draws.std(axis=0, ddof=1)
    buffer = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(buffer, mean=mean, std=std, draws=draws, missing=table.missing, columns=np.array(columns))
    elif path.suffix == ".npy":
        np.save(buffer, draws if every else mean, allow_pickle=False)
    else:
        header = table.header or list(columns)
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        if every:
            lines.writerow(["draw", *header])
            for number, each in enumerate(draws, 1):
                lines.writerows([str(number), *row] for row in _filled(table, each, scale))
        else:
            spread = np.flatnonzero(table.missing.any(axis=0)).tolist()
            lines.writerow([*header, *(f"{columns[column]}_std" for column in spread)])
            for number, row in enumerate(_filled(table, mean, scale)):
                lines.writerow([*row, *(_spread(table, std, scale, number, column) for column in spread)])
        buffer.write(text.getvalue().encode())
    write_bytes(path, buffer.getvalue())


def _filled(table: Incomplete, points: Float[np.ndarray, "n d"], scale: np.ndarray) -> list[list[str]]:
    """The rows of text, with these numbers in the gaps."""
    if table.cells is None:
        rows = [[repr(float(value)) for value in row] for row in table.points]
    else:
        rows = [list(row) for row in table.cells]
    for row, column in np.argwhere(table.missing):
        rows[row][table.places[column]] = _text(points[row, column], scale[column])
    return rows


def _spread(table: Incomplete, std: np.ndarray, scale: np.ndarray, row: int, column: int) -> str:
    return _text(std[row, column], scale[column]) if table.missing[row, column] else ""


def _text(value: float, scale: float) -> str:
    return repr(round(float(value), _DIGITS - math.floor(math.log10(scale))))

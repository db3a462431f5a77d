"""Points from a user's file, a text table or a NumPy file."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from diffuse_cli.datasets.dataset import Dataset, standardise
from diffuse_cli.datasets.files.array_file import read_array
from diffuse_cli.datasets.files.table import Table, all_but
from diffuse_cli.datasets.files.text_file import Header, read_text
from diffuse_cli.errors import DiffuseError, UsageError

_TEXT, _ARRAY = (".csv", ".tsv", ".txt"), (".npy", ".npz")

_MOST_COLUMNS = 256
_LARGEST = 1e30  # beyond it squares, and then single precision, overflow


def file(*, path: str, columns: str | None = None, header: Header = "auto", key: str | None = None) -> Dataset:
    """The points in a file: .csv, .tsv or .txt (see `read_text`), .npy or .npz (see `read_array`).

    path: the file; ~ is the home folder. columns: the columns to read, in this order, as names or numbers from 1 joined
    by +, like x+y or 1+3. header: whether the first line of a text file is names, if that cannot be recognised. key:
    the array of an .npz file.

    `points` of the Dataset is [n, d], and `draw` picks rows of it at random, with replacement. The density is unknown,
    so `exact` is None. Each column has its own scale, since columns may have different units.

    Raises DiffuseError, with the place of the fault, if the file cannot be read or does not hold at least 2 points of 1
    to 256 finite, varying coordinates; UsageError for an option that has no meaning for the file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "points.csv")
    ...     _ = path.write_text("x,y\\n0,1\\n1,3\\n")
    ...     dataset = file(path=str(path))
    >>> dataset.standard.mean
    array([0.5, 2. ])
    """
    table = _read(path, columns, header, key)
    if len(table.points) == 1:
        raise DiffuseError(f"{table.source} holds one point only; at least two are needed, and hundreds to learn from.")
    points = table.points
    standard = standardise(points, per_column=True)
    _check_spread(table, standard.scale)

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return points[rng.integers(len(points), size=n)]

    return Dataset(draw, points.shape[1], standard, points=points, columns=table.column_names)


def read_points(
    *, path: str, columns: str | None = None, header: Header = "auto", key: str | None = None
) -> np.ndarray:
    """The points [n, d] in a file, float64. They are read as by `file`, but one point is enough and none need vary.

    Raises DiffuseError and UsageError like `file`.
    """
    return _read(path, columns, header, key).points


def _read(path: str, columns: str | None, header: Header, key: str | None) -> Table:
    """The file's table, its shape and values checked."""
    table = _open(path, columns, header, key)
    _check_shape(table)
    _check_values(table)
    return table


def _open(path: str, columns: str | None, header: Header, key: str | None) -> Table:
    try:
        place = Path(path).expanduser()
    except RuntimeError as error:  # ~name of a user that does not exist
        raise DiffuseError(f"cannot read {path}: {error}") from error
    try:
        if place.is_dir():
            raise DiffuseError(f"{path} is a folder; name a file in it{_examples(place)}.")
        if not place.exists():
            raise DiffuseError(_missing(place, path))
        suffix = place.suffix.lower()
        if suffix in _TEXT:
            if key is not None:
                raise UsageError(f"{path}: key={key} chooses an array of an .npz file, and this is a text file.")
            return read_text(place, path, header=header, columns=columns)
        if suffix in _ARRAY:
            if header != "auto":
                raise UsageError(f"{path}: header={header} is for text files; a NumPy file has no line of names.")
            return read_array(place, path, key=key, columns=columns)
    except OSError as error:
        raise DiffuseError(f"cannot read {path}: {error.strerror or error}.") from error
    what = f"files that end in {suffix}" if suffix else "files without an ending"
    raise DiffuseError(f"{path}: {what} cannot be read; known are {', '.join(_TEXT + _ARRAY)}.")


def _missing(place: Path, path: str) -> str:
    import difflib

    if not place.parent.is_dir():
        return f"there is no folder {str(place.parent)!r}, and so no file {path}."
    near = difflib.get_close_matches(place.name, os.listdir(place.parent), n=1)
    return f"there is no file {path}" + (f"; did you mean {str(place.with_name(near[0]))!r}?" if near else ".")


def _examples(folder: Path) -> str:
    names = sorted(name for name in os.listdir(folder) if Path(name).suffix.lower() in _TEXT + _ARRAY)
    return f", like {folder / names[0]}" if names else f" that ends in {', '.join(_TEXT + _ARRAY)}"


def _check_shape(table: Table) -> None:
    rows, columns = table.points.shape
    if rows == 0 or columns == 0:
        raise DiffuseError(f"{table.source} holds no points: {rows} rows, {columns} columns.")
    if columns > _MOST_COLUMNS:
        advice = "transpose it if each column is a point" if rows <= _MOST_COLUMNS else "choose some with columns=1+2+…"
        raise DiffuseError(
            f"{table.source} has {columns} columns, and at most {_MOST_COLUMNS} can be learnt; {advice}."
        )


def _check_values(table: Table) -> None:
    def refuse(wrong: np.ndarray, why: Callable[[float], str]) -> None:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            others = f" ({wrong.sum()} such cells)" if wrong.sum() > 1 else ""
            raise DiffuseError(f"{table.cell(row, column)}: {why(table.points[row, column])}{others}.")

    refuse(
        ~np.isfinite(table.points), lambda value: f"{value:g} is not a finite number; fill the gap or remove the row"
    )
    refuse(np.abs(table.points) > _LARGEST, lambda value: f"{value:g} is too large; the limit is ±{_LARGEST:g}")


def _check_spread(table: Table, scale: np.ndarray) -> None:
    """Refuse columns that do not vary, or so little that their variance is lost in underflow."""
    flat = np.flatnonzero((np.ptp(table.points, axis=0) == 0) | (scale < 1 / _LARGEST))
    if not len(flat):
        return
    listed = ", ".join(table.column(column) for column in flat[:8]) + (", …" if len(flat) > 8 else "")
    advice = ""
    if len(flat) < len(scale):
        varying = set(range(len(scale))) - set(flat.tolist())
        kept_columns = [table.columns[column] for column in varying]
        choice = all_but([index for index in range(table.width) if index not in kept_columns], table.width)
        advice = f"; leave {'it' if len(flat) == 1 else 'them'} out" + (f" with {choice}" if choice else "")
    raise DiffuseError(f"{table.source}: {listed} {'does' if len(flat) == 1 else 'do'} not vary{advice}.")

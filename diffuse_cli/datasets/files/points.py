"""Points from a user's file: a text table, a NumPy file, an Excel sheet or a Parquet file."""

import logging

import numpy as np

from diffuse_cli.catalog import POINT_FILES
from diffuse_cli.datasets.dataset import Classes, Dataset, Standardiser, standardise
from diffuse_cli.datasets.files.array_file import read_array
from diffuse_cli.datasets.files.checks import check_spread, check_values, with_findings
from diffuse_cli.datasets.files.columns import pick
from diffuse_cli.datasets.files.layout import Layout, arrange
from diffuse_cli.datasets.files.options import Decimal, ReadOptions, Switch
from diffuse_cli.datasets.files.place import existing_file
from diffuse_cli.datasets.files.sheets import read_excel, read_parquet
from diffuse_cli.datasets.files.table import Table, check_shape
from diffuse_cli.datasets.files.text_file import read_text
from diffuse_cli.datasets.files.values import table_of, without_missing
from diffuse_cli.datasets.given import Given
from diffuse_cli.errors import DiffuseError

ARRAYS = (".npy", ".npz")
_SHEET = {".xlsx": read_excel, ".xlsm": read_excel, ".parquet": read_parquet, ".pq": read_parquet}

_log = logging.getLogger(__name__)


def file(
    *,
    path: str,
    columns: str | None = None,
    delimiter: str | None = None,
    decimal: Decimal = "auto",
    missing: str | None = None,
    header: Switch = "auto",
    index: Switch = "auto",
    label: str | None = None,
    given: str | None = None,
    key: str | None = None,
) -> Dataset:
    """The points in a file: .csv, .tsv, .txt or .dat, .npy or .npz, .xlsx or .parquet. See docs/files.md.

    path: the file; ~ is the home folder. columns: the columns to read, in this order, as names or numbers from 1 joined
    by +, like x+y or 1+3. delimiter: what stands between cells: comma, semicolon, tab, space or pipe. decimal: the mark
    before decimals, point or comma. missing: drop leaves out rows with a missing cell; another value is left out too.
    header: whether the first row is names. index: whether the first column, if it only numbers the rows, is read.
    label: a column of labels, which is no coordinate. given: columns of numbers that are no coordinates either, but
    given with them, written like `columns`. key: the array of an .npz file, or the sheet of an .xlsx file. What is left
    out is recognised where that is certain, and otherwise asked for.

    `points` of the Dataset is [n, d], and `draw` picks rows of it at random, with replacement. The density is unknown,
    so `exact` is None. Each column has its own scale, since columns may have different units. `origin` says what was
    read; it is logged too, and so is what a user should look at.

    Raises DiffuseError, with the place of the fault, if the file cannot be read or does not hold at least 2 points of 1
    to 256 finite, varying coordinates; UsageError for an option that has no meaning for the file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "points.csv")
    ...     _ = path.write_text("x;y\\n0,5;1\\n1,5;3\\n")
    ...     dataset = file(path=str(path))
    >>> dataset.standard.mean
    array([1., 2.])
    """
    options = ReadOptions(path, columns, delimiter, decimal, missing, header, index, label, given, key)
    table = _read(options)
    if len(table.points) == 1:
        raise DiffuseError(f"{table.source} holds one point only; at least two are needed, and hundreds to learn from.")
    standard = standardise(table.points, per_column=True)
    check_spread(table, standard.scale, options)
    table = with_findings(table, standard)
    tell(table)
    dim, names = table.coordinates, table.column_names
    points = table.points[:, :dim]

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return points[rng.integers(len(points), size=n)]

    return Dataset(
        draw,
        dim,
        Standardiser(standard.mean[:dim], standard.scale[:dim]),
        points=points,
        columns=names and names[:dim],
        origin=table.origin,
        labels=table.labels,
        classes=_classes(table),
        given=_given(table, standard) if table.given else None,
    )


def _classes(table: Table) -> Classes | None:
    """The labels of a table as classes, whose laws are unknown."""
    if table.labels is None or table.label_names is None:
        return None

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        rows = rng.integers(len(table.points), size=n)
        return table.points[rows], table.labels[rows]

    shares = np.bincount(table.labels, minlength=len(table.label_names)) / len(table.labels)
    return Classes(shares, draw, None, table.label_names)


def _given(table: Table, standard: Standardiser) -> Given:
    """The given columns of a table. They are named like in the file, or by their numbers there."""
    dim, names = table.coordinates, table.column_names
    points, rows = table.points[:, :dim], table.points[:, dim:]

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = rng.integers(len(points), size=n)
        return points[chosen], rows[chosen]

    return Given(
        names[dim:] if names else tuple(str(place + 1) for place in table.columns[dim:]),
        draw,
        Standardiser(standard.mean[dim:], standard.scale[dim:]),
        rows=rows,
    )


def read_points(options: ReadOptions) -> tuple[np.ndarray, np.ndarray]:
    """The points [n, d] in a file and what is `given` with them [n, c], float64.

    They are read as by `file`, but one point is enough and none need vary. `options.flag` is that on whose value they
    stand, which errors name.

    Raises DiffuseError and UsageError like `file`.
    """
    table = _read(options)
    tell(table)
    return table.points[:, : table.coordinates], table.points[:, table.coordinates :]


def tell(table: Table) -> None:
    """Log what was read, and what a user should look at."""
    _log.info(table.origin)
    for warning in table.warnings:
        _log.warning(warning)


def _read(options: ReadOptions) -> Table:
    """The file's table, its shape and values checked."""
    try:
        table = _open(options)
    except OSError as error:
        raise DiffuseError(f"cannot read {options.path}: {error.strerror or error}.") from error
    table = without_missing(table, options)
    check_values(table, options)
    return table


def _open(options: ReadOptions) -> Table:
    path = options.path
    place = existing_file(path, POINT_FILES)
    if place.suffix.lower() in ARRAYS:
        options.refuse("text files; a NumPy file has numbers only, without names",
                       "delimiter", "decimal", "header", "index", "label")  # fmt: skip
        return read_array(place, path, options)
    layout = read_layout(options)
    if options.columns is None:
        check_shape(len(layout.rows), layout.width, layout.source)
    return table_of(layout, pick(layout, options), options)


def read_layout(options: ReadOptions) -> Layout:
    """The cells of a text table, an Excel sheet or a Parquet file. Raises DiffuseError and UsageError like `file`."""
    path = options.path
    place = existing_file(path, POINT_FILES)
    suffix = place.suffix.lower()
    if suffix not in (*POINT_FILES, *_SHEET):
        what = f"files that end in {suffix}" if suffix else "files without an ending"
        raise DiffuseError(f"{path}: {what} cannot be read; known are {', '.join(POINT_FILES)}.")
    if suffix in _SHEET:
        options.refuse("text files", "delimiter")
        return arrange(_SHEET[suffix](place, options), options)
    options.refuse(".npz and .xlsx files, and this is a text file", "key")
    return arrange(read_text(place, options), options)

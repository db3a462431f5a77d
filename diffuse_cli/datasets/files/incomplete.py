"""A table with missing cells, which are to be filled: all of its cells as they are, and the numbers of some columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffuse_cli.datasets.files.array_file import read_array
from diffuse_cli.datasets.files.checks import check_values
from diffuse_cli.datasets.files.columns import Chosen
from diffuse_cli.datasets.files.layout import Layout
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.datasets.files.points import ARRAYS, read_layout, tell
from diffuse_cli.datasets.files.table import Table, listed
from diffuse_cli.datasets.files.values import table_of, with_marker
from diffuse_cli.errors import DiffuseError, UsageError, unknown


class Incomplete(NamedTuple):
    """A table whose cells may be missing.

    points: [n, d], the columns of a model in its order, nan where a cell is missing. header: the names of all columns
    of the file, as it has them; None where it has none. cells: its rows of text; None of an array. places: the column
    of the file in which each column of the model stands.
    """

    points: np.ndarray
    header: list[str] | None
    cells: list[list[str]] | None
    places: list[int]

    @property
    def missing(self) -> np.ndarray:
        """Where a cell is missing [n, d]."""
        return np.isnan(self.points)


def read_incomplete(options: ReadOptions, columns: Sequence[str]) -> Incomplete:
    """The table in a file, in which cells of these columns may be missing; other columns are kept as they are.

    Columns are found by name where the file has names, else they have to be as many and in this order. missing= names
    one more value that is missing; what programs usually write for it, like NA or an empty cell, is known.

    Raises DiffuseError for a file that cannot be read, or a cell that is no number; UsageError for a column that the
    file lacks.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "gaps.csv")
    ...     _ = path.write_text("day,y,x\\nmon,,1\\ntue,2,NA\\n")
    ...     table = read_incomplete(ReadOptions(str(path), flag="--impute"), ("x", "y"))
    >>> table.points.tolist(), table.places
    ([[1.0, nan], [nan, 2.0]], [2, 1])
    """
    options.refuse("files of points", "label", "given", "columns", "index")
    if options.missing == "drop":
        raise UsageError(f"{options.path}: missing=drop leaves out the rows that are to be filled; leave it out")
    suffix = Path(options.path).suffix.lower()
    layout = None
    if suffix in ARRAYS:
        table = read_array(Path(options.path).expanduser(), options.path, options)
        _check_width(table.width, columns, table.source)
    else:
        layout = read_layout(options)
        table = table_of(layout, Chosen(_places(layout, columns), None), options)
    table = with_marker(table, options)
    gaps = np.isnan(table.points)
    check_values(table._replace(points=np.where(gaps, 0.0, table.points)), options)
    _check_gaps(table, gaps)
    tell(table)
    if layout is None:
        return Incomplete(table.points, None, None, table.columns)
    return Incomplete(table.points, layout.names, layout.rows, table.columns)


def _places(layout: Layout, columns: Sequence[str]) -> list[int]:
    if layout.names is None:
        _check_width(layout.width, columns, layout.source)
        return list(range(layout.width))
    for name in columns:
        if name not in layout.names:
            raise unknown(f"column of {layout.source}", name, layout.names)
        if layout.names.count(name) > 1:
            raise UsageError(f"{layout.source} has two columns {name}; rename one of them")
    return [layout.names.index(name) for name in columns]


def _check_width(width: int, columns: Sequence[str], source: str) -> None:
    if width != len(columns):
        raise UsageError(
            f"{source} has no names and {width} column{'s' * (width != 1)}; the model has {len(columns)}: "
            f"{listed(list(columns))}"
        )


def _check_gaps(table: Table, gaps: np.ndarray) -> None:
    if not gaps.any():
        raise DiffuseError(f"{table.source}: no cell is missing, so there is nothing to fill")

"""A table of numbers read from a file, with the line numbers and column names that error messages refer to."""

from typing import NamedTuple

import numpy as np

from diffuse_cli.errors import UsageError


class Table(NamedTuple):
    """Points [n, d], float64, and their places in the file.

    source: the file as the user wrote it, with the array's name where it holds several.
    columns: for each of the d columns, its place in the file (from 0). width: how many columns the file has.
    names: the names of the file's columns, if it has them.
    row: the word for a row in messages. lines: the number of each row; None if they are numbered from 1.
    """

    points: np.ndarray
    source: str
    columns: list[int]
    width: int
    names: list[str] | None = None
    row: str = "row"
    lines: list[int] | None = None

    @property
    def column_names(self) -> tuple[str, ...] | None:
        """The names of the columns of `points`, if the file has a different one for each."""
        chosen = [] if self.names is None else [self.names[index] for index in self.columns]
        return tuple(chosen) if all(chosen) and len(set(chosen)) == len(self.columns) else None

    def cell(self, row: int, column: int) -> str:
        """`points.csv, line 7, column 2 (y)`, for a place in `points`."""
        number = row + 1 if self.lines is None else self.lines[row]
        return f"{self.source}, {self.row} {number}, {self.column(column)}"

    def column(self, column: int) -> str:
        """`column 2 (y)`, for a column of `points`."""
        return describe_column(self.columns[column], self.names)


def describe_column(index: int, names: list[str] | None) -> str:
    """`column 2 (y)` for index 1: columns are counted from 1 in messages."""
    name = names[index] if names is not None and index < len(names) else ""
    return f"column {index + 1} ({name})" if name else f"column {index + 1}"


def all_but(leave_out: list[int], width: int) -> str:
    """The option that chooses all columns not in `leave_out`, `columns=1+2+4`; empty for none or more than 16."""
    rest = [str(index + 1) for index in range(width) if index not in leave_out]
    return f"columns={'+'.join(rest)}" if 0 < len(rest) <= 16 else ""


def choose_columns(wanted: str | None, names: list[str] | None, width: int, source: str) -> list[int]:
    """The places (from 0) of the columns that `wanted` asks for: names or numbers from 1, joined by `+`; None is all.

    Raises UsageError for a column that does not exist, is given twice, or shares its name with another column.
    """
    if wanted is None:
        return list(range(width))
    names = names or []
    chosen = []
    for part in [wanted] if wanted in names else wanted.split("+"):  # a name may itself hold a plus
        part = part.strip()
        if names.count(part) > 1:
            raise UsageError(
                f"{source}: {names.count(part)} columns are named {part!r}; choose by number, from 1 to {width}."
            )
        if part in names:
            index = names.index(part)
        elif part.isdecimal() and 1 <= int(part) <= width:
            index = int(part) - 1
        else:
            raise UsageError(f"{source} has no column {part!r}. {_known(part, names, width)}")
        if index in chosen:
            raise UsageError(f"{source}: columns={wanted} asks for {describe_column(index, names)} twice.")
        chosen.append(index)
    return chosen


def _known(part: str, names: list[str], width: int) -> str:
    import difflib

    near = difflib.get_close_matches(part, names, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(repr(name) for name in names[:16]) + (", …" if len(names) > 16 else "")
    return f"{hint}Its columns: {listed + '; or ' if names else ''}numbers from 1 to {width}, joined by +."

"""A table of numbers read from a file, with the line numbers and column names that messages refer to."""

import difflib
from typing import NamedTuple

import numpy as np

from diffuse_cli.errors import DiffuseError, UsageError

MOST_COLUMNS = 256
MOST_NUMBERS = 1 << 25  # 256 MiB in double precision


class Table(NamedTuple):
    """Points [n, d], float64, and their places in the file. The last `given` columns are no coordinates, but given.

    source: the file as the user wrote it, with the array's name where it holds several.
    columns: for each of the d columns, its place in the file (from 0). width: how many columns the file has.
    names: the names of the file's columns, if it has them.
    row: the word for a row in messages. lines: the number of each row; None if they are numbered from 1.
    labels: [n], the label of each row, 0, 1, …; label_names: the text of each label. None without `label=`.
    notes: what was left out or decided on the way, in words. warnings: what the user should look at, in sentences.
    epsilon: the relative distance of neighbouring numbers in the file's own precision; 0 for text and integers.
    """

    points: np.ndarray
    source: str
    columns: list[int]
    width: int
    names: list[str] | None = None
    row: str = "row"
    lines: list[int] | None = None
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    epsilon: float = 0.0
    given: int = 0

    @property
    def coordinates(self) -> int:
        """How many of the columns are coordinates."""
        return len(self.columns) - self.given

    @property
    def column_names(self) -> tuple[str, ...] | None:
        """A different name for each column of `points`: those of the file, with a number where it has none or one
        twice, like `weight.1`; None if the file has no names."""
        if self.names is None:
            return None
        unique: list[str] = []
        for index in self.columns:
            name = self.names[index] or f"column {index + 1}"
            fresh = (f"{name}.{number}" if number else name for number in range(len(self.columns) + 1))
            unique.append(next(each for each in fresh if each not in unique))
        return tuple(unique)

    @property
    def origin(self) -> str:
        """`points.csv: 800 rows × 2 columns: height, weight (index column left out)`."""
        rows, columns = len(self.points), self.coordinates
        words = f"{self.source}: {rows:,} row{'s' * (rows != 1)} × {columns} column{'s' * (columns != 1)}"
        if names := self.column_names:
            words += f": {', '.join(names[:columns][:12])}{', …' * (columns > 12)}"
        return words + (f" ({'; '.join(self.notes)})" if self.notes else "")

    def line(self, row: int) -> int:
        """The number of a row of `points` in the file."""
        return row + 1 if self.lines is None else self.lines[row]

    def cell(self, row: int, column: int) -> str:
        """`points.csv, line 7, column 2 (y)`, for a place in `points`."""
        return f"{self.source}, {self.row} {self.line(row)}, {self.column(column)}"

    def column(self, column: int) -> str:
        """`column 2 (y)`, for a column of `points`."""
        return describe_column(self.columns[column], self.names)

    def keep(self, rows: np.ndarray) -> "Table":
        """The same with only these rows, a mask [n]."""
        lines = [self.line(row) for row in np.flatnonzero(rows)]
        labels = None if self.labels is None else self.labels[rows]
        return self._replace(points=self.points[rows], lines=lines, labels=labels)


def describe_column(index: int, names: list[str] | None) -> str:
    """`column 2 (y)` for index 1: columns are counted from 1 in messages."""
    name = names[index] if names is not None and index < len(names) else ""
    return f"column {index + 1} ({name})" if name else f"column {index + 1}"


def listed(words: list[str], most: int = 8) -> str:
    """The words with commas between them; no more than `most` of them."""
    return ", ".join(words[:most]) + (", …" if len(words) > most else "")


def spelled(chosen: list[int], names: list[str] | None) -> str:
    """What `columns=`, `label=` or `given=` has to be for these: their names, or numbers where a name would not do."""

    def plain(name: str) -> bool:
        return bool(name) and not set(name) & set('+,"') and not name.isdecimal() and names.count(name) == 1

    if names is not None and all(plain(names[index]) for index in chosen):
        return "+".join(names[index] for index in chosen)
    return "+".join(str(index + 1) for index in chosen)


def check_shape(rows: int, columns: int, source: str) -> None:
    """Raises DiffuseError for a table without points or with more columns than can be learnt."""
    if rows == 0 or columns == 0:
        raise DiffuseError(f"{source} holds no points: {rows:,} rows, {columns:,} columns.")
    if columns > MOST_COLUMNS:
        advice = "transpose it if each column is a point" if rows <= MOST_COLUMNS else "choose some with columns=1+2+…"
        raise DiffuseError(f"{source} has {columns:,} columns, and at most {MOST_COLUMNS} can be learnt; {advice}.")


def choose_columns(
    wanted: str | None, names: list[str] | None, width: int, source: str, *, option: str = "columns"
) -> list[int]:
    """The places (from 0) of the columns that `wanted` asks for: names or numbers from 1, joined by `+`; None is all.

    Raises UsageError for a column that does not exist, is given twice, or shares its name with another column.
    """
    if wanted is None:
        return list(range(width))
    names = names or []
    chosen: list[int] = []
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
            raise UsageError(f"{source}: {option}={wanted} asks for {describe_column(index, names)} twice.")
        chosen.append(index)
    return chosen


def _known(part: str, names: list[str], width: int) -> str:
    near = difflib.get_close_matches(part, names, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    known = f"{listed([repr(name) for name in names], 16)}; or " if names else ""
    return f"{hint}Its columns: {known}numbers from 1 to {width}, joined by +."

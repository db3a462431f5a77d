"""Tables of numbers in text files: comma, semicolon, tab or spaces between cells, with or without a line of names."""

import csv
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from diffuse_cli.datasets.files.table import Table, all_but, choose_columns, describe_column
from diffuse_cli.errors import DiffuseError, UsageError

Header = Literal["auto", "yes", "no"]

_QUOTED = re.compile(r'"[^"]*"')
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


def read_text(path: Path, source: str, *, header: Header, columns: str | None) -> Table:
    """Read a text file of numbers; blank lines and lines that begin with # are skipped.

    The delimiter is a tab in a .tsv file, and otherwise the first of tab, semicolon, comma and spaces that occurs.
    The first line is taken as names if no chosen cell of it is a number; `header` overrides that. `columns` is as in
    `choose_columns`. The points may still hold nan and infinity.

    Raises DiffuseError naming line and column for text that is not a number and for rows of unequal length; UsageError
    where `columns` asks for what is not there.
    """
    numbered = _lines(path, source)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter([text for _, text in numbered[:2]])
    rows = _cells(numbered, delimiter, source)
    first_line, first = next(rows)
    names = [cell.strip() for cell in first] if _has_names(first, header, columns) else None
    if names is None and columns is not None and not _only_numbers(columns):
        reason = "header=no says it has none" if header == "no" else f"line {first_line} holds numbers"
        raise UsageError(f"{source}: columns={columns} needs a line of names, but {reason}; choose by number.")
    chosen = choose_columns(columns, names, len(first), source)

    if names is None:
        rows = chain([(first_line, first)], rows)
    values, lines = [], []
    for line, cells in rows:
        if len(cells) != len(first):
            raise DiffuseError(f"{source}, line {line}: {_count(len(cells))} where line {first_line} has {len(first)}.")
        try:
            values.append([_number(cells[index]) for index in chosen])
            lines.append(line)
        except ValueError:
            bad = next(index for index in chosen if not _is_number(cells[index]))
            where = f"{source}, line {line}, {describe_column(bad, names)}"
            advice = _advice(cells, bad, delimiter, header, at_first=not values, named=names is not None)
            raise DiffuseError(f"{where}: {_fault(cells[bad])}{advice}.") from None
    if not values:
        raise DiffuseError(f"{source} has a line of names (line {first_line}) and no rows below it.")
    return Table(np.array(values), source, chosen, len(first), names, "line", lines)


def _lines(path: Path, source: str) -> list[tuple[int, str]]:
    """The lines that are neither blank nor comments, each with its number in the file."""
    content = path.read_bytes()
    if not content.strip():
        raise DiffuseError(f"{source} is empty.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DiffuseError(f"{source}, line {line}: this is not UTF-8 text; save the table as CSV in UTF-8.") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    rows = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    if not rows:
        raise DiffuseError(f"{source} holds no rows of numbers.")
    return rows


def _delimiter(lines: list[str]) -> str:
    """The character between cells, from the last of `lines`: the second line of a file is never names."""
    line = _QUOTED.sub("", lines[-1]).strip()
    delimiter = next((mark for mark in "\t;," if mark in line), None)
    return delimiter or (" " if re.search(r"\s", line) else ",")


def _cells(numbered: list[tuple[int, str]], delimiter: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row, with the number of the line on which the row ends."""
    texts = (text.strip() if delimiter == " " else text for _, text in numbered)
    reader = csv.reader(texts, delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            yield numbered[reader.line_num - 1][0], cells
    except csv.Error as error:
        line = numbered[reader.line_num - 1][0]
        raise DiffuseError(f"{source}, line {line}: this is not a table of numbers ({error}).") from error


def _has_names(first: list[str], header: Header, columns: str | None) -> bool:
    """Whether the first row is names: by `header`, or with "auto" by its cells."""
    if header != "auto":
        return header == "yes"
    if columns is not None and not _only_numbers(columns):
        return not all(_is_number(cell) for cell in first)
    picked = {int(part) - 1 for part in columns.split("+")} if columns is not None else range(len(first))
    cells = [cell for index, cell in enumerate(first) if index in picked]
    return any(cell.strip() for cell in cells) and not any(_is_number(cell) for cell in cells)


def _only_numbers(columns: str) -> bool:
    return all(part.strip().isdecimal() for part in columns.split("+"))


def _number(cell: str) -> float:
    if "_" in cell:  # float() accepts 1_000, which is no number in a table
        raise ValueError
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def _count(cells: int) -> str:
    return f"{cells} cell{'' if cells == 1 else 's'}"


def _fault(cell: str) -> str:
    cell = cell.strip()
    if not cell:
        return "the cell is empty"
    return f"{cell if len(cell) <= 40 else cell[:39] + '…'!r} is not a number"


def _advice(cells: list[str], bad: int, delimiter: str, header: Header, *, at_first: bool, named: bool) -> str:
    """What the user can do about a wrong cell; empty if unknown."""
    if _DECIMAL_COMMA.fullmatch(cells[bad].strip()) and delimiter != ",":
        return "; write decimals with a point"
    if not at_first:
        return ""
    others = all_but([index for index, cell in enumerate(cells) if not _is_number(cell)], len(cells))
    ways = [f"to leave such columns out, choose the others with {others}"] if others else []
    if header == "auto" and not named:
        ways.append("if this line is the names of the columns, say header=yes")
    return "".join(f"; {way}" for way in ways)

"""The numbers in chosen columns of cells, and rows with missing ones."""

import numpy as np

from diffuse_cli.datasets.files.columns import Chosen
from diffuse_cli.datasets.files.layout import Layout
from diffuse_cli.datasets.files.numbers import Mark, evidence, fault, is_missing, is_number, number, plain_numbers
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.datasets.files.table import Table, describe_column, spelled
from diffuse_cli.errors import DiffuseError

_SENTINELS = (-9999.0, -999.0, -99.0, -99999.0, 9999.0, 99999.0, -32768.0)


def table_of(layout: Layout, chosen: Chosen, options: ReadOptions) -> Table:
    """The Table of these columns. Missing cells are nan, and their rows are still there.

    Raises DiffuseError, with line and column, for a cell that is not a number or can be read as two.
    """
    decimal = _decimal(layout, chosen, options)
    marker = _marker(options)
    columns = []
    for index in chosen.numbers:
        cells = layout.column(index)
        values = (plain_numbers(cells) if decimal == "point" else None) or [number(cell, decimal) for cell in cells]
        if None in values and marker is not None:
            values = [np.nan if cell == marker else value for cell, value in zip(cells, values, strict=True)]
        columns.append(values)
    _refuse_other_text(layout, chosen, options, columns, decimal)
    points = np.array(columns, dtype=np.float64).T
    labels = label_names = None
    if chosen.label is not None:
        labels, label_names = _labels(layout.column(chosen.label), options)
    if decimal == "comma" and options.decimal == "auto":
        layout.notes.append("decimal commas")
    return Table(
        points, layout.source, chosen.numbers, layout.width, layout.names, layout.row, layout.lines, labels,
        label_names, tuple(layout.notes), tuple(layout.warnings), given=chosen.given,
    )  # fmt: skip


def _marker(options: ReadOptions) -> str | None:
    return options.missing if options.missing not in (None, "drop") else None


def _decimal(layout: Layout, chosen: Chosen, options: ReadOptions) -> Mark:
    """The decimal mark of the file. Raises DiffuseError where its numbers do not tell."""
    if options.decimal != "auto":
        return options.decimal
    found = evidence(cell for index in chosen.numbers for cell in layout.column(index))
    if found.mark is not None:
        return found.mark
    # A comma in the cells, or semicolons between them, come from programs that write decimals with a comma
    either = found.either_comma or (found.either_point if layout.delimiter == "semicolon" else None)
    if either is None:
        return "point"
    ways = [f"{number(either, mark):,.12g} ({options.flag_with(decimal=mark)})" for mark in ("point", "comma")]
    raise DiffuseError(f"{layout.source}: {either} can be read as {ways[0]} or as {ways[1]}; choose one of these flags")


def _refuse_other_text(
    layout: Layout, chosen: Chosen, options: ReadOptions, columns: list[list[float | None]], decimal: Mark
) -> None:
    """Raises DiffuseError for the first cell that is not a number."""
    bad = [(column.index(None), place) for place, column in enumerate(columns) if None in column]
    if not bad:
        return
    row, place = min(bad)
    index = chosen.numbers[place]
    cell = layout.rows[row][index]
    why = fault(cell)
    if is_number(cell):
        why = f"{cell!r} is not a number with a decimal {decimal}, as others in the file"
    advice = ""
    coordinates = range(len(columns) - chosen.given)
    others = [chosen.numbers[place] for place in coordinates if None not in columns[place]]
    if is_number(cell):
        advice = "; save the table with one decimal mark"
    elif row == 0 and options.header == "auto" and layout.names is None and layout.row == "line":
        advice = f"; if this line is the names of the columns: {options.flag_with(header='yes')}"
    elif _is_one_word(cell, layout, chosen, columns) and options.missing in (None, "drop"):
        advice = f"; to leave out such rows: {options.flag_with(missing=cell)}"
    elif row == len(layout.rows) - 1 and len(layout.rows) > 2:
        advice = "; if it is a sum or a remark below the table, remove the line"
    elif others and place in coordinates and sum(value is None for value in columns[place]) > 1:
        advice = f"; to leave such columns out: {options.flag_with(columns=spelled(others, layout.names))}"
    where = f"{layout.source}, {layout.row} {layout.lines[row]}, {describe_column(index, layout.names)}"
    raise DiffuseError(f"{where}: {why}{advice}")


def _is_one_word(cell: str, layout: Layout, chosen: Chosen, columns: list[list[float | None]]) -> bool:
    """Whether a cell without digits is the only text among the numbers, a word for a missing value or a last row."""
    bad = {
        layout.rows[row][index]
        for index, column in zip(chosen.numbers, columns, strict=True)
        for row, value in enumerate(column)
        if value is None
    }
    return bad == {cell} and not any(character.isdigit() for character in cell)


def _labels(cells: list[str], options: ReadOptions) -> tuple[np.ndarray, tuple[str, ...]]:
    """The label of each row, −1 where it is missing, and the text of each label in the order of the alphabet."""
    marker = _marker(options)
    names = sorted({cell for cell in cells if not is_missing(cell, marker)}, key=_by_number)
    place = {name: label for label, name in enumerate(names)}
    return np.array([place.get(cell, -1) for cell in cells]), tuple(names)


def _by_number(name: str) -> tuple[bool, float, str]:
    value = number(name)
    return (value is None, 0.0 if value is None else value, name)


def with_marker(table: Table, options: ReadOptions) -> Table:
    """The table with nan in place of the number that `missing=` says is none."""
    marker = _marker(options)
    value = None if marker is None else number(marker)
    return table if value is None else table._replace(points=np.where(table.points == value, np.nan, table.points))


def without_missing(table: Table, options: ReadOptions) -> Table:
    """The table without the rows that lack a value; `missing=` says that they may be left out.

    Raises DiffuseError if there are some and it is not given, or none is left.
    """
    table = with_marker(table, options)
    points = table.points
    lacking = np.isnan(points)
    unlabelled = np.zeros(len(points), bool) if table.labels is None else table.labels < 0
    rows = lacking.any(axis=1) | unlabelled
    if not rows.any():
        return _warn_of_sentinels(table, options)
    if options.missing is None:
        row = int(np.flatnonzero(rows)[0])
        place = table.column(int(np.argmax(lacking[row]))) if lacking[row].any() else "the label"
        count = f"1 of {len(points):,} rows has a missing cell" if rows.sum() == 1 else (
            f"{rows.sum():,} of {len(points):,} rows have missing cells"
        )  # fmt: skip
        least = 2 if options.flag == "--dataset" else 1
        way = (
            f"; to leave {'it' if rows.sum() == 1 else 'them'} out: {options.flag_with(missing='drop')}"
            if (~rows).sum() >= least
            else ""
        )
        raise DiffuseError(f"{table.source}: {count} (first {table.row} {table.line(row)}, {place}){way}")
    if rows.all():
        raise DiffuseError(f"{table.source}: every row has a missing cell, so none is left.")
    note = f"{rows.sum():,} row{'s' * int(rows.sum() != 1)} with missing cells dropped"
    return _warn_of_sentinels(table.keep(~rows)._replace(notes=(*table.notes, note)), options)


def _warn_of_sentinels(table: Table, options: ReadOptions) -> Table:
    """A warning where a column has −9999 or the like several times, far from all other values."""
    if _marker(options) is not None:
        return table
    for column, values in enumerate(table.points.T):
        for value in _SENTINELS:
            others = values[values != value]
            count = len(values) - len(others)
            if count < 2 or len(others) < 2:
                continue
            if np.abs(others - value).min() > max(np.ptp(others), 10.0):
                warning = (
                    f"{table.source}: {table.column(column)} is {value:g} in {count:,} rows, far from all others; if "
                    f"that means a missing value: {options.flag_with(missing=f'{value:g}')}"
                )
                table = table._replace(warnings=(*table.warnings, warning))
    return table

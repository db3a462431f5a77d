"""From the rows of a file to a rectangle of cells below a line of names."""

from typing import NamedTuple

from diffuse_cli.datasets.files.dialect import Rows, usual_width
from diffuse_cli.datasets.files.numbers import is_missing, is_number
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.datasets.files.table import listed
from diffuse_cli.errors import DiffuseError, UsageError

_MOST_TITLES = 20  # lines above a table


class Sheet(NamedTuple):
    """Rows of text as a file has them, each with its number, and what the file tells of their meaning.

    row: the word for a row in messages. delimiter: the word for the character between cells, in text files.
    names: the names of the columns, where the format has a place for them. quoted: whether all of the first row is in
        quotes, and any of the second. comment: the cells of a comment directly before the first row, and its number.
    """

    source: str
    rows: Rows
    row: str = "row"
    notes: tuple[str, ...] = ()
    delimiter: str | None = None
    names: list[str] | None = None
    quoted: tuple[bool, bool] = (False, False)
    comment: tuple[int, list[str]] | None = None


class Layout(NamedTuple):
    """A rectangle of cells: rows [n][width] with their numbers in the file, and the names of the columns or None."""

    source: str
    names: list[str] | None
    rows: list[list[str]]
    lines: list[int]
    row: str
    delimiter: str | None
    notes: list[str]
    warnings: list[str]

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.rows[0])

    def column(self, index: int) -> list[str]:
        """The cells of one column."""
        return [cells[index] for cells in self.rows]


def arrange(sheet: Sheet, options: ReadOptions) -> Layout:
    """Tell names from rows, and leave out what is neither: titles, units, empty rows, and empty columns at the end.

    Raises DiffuseError where rows have unequal lengths or there are none.
    """
    notes, warnings = list(sheet.notes), []
    rows = [(line, cells) for line, cells in sheet.rows if any(cells)]
    if len(rows) < len(sheet.rows):
        notes.append(_counted(len(sheet.rows) - len(rows), "empty row", "left out"))
    if not rows:
        raise DiffuseError(f"{sheet.source} holds no rows of numbers.")
    rows, width = _without_empty_end(rows)
    if sheet.names is None:
        rows, titles = _without_titles(rows, width, sheet.delimiter)
        if titles:
            notes.append(f"{sheet.row}{_span(titles)} above the table left out")
    names = sheet.names
    if names is not None and options.header != "auto":
        raise UsageError(f"{sheet.source}: header={options.header}: this kind of file has its names apart")
    if names is None and _numbered_by_r(rows, width) and not _may_be_decimals(sheet, width):
        rows[0] = (rows[0][0], ["", *rows[0][1]])
        names_line, names = rows.pop(0)
    else:
        _check_widths(rows, width, sheet, options)
        names_line = rows[0][0]
        if names is None and _has_names(rows, width, sheet, options, warnings):
            names = rows.pop(0)[1]
            if rows and _is_units(rows):
                notes.append(f"{sheet.row} {rows.pop(0)[0]} left out: no numbers, but units or the like")
    if names is None and options.header == "auto" and sheet.comment is not None:
        line, cells = sheet.comment
        if len(cells) == width and not any(map(is_number, cells)):
            names, warnings = cells, []
            notes.append(f"names from the comment in line {line}")
    if names is None and options.header == "auto":
        notes.append("no line of names")
    if not rows:
        raise DiffuseError(f"{sheet.source} has a line of names ({sheet.row} {names_line}) and no rows below it.")
    lines, cells = [line for line, _ in rows], [cells for _, cells in rows]
    return Layout(sheet.source, names, cells, lines, sheet.row, sheet.delimiter, notes, warnings)


def _counted(number: int, what: str, then: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)} {then}"


def _span(lines: list[int]) -> str:
    return f" {lines[0]}" if len(lines) == 1 else f"s {lines[0]} to {lines[-1]}"


def _without_empty_end(rows: Rows) -> tuple[Rows, int]:
    """The rows without the columns at the end that are empty throughout, and the usual number of cells."""
    width = usual_width(rows)
    while width > 1 and not any(len(cells) >= width and cells[width - 1] for _, cells in rows):
        width -= 1
    if any(len(cells) > width for _, cells in rows):
        rows = [(line, cells if any(cells[width:]) else cells[:width]) for line, cells in rows]
    return rows, width


def _without_titles(rows: Rows, width: int, delimiter: str | None) -> tuple[Rows, list[int]]:
    """The rows without words above the table, and the numbers of those: they fill less than half of its columns, or are
    divided by spaces and more than there are columns."""
    first = 0
    while first < min(_MOST_TITLES, len(rows) - 2) and _is_title(rows[first][1], width, delimiter):
        first += 1
    if first and _numbered_by_r(rows[first - 1 :], width):
        first -= 1
    return rows[first:], [line for line, _ in rows[:first]]


def _is_title(cells: list[str], width: int, delimiter: str | None) -> bool:
    words = [cell for cell in cells if cell]
    few, many = len(words) <= max(1, (width - 1) // 2), delimiter == "space" and len(words) > width
    return width > 1 and (few or many) and not any(map(is_number, words))


def _numbered_by_r(rows: Rows, width: int) -> bool:
    """Whether the first row has a name for each column but the first, which numbers or names the rows (R)."""
    first, below = rows[0][1], [cells for _, cells in rows[1:]]
    if (
        len(first) != width - 1
        or not below
        or any(len(cells) != width for cells in below)
        or any(map(is_number, first))
    ):
        return False
    column = [cells[0] for cells in below]
    counts = column == [str(number) for number in range(1, len(column) + 1)]
    return counts or (not any(map(is_number, column)) and any(map(is_number, below[0])))


def _may_be_decimals(sheet: Sheet, width: int) -> bool:
    """Whether one name above two cells may be a column of numbers with decimal commas."""
    return width == 2 and sheet.delimiter == "comma" and not sheet.quoted[0]


def _check_widths(rows: Rows, width: int, sheet: Sheet, options: ReadOptions) -> None:
    first_line, first = rows[0]
    others = [(line, cells) for line, cells in rows if len(cells) != width]
    if not others:
        return
    line, cells = others[0]
    if len(first) == 1 and len(others) == 1 and _may_be_decimals(sheet, width):
        advice = options.flag_with(delimiter="semicolon", decimal="comma")
        raise DiffuseError(
            f"{sheet.source} has one name and a comma in each row; if it is a decimal comma, this reads it: {advice}"
        )
    if sheet.delimiter == "comma" and width == 2 * len(first) and len(others) == 1:
        raise DiffuseError(
            f"{sheet.source} has {len(first)} names and {width} cells in each row; if these are decimal commas, save "
            "the table with semicolons between the cells, or with decimal points"
        )
    if line == first_line and len(rows) > 1:  # the first row differs from all others
        line, (first_line, first) = rows[1][0], rows[0]
        cells = rows[1][1]
    advice = ""
    if sheet.delimiter is not None and line == rows[-1][0]:
        advice = "; if it is a sum or a remark below the table, remove the line"
    raise DiffuseError(
        f"{sheet.source}, {sheet.row} {line}: {len(cells)} cell{'s' * (len(cells) != 1)} where {sheet.row} "
        f"{first_line} has {len(first)}{advice}."
    )


def _has_names(rows: Rows, width: int, sheet: Sheet, options: ReadOptions, warnings: list[str]) -> bool:
    """Whether the first row is names: by `header=`, or by its cells. A row of numbers that may be names is told."""
    if options.header != "auto":
        return options.header == "yes"
    first = rows[0][1]
    if any(
        wanted is not None and not only_numbers(wanted) for wanted in (options.columns, options.label, options.given)
    ):
        return sheet.quoted == (True, False) or not all(map(is_number, first))
    picked = range(width) if options.columns is None else [
        int(part) - 1 for wanted in (options.columns, options.given) if wanted for part in wanted.split("+")
    ]  # fmt: skip
    if options.label is not None and options.label.isdecimal():
        picked = [index for index in picked if index != int(options.label) - 1]
    picked = [index for index in picked if 0 <= index < width]
    cells = [first[index] for index in picked]
    if any(not is_missing(cell) for cell in cells) and not any(map(is_number, cells)):
        return True
    above_index = not first[0] and width > 1 and counts_rows([cells[0] for _, cells in rows[1:]])
    if sheet.quoted == (True, False) or above_index:
        return True
    if all(map(is_number, cells)) and _may_be_names([[cells[index] for index in picked] for _, cells in rows[:200]]):
        warnings.append(
            f"{sheet.source}: {sheet.row} {rows[0][0]} ({listed(first)}) is read as a row of numbers; if it is the "
            f"names of the columns: {options.flag_with(header='yes')}"
        )
    return False


def only_numbers(columns: str) -> bool:
    """Whether `columns=` has numbers only, no names."""
    return all(part.strip().isdecimal() for part in columns.split("+"))


def counts_rows(cells: list[str]) -> bool:
    """Whether a column counts the rows, from 0 or 1."""
    return bool(cells) and cells[0] in ("0", "1") and cells == [str(int(cells[0]) + n) for n in range(len(cells))]


def _may_be_names(rows: list[list[str]]) -> bool:
    """Whether a first row of numbers may be names: different whole numbers above other numbers, years, or 0, 1, 2, …"""
    first, *below = rows
    if not all(cell.isdecimal() for cell in first) or len(set(first)) < len(first) or not below:
        return False
    others = [cell for cells in below for cell in cells]
    whole = sum(cell.lstrip("+-").isdecimal() for cell in others)
    years = all(map(_is_year, first)) and sum(map(_is_year, others)) < len(others) / 2
    return (counts_rows(first) and len(first) > 2) or years or whole < len(others) / 2


def _is_year(cell: str) -> bool:
    return cell.isdecimal() and 1800 <= int(cell) <= 2100


def _is_units(rows: Rows) -> bool:
    """Whether the row below the names has no number, and words in columns that have numbers below it."""
    first, below = rows[0][1], [cells for _, cells in rows[1:6]]
    if not below or any(map(is_number, first)):
        return False
    return any(
        not is_missing(cell) and all(is_number(cells[index]) for cells in below) for index, cell in enumerate(first)
    )

"""Which character stands between the cells of a text table, and its rows."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from statistics import mode

from diffuse_cli.datasets.files.numbers import is_missing, is_number
from diffuse_cli.datasets.files.options import DELIMITERS
from diffuse_cli.errors import DiffuseError

_SAMPLE = 200  # lines that are looked at
_EXCELS_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)

Lines = Sequence[tuple[int, str]]  # each with its number in the file
Rows = list[tuple[int, list[str]]]


def named_delimiter(line: str) -> str | None:
    """The character that Excel's first line names, `sep=;`."""
    named = _EXCELS_LINE.fullmatch(line.strip("\ufeff \n") if line.strip() else line)
    return named[1] if named and named[1] in DELIMITERS.values() else "\t" if line.strip(" ") == "sep=\t" else None


def sniff(lines: Lines) -> str:
    """The delimiter under which the rows are most alike and most of their cells are numbers.

    Of several that do equally well, the first of tab, semicolon, comma, pipe and spaces.
    """
    sample = list(lines[len(lines) > 2 :])  # the first line is often names
    sample = sample[:: max(1, len(sample) // _SAMPLE)][:_SAMPLE]
    text = "".join(line for _, line in sample)
    candidates = [mark for mark in "\t;,|" if mark in text] + [" "] * bool(re.search(r"[ \t]", text))
    scored = {mark: _score(sample, mark) for mark in candidates}
    best = max(scored, key=lambda mark: scored[mark], default=",")
    return best if scored and scored[best] > 0 else ","


def _score(sample: Lines, delimiter: str) -> float:
    try:
        rows = [cells for _, cells in split(sample, delimiter, "")]
    except DiffuseError:
        return 0.0
    width, alike = Counter(map(len, rows)).most_common(1)[0]
    if width == 1:
        return 0.0
    cells = [cell for row in rows if len(row) == width for cell in row]
    numbers = sum(is_number(cell) or (delimiter != " " and is_missing(cell)) for cell in cells)
    return round(alike / len(rows) * (0.01 + numbers / len(cells)), 6)


def split(lines: Lines, delimiter: str, source: str) -> Rows:
    """The cells of each row, without the spaces around them, with the number of the line on which the row ends.

    Between cells that are divided by spaces any number of spaces and tabs may stand.
    Raises DiffuseError where quotes do not close or a cell is longer than 128 KiB.
    """
    texts = (re.sub(r"[ \t]+", " ", text.strip()) if delimiter == " " else text for _, text in lines)
    reader = csv.reader((text + "\n" for text in texts), delimiter=delimiter, skipinitialspace=True)
    rows, begins, ends = [], 0, 0  # the lines of the row that was read last, counted from 0
    try:
        for cells in reader:
            begins, ends = ends, reader.line_num
            rows.append((lines[reader.line_num - 1][0], [cell.strip().replace("\n", " ") for cell in cells]))
        if ends > begins + 1 and sum(text.count('"') for _, text in lines) % 2:
            raise DiffuseError(f"{source}, line {lines[begins][0]}: a quote is not closed.")
    except csv.Error as error:
        line = lines[reader.line_num - 1][0]
        raise DiffuseError(f"{source}, line {line}: this is not a table of numbers ({error}).") from error
    return rows


def usual_width(rows: Rows) -> int:
    """The number of cells that most rows have."""
    return mode(len(cells) for _, cells in rows)

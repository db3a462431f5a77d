"""Rows of cells in text files: comma, semicolon, tab, pipe or spaces between cells."""

import re
from pathlib import Path

from diffuse_cli.datasets.files import dialect
from diffuse_cli.datasets.files.decoding import read_lines
from diffuse_cli.datasets.files.layout import Sheet
from diffuse_cli.datasets.files.numbers import is_number
from diffuse_cli.datasets.files.options import DELIMITERS, ReadOptions
from diffuse_cli.errors import DiffuseError

_WHOLE = re.compile(r'\s*"[^"]*[,;\t][^"]*"\s*')  # cells that are in quotes all together
_COMMENT = ("#", "%")
_RULE = re.compile(r"[ \t:=-]*[|+][ \t|+:=-]*")  # between the names and the rows of a table drawn with characters


def read_text(path: Path, options: ReadOptions) -> Sheet:
    """Read a text file of rows; blank lines, lines that begin with # or %, and drawn rules are skipped.

    The delimiter is that of the options, or of Excel's first line `sep=;`, or a tab in a .tsv or .tab file without
    semicolons, or the one under which most cells are numbers.

    Raises DiffuseError for a file that is not text, is empty or has quotes that do not close.
    """
    source = options.path
    texts, notes = read_lines(path, source)
    numbered = [(number, text) for number, text in enumerate(texts, 1) if text.strip(" \t\f")]
    delimiter = options.delimiter_character()
    if named := dialect.named_delimiter(numbered[0][1]):
        numbered = numbered[1:]
    lines = [
        (number, text)
        for number, text in numbered
        if not text.lstrip().startswith(_COMMENT) and not _RULE.fullmatch(text)
    ]
    if not lines:
        raise DiffuseError(f"{source} holds no rows of numbers.")
    if all(_WHOLE.fullmatch(text) for _, text in lines) and not is_number(lines[0][1].strip('"')):
        lines = [(number, text.strip()[1:-1]) for number, text in lines]  # quoted twice, as by Excel on pasted CSV
    if delimiter is None:
        by_ending = path.suffix.lower() in (".tsv", ".tab") and not any(";" in text for _, text in lines)
        delimiter = named or ("\t" if by_ending else dialect.sniff(lines))
    rows = dialect.split(lines, delimiter, source)
    return Sheet(
        source,
        rows,
        row="line",
        notes=tuple(notes),
        delimiter=next(word for word, character in DELIMITERS.items() if character == delimiter),
        quoted=_quoted(lines),
        comment=_names_in_comment(numbered, lines[0][0], delimiter, source),
    )


def _quoted(lines: dialect.Lines) -> tuple[bool, bool]:
    """Whether all cells of the first line are in quotes, and any of the second."""
    first = re.fullmatch(r'\s*"[^"]*"(\s*[,;\t| ]\s*"[^"]*")*\s*', lines[0][1]) is not None
    return first, len(lines) > 1 and '"' in lines[1][1]


def _names_in_comment(numbered: dialect.Lines, first: int, delimiter: str, source: str) -> tuple[int, list[str]] | None:
    """The cells of the comment directly before the first row, where numpy.savetxt writes names, and its line."""
    before = [(number, text) for number, text in numbered if number < first]
    if not before:
        return None
    number, text = before[-1]
    return (
        dialect.split([(number, text.lstrip().lstrip("#% \t"))], delimiter, source)[0] if text.strip("#% \t") else None
    )

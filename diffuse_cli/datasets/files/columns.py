"""Which columns of a rectangle of cells are coordinates, which are given with them, and which one is labels."""

from typing import NamedTuple

from diffuse_cli.datasets.files.layout import Layout, counts_rows, only_numbers
from diffuse_cli.datasets.files.numbers import fault, is_missing, is_number, plain_numbers
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.datasets.files.table import choose_columns, describe_column, listed, spelled
from diffuse_cli.errors import DiffuseError, UsageError

_INDEX_NAMES = {"", "unnamed: 0", "index", "level_0", "__index_level_0__", "rownames", "row.names", "row"}
_FEW = 10  # rows that may well count up by chance


class Chosen(NamedTuple):
    """The places, from 0, of the columns of numbers and of the labels; the last `given` of the numbers are given."""

    numbers: list[int]
    label: int | None
    given: int = 0


def pick(layout: Layout, options: ReadOptions) -> Chosen:
    """The columns that the options ask for; without `columns=`, all but labels, given ones, an index, and empty ones.

    What is left out is added to the notes of the layout.

    Raises UsageError for columns that do not exist, DiffuseError where a column is text or may be an index.
    """
    for name, wanted in (("columns", options.columns), ("label", options.label), ("given", options.given)):
        if wanted is not None and layout.names is None and not only_numbers(wanted):
            reason = "header=no says it has none" if options.header == "no" else (
                f"{layout.row} {layout.lines[0]} holds numbers"
            )  # fmt: skip
            raise UsageError(f"{layout.source}: {name}={wanted} needs a line of names, but {reason}; choose by number.")
    label = _label(layout, options)
    given = given_places(options, layout.names, layout.width, layout.source)
    if label in given:
        raise UsageError(f"{layout.source}: {describe_column(label, layout.names)} cannot be label and given")
    layout.notes.extend(given_note(given, layout.names))
    coordinates = _coordinates(layout, options, label, given)
    return Chosen([*coordinates, *given], label, len(given))


def given_places(options: ReadOptions, names: list[str] | None, width: int, source: str) -> list[int]:
    """The places, from 0, of the columns that `given=` names.

    Raises UsageError for columns that do not exist, or beside which none is left, and beside labels.
    """
    if options.given is None:
        return []
    if options.label is not None:
        raise UsageError(f"{source}: a network is told labels or given columns; leave out label= or given=")
    given = choose_columns(options.given, names, width, source, option="given")
    if len(given) == width:
        raise UsageError(f"{source}: given={options.given} is all of its columns; no coordinates are left")
    return given


def given_note(given: list[int], names: list[str] | None) -> tuple[str, ...]:
    """What to say of given columns, if there are any."""
    return (f"{listed([describe_column(index, names) for index in given])} given",) if given else ()


def without_given(chosen: list[int], given: list[int], names: list[str] | None, source: str) -> list[int]:
    """The coordinates that `columns=` has chosen. Raises UsageError where one of them is given too."""
    if both := [index for index in chosen if index in given]:
        raise UsageError(f"{source}: {describe_column(both[0], names)} cannot be given and coordinate")
    return chosen


def _coordinates(layout: Layout, options: ReadOptions, label: int | None, given: list[int]) -> list[int]:
    """The places of the coordinates."""
    if options.columns is not None:
        if options.index != "auto":
            raise UsageError(f"{layout.source}: columns= says already which columns; leave out index={options.index}")
        chosen = choose_columns(options.columns, layout.names, layout.width, layout.source)
        if label in chosen:
            raise UsageError(f"{layout.source}: {describe_column(label, layout.names)} cannot be label and coordinate")
        return without_given(chosen, given, layout.names, layout.source)
    chosen = [index for index in range(layout.width) if index != label and index not in given]
    empty = [index for index in chosen if all(map(is_missing, layout.column(index)))]
    if empty and len(empty) < len(chosen):
        chosen = [index for index in chosen if index not in empty]
        named = [describe_column(index, layout.names) for index in empty if layout.names and layout.names[index]]
        if named:
            layout.notes.append(f"{listed(named)} left out: empty")
    if len(chosen) > 1 and _is_index(layout, options, chosen[0]):
        chosen = chosen[1:]
        while len(chosen) > 1 and _is_old_index(layout, chosen[0]):
            chosen = chosen[1:]
        layout.notes.append("index column left out")
    _refuse_text(layout, options, chosen, given, label)
    return chosen


def _label(layout: Layout, options: ReadOptions) -> int | None:
    if options.label is None:
        return None
    chosen = choose_columns(options.label, layout.names, layout.width, layout.source)
    if len(chosen) > 1:
        raise UsageError(f"{layout.source}: label={options.label}: one column can be labels")
    if layout.width == 1:
        raise UsageError(f"{layout.source} has one column only; if it is labels, no coordinates are left")
    layout.notes.append(f"{describe_column(chosen[0], layout.names)} kept as labels")
    return chosen[0]


def _is_old_index(layout: Layout, first: int) -> bool:
    """Whether a column is an index that was read as a column once and written again beside a new one."""
    return (
        layout.names is not None and layout.names[first].lower() in _INDEX_NAMES and counts_rows(layout.column(first))
    )


def _is_index(layout: Layout, options: ReadOptions, first: int) -> bool:
    """Whether the first column numbers or names the rows, by `index=` or by its name and cells."""
    if options.index != "auto":
        return options.index == "no"
    column, word = layout.column(first), f"{layout.source}: {describe_column(first, layout.names)}"
    named = layout.names is None or layout.names[first].lower() not in _INDEX_NAMES
    if named:
        if len(column) >= _FEW and counts_rows(column):
            layout.warnings.append(
                f"{word} counts the rows from {column[0]} and is read as a coordinate; to leave it out: "
                f"{options.flag_with(index='no')}"
            )
        return False
    whole = all(cell.lstrip("-").isdecimal() for cell in column) and len(set(column)) == len(column)
    if whole or not any(map(is_number, column)):
        return True
    raise DiffuseError(
        f"{word} has no name, or that of an index, and does not count the rows. To leave it out: "
        f"{options.flag_with(index='no')} – to keep it: {options.flag_with(index='yes')}"
    )


def is_text(cells: list[str]) -> bool:
    """Whether most of the cells that are not missing are no numbers."""
    if plain_numbers(cells) is not None:
        return False
    present = [cell for cell in cells if not is_missing(cell)]
    return sum(map(is_number, present)) < len(present) / 2


def _refuse_text(layout: Layout, options: ReadOptions, chosen: list[int], given: list[int], label: int | None) -> None:
    """Raises DiffuseError if there are columns of text, with the flags that read the others."""
    texts = [index for index in chosen if is_text(layout.column(index))]
    if not texts:
        return
    first = next(cell for cell in layout.column(texts[0]) if not is_missing(cell) and not is_number(cell))
    words = listed([describe_column(index, layout.names) for index in texts])
    start = f"{layout.source}: {words} {'is' if len(texts) == 1 else 'are'} not plain numbers: {fault(first)}"
    rest = [index for index in chosen if index not in texts]
    if not rest:
        raise DiffuseError(f"{start}; no column is left to learn from")
    if len(layout.rows) == 1:
        raise DiffuseError(start)
    others = spelled(rest, layout.names)
    ways = [f"to leave {'it' if len(texts) == 1 else 'them'} out: {options.flag_with(columns=others)}"]
    repeated = [index for index in texts if len(set(layout.column(index))) <= len(layout.rows) / 2]
    if repeated and label is None and not given:
        which = spelled(repeated[:1], layout.names)
        asked = {"label": which} if len(texts) == 1 else {"label": which, "columns": others}
        ways.append(f"to keep {describe_column(repeated[0], layout.names)} as labels: {options.flag_with(**asked)}")
    raise DiffuseError(f"{start}; {'; '.join(ways)}")

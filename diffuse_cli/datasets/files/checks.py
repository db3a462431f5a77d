"""What points of a file must be before a model can learn them, and what a user should know about them."""

from collections.abc import Callable

import numpy as np

from diffuse_cli.datasets.dataset import Standardiser, equal_rows
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.datasets.files.table import Table, check_shape, listed, spelled
from diffuse_cli.errors import DiffuseError

_LARGEST = 1e30  # beyond it squares, and then single precision, overflow
_ROUNDING = 8  # a spread of so many neighbouring numbers is rounding error
_FAR = 50  # times the spread of the middle half of a column
_MERGED = 0.1  # share of the distinct rows


def check_values(table: Table, options: ReadOptions) -> None:
    """Raises DiffuseError, with the place, for a number that is not finite or too large, and for a wrong shape."""
    check_shape(*table.points.shape, table.source)

    def refuse(wrong: np.ndarray, why: Callable[[float], str]) -> None:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            others = f" ({wrong.sum()} such cells)" if wrong.sum() > 1 else ""
            raise DiffuseError(f"{table.cell(row, column)}: {why(table.points[row, column])}{others}")

    infinite = ~np.isfinite(table.points)
    advice = "correct it or remove the row"
    if len(words := {f"{value:g}" for value in table.points[infinite]}) == 1 and options.missing in (None, "drop"):
        advice = f"to leave out such rows: {options.flag_with(missing=words.pop())}"
    refuse(infinite, lambda value: f"{value:g} is not a finite number; {advice}")
    refuse(np.abs(table.points) > _LARGEST, lambda value: f"{value:g} is too large; the limit is ±{_LARGEST:g}")


def check_spread(table: Table, scale: np.ndarray, options: ReadOptions) -> None:
    """Raises DiffuseError for columns that do not vary, or by no more than rounding."""
    spread = np.ptp(table.points, axis=0)
    rounding = _ROUNDING * max(table.epsilon, float(np.finfo(np.float64).eps)) * np.abs(table.points).max(axis=0)
    flat = np.flatnonzero((spread <= rounding) | (scale < 1 / _LARGEST))
    if not len(flat):
        return
    words = listed([table.column(column) for column in flat])
    verb = "does" if len(flat) == 1 else "do"
    by = " by more than rounding" if (spread[flat] > 0).any() else ""
    coordinates, given = table.columns[: table.coordinates], table.columns[table.coordinates :]
    varying = {place for column, place in enumerate(table.columns) if column not in set(flat.tolist())}
    advice = ""
    if (rest := [place for place in coordinates if place in varying]) and all(place in varying for place in given):
        way = options.flag_with(columns=spelled(rest, table.names))
        advice = f"; to leave {'it' if len(flat) == 1 else 'them'} out: {way}"
    elif rest:  # a condition that is always the same tells nothing
        told = [place for place in given if place in varying]
        changes = {"columns": spelled(rest, table.names)} | ({"given": spelled(told, table.names)} if told else {})
        way = options._replace(given=None).flag_with(**changes)
        advice = f"; to leave {'it' if len(flat) == 1 else 'them'} out: {way}"
    raise DiffuseError(f"{table.source}: {words} {verb} not vary{by}{advice or '.'}")


def with_findings(table: Table, standard: Standardiser) -> Table:
    """The table with a note on equal rows, and warnings where few rows set the scale of a column."""
    distinct, in_single = _distinct(table.points), standard.to_model(table.points).astype(np.float32)
    warnings, notes = [], table.notes
    if (equal := len(table.points) - distinct) > 0:
        notes = (*notes, f"{equal:,} row{'s repeat' if equal > 1 else ' repeats'} another")
    for column, values in enumerate(table.points.T):
        if (far := _far_rows(values)) is not None:
            lines = listed([f"{table.line(row)} ({values[row]:g})" for row in far], 3)
            different, left = (len(np.unique(each)) for each in (values, in_single[:, column]))
            lost = f": in single precision, as in a model, {left:,} of its {different:,} different values are left"
            warnings.append(
                f"{table.source}: the scale of {table.column(column)} is set by {len(far):,} of {len(values):,} rows "
                f"({table.row} {lines}), beside which all others are nearly one value{lost if left < different else ''}"
            )
    merged = distinct - _distinct(in_single)
    if merged > _MERGED * distinct:
        warnings.append(
            f"{table.source}: {merged:,} of {distinct:,} distinct rows become equal to another in single precision, in "
            "which a model computes"
        )
    return table._replace(notes=notes, warnings=(*table.warnings, *warnings))


def _distinct(points: np.ndarray) -> int:
    """The number of different rows."""
    return len(equal_rows(points)[1])


def _far_rows(values: np.ndarray) -> np.ndarray | None:
    """The rows, farthest first, that alone make the standard deviation many times that of the rest; None if no rows."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    spread = (high - low) / 1.349
    if len(values) < 10 or spread == 0 or values.std() < _FAR * spread:
        return None
    distance = np.abs(values - middle)
    far = np.flatnonzero(distance > _FAR * spread)
    return far[np.argsort(-distance[far], kind="stable")] if 0 < len(far) <= max(1, len(values) // 20) else None

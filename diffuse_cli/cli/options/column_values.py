"""Values of columns on a command line."""

import math
import re
from typing import TypeVar

import click

from diffuse_cli.errors import UsageError

_V = TypeVar("_V", float, float | None)


class ColumnValues(click.ParamType[tuple[tuple[str, float | None], ...]]):
    """COLUMN=VALUE,COLUMN=VALUE; a column with a comma or = in its name stands in double quotes.

    optional: whether a column may stand without a value, which is None then.
    """

    name = "COLUMN=VALUE,…"
    _PART = re.compile(
        r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^,="][^,=]*?))\s*(?:=\s*(?P<value>[^,]*?)\s*)?(?:,|$)'
    )

    def __init__(self, *, optional: bool = False):
        self.optional = optional

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, float | None], ...]:
        """The columns and their values, in the order that they are given in."""
        text, place = str(value), 0
        pairs: list[tuple[str, float | None]] = []
        while place < len(text) or not pairs:
            part = self._PART.match(text, place)
            if part is None or (part["value"] is None and not self.optional):
                self.fail(f"{text[place:]!r} is not COLUMN=VALUE, like temperature=20", param, ctx)
            column = part["plain"] or part["quoted"].replace('""', '"')
            try:
                value_of = None if part["value"] is None else float(part["value"])
            except ValueError:
                self.fail(f"{column}={part['value']}: {part['value']!r} is not a number", param, ctx)
            if value_of is not None and not math.isfinite(value_of):
                self.fail(f"{column}={part['value']}: a value must be finite", param, ctx)
            pairs.append((column, value_of))
            place = part.end()
        return tuple(pairs)


def once_each(given: tuple[tuple[tuple[str, _V], ...], ...], flag: str) -> dict[str, _V]:
    """The values by column. Raises UsageError for a column that is given twice.

    >>> once_each(((("a", 1.0), ("b", 2.0)), (("c", 3.0),)), "--given")
    {'a': 1.0, 'b': 2.0, 'c': 3.0}
    """
    pairs = [pair for each in given for pair in each]
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(column for column, _ in pairs if sum(column == other for other, _ in pairs) > 1)
        raise UsageError(f"{flag} {twice} is given twice")
    return values

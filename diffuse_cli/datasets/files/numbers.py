"""Numbers as people write them: decimals with a point or a comma, thousands in groups, typographic signs."""

import math
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

Mark = Literal["point", "comma"]

_SPACES = "\u0020\u00a0\u202f\u2009\u2007"
_EXPONENT = r"(?:[eEdD][+-]?\d+)?"  # D is Fortran's


def _pattern(decimal: str, group: str, extra: str = "") -> re.Pattern[str]:
    whole = rf"[1-9]\d{{0,2}}(?P<group>[{group}'’{_SPACES}])\d{{3}}(?:(?P=group)\d{{3}})*{extra}|\d+"
    return re.compile(rf"[+-]?(?:(?:{whole})(?:{decimal}\d*)?|{decimal}\d+){_EXPONENT}")


_INDIAN = r"|[1-9]\d?(?:,\d\d)+,\d{3}"  # 12,34,567
_WRITTEN: dict[Mark, re.Pattern[str]] = {"point": _pattern(r"\.", ",", _INDIAN), "comma": _pattern(",", ".")}
_GROUPS = {"point": f",'’{_SPACES}", "comma": f".'’{_SPACES}"}
_MINUS = re.compile(r"(?:^|(?<=[eE]))[\u2212\u2013\ufe63\uff0d]")

_MISSING = {
    "", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "+nan", "nat", "null", "#null!", "none", "nil", "missing",
    ".", "..", "?", "-", "--", "---", "–", "—", "*", "#value!", "#div/0!", "#ref!", "#num!", "#name?", "#wert!",
    "#zahl!", "#bezug!", "#nv", "#valeur!", "#nombre!", "(null)", "\\n", "1.#qnan", "-1.#ind",
}  # fmt: skip


def is_missing(cell: str, marker: str | None = None) -> bool:
    """Whether a cell says that there is no value, as the usual programs write it, or is the user's `marker`."""
    cell = cell.strip()
    return cell.lower() in _MISSING or cell == marker


def number(cell: str, decimal: Mark = "point") -> float | None:
    """The number in a cell, nan for a missing one, None for other text.

    >>> number("1.234,5", "comma"), number("1,234.5"), number("−3"), number("12 kg")
    (1234.5, 1234.5, -3.0, None)
    """
    text = _clean(cell)
    if decimal == "point":
        try:
            return None if "_" in text else float(text)  # float() accepts 1_000, which is no number in a table
        except ValueError:
            pass
    if _WRITTEN[decimal].fullmatch(text):
        text = text.translate({ord(mark): None for mark in _GROUPS[decimal]})
        return float(text.replace(",", ".").replace("d", "e").replace("D", "e"))
    return math.nan if is_missing(cell) else None


def plain_numbers(cells: list[str]) -> list[float] | None:
    """The numbers in cells if all are written as programs write them, decimals with a point; this is the quick way."""
    try:
        return None if any("_" in cell for cell in cells) else list(map(float, cells))
    except ValueError:
        return None


def is_number(cell: str) -> bool:
    """Whether a cell is a number in one of the ways to write them; a missing one is not."""
    return any((value := number(cell, decimal)) is not None and not math.isnan(value) for decimal in ("point", "comma"))


def _clean(cell: str) -> str:
    return _MINUS.sub("-", cell.strip())


class Evidence(NamedTuple):
    """What cells tell of the decimal mark: it, or the first cells that can be read in two ways, 1,234 and 1.234."""

    mark: Mark | None
    either_comma: str | None
    either_point: str | None


def evidence(cells: Iterable[str]) -> Evidence:
    """What the cells tell of the decimal mark, by the first that can be read in one way only."""
    first: dict[str, str] = {}
    for cell in cells:
        if "," in cell or "." in cell:
            text = _clean(cell)
            readings = [mark for mark, written in _WRITTEN.items() if written.fullmatch(text)]
            if len(readings) == 1:
                return Evidence(readings[0], None, None)
            if readings:
                first.setdefault("," if "," in text else ".", text)
    return Evidence(None, first.get(","), first.get("."))


_CURRENCY = re.compile(r"[$€£¥₹₽₩₺₴฿¢]|\b(?:USD|EUR|GBP|CHF|JPY|INR)\b")


def fault(cell: str) -> str:
    """Why a cell is no number, in words."""
    cell = cell.strip()
    short = repr(cell if len(cell) <= 40 else cell[:39] + "…")
    if not any(character.isdigit() for character in cell):
        return f"{short} is not a number"
    if _CURRENCY.search(cell):
        return f"{short} has a currency sign; save the column as plain numbers"
    if "%" in cell or "‰" in cell:
        return f"{short} has a percent sign; save the column as plain numbers"
    if re.fullmatch(r"\(\s*[\d.,' ]+\)|[\d.,' ]+-", cell):
        return f"{short} is a negative number of bookkeeping; save plain numbers, with a minus before them"
    if re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b", cell):
        return f"{short} is a date"
    if re.fullmatch(r"[+-]?[\d.,]+\s*[^\W\d_][\w/²³^µ°]*", cell):
        return f"{short} has a unit; save plain numbers and put the unit into the column's name"
    return f"{short} is not a number"

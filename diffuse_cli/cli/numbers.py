"""Numbers with commas between them, on the command line."""

import math
from typing import Any

import click


class Numbers(click.ParamType):
    """Finite numbers with commas between them."""

    name = "numbers"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "NUMBER,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not numbers with commas between them, like 0.5,1.0", param, ctx)
        if not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r}: every number must be finite", param, ctx)
        return numbers


class Counts(Numbers):
    """Whole numbers above zero with commas between them; comes out rising, each of them once."""

    name = "counts"

    def __init__(self, most: int):
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        numbers = super().convert(value, param, ctx)
        if wrong := [number for number in numbers if not (number.is_integer() and 1 <= number <= self.most)]:
            self.fail(f"{wrong[0]:g} is not a whole number from 1 to {self.most:,}", param, ctx)
        return tuple(sorted({int(number) for number in numbers}))

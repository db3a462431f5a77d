"""Types of values on a command line, and the option that knows its environment variable."""

import functools
import inspect
import math
import os
import re
import typing
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from diffuse_cli import catalog
from diffuse_cli.config import whole
from diffuse_cli.errors import UsageError

Command = Callable[..., None]
Decorator = Callable[[Command], Command]


class Option(click.Option):
    """An option whose environment variable is named after its flag, not after the parameter that its value goes to."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return os.environ.get(self.variable(ctx)) or None

    def variable(self, ctx: click.Context) -> str:
        """The name of its environment variable."""
        flag = max(self.opts, key=len).lstrip("-").replace("-", "_").upper()
        return self.envvar if isinstance(self.envvar, str) else f"{ctx.auto_envvar_prefix}_{flag}"


option = functools.partial(click.option, cls=Option)


class ChoiceParam(click.ParamType[str, str]):
    """A choice from the catalogue. The name is checked here, the options when it is built."""

    def __init__(self, kind: str):
        self.kind = self.name = kind

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "NAME[:KEY=VALUE,…]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(catalog.parse(self.kind, value))
        except UsageError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        name, colon, rest = incomplete.partition(":")
        if colon:
            return [CompletionItem(f"{name}:{text}") for text in _complete_options(self.kind, name, rest)]
        entries = catalog.CATALOG[self.kind].items()
        return [CompletionItem(name, help=entry.summary) for name, entry in entries if name.startswith(incomplete)]


def _complete_options(kind: str, name: str, text: str) -> list[str]:
    """What `text`, behind the colon of a choice, can become: names of options, their words, paths of files."""
    entry = catalog.CATALOG[kind].get(name.replace("-", "_"))
    if entry is None:
        return []
    before, comma, last = text.rpartition(",")
    endings = catalog.IMAGE_FILES if name == "image" else catalog.POINT_FILES
    known = catalog.options_of(catalog.factory(catalog.Choice(kind, name.replace("-", "_"), {}, own=False)))
    key, equals, value = last.partition("=")
    paths = [] if comma or entry.main != "path" else _complete_path(last, endings)
    if key == "path" and equals:
        paths = [f"path={path}" for path in _complete_path(value, endings)]
    words = typing.get_args(known[key].annotation) if key in known else ()
    values = [f"{key}={word}" for word in words if isinstance(word, str) and word.startswith(value)] if equals else []
    taken = {part.partition("=")[0] for part in before.split(",")}
    names = [] if equals else [f"{each}=" for each in known if each.startswith(last) and each not in taken]
    return [before + comma + each for each in [*paths, *values, *names]]


def _complete_path(text: str, endings: tuple[str, ...]) -> list[str]:
    """Folders, and files with one of these endings."""
    folder, _, start = text.rpartition("/")
    try:
        entries = sorted(
            os.scandir(os.path.expanduser(folder) or ("/" if text.startswith("/") else ".")),
            key=lambda entry: entry.name,
        )
    except OSError:
        return []
    base = text[: len(text) - len(start)]
    names = []
    for entry in entries:
        if entry.name.startswith(start) and (start or not entry.name.startswith(".")):
            if entry.is_dir():
                names.append(f"{base}{entry.name}/")
            elif os.path.splitext(entry.name)[1].lower() in endings:
                names.append(f"{base}{entry.name}")
    return names


class WholeNumber(click.IntRange):
    """A whole number within bounds, which may be written 1e3 or 10_000 too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        digits: Any = whole(value) if isinstance(value, str) else value
        return super().convert(digits, param, ctx)


class Duration(click.ParamType[float]):
    """A time like 30s, 5m or 1.5h; a bare number is seconds."""

    name = "duration"
    _UNITS: typing.ClassVar = {"": 1, "s": 1, "m": 60, "h": 3600}

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "TIME"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        if parts is None or float(parts[1]) == 0:
            self.fail(f"{value!r} is not a time above zero like 30s, 5m or 1.5h", param, ctx)
        return float(parts[1]) * self._UNITS[parts[2]]


class Numbers(click.ParamType[tuple[float, ...]]):
    """Finite numbers with commas between them."""

    name = "numbers"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "NUMBER,…"

    def convert(
        self, value: str | tuple[float, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not numbers with commas between them, like 0.5,1.0", param, ctx)
        if not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r}: every number must be finite", param, ctx)
        return numbers


class Counts(click.ParamType[tuple[int, ...]]):
    """Whole numbers above zero with commas between them; comes out rising, each of them once."""

    name = "counts"

    def __init__(self, most: int):
        self.most = most

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "NUMBER,…"

    def convert(
        self, value: str | tuple[int, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        numbers = Numbers().convert(value, param, ctx)
        if wrong := [number for number in numbers if not (float(number).is_integer() and 1 <= number <= self.most)]:
            self.fail(f"{wrong[0]:g} is not a whole number from 1 to {self.most:,}", param, ctx)
        return tuple(sorted({int(number) for number in numbers}))


def plain_type(
    kind: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> Any:
    """The click type of values of a plain type: int or float within bounds, str, bool, words, numbers, counts."""
    if typing.get_origin(kind) is typing.Literal:
        return click.Choice(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return Counts(int(high)) if typing.get_args(kind)[0] is int and high is not None else Numbers()
    if kind is bool:
        return None  # click makes it a switch
    if (low, high) == (None, None):
        return click.STRING if kind is str else kind
    if kind is int:
        lowest, highest = (None if bound is None else int(bound) for bound in (low, high))
        return WholeNumber(lowest, highest)
    return click.FloatRange(low, high, min_open=low_open, max_open=high_open)


def grouped(
    argument: str, gather: Callable[..., object], *options: Decorator, names: Iterable[str] | None = None
) -> Decorator:
    """Options whose values a command gets as one argument: what `gather` makes of them.

    `gather` takes the options of these `names`, of its own parameters unless they are given.
    """
    taken = tuple(inspect.signature(gather).parameters if names is None else names)

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_argument(**values: object) -> None:
            given = {name: values.pop(name) for name in taken}
            command(**{argument: gather(**given)}, **values)

        decorated: Command = with_argument
        for each in reversed(options):
            decorated = each(decorated)
        return decorated

    return decorate

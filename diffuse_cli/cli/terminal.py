"""What goes to the terminal: results to stdout; progress, notes and warnings to stderr, the bar on a terminal only."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from diffuse_cli.files import CONTROL, finite

if TYPE_CHECKING:
    from diffuse_cli.models.draw import Drawn

quiet = False

_HARMLESS = "\t\n"  # control characters that a text may have


def note(text: str) -> None:
    """A line for the person waiting, not for a script."""
    if not quiet:
        click.echo(without_controls(text), err=True)


def warn(text: str) -> None:
    """Something the user should know even when all went well."""
    click.echo(f"Warning: {without_controls(text)}", err=True)


def without_controls(text: str) -> str:
    """Text with control characters written out, since names from a file or a checkpoint may contain commands for a
    terminal.

    >>> without_controls("red \\x1b[31m")
    'red \\\\x1b[31m'
    """
    return CONTROL.sub(lambda found: found[0] if found[0] in _HARMLESS else repr(found[0])[1:-1], text)


def show_log() -> None:
    """From now on show what the package logs, the way a file was read for example, as notes and warnings: each once."""
    import logging

    class Lines(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.shown: set[str] = set()

        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if text not in self.shown:
                self.shown.add(text)
                (warn if record.levelno >= logging.WARNING else note)(text)

    logger = logging.getLogger("diffuse_cli")
    logger.handlers, logger.propagate = [Lines()], False
    logger.setLevel(logging.INFO)


def tell_populations(drawn: "Drawn") -> None:
    """A note of how the populations of particles have fared, if there are any."""
    if (words := drawn.populations_note()) is not None:
        note(words)


def tell_clipped(drawn: "Drawn") -> None:
    """Say how many samples the clip has touched: a note for a few of them, a warning where they are many."""
    if (text := drawn.clipped_note()) is not None:
        (warn if drawn.many_clipped else note)(text)


def print_json(document: object) -> None:
    """Exactly one JSON document on stdout. JSON knows finite numbers only; others become null."""
    click.echo(json.dumps(finite(document), indent=2, allow_nan=False))


def shows_pictures() -> bool:
    """Whether results go to a terminal that has block characters, and to a person who wants more than numbers."""
    if quiet or os.environ.get("TERM", "").lower() in ("dumb", "unknown") or not sys.stdout.isatty():
        return False
    from diffuse_cli.cli.pictures import USED

    try:
        USED.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def print_table(
    rows: Iterable[Iterable[str]], *, header: Iterable[str] | None = None, title: str | None = None
) -> None:
    """Rows of text in aligned columns, as wide as they need to be where no screen limits them."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD if header else None, show_header=header is not None, title=title, title_style="bold"
    )
    table.title_justify = "left"
    cells = [list(row) for row in rows]
    for heading in header or [""] * len(cells[0]) if cells else ():
        table.add_column(heading, overflow="fold")  # a name cut short is of no use
    for row in cells:
        table.add_row(*(Text(without_controls(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:  # a file or a pipe has no width
        console.width = 10_000
    console.print(table)


@contextmanager
def progress_bar(total: int, done: int) -> Iterator[Callable[[int, int, float, float], None]]:
    """A bar on stderr for training; yields update(step, total, loss, steps_per_second). Nothing off a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(bar_width=24), TextColumn("{task.fields[state]}"))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=total, completed=done, state="compiling")

        def update(step: int, total: int, loss: float, speed: float) -> None:
            state = f"step {step:,} of {total:,}, loss {loss:.4f}, {speed:,.0f} steps/s"
            left = (total - step) / speed if speed > 0 else math.inf
            bar.update(task, completed=step, total=total, state=f"{state}, {_time_left(left)}")

        yield update


def _time_left(seconds: float) -> str:
    """How long something still takes, in words.

    >>> _time_left(0.2), _time_left(42), _time_left(200)
    ('nearly there', '42 s left', '3 min 20 s left')
    """
    if seconds < 1 or not math.isfinite(seconds):
        return "nearly there"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s left" if minutes else f"{rest} s left"


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """A line on stderr that says what is being done; yields what is to be called with each stage's name. Nothing off a
    terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _text: None
        return
    with console.status("") as status:
        yield lambda text: status.update(without_controls(text))


@contextmanager
def counter(total: int, what: str) -> Iterator[Callable[[], None]]:
    """A bar on stderr for `total` things; yields what is to be called after each. Nothing off a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn(what))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)

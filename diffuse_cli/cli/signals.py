"""Ctrl-C and SIGTERM while something must be finished first.

Signals belong to the process. Only `diffuse` itself, which runs one command and nothing else, takes them over; where a
command is called within another program (a test, a notebook), they stay as that has them.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_taken_over = False


def take_over() -> None:
    """Let the command that this process runs handle its signals."""
    global _taken_over
    _taken_over = threading.current_thread() is threading.main_thread()


class Interrupted:
    """`signal` is the number of the signal that asked to stop, None until then."""

    signal: int | None = None


def at_once() -> None:
    """Let Ctrl-C end the process at once, also within compiled code, where nothing has to be finished first."""
    if _taken_over:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def held() -> Iterator[Interrupted]:
    """Hold the first SIGINT or SIGTERM for the block to look at; a second SIGINT breaks off at once."""
    interrupted = Interrupted()
    if not _taken_over:
        yield interrupted
        return

    def hold(number: int, _frame: FrameType | None) -> None:
        if interrupted.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        interrupted.signal = number

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

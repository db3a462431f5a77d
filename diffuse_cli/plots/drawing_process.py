"""Figures drawn by a second process while this one computes. It ends when this one does, however that is."""

import importlib
import logging
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from diffuse_cli.errors import DiffuseError
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Drawing(NamedTuple):
    """A figure that is still to be drawn: a plot function of this package, 'module:function', its arguments by name but
    for the look, and the look.

    It is data, so that it can go to another process, and needs no matplotlib before it is called.
    """

    plot: str
    arguments: dict[str, Any]
    look: Look = DEFAULT_LOOK

    def __call__(self) -> "Figure":
        """Draw it."""
        module, _, function = self.plot.partition(":")
        plot = getattr(importlib.import_module(f"diffuse_cli.plots.{module}"), function)
        return plot(**self.arguments, **self.look._asdict())


class DrawingProcess:
    """The second process, for a `with`: it starts there, imports matplotlib, and draws what it is asked for in turn."""

    def __enter__(self) -> "DrawingProcess":
        # not one of multiprocessing's, which stay behind when this one is killed
        code = f"import sys; sys.path[:] = {sys.path!r}; from diffuse_cli.plots import drawing_process as d; d._serve()"
        self._process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._thread = ThreadPoolExecutor(1)  # sends one after another, and waits for each
        return self

    def save(self, drawing: Drawing, path: Path) -> Future[Path]:
        """Draw a figure and write it as `style.save_figure` does: the path, or the error, once it is there."""
        return self._thread.submit(self._ask, (drawing, path))

    def _ask(self, task: tuple[Drawing, Path]) -> Path:
        try:
            pickle.dump(task, self._process.stdin)
            self._process.stdin.flush()
            answer = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise DiffuseError(
                f"the process that draws figures has ended before {task[1].name} was written; the run itself is "
                "complete, and the plot-* commands draw its figures"
            ) from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __exit__(self, *_error: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._process.kill()  # it has nothing left to do
        self._process.communicate()


def _serve() -> None:
    """Draw until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first process to answer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may be printed among the answers
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of settings that figures do not use
    from diffuse_cli.plots import style

    while True:
        try:
            drawing, path = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: Any = style.save_figure(drawing(), path)
        except Exception as error:
            answer = error
        try:
            pickle.dump(answer, answers)
            answers.flush()
        except BrokenPipeError:  # the first process has been killed
            os._exit(0)

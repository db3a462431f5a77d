"""Figures that a second process draws."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.drawing_process import Drawing, DrawingProcess
from diffuse_cli.plots.formats import Look
from diffuse_cli.plots.style import save_figure

LOSS = Drawing("loss:loss_figure", {"steps": np.arange(1, 9), "train": 1 / np.arange(1, 9)}, Look(dark=True))
WRONG = Drawing("loss:loss_figure", {"steps": np.arange(3), "train": np.arange(4)})


def test_it_draws_the_same_bytes_and_goes_on_after_an_error(tmp_path):
    with DrawingProcess() as process:
        first, wrong, second = (
            process.save(drawing, tmp_path / name)
            for drawing, name in ((LOSS, "a.png"), (WRONG, "b.png"), (LOSS, "c.svg"))
        )
        assert [first.result(), second.result()] == [tmp_path / "a.png", tmp_path / "c.svg"]
        with pytest.raises(UsageError, match="train has shape"):
            wrong.result()
    for name in ("a.png", "c.svg"):
        expected = save_figure(LOSS(), tmp_path / f"here-{name}").read_bytes()
        assert (tmp_path / name).read_bytes() == expected
    assert not (tmp_path / "b.png").exists()


def test_it_ends_with_the_process_that_started_it():
    code = """
from diffuse_cli.plots.drawing_process import DrawingProcess
import time
process = DrawingProcess().__enter__()
print(process._process.pid, flush=True)
time.sleep(60)
"""
    first = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    second = int(first.stdout.readline())
    first.send_signal(signal.SIGKILL)
    first.communicate()
    deadline = time.monotonic() + 60
    while _is_there(second):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _is_there(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_drawing_needs_no_matplotlib_before_it_is_drawn():
    code = "import diffuse_cli.figures.of_training, sys; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_process_that_has_died_is_told_in_one_line(tmp_path):
    with DrawingProcess() as process:
        process._process.kill()
        process._process.wait()
        with pytest.raises(DiffuseError, match=r"has ended before a\.png was written"):
            process.save(LOSS, tmp_path / "a.png").result()

"""How many programs XLA compiles for a command, and how long it takes: `python benchmarks/programs.py [CHECKOUT …]`.

Each command runs in processes of its own, in a temporary folder: first with no compiled code from before, when its
programs are counted (`--names` lists them, with the lines that asked for them), then several times with that code kept.
Other checkouts of this project, if they are named, take turns with each other, so that a busy moment of the machine
touches all alike. Seconds are medians, by the clock and of the processor (of all processes together).
"""

import collections
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

COMMANDS = ("train --dataset moons --steps 300", "sample", "plot-forward --dataset moons", "evaluate", "--help")
TIMES = 3
_COMPILED = "/jax/core/compile/backend_compile_duration"
_HERE = Path(__file__).parent.parent


class Run(NamedTuple):
    """What a command wrote to stderr, and its seconds by the clock and of the processor."""

    stderr: str
    clock: float
    processor: float


class Checkout:
    """A checkout of this project, with a folder to run its commands in."""

    def __init__(self, path: Path, folder: Path):
        self.path, self.folder = path, folder
        folder.mkdir()

    def run(self, *command: str) -> Run:
        """Call Python."""
        environment = os.environ | {"PYTHONPATH": str(self.path), "XDG_CACHE_HOME": str(self.folder)}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command], cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        return Run(done.stderr, clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """Measure and print."""
    print(f"ten million additions in Python: {additions():.2f} s\n")
    print("| command | checkout | programs | cold, s | warm, s | warm, processor s |\n|---|---|---|---|---|---|")
    paths = [Path(word).resolve() for word in sys.argv[1:] if word != "--names"] or [_HERE]
    with tempfile.TemporaryDirectory() as folder:
        checkouts = [Checkout(path, Path(folder) / str(number)) for number, path in enumerate(paths)]
        for command in COMMANDS:
            measure(command, checkouts)
    print(f"\nten million additions in Python: {additions():.2f} s")


def measure(command: str, checkouts: list[Checkout]) -> None:
    """Print the row of a command for each checkout."""
    words = command.split()
    cold = [checkout.run(__file__, "count", *words) for checkout in checkouts]
    warm = [[checkout.run("-m", "diffuse_cli", *words) for checkout in checkouts] for _ in range(TIMES)]
    for checkout, first, later in zip(checkouts, cold, zip(*warm, strict=True), strict=True):
        programs = [line for line in first.stderr.splitlines() if line.startswith("jit(")]
        clock, processor = (statistics.median(getattr(run, name) for run in later) for name in ("clock", "processor"))
        seconds = f"{first.clock:.2f} | {clock:.2f} | {processor:.2f}"
        print(f"| `diffuse {command}` | {checkout.path.name} | {len(programs)} | {seconds} |", flush=True)
        if "--names" in sys.argv:
            for line, count in collections.Counter(programs).most_common():
                print(f"    {count:3d} {line}")


def additions() -> float:
    """Seconds that a bare loop of ten million additions takes here and now."""
    began, total = time.perf_counter(), 0
    for number in range(10**7):
        total += number
    return time.perf_counter() - began


def count(command: list[str]) -> None:
    """Call `diffuse COMMAND` in this process, then print to stderr which programs were compiled, and where from."""
    import jax.monitoring

    from diffuse_cli.cli import cli

    programs = []

    def note(event: str, _seconds: float, *, fun_name: str = "?", **_: object) -> None:
        if event == _COMPILED:
            ours = [frame for frame in traceback.extract_stack() if "diffuse_cli" in frame.filename]
            where = " < ".join(f"{Path(frame.filename).stem}:{frame.lineno}" for frame in ours[:-4:-1])
            programs.append(f"{fun_name} at {where}")

    jax.monitoring.register_event_duration_secs_listener(note)
    with contextlib.suppress(SystemExit):
        cli.main(command)
    print("\n".join(programs), file=sys.stderr)


if __name__ == "__main__":
    count(sys.argv[2:]) if sys.argv[1:2] == ["count"] else main()

"""How many programs XLA compiles for a command, and what a user waits for besides: `python benchmarks/programs.py`.

Commands run in processes of their own, in a temporary folder. First each of them with no compiled code from before: the
programs that it compiles are counted; `--names` lists them too, each with the lines that asked for it. Then, with that
code kept, its wall time, several times.
"""

import collections
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

COMMANDS = ("train --dataset moons --steps 300", "evaluate", "sample", "plot-forward --dataset moons")
TIMES = 5
_COMPILED = "/jax/core/compile/backend_compile_duration"


def main() -> None:
    """Measure and print."""
    print(f"ten million additions in Python: {additions():.2f} s\n")
    print("| command | programs | seconds, cold | seconds, warm (median) |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"XDG_CACHE_HOME": folder}

        def run(*command: str) -> tuple[str, float]:
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, *command], cwd=folder, env=environment, check=True, stdout=-3, stderr=-1, text=True
            )
            return done.stderr, time.perf_counter() - began

        for command in COMMANDS:
            listed, cold = run(__file__, "count", *command.split(), "--quiet")
            warm = statistics.median(run("-m", "diffuse_cli", *command.split(), "--quiet")[1] for _ in range(TIMES))
            programs = listed.splitlines()
            print(f"| `diffuse {command}` | {len(programs)} | {cold:.1f} | {warm:.2f} |", flush=True)
            if "--names" in sys.argv:
                for line, count in sorted(collections.Counter(programs).items()):
                    print(f"    {count:3d} {line}")
        help_ = statistics.median(run("-m", "diffuse_cli", "--help")[1] for _ in range(TIMES))
        print(f"| `diffuse --help` | 0 | | {help_:.3f} |")


def additions() -> float:
    """Seconds that a bare loop of ten million additions takes here and now."""
    began, total = time.perf_counter(), 0
    for number in range(10**7):
        total += number
    return time.perf_counter() - began


def count(command: list[str]) -> None:
    """Call `diffuse COMMAND` in this process, then print to stderr where in the package each program was asked for."""
    import jax.monitoring

    from diffuse_cli.cli import cli

    programs = []

    def note(event: str, _seconds: float, *, fun_name: str = "?", **_: object) -> None:
        if event == _COMPILED:
            ours = [frame for frame in traceback.extract_stack() if "diffuse_cli" in frame.filename]
            where = " < ".join(f"{Path(f.filename).stem}:{f.lineno}" for f in ours[:-4:-1])
            programs.append(f"{fun_name} at {where}")

    jax.monitoring.register_event_duration_secs_listener(note)
    with contextlib.suppress(SystemExit):
        cli.main(command)
    print("\n".join(programs), file=sys.stderr)


if __name__ == "__main__":
    count(sys.argv[2:]) if sys.argv[1:2] == ["count"] else main()

"""How long figures take and how large they are: `python benchmarks/figures.py RUN`, a trained run in two columns.

Each command is called three times in one process; the first compiles, and the better of the others counts. That is all
of a process beyond its start-up and compiling: opening the run, sampling, drawing, writing.
"""

import sys
import tempfile
import time
from pathlib import Path

from click.testing import CliRunner

from diffuse_cli.cli import cli

STILLS = {
    "plot-forward": "--dataset moons",
    "plot-reverse": "--run {run}",
    "plot-reverse, both rows": "--run {run} --rows both",
    "plot-trajectories": "--run {run}",
    "plot-field": "--run {run}",
    "plot-field, streams": "--run {run} --style streams",
    "plot-density": "--run {run}",
    "plot-samples": "--run {run}",
    "plot-schedule": "",
    "plot-loss": "--run {run}",
    "plot-forward, .svg of 10,000 points": "--dataset moons -n 10000 --frames 2",
    "plot-samples, .svg of 10,000 points": "--run {run} -n 10000",
    "plot-trajectories, .svg of 300 paths": "--run {run}",
}
MOVING = {
    "animate, 60 frames of 2,000 points, .gif": "--run {run}",
    "report": "--run {run}",
}
ENDINGS = {"animate": ".gif", "report": ".html"}


def call(words: list[str]) -> float:
    began = time.perf_counter()
    result = CliRunner().invoke(cli, words)
    if result.exit_code:
        sys.exit(f"diffuse {' '.join(words)}: {result.stderr}")
    return time.perf_counter() - began


def main(run: str) -> None:
    began = time.perf_counter()
    sum(range(10**7))
    print(f"adding up ten million numbers: {time.perf_counter() - began:.2f} s\n")
    print("| figure | seconds | kB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (STILLS | MOVING).items():
            command = name.partition(",")[0]
            ending = ".svg" if ".svg" in name else ENDINGS.get(command, ".png")
            out = Path(folder) / f"figure{ending}"
            words = [command, *options.format(run=run).split(), "--out", str(out), "--quiet"]
            seconds = [call(words) for _ in range(3)]
            print(f"| {name} | {min(seconds[1:]):.2f} | {out.stat().st_size / 1000:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

"""Planted faults, and how many of them the fast tests catch: `python benchmarks/mutations.py [OPTION …] [WORD …]`.

faults.toml has the faults: a sign, a factor, an index. Each is planted alone in a copy of the working tree, where the
test files that are likely to see it run until the first failure. WORDs pick the faults whose file has one of them in
its path. First the same test files must pass in a copy without a fault, or a failure would say nothing; --passed says
that they do. Exits with 1 where a fault survives, and with 2 where something else is wrong: a fault whose text is not
there any more, tests that fail without a fault or cannot be collected.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
FAULTS = ROOT / "benchmarks" / "faults.toml"
LIMIT = 1800  # seconds: a fault may make a loop endless, and then it is caught
PASSED, FAILED = 0, 1  # exit statuses of pytest; others say that it could not run


class Fault(NamedTuple):
    """One change of one text: in a file below diffuse_cli, seen by test files below tests."""

    file: str
    old: str
    new: str
    tests: list[str]

    def __str__(self) -> str:
        return f"{self.file}: {self.old}  ->  {self.new}"

    def plant(self, tree: Path) -> None:
        path = tree / "diffuse_cli" / self.file
        before, after = path.read_text().split(self.old)  # once, or this fails
        path.write_text(before + self.new + after)


def main() -> None:
    """Plant each fault, print what came of it, and how many were caught."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", metavar="WORD", help="only faults in files with this in their path")
    parser.add_argument("--list", action="store_true", help="check that all texts are there, and run nothing")
    parser.add_argument("--passed", action="store_true", help="do not run the tests without a fault first")
    options = parser.parse_args()
    faults = [Fault(**row) for row in tomllib.loads(FAULTS.read_text())["fault"]]
    check(faults)
    if options.words:
        faults = [fault for fault in faults if any(word in fault.file for word in options.words)]
    if options.list or not faults:
        print(*faults, sep="\n")
        return
    if not options.passed:
        must_pass(sorted({test for fault in faults for test in fault.tests}))
    survivors = [fault for fault in faults if not is_caught(fault)]
    print(
        f"\n{len(faults) - len(survivors)} of {len(faults)} caught",
        *(f"survived: {each}" for each in survivors),
        sep="\n",
    )
    sys.exit(1 if survivors else 0)


def check(faults: list[Fault]) -> None:
    """Stop unless every fault can be planted and its tests are there."""
    wrong = []
    for fault in faults:
        path = ROOT / "diffuse_cli" / fault.file
        times = path.read_text().count(fault.old) if path.is_file() else 0
        if times != 1:
            wrong.append(f"the text stands there {times} times, not once: {fault}")
        wrong += [f"there is no tests/{test}: {fault}" for test in fault.tests if not (ROOT / "tests" / test).is_file()]
    stop_if(wrong)


def must_pass(tests: list[str]) -> None:
    """Stop unless the test files pass without a fault."""
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        for test in tests:
            status, said = run_tests(Path(folder), [test])
            print(f"no fault  {test}, {said}", flush=True)
            stop_if([f"tests/{test} does not pass without a fault"] if status != PASSED else [])


def is_caught(fault: Fault) -> bool:
    """Whether its tests fail with the fault."""
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        fault.plant(Path(folder))
        status, said = run_tests(Path(folder), fault.tests)
    stop_if([f"the tests could not run: {fault}"] if status not in (PASSED, FAILED) else [])
    print(f"{'caught' if status else 'SURVIVED'}  {fault}\n  {said}", flush=True)
    return status != PASSED


def copy_tree(to: Path) -> None:
    """Copy what git knows or would add, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def run_tests(tree: Path, tests: list[str]) -> tuple[int, str]:
    """The exit status of pytest in a tree, and in words how long it took and which test failed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
    started = time.perf_counter()
    try:
        run = subprocess.run(
            [*command, *(f"tests/{test}" for test in tests)],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return FAILED, f"stopped after {LIMIT} s"
    failed = re.findall(r"^FAILED (\S+)", run.stdout, re.MULTILINE)
    return run.returncode, f"{time.perf_counter() - started:.1f} s" + (f", {failed[0]}" if failed else "")


def stop_if(wrong: list[str]) -> None:
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

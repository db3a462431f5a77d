"""The number of programs that each test file may compile: `tests/budget.toml`, which --write-budget writes.

A count and never a time: it is the same on every machine. Of another jax it may not be, so that is not held to it.
"""

import tomllib
from pathlib import Path

import jaxlib.version  # light: jax itself is for the processes that run tests
import pytest
import tomli_w

from tests.support import meter, selection

PATH = Path(__file__).parent.parent / "budget.toml"
_SHARE, _FEW = 1.2, 3  # a file may exceed its number by a fifth, or by this many programs
_HEAD = """\
# Programs that each test file makes XLA compile; a run that exceeds one fails. `pytest --write-budget` (`-m slow`,
# `-m rounding`) rewrites them for the files that it runs.
"""
_LINES = pytest.StashKey[list]()


def version():
    """What the numbers depend on."""
    return ".".join(jaxlib.version.__version__.split(".")[:2])


def excess(counted, budget):
    """What to say of each file that exceeds its number. Both arguments: {file: programs}."""
    for file, programs in sorted(counted.items()):
        allowed = budget.get(file, 0)
        if not allowed and programs:
            yield f"{file} compiles {programs:,} programs and has no number yet"
        elif programs > max(_SHARE * allowed, allowed + _FEW):
            yield f"{file} compiles {programs:,} programs, and {allowed:,} are budgeted"


def rewritten(budget, section, counted, exists):
    """The budget with the files just counted, and without those that are gone or compile nothing."""
    programs = {**budget.get(section, {}), **counted}
    kept = {file: programs[file] for file in sorted(programs) if programs[file] and exists(file)}
    return {"jax": version(), **{kind: budget[kind] for kind in selection.KINDS if kind in budget}, section: kept}


def pytest_addoption(parser):
    parser.addoption(
        "--write-budget", action="store_true", help=f"write what files compile to {PATH.parent.name}/{PATH.name}"
    )


def pytest_sessionfinish(session, exitstatus):
    config = session.config
    if hasattr(config, "workerinput") or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return
    counted = {file: cost.programs for file, cost in meter.of(config).by_file() if file != meter.SHARED}
    budget = tomllib.loads(PATH.read_text()) if PATH.is_file() else {}
    if config.getoption("--write-budget"):
        lines, failed = _write(config, exitstatus, budget, counted)
    elif not selection.are_whole(config) or not selection.kinds(config):
        return
    else:
        lines, failed = _check(budget, selection.kinds(config), counted)
    config.stash[_LINES] = lines
    if failed and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _check(budget, kinds, counted):
    """What to say, and whether the run fails by it."""
    write = "pytest --write-budget" + "".join(f" -m {kind}" for kind in kinds - {"fast"})
    if budget.get("jax") != version():
        return [f"not held to {PATH.name}, which is of jax {budget.get('jax')}"], False
    if not all(kind in budget for kind in kinds):
        return [f"{PATH.name} has no numbers of these tests yet; they come by: {write}"], False
    files = {file for kind in kinds for file in budget[kind]}
    lines = list(excess(counted, {file: sum(budget[kind].get(file, 0) for kind in kinds) for file in files}))
    return [*lines, f"if they are worth it: {write}"] if lines else [], bool(lines)


def _write(config, exitstatus, budget, counted):
    kinds = selection.kinds(config)
    one = len(kinds) == 1 and config.option.markexpr in ("", *kinds)
    if exitstatus != pytest.ExitCode.OK or not selection.are_whole(config) or not one:
        return ["budget not written: that takes whole files without failures, and no -m or one marker"], True
    budget = rewritten(budget, *kinds, counted, lambda file: (config.rootpath / file).is_file())
    PATH.write_text(_HEAD + tomli_w.dumps(budget))
    return [f"written to {PATH.relative_to(config.rootpath)}"], False


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(_LINES, []):
        terminalreporter.write_line(line)

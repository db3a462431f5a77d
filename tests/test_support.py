"""How the tests themselves are run: what is picked, what is counted, and that a run can be ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests.support import budget, flags, selection

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("expression", "users"),
    [
        ("", False),
        ("slow", False),
        ("slow or not slow", False),
        ("rounding or slow", False),
        ("not rounding", False),
        ("and", False),
        ("rounding", True),
        ("rounding and not slow", True),
        ("rounding and slow", True),
    ],
)
def test_users_flags_are_for_runs_of_nothing_but_rounding(expression, users):
    assert flags.asks_for_rounding(expression) == users


def test_flags_are_added_to_those_of_the_user_and_replace_none(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    assert not any("optimization_level" in flag for flag in flags.cheap())
    monkeypatch.delenv("XLA_FLAGS")
    assert "--xla_backend_optimization_level=1" in flags.cheap()


def test_a_flag_that_xla_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(flags, "CHEAP", ("--xla_no_such_flag=1", "--xla_backend_optimization_level=1"))
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert flags.cheap() == ["--xla_backend_optimization_level=1"]


def test_a_file_may_exceed_its_number_by_a_fifth_or_three():
    allowed = {"large": 100, "small": 4, "none": 0}
    assert list(budget.excess({"large": 120, "small": 7, "none": 0, "new": 0}, allowed)) == []
    assert len(list(budget.excess({"large": 121, "small": 8}, allowed))) == 2
    (line,) = budget.excess({"new": 1}, allowed)
    assert "no number yet" in line


def test_a_budget_keeps_what_was_not_counted_and_drops_what_is_gone():
    before = {"jax": "0.1", "fast": {"kept": 1, "again": 2, "gone": 3, "lighter": 4}, "slow": {"kept": 5}}
    after = budget.rewritten(before, "fast", {"again": 7, "lighter": 0, "new": 8}, lambda file: file != "gone")
    assert after["fast"] == {"again": 7, "kept": 1, "new": 8}
    assert after["slow"] == {"kept": 5}
    assert after["jax"] == budget.version()


def test_what_fails_is_a_number_exceeded_and_not_another_jax_or_tests_without_numbers():
    numbers = {"jax": budget.version(), "fast": {"a": 10, "b": 10}, "slow": {"a": 10}}
    for kinds, counted, fails in [
        ({"fast"}, {"a": 10}, False),
        ({"fast"}, {"a": 20}, True),
        ({"fast", "slow"}, {"a": 20, "b": 10}, False),
        ({"fast", "slow"}, {"a": 20, "b": 20}, True),
        ({"rounding"}, {"a": 20}, False),
    ]:
        lines, failed = budget._check(numbers, kinds, counted)
        assert failed == fails, (kinds, counted)
        assert bool(lines) == (fails or kinds == {"rounding"})
    assert not budget._check(numbers | {"jax": "0.1"}, {"fast"}, {"a": 20})[1]


def test_budget_names_no_file_that_is_gone():
    numbers = tomllib.loads(budget.PATH.read_text())
    files = {file for kind in selection.KINDS for file in numbers.get(kind, {})}
    assert {file for file in files if not (ROOT / file).is_file()} == set()


MARKED = """
import pytest
def test_fast(): pass
@pytest.mark.slow
@pytest.mark.parametrize("n", range(20))
def test_slow(n): pass
@pytest.mark.rounding
def test_rounding(): pass
@pytest.mark.slow
@pytest.mark.rounding
def test_both(): pass
"""


@pytest.fixture
def marked(pytester, monkeypatch):
    """Run the tests above with arguments of the command line; the names of those that ran."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(flags, "_known", lambda _flags: True)
    pytester.makeini("[pytest]\nmarkers =\n    slow\n    rounding")
    pytester.makepyfile(test_marked=MARKED)
    plugins = [word for name in ("flags", "selection") for word in ("-p", f"tests.support.{name}")]

    def run(*arguments):
        done = pytester.inline_run(*plugins, "-p", "no:hypothesispytest", "-p", "no:cacheprovider", *arguments)
        return [report.nodeid for report in done.getreports("pytest_runtest_logreport") if report.when == "call"]

    return run


@pytest.mark.parametrize(
    ("arguments", "ran", "left_out", "cheap"),
    [
        ([], 1, 2, True),
        (["-m", "slow or not slow"], 21, 2, True),
        (["-m", "slow or not slow", "--users-flags"], 23, 0, False),
        (["-m", "rounding"], 2, 0, False),
        (["test_marked.py::test_slow[3]", "test_marked.py::test_rounding"], 1, 1, True),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_what_is_run(marked, capsys, arguments, ran, left_out, cheap):
    assert len(marked(*arguments)) == ran
    assert (f"tests about rounding, {left_out};" in capsys.readouterr().out) == (left_out > 0)
    assert bool(os.environ["XLA_FLAGS"]) == cheap


def test_parts_of_the_slow_tests_are_all_of_them_once(marked):
    one, other = (marked("--slow-part", f"{part}/2") for part in (1, 2))
    assert one
    assert other
    assert sorted(one + other) == sorted(f"test_marked.py::test_slow[{n}]" for n in range(20))


STUBBORN = """
import time
from pathlib import Path
def test_stubborn():
    Path("began").touch()
    try:
        time.sleep(60)
    except BaseException:
        pass
def test_next():
    time.sleep(60)
"""
TRAINING = """
from tests.cli.conftest import SMALL, call
def test_training():
    call("train", *SMALL, "--steps", 1_000_000, "--name", "one")
def test_next():
    call("train", *SMALL, "--steps", 1_000_000, "--name", "two")
"""


@pytest.mark.parametrize(
    ("test", "number", "workers"),
    [
        (STUBBORN, signal.SIGINT, 0),
        (STUBBORN, signal.SIGTERM, 2),
        *(
            pytest.param(TRAINING, number, workers, marks=pytest.mark.slow)
            for number in (signal.SIGINT, signal.SIGTERM)
            for workers in (0, 2)
        ),
    ],
    ids=lambda value: {STUBBORN: "stubborn", TRAINING: "training"}.get(value),
)
def test_a_signal_ends_a_run_at_once(tmp_path, test, number, workers):
    """At once: long before the tests would have ended."""
    (tmp_path / "test_it.py").write_text(test)
    began = "began" if test == STUBBORN else "outputs/one/checkpoint.safetensors"
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.stopping", "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    process = subprocess.Popen(
        [*command, "-n", str(workers)],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not any(tmp_path.glob(began)):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == pytest.ExitCode.INTERRUPTED, out
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

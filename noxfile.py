"""What contributors run: `nox` checks and tests, and `nox -l` lists the rest. What follows `--` goes to the tool.

`nox -s test -P 3.13` runs the tests on another Python; one that is not installed is skipped.
"""

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["check", "test"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

ROOMS = ("diffusion", "samplers", "metrics")


@nox.session
def check(session: nox.Session) -> None:
    """Lint, format and types."""
    session.install("-e", ".[test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def test(session: nox.Session) -> None:
    """The fast tests, as the README says."""
    run_pytest(session)


@nox.session
def rounding(session: nox.Session) -> None:
    """The tests about rounding, compiled as users compile."""
    run_pytest(session, "-m", "rounding")


@nox.session
def slow(session: nox.Session) -> None:
    """The slow tests; `-- --slow-part 1/7` runs a part of them."""
    run_pytest(session, "-m", "slow")


@nox.session
def coverage(session: nox.Session) -> None:
    """Branch coverage of the mathematics, the samplers and the metrics by their fast tests."""
    run_pytest(session, *(f"tests/{room}" for room in ROOMS), "--cov")


@nox.session
def mutations(session: nox.Session) -> None:
    """Planted faults, and how many of them the fast tests catch."""
    run_python(session, "benchmarks/mutations.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Write again what the documents say of commands and figures."""
    run_python(session, "docs/generate.py")


@nox.session
def pictures(session: nox.Session) -> None:
    """Draw the pictures of the gallery again; `-- field` draws those that are named."""
    run_python(session, "docs/redraw.py")


@nox.session
def bench(session: nox.Session) -> None:
    """How fast the main job is; `-- quality moons` runs another file of benchmarks/ instead."""
    name, *arguments = session.posargs or ["speed"]
    session.install("-e", ".[test]")
    session.run("python", f"benchmarks/{name}.py", *arguments)


def run_pytest(session: nox.Session, *arguments: str) -> None:
    session.install("-e", ".[test]")
    session.run("pytest", *arguments, *session.posargs)


def run_python(session: nox.Session, file: str) -> None:
    session.install("-e", ".[test]")
    session.run("python", file, *session.posargs)

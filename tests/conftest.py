"""Set before jax is imported: one device, strict ranks, compiled code kept between test runs."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ.setdefault("XDG_CACHE_HOME", str(Path(tempfile.gettempdir()) / f"diffuse-tests-{os.getuid()}"))

pytest_plugins = [f"tests.support.{name}" for name in ("flags", "shapes", "selection", "meter", "budget", "stopping")]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in [name for name in os.environ if name.startswith("DIFFUSE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def slow_clock(monkeypatch):
    """A clock that moves on by a fiftieth of a second each time it is read, whatever the machine is doing."""
    import time

    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 50)


@pytest.fixture
def x64():
    """Double precision, for questions about formulas rather than rounding."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_code():
    from diffuse_cli.cli.device import start_jax

    start_jax("cpu")

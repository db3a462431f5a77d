"""Set before jax is imported: one device, strict ranks, compiled code kept between test runs."""

import itertools
import os
import tempfile
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("XDG_CACHE_HOME", str(Path(tempfile.gettempdir()) / f"diffuse-tests-{os.getuid()}"))

import jax
import pytest

_MANY_MAPS = 20_000  # of the 65,530 that Linux allows by default
_COUNTED_EVERY = 20  # tests: reading so long a list takes a while
_tests = itertools.count(1)

jax.config.update("jax_numpy_rank_promotion", "raise")


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
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_code():
    from diffuse_cli.cli.device import start_jax

    start_jax("cpu")


@pytest.fixture(autouse=True)
def _no_more_compiled_code_than_needed():
    """Every program holds a few of the memory maps that a process may have, and XLA dies of having none left; what is
    thrown away is found again on disk."""
    yield
    maps = Path("/proc/self/maps")
    if next(_tests) % _COUNTED_EVERY == 0 and maps.is_file() and maps.read_bytes().count(b"\n") > _MANY_MAPS:
        jax.clear_caches()

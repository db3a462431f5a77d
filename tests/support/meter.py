"""What a run costs: CPU seconds, and programs that XLA was asked for, by test.

A program counts whether it was compiled or found in the cache on disk, so that a cold run and a warm one count alike.
Every file starts with nothing compiled in its process; so it counts alike, whichever files its worker ran before.
"""

import functools
import itertools
import os
import sys
from collections import defaultdict
from typing import NamedTuple

import pytest

_COMPILED = "/jax/core/compile/backend_compile_duration"  # also around a look into the cache
_MANY = 2_000  # programs, of a few memory maps each; Linux allows a process 65,530, and XLA dies of having none left
SHARED = "fixtures for all files"


class Cost(NamedTuple):
    programs: int = 0
    cpu: float = 0.0

    def __add__(self, other):
        return Cost(self.programs + other.programs, self.cpu + other.cpu)

    def __sub__(self, other):
        return Cost(self.programs - other.programs, self.cpu - other.cpu)


class Meter:
    """Counts in the process that runs tests, which sends what it counted to the one that prints it."""

    def __init__(self):
        self.costs = defaultdict(Cost)
        self._programs = 0
        self._since = 0  # programs since nothing was compiled
        self._file = None
        self._inner = None  # the cost of what fixtures for all files took out of the test that asked first

    def now(self):
        return Cost(self._programs, sum(os.times()[:4]))  # with the processes that a test has started and ended

    def pytest_collection_finish(self):
        import jax

        def count(event, _seconds, **_):
            if event == _COMPILED:
                self._programs += 1

        jax.monitoring.register_event_duration_secs_listener(count)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        file = item.nodeid.partition("::")[0]
        if file != self._file or self._programs - self._since > _MANY:
            self.start_afresh()
        self._file, self._inner = file, Cost()
        before = self.now()
        try:
            return (yield)
        finally:
            self.costs[item.nodeid] += self.now() - before - self._inner

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef):
        if fixturedef.scope != "session":
            return (yield)
        before, inner = self.now(), self._inner
        try:
            return (yield)
        finally:
            if self._programs > before.programs:
                self.start_afresh()
            whole = self.now() - before
            self.costs[SHARED] += whole - (self._inner - inner)
            self._inner = inner + whole

    def start_afresh(self):
        """Forget all that is compiled, and all that the package remembers."""
        import jax

        jax.clear_caches()
        for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "diffuse_cli"]:
            for value in vars(module).values():
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
        self._since = self._programs

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["costs"] = {name: tuple(cost) for name, cost in self.costs.items()}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        for name, cost in getattr(node, "workeroutput", {}).get("costs", {}).items():
            self.costs[name] += Cost(*cost)

    def by_file(self):
        """The cost of each file, dearest first."""
        files = defaultdict(Cost)
        for name, cost in self.costs.items():
            files[name.partition("::")[0]] += cost
        return sorted(files.items(), key=lambda pair: -pair[1].cpu)


_METER = pytest.StashKey[Meter]()
_FILES_SHOWN = 15
_TESTS_SHOWN = 10


def of(config):
    """The meter of a run."""
    return config.stash[_METER]


def pytest_addoption(parser):
    parser.addoption("--budget-table", action="store_true", help="at the end, show what every file and test cost")


def pytest_configure(config):
    config.stash[_METER] = Meter()
    config.pluginmanager.register(of(config), "meter")


def pytest_terminal_summary(terminalreporter, config):
    meter = of(config)
    if not meter.costs:
        return
    everything = config.getoption("--budget-table")
    files = meter.by_file()
    tests = sorted(((n, c) for n, c in meter.costs.items() if n != SHARED), key=lambda pair: -pair[1].cpu)
    total = sum(meter.costs.values(), Cost())
    write = terminalreporter.write_line
    terminalreporter.section("programs compiled, CPU seconds")
    for name, cost in itertools.islice(files, None if everything else _FILES_SHOWN):
        write(_row(cost, name))
    write(_row(total, f"in all, {len({name.partition('::')[0] for name, _ in tests})} files"))
    write("the dearest tests:")
    for name, cost in itertools.islice(tests, None if everything else _TESTS_SHOWN):
        write(_row(cost, name))


def _row(cost, name):
    return f"{cost.programs:8,} {cost.cpu:8.1f}  {name}"

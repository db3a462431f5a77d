"""Which tests a run is of: all that are quick by default, others by -m, and the slow ones also in parts.

`slow` and `rounding` are the two markers. A slow test that is named on the command line runs without -m.
"""

import zlib

import pytest

from tests.support import flags

KINDS = {"fast": [()], "slow": [("slow",)], "rounding": [("rounding",), ("rounding", "slow")]}
_LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser):
    parser.addoption(
        "--slow-part",
        type=_part,
        metavar="K/N",
        help="of the slow tests, run the Kth of N parts only; without -m, those and nothing else",
    )


def _part(text):
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise ValueError(text)
    return int(part), int(parts)


def kinds(config):
    """Of `fast`, `slow` and `rounding`, those that a run takes tests of, as far as its -m says."""
    if config.option.markexpr:
        picks = flags.picks(config.option.markexpr)
        picked = {kind for kind, sets in KINDS.items() if any(picks[marks] for marks in sets)}
    elif config.option.slow_part:
        picked = {"slow"}
    else:
        picked = {"fast", "rounding"}
    return picked if flags.are_users(config) else picked - {"rounding"}


def are_whole(config):
    """Whether each file that a run asks for is run whole, as far as its -m says."""
    options = config.option
    in_part = (options.keyword, options.deselect, options.slow_part, options.maxfail)
    again = (getattr(options, name, False) for name in ("lf", "stepwise"))
    return not (any(in_part) or any(again) or any("::" in argument for argument in config.args))


def pytest_collection_modifyitems(config, items):
    users = flags.are_users(config)
    rounding = {item for item in items if item.get_closest_marker("rounding") and not users}
    left_out = rounding | {item for item in items if not _keeps(config, item)}
    config.stash[_LEFT_OUT] = len(rounding)
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _keeps(config, item):
    slow = item.get_closest_marker("slow") is not None
    if slow and config.option.slow_part:
        part, parts = config.option.slow_part
        return zlib.crc32(item.nodeid.encode()) % parts == part - 1
    if config.option.markexpr:
        return True  # pytest sees to it
    if config.option.slow_part:
        return False
    return not slow or any(_names(config, argument, item) for argument in config.args)


def _names(config, argument, item):
    """Whether an argument of the command line is this very test, or the test without its parameters."""
    file, _, name = argument.partition("::")
    same = (config.invocation_params.dir / file).resolve() == item.path
    return same and item.nodeid.partition("::")[2] in (name, f"{name}[{item.nodeid.partition('[')[2]}")


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.option.slow_part:
        session.exitstatus = pytest.ExitCode.OK  # a part may be empty
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter, config):
    left_out = config.stash.get(_LEFT_OUT, 0)
    if left_out:
        terminalreporter.write_line(f"left out: tests about rounding, {left_out}; they run with: pytest -m rounding")

"""XLA compiles quickly rather than well, except where the tests ask about rounding.

Those carry the marker `rounding` and need what users get, in a process that was started for them: XLA reads its flags
once.
"""

import os
import subprocess
import sys

import pytest
from _pytest.mark.expression import Expression

MARKS = [(), ("slow",), ("rounding",), ("rounding", "slow")]
CHEAP = ("--xla_backend_optimization_level=1", "--xla_cpu_use_fusion_emitters=false")
_ASK = "from jaxlib import xla_client; xla_client.make_cpu_client()"
_USERS = pytest.StashKey[bool]()


def pytest_addoption(parser, pluginmanager):
    parser.addoption(
        "--users-flags",
        action="store_true",
        help="compile as users do; slower, but then the tests about rounding can run beside the others",
    )
    settle(pluginmanager.get_plugin("pytestconfig"))


def settle(config):
    """Set XLA_FLAGS for this process and its workers, before anything has imported jax."""
    options = config.known_args_namespace
    users = "--users-flags" in config.invocation_params.args or asks_for_rounding(options.markexpr)
    config.stash[_USERS] = users
    if not users and "PYTEST_XDIST_WORKER" not in os.environ:  # a worker inherits what was settled
        os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *cheap()]).strip()


def asks_for_rounding(expression):
    """Whether an expression of -m picks tests about rounding, and no others."""
    try:
        picked = picks(expression) if expression else {}
    except SyntaxError:  # pytest will say so
        return False
    return any(picked.values()) and not any(value for marks, value in picked.items() if "rounding" not in marks)


def picks(expression):
    """Whether an expression of -m picks a test that has these markers, and no others."""
    matches = Expression.compile(expression).evaluate
    return {marks: matches(lambda name, marks=marks, **_: name in marks) for marks in MARKS}


def cheap():
    """The cheap flags that the user has not set and the installed XLA knows; one it does not know ends the process."""
    given = os.environ.get("XLA_FLAGS", "")
    flags = [flag for flag in CHEAP if flag.partition("=")[0] not in given]
    return flags if _known(flags) else [flag for flag in flags if _known([flag])]


def _known(flags):
    environment = os.environ | {"XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}
    return subprocess.run([sys.executable, "-c", _ASK], env=environment, capture_output=True).returncode == 0


def are_users(config):
    """Whether this run compiles as users do."""
    return config.stash[_USERS]

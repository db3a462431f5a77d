"""The examples in docstrings are right, and everything that can be chosen has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import diffuse_cli
from diffuse_cli import catalog

MODULES = [
    module.name
    for module in pkgutil.walk_packages(diffuse_cli.__path__, "diffuse_cli.")
    if not module.name.endswith(("__main__", "sampling.samplers"))  # the second, an old address, warns
]


@pytest.mark.parametrize("room", sorted({name.split(".")[1] for name in MODULES}))
def test_examples_of_a_room(room):
    failed = []
    for name in MODULES:
        if name.split(".")[1] == room and doctest.testmod(importlib.import_module(name)).failed:
            failed.append(name)
    assert not failed, f"examples of {', '.join(failed)} print something else; the output above has them"


def test_every_choice_has_an_example():
    factories = {
        f"{kind} {name}": catalog.factory(catalog.parse(kind, name))
        for kind, names in catalog.CATALOG.items()
        for name in names
    }
    without = [name for name, factory in factories.items() if ">>> " not in (inspect.getdoc(factory) or "")]
    assert not without, f"no example in the docstrings of {', '.join(without)}"

"""Cases of a table: a few in every run, all of them with the slow tests."""

import pytest

from diffuse_cli import catalog

# Sets that need no file of a user's and have a law; FIXED are a fixed number of rows, whose law is unknown.
FIXED = ["digits"]
BUILT_IN = [name for name in catalog.CATALOG["dataset"] if name not in ("file", "image", *FIXED)]


def few_fast(cases, *fast):
    """`cases` for parametrize, all but the `fast` ones marked slow. A fast one that is no case is an error."""
    cases = list(cases)
    assert all(case in cases for case in fast), f"{fast} are not all among {cases}"
    return [case if case in fast else pytest.param(case, marks=pytest.mark.slow) for case in cases]

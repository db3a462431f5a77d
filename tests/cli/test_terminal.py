"""What goes to stdout and is read by scripts."""

import json

import numpy as np
import pytest

from diffuse_cli.cli import terminal


def test_what_is_no_finite_number_becomes_null(capsys):
    document = {"a": [float("nan"), 1.5, (float("-inf"), 2)], "b": {"c": np.float64("inf"), "d": None, "e": "nan"}}
    terminal.print_json(document)
    read = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert read == {"a": [None, 1.5, [None, 2]], "b": {"c": None, "d": None, "e": "nan"}}

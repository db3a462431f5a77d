"""What the shell offers, also behind a colon, where bash begins a new word."""

import os
import subprocess
import sys

import pytest

from diffuse_cli.cli import COMMANDS, cli
from diffuse_cli.cli.completion import MarkedBashComplete


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """Ask as bash does: the words, taken apart at their marks, of which the last is being typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.csv").touch()
    (tmp_path / "picture.png").touch()
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "deep.NPY").touch()

    def ask(words):
        given = words.split(" ")
        monkeypatch.setenv("COMP_WORDS", words.rstrip())
        monkeypatch.setenv("COMP_CWORD", str(len(given) - 1))
        lines = MarkedBashComplete(cli, {}, "diffuse", "_DIFFUSE_COMPLETE").complete().split("\n")
        return [line.partition(",")[2] for line in lines if line]

    return ask


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("diffuse tra", ["train"]),
        ("diffuse train --dataset moo", ["moons"]),
        ("diffuse train --dataset file : p", ["parts/", "points.csv", "path="]),
        ("diffuse train --dataset file : parts/", ["parts/deep.NPY"]),
        ("diffuse train --dataset file : path = po", ["points.csv"]),
        ("diffuse train --dataset file : points.csv,del", ["points.csv,delimiter="]),
        ("diffuse train --dataset image : p", ["parts/", "picture.png", "path="]),
        ("diffuse train --dataset moons : no", ["noise="]),
        ("diffuse train --dataset nothing : no", []),
        ("diffuse sample --sampler ddpm : variance = s", ["small"]),
    ],
)
def test_what_is_offered(offered, words, expected):
    assert offered(words) == expected


def test_the_program_answers_bash(tmp_path):
    asked = {"_DIFFUSE_COMPLETE": "bash_complete", "COMP_WORDS": "diffuse ", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "diffuse_cli"], env={**os.environ, **asked}, capture_output=True, text=True, cwd=tmp_path
    )
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == list(COMMANDS)

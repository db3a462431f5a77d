"""One small trained run, shared, and a way to call the command line."""

import json
import os
import shutil
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from filelock import FileLock

from diffuse_cli.cli import cli
from diffuse_cli.training import loop

SMALL = [
    "--steps",
    "60",
    "--batch-size",
    "32",
    "--width",
    "8",
    "--depth",
    "2",
    "--train-size",
    "500",
    "--set",
    "sampler_steps=5",
]


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def call(*args):
    """Run `diffuse ARGS` in this process."""
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    return Result(result.exit_code, result.stdout, result.stderr)


def _few_held_out(patch):
    """The loss of an exact denoiser takes longer than all the training here."""
    patch.setattr(loop, "HELD_OUT", 512)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    _few_held_out(monkeypatch)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """An outputs folder with one run, `small`, for all workers. Not to be changed: ask for `outputs` for a copy."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained"
    with FileLock(f"{folder}.lock"), pytest.MonkeyPatch.context() as patch:
        if not (folder / "small" / "figures" / "loss.png").exists():  # the last thing to be written
            shutil.rmtree(folder, ignore_errors=True)
            _few_held_out(patch)
            result = call("train", "--name", "small", "--outputs", folder, *SMALL)
            assert result.code == 0, result.err
    return folder


@pytest.fixture
def outputs(trained, tmp_path, monkeypatch):
    """A folder of one's own, stood in, whose `outputs` holds the run `small`."""
    shutil.copytree(trained, tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs"

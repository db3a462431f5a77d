"""One small trained run, shared, and a way to call the command line."""

import contextlib
import json
import os
import shutil
from typing import NamedTuple

import msgspec
import pytest
from click.testing import CliRunner
from filelock import FileLock

from diffuse_cli import config
from diffuse_cli.cli import cli
from diffuse_cli.errors import DiffuseError
from diffuse_cli.models import checkpoint, run_folder
from diffuse_cli.training import loop, trainer

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
BARE = [*SMALL, "--no-figures"]


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
    """The loss of an exact denoiser, and the paths of a teacher, take longer than all the training here."""
    patch.setattr(loop, "HELD_OUT", 512)
    patch.setattr(trainer, "PATHS", 64)


@contextlib.contextmanager
def standing_in(folder):
    """Stand in a folder, with what every test here has: for fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("DIFFUSE_")]:
            patch.delenv(name)
        _few_held_out(patch)
        patch.chdir(folder)
        yield patch


def rewrite_settings(file, **settings):
    """Change settings that a checkpoint carries, as if its run had been trained with them; None leaves one out."""
    tensors, header = checkpoint.load_checkpoint(file)
    values = msgspec.structs.asdict(config.make(config.loads(header["config"]))) | settings
    header["config"] = config.dump(config.make({name: value for name, value in values.items() if value is not None}))
    checkpoint.save_checkpoint(file, tensors, header)


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
def only_begun(monkeypatch):
    """Trainings end where they would make their folder; the names that the folders would have."""
    names = []

    def stop(_outputs, name, default):
        names.append(name or default)
        raise DiffuseError("far enough")

    monkeypatch.setattr(run_folder, "create_run_folder", stop)
    return names


@pytest.fixture
def outputs(trained, tmp_path, monkeypatch):
    """A folder of one's own, stood in, whose `outputs` holds the run `small`."""
    shutil.copytree(trained, tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs"


@pytest.fixture
def drawn(monkeypatch):
    """The figures that commands save, in order."""
    from diffuse_cli.plots import style

    figures, save = [], style.save_figure
    monkeypatch.setattr(
        style, "save_figure", lambda figure, *args, **named: figures.append(figure) or save(figure, *args, **named)
    )
    return figures

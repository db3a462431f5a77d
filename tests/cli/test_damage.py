"""Checkpoints that are damaged, or were changed to do harm: one line, in little time and memory, wherever they are
opened."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import safetensors.numpy

from diffuse_cli.errors import DiffuseError
from diffuse_cli.models import checkpoint, run_folder
from tests.cli.conftest import call


def _setting(name, value):
    def change(tensors, header):
        lines = [line for line in header["config"].splitlines() if not line.startswith(f"{name} =")]
        header["config"] = "\n".join([f"{name} = {json.dumps(value)}", *lines])

    return change


def _entry(key, value):
    return lambda tensors, header: header.update({key: value})


def _tensor(name, value):
    return lambda tensors, header: tensors.update({name: np.asarray(value)})


WAYS = {
    "many layers": _setting("depth", 1_000_000),
    "wide layers": _setting("width", 1 << 40),
    "long chain": _setting("timesteps", 2_000_000_000),
    "batch": _setting("batch_size", 1 << 40),
    "endless file": _setting("schedule", "table:path=/dev/zero"),
    "any file": _setting("schedule", "table:path=/etc/hostname"),
    "terminal": _setting("dataset", "file:path=\x1b[31mred.csv"),
    "code": _setting("loss", "os.path:join"),
    "setting": _setting("loss", 3),
    "no toml": _entry("config", "= ="),
    "config": _entry("config", -3),
    "dim": _entry("dim", "-2"),
    "other dim": _entry("dim", "3"),
    "view": _entry("view", "walls"),
    "columns": _entry("columns", '["x"]'),
    "columns of numbers": _entry("columns", "[1, 2]"),
    "step": _entry("step", None),
    "step in words": _entry("step", "many"),
    "seconds": _entry("seconds", []),
    "versions": _entry("versions", "{"),
    "scale nan": _tensor("standard.scale", [1.0, np.nan]),
    "scale zero": _tensor("standard.scale", [1.0, 0.0]),
    "mean": _tensor("standard.mean", np.zeros((3, 5))),
    "bounds": _tensor("bounds.low", [1e9, 0.0]),
    "no bounds": lambda tensors, header: tensors.pop("bounds.high"),
}


def _answer(opened, file):
    """The message of the error with which a checkpoint is refused; None where it is not."""
    try:
        opened(file)
    except DiffuseError as error:
        return str(error)
    return None


def _changed(file, change, *, checksum):
    """Write a checkpoint again after a change: with a checksum that fits, or with none, as old versions wrote it."""
    tensors, header = checkpoint.load_checkpoint(file)
    change(tensors, header)
    if checksum:
        checkpoint.save_checkpoint(file, tensors, header)
    else:
        file.write_bytes(safetensors.numpy.save(tensors, {"diffuse": json.dumps({**header, "format": "1"})}))


@pytest.mark.parametrize("checksum", [True, False])
def test_every_harmful_change_is_refused_where_a_run_is_opened(outputs, checksum):
    file, passed = outputs / "small" / run_folder.NEWEST, []
    whole = file.read_bytes()
    for way, change in WAYS.items():
        file.write_bytes(whole)
        _changed(file, change, checksum=checksum)
        for opened in (run_folder.open_run, partial(run_folder.read_run_header, whole=True)):
            answer = _answer(opened, file)
            if answer is None or "\n" in answer.strip():
                passed.append(way)
    # code is refused where it would be imported; a header alone does not know how many columns there should be
    assert passed == ["code"]


def test_any_flipped_bit_is_noticed(outputs):
    file, passed = outputs / "small" / run_folder.NEWEST, []
    whole = file.read_bytes()
    for place in np.random.default_rng(0).integers(len(whole), size=60).tolist():
        changed = bytearray(whole)
        changed[place] ^= 4
        file.write_bytes(changed)
        if _answer(partial(run_folder.read_run_header, whole=True), file) is None:
            passed.append(place)
    assert passed == []


def test_a_damaged_run_does_not_hide_the_others(outputs):
    for name, way in {"first": "step", "second": "many layers"}.items():
        shutil.copytree(outputs / "small", outputs / name)
        _changed(outputs / name / run_folder.NEWEST, WAYS[way], checksum=False)
    result = call("runs", "--json")
    assert [run["name"] for run in result.json] == ["small"]
    assert result.err.count("Warning") == 2


@pytest.mark.parametrize(
    "line", ['{"step": 3}', '{"step": null, "loss": 1.0, "seconds": 1.0}', "[]", "3", '{"loss": "a"}']
)
def test_a_damaged_log_is_one_line(outputs, line):
    (outputs / "small" / "log.jsonl").write_text(line + "\n")
    result = call("plot-loss")
    assert result.code == 1
    assert "log.jsonl is damaged" in result.err


def test_a_folder_that_was_left_before_its_first_checkpoint_is_taken_over(outputs):
    left, settings = outputs / "left", (outputs / "small" / "config.toml").read_bytes()
    for part in ("figures", "samples"):
        (left / part).mkdir(parents=True)
    (left / "config.toml").write_bytes(settings)
    result = call("train", "--resume", "left")
    assert result.code == 1
    assert f"diffuse train --config {left / 'config.toml'} --name left" in result.err.replace("outputs/", f"{outputs}/")
    assert run_folder.create_run_folder(outputs, "left", "moons") == left
    shutil.rmtree(left / "samples")
    (left / "log.jsonl").write_text('{"step": 10, "loss": 1.0, "seconds": 0.1}\n')
    assert run_folder.create_run_folder(outputs, "left", "moons") == left
    assert sorted(path.name for path in left.iterdir()) == ["config.toml", "figures", "samples"]
    (left / "notes.txt").write_text("mine")
    with pytest.raises(DiffuseError, match="exists"):
        run_folder.create_run_folder(outputs, "left", "moons")

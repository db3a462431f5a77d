"""--conditional and --label: what is trained, drawn, judged and refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.models import checkpoint
from tests.cli.conftest import BARE, call, standing_in


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A folder with a conditional run `sides` of two modes, told by their labels."""
    folder = tmp_path_factory.mktemp("labelled")
    with standing_in(folder):
        result = call("train", "--dataset", "bimodal:weight=0.25", "--conditional", "--name", "sides", *BARE)
    assert result.code == 0, result.err
    return folder


@pytest.fixture(autouse=True)
def _here(labelled, monkeypatch):
    monkeypatch.chdir(labelled)


def test_labels_are_in_the_checkpoint_by_name():
    header = checkpoint.read_header(Path("outputs/sides/checkpoint.safetensors"))
    assert json.loads(header["conditions"]) == {"left": 0.75, "right": 0.25}


def test_samples_are_written_with_their_labels(tmp_path):
    assert call("sample", "--label", "all", "-n", 40, "--out", tmp_path / "all.csv").code == 0
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows].count("right") == 10
    assert call("sample", "--label", "left", "-n", 40, "--out", tmp_path / "left.npz").code == 0
    with np.load(tmp_path / "left.npz") as arrays:
        assert set(arrays["label"]) == {"left"}
    assert call("sample", "-n", 40, "--out", tmp_path / "none.npz").code == 0
    with np.load(tmp_path / "none.npz") as arrays:
        assert "label" not in arrays


@pytest.mark.parametrize(
    "words",
    [
        ["plot-field"],
        pytest.param(["plot-density"], marks=pytest.mark.slow),
        pytest.param(["report", "--no-metrics", "-n", 10], marks=pytest.mark.slow),
    ],
    ids=lambda words: words[0],
)
def test_each_label_has_a_file_of_its_own(words):
    paths = call(*words, "--label", "all").out.split()
    assert ["left" in paths[0], "right" in paths[1], len(paths)] == [True, True, 2], words


def test_the_names_of_files_of_labels():
    """Of all labels each stands in the name; of one the name that is given is kept."""
    assert call("plot-field", "--label", "all", "--out", "f.svg").out.split() == ["f-left.svg", "f-right.svg"]
    assert call("plot-field", "--label", "left", "--out", "f.svg").out.split() == ["f.svg"]


def test_all_labels_are_judged_one_by_one_and_together():
    words = ["evaluate", "-n", 100, "--metric", "sliced_w2", "--repeats", 2]
    both = call(*words, "--label", "all", "--json").json
    one = call(*words, "--label", "left", "--json").json
    assert set(both["labels"]) == {"left", "right"}
    assert both["labels"]["left"] == one
    each = [both["labels"][name]["nll"]["value"] for name in ("left", "right")]
    assert both["nll"]["value"] == pytest.approx(np.dot([0.75, 0.25], each))
    table = call(*words, "--label", "all").out
    assert [line.split()[0] for line in table.splitlines()[-6:] if line.strip()][-3:] == ["left", "right", "mean"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample", "--label", "lefft"], "unknown label of sides 'lefft'; did you mean 'left'? Known: left, right."),
        (["explain", "--label", "all", "--json"], "--json prints one document; give one --label"),
        (["doctor", "--dataset", "moons", "--label", "top"], "unknown label 'top'"),
        (["plot-forward", "--dataset", "heart", "--label", "a"], "these data have no labels"),
        (["sample", "--exact", "--dataset", "heart", "--label", "all"], "the data of exact heart have no labels"),
        (["train", "--dataset", "heart", "--conditional"], "heart has no labels to be conditional on"),
    ],
)
def test_labels_that_are_refused(words, message):
    result = call(*words)
    assert (result.code, message in result.err) == (2, True), result.err


def test_an_unconditional_run_cannot_be_told(trained):
    result = call("sample", "--label", "upper", "--run", trained / "small")
    assert result.code == 2
    assert "small was trained without labels" in result.err


@pytest.mark.parametrize("labels", [None, "{}", '{"left": 0.75}', '{"left": 1.75, "right": -0.75}', "[1]"])
def test_labels_that_a_checkpoint_lacks_or_that_make_no_sense(labels, tmp_path):
    tensors, header = checkpoint.load_checkpoint(Path("outputs/sides/checkpoint.safetensors"))
    header = {key: value for key, value in header.items() if key != "conditions"}
    header |= {} if labels is None else {"conditions": labels}
    checkpoint.save_checkpoint(tmp_path / "c.safetensors", tensors, header)
    result = call("sample", "--run", tmp_path / "c.safetensors", "-n", 2)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "not a whole checkpoint" in result.err


def test_schedules_are_judged_by_the_points_with_a_label():
    left = call("doctor", "--dataset", "bimodal:weight=0.25", "--label", "left", "--json").json
    both = call("doctor", "--dataset", "bimodal:weight=0.25", "--label", "all", "--json").json
    assert both["labels"]["left"] == left
    assert left["label"] == "left"

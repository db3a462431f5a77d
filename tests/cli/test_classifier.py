"""train --classifier and --guidance classifier:run=…: what is trained, used and refused."""

from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.models import checkpoint
from tests.cli.conftest import BARE, SMALL, call, standing_in

SIDES = "bimodal:distance=2,std=1"
RUN = ["--run", "sides-classifier"]
GUIDED = ["--label", "right", "--guidance", "classifier:w=2,run=sides-classifier"]


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """A folder with a run `sides-classifier` and an unconditional run `sides` of the same two modes."""
    folder = tmp_path_factory.mktemp("classifiers")
    with standing_in(folder):
        result = call("train", "--dataset", SIDES, "--classifier", "--name", "sides-classifier", *SMALL, "--json")
        assert result.code == 0, result.err
        assert call("train", "--dataset", SIDES, "--name", "sides", *BARE).code == 0
    return folder, result


@pytest.fixture(autouse=True)
def _here(sides, monkeypatch):
    monkeypatch.chdir(sides[0])


def test_what_training_says_and_leaves(sides):
    _, result = sides
    found = result.json
    assert {Path(path).name for path in found["figures"]} == {"loss.png", "forward.png"}
    assert all(Path(path).is_file() for path in found["figures"])
    assert 0 < found["excess_loss"] < 0.5
    assert found["accuracy"]["value"] <= found["bayes_accuracy"]["value"] == pytest.approx(0.8413, abs=0.02)
    assert "--guidance classifier:w=2,run=sides-classifier" in result.err


def test_it_guides_exact_and_trained_models(tmp_path):
    for words in (["--exact", "--dataset", SIDES], ["--run", "sides"]):
        result = call("sample", *words, *GUIDED, "-n", 50, "--steps", 3, "--out", tmp_path / "s.npz")
        assert result.code == 0, result.err
        with np.load(tmp_path / "s.npz") as arrays:
            assert set(arrays["label"]) == {"right"}
            assert np.isfinite(arrays["samples"]).all()


@pytest.mark.parametrize("words", [["runs"], ["info", "sides-classifier"], ["plot-loss", *RUN, "--out", "l.svg"]])
def test_what_is_true_of_all_runs_is_shown(words):
    result = call(*words)
    assert result.code == 0, result.err


def test_a_classifier_is_resumed():
    result = call("train", "--resume", "sides-classifier", "--steps", 70, "--no-figures")
    assert result.code == 0, result.err
    assert "held-out cross entropy" in result.out
    assert "excess loss" in result.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        *(
            ([command, *RUN], "use it with --guidance classifier:w=2,run=sides-classifier")
            for command in ("sample", "evaluate", "report", "explain", "likelihood", "plot-field", "plot-reverse")
        ),
        (["sample", "--run", "sides", "--times", "run:sides-classifier"], "sides-classifier is a classifier"),
        (
            ["sample", "--run", "sides", "--label", "left", "--guidance", "auto:w=2,run=sides-classifier"],
            "a classifier",
        ),
        (["sample", "--run", "sides", "--label", "left", "--guidance", "classifier:w=2,run=sides"], "is no classifier"),
        (["sample", "--run", "sides", "--guidance", "classifier:w=2,run=sides-classifier"], "give --label left or"),
        (["sample", "--exact", "--dataset", "moons", *GUIDED], "train one on the same data"),
        (["train", "--dataset", "heart", "--classifier"], "heart has no labels for a classifier"),
        (["train", "--dataset", "moons", "--classifier", "--conditional"], "either --classifier or --conditional"),
    ],
)
def test_what_is_refused(words, message):
    result = call(*words)
    assert (result.code, message in result.err, result.err.count("\n")) == (2, True, 1), result.err


@pytest.mark.parametrize("labels", [None, '{"left": 0.75}', '{"a": 0.5, "b": 0.25, "c": 0.25}'])
def test_a_damaged_header_is_one_line(labels, tmp_path):
    tensors, header = checkpoint.load_checkpoint(Path("outputs/sides-classifier/checkpoint.safetensors"))
    header = {key: value for key, value in header.items() if key != "conditions"}
    header |= {} if labels is None else {"conditions": labels}
    checkpoint.save_checkpoint(tmp_path / "c.safetensors", tensors, header)
    guidance = f"classifier:w=2,run={tmp_path / 'c.safetensors'}"
    result = call("sample", "--run", "sides", "--label", "left", "--guidance", guidance)
    assert (result.code, result.err.count("\n")) == (1, 1), result.err


@pytest.mark.slow
def test_guidance_moves_samples_to_the_label():
    """On `overlap` w = 1 gives the points with the label, and w = 3 moves them further from the other label."""
    assert call("train", "--dataset", "overlap", "--classifier", "--steps", 1500, "--no-figures").code == 0
    means = {}
    for w in (1, 3):
        words = ["--label", "upper", "--guidance", f"classifier:w={w},run=overlap-classifier", "-n", 1000]
        assert call("sample", "--exact", "--dataset", "overlap", *words, "--steps", 20, "--out", "o.npz").code == 0
        with np.load("o.npz") as arrays:
            means[w] = arrays["samples"].mean(axis=0)[1]
    assert call("sample", "--exact", "--dataset", "overlap", "--label", "upper", "-n", 1000, "--out", "u.npz").code == 0
    with np.load("u.npz") as arrays:
        assert means[1] == pytest.approx(arrays["samples"].mean(axis=0)[1], abs=0.1)
    assert means[3] > means[1] + 0.1

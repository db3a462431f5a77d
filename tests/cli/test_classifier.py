"""train --classifier, and guidance by the classifier that it learns."""

import numpy as np
import pytest

from tests.cli.conftest import BARE, call, standing_in

DATA = "bimodal:distance=2,std=1,weight=0.3"
SIDES = ["--exact", "--dataset", DATA]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A folder with a classifier `tells` of two modes that overlap, and what its training printed."""
    folder = tmp_path_factory.mktemp("classifier")
    words = [*BARE, "--steps", 600, "--lr", "0.02", "--train-size", 4000, "--batch-size", 128, "--width", 16]
    with standing_in(folder):
        result = call("train", "--dataset", DATA, "--classifier", "--name", "tells", *words, "--json")
    assert result.code == 0, result.err
    return folder, result.json


@pytest.fixture(autouse=True)
def _here(told, monkeypatch):
    monkeypatch.chdir(told[0])


def test_it_learns_the_exact_classifier(told):
    """Its cross entropy on held-out points is that of Bayes' rule with noise, but for a few hundredths of a nat."""
    assert told[1]["excess_loss"] == pytest.approx(0, abs=0.02)
    assert 0.3 < told[1]["held_out_loss"] < 0.62  # H(c) is 0.61


def test_it_guides_as_the_exact_one_does():
    samples = {}
    for name in ("classifier:w=2,run=tells", "classifier:w=2"):
        words = ["--label", "right", "--guidance", name, "-n", 400, "--steps", 10, "--out", "s.npy"]
        result = call("sample", *SIDES, *words)
        assert result.code == 0, result.err
        samples[name] = np.load("s.npy")
    learned, exact = samples.values()  # from the same noise
    assert np.abs(learned - exact).mean() < 0.5 * exact.std()  # of opposite sign they are 3 apart


@pytest.mark.parametrize("words", [["sample"], ["evaluate"], ["report"], ["explain"], ["plot-field"], ["likelihood"]])
def test_it_is_no_denoiser(words):
    result = call(*words, "--run", "tells")
    assert result.code == 2
    assert "tells is a classifier; use it with --guidance classifier:w=2,run=tells" in result.err


def test_it_is_a_run_like_others():
    assert call("info", "--run", "tells").code == 0
    assert "tells" in call("runs").out
    assert call("plot-loss", "--run", "tells", "--out", "loss.svg").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--dataset", "heart", "--classifier"], "heart has no labels for a classifier"),
        (["train", "--dataset", "moons", "--classifier", "--conditional"], "--conditional"),
        (["train", "--dataset", "moons", "--classifier", "--variance", "learned"], "classifier"),
        (["sample", "--exact", "--dataset", "moons", "--label", "upper", "--guidance", "classifier:w=2,run=tells"],
         "tells has learned"),
        (["sample", *SIDES, "--label", "left", "--guidance", "auto:w=2,run=tells"], "tells is a classifier"),
    ],
    ids=lambda value: "" if isinstance(value, list) else value,
)  # fmt: skip
def test_what_is_refused(words, message):
    result = call(*words)
    assert (result.code, message in result.err) == (2, True), result.err

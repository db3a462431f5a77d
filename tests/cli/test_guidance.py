"""--guidance, --times and plot-guidance on the command line; tests/guidance and tests/models ask what they are."""

import numpy as np
import pytest

from tests.cli.conftest import call

SIDES = ["--exact", "--dataset", "bimodal:distance=2,std=1"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_guided_samples_are_judged_by_the_tilted_law():
    words = ["evaluate", *SIDES, "--label", "right", "-n", 400, "--metric", "sliced_w2", "--repeats", 3]
    result = call(*words, "--guidance", "fkc:w=2", "--particles", 100, "--steps", 20, "--json")
    assert result.code == 0, result.err
    found = result.json["guidance"]
    assert set(found["from_label"]) == {"sliced_w2", "energy"}
    assert found["particles"]["populations"] == 4
    assert 0 < found["particles"]["least"] <= found["particles"]["last"] + 0.5
    assert found["particles"]["z_ratio"]["value"] == pytest.approx(
        1, abs=6 * found["particles"]["z_ratio"]["stderr"] + 0.05
    )
    assert result.json["nll"] is None
    flow = call(*words, "--guidance", 2, "--steps", 10, "--json").json
    assert flow["guidance"]["particles"] is None
    assert flow["nll"]["gap"] > 0.01  # the flow of a guided denoiser draws from another law
    assert flow["guidance"]["kl"]["floor"] > 0


def test_particles_are_told_of():
    result = call(
        "sample", *SIDES, "--times", "gaussian:x=1,std=0.5", "--particles", 50, "-n", 100, "--steps", 10, "--json"
    )
    assert result.code == 0, result.err
    assert result.json["particles"]["size"] == [50, 50]
    assert "2 populations of 50 particles" in result.err
    with np.load(result.json["file"]) as arrays:
        assert abs(arrays["samples"].mean() - 0.8) < 0.3  # N(0, 2) times N(1, 0.25), nearly


@pytest.mark.slow
def test_the_figure_of_guidance():
    words = ["plot-guidance", "--exact", "--dataset", "overlap", "--scales", "1,3", "-n", 100, "--particles", 50]
    result = call(*words, "--label", "all", "--steps", 4, "--out", "g.svg")
    assert (result.code, result.out.split()) == (0, ["g-upper.svg", "g-lower.svg"]), result.err
    assert call(*words, "--label", "upper", "--guidance", "interval:low=0.2", "--out", "i.svg").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample", *SIDES, "--guidance", "2"], "give --label left or --label all"),
        (["sample", *SIDES, "--particles", "5"], "give --guidance fkc:w=… or --times"),
        (["sample", *SIDES, "--times-by", "clean"], "give --times too"),
        (
            ["sample", *SIDES, "--label", "left", "--guidance", "fkc:w=2", "--sampler", "ddim"],
            "give --sampler particles",
        ),
        (["sample", *SIDES, "--times", "halfplane:x=1", "--sampler", "ddim"], "give --sampler twisted"),
        (["sample", *SIDES, "--times", "halfplane:x=0"], "needs a direction"),
        (["likelihood", *SIDES, "--label", "left", "--guidance", "fkc:w=2"], "no flow gives their density"),
        (["compare", *SIDES, "--label", "left", "--guidance", "fkc:w=2"], "no flow gives their density"),
        (["likelihood", *SIDES, "--label", "all", "--bound"], "--bound is of one law"),
        (["plot-guidance", *SIDES, "--label", "left"], "is drawn in the plane"),
        (["plot-guidance", *SIDES], "give --label"),
        (["plot-guidance", *SIDES, "--label", "left", "--guidance", "3"], "give --guidance cfg without w"),
        (["plot-guidance", *SIDES, "--label", "left", "--guidance", "fkc"], "is drawn anyway"),
        (["plot-field", *SIDES, "--times", "0.3", "--at", "0.5"], "two answers to which t"),
    ],
    ids=lambda value: "" if isinstance(value, list) else value,
)
def test_what_is_refused(words, message):
    result = call(*words)
    assert (result.code, message in result.err) == (2, True), result.err


def test_a_product_without_mass_is_refused_with_its_mass():
    result = call("sample", *SIDES, "--times", "gaussian:x=1000,std=0.1")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "has no mass: Z = " in result.err


def test_likelihoods_given_each_label_tell_the_labels():
    found = call("likelihood", *SIDES, "--label", "all", "-n", 300, "--json").json
    assert found["accuracy"]["value"] == pytest.approx(0.8413, abs=0.1)  # Phi(1)
    assert found["truth"]["bayes_accuracy"]["value"] == pytest.approx(0.8413, abs=0.01)
    exact = found["truth"]["mutual_information"]["value"]
    assert found["gain"]["value"] == pytest.approx(exact, abs=6 * found["gain"]["stderr"])
    call("likelihood", *SIDES, "--label", "all", "-n", 20, "--out", "p.csv")
    again = call("likelihood", *SIDES, "--label", "all", "--points", "p.csv,columns=x", "--json").json
    assert sum(again["told"].values()) == 20

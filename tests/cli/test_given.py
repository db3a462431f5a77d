"""--given and --prompt: what is trained, drawn, judged and refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.models import checkpoint
from tests.cli.conftest import BARE, call, standing_in


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A folder with a run `mine` of a file with a given column, and a run `sc` that knows words."""
    folder = tmp_path_factory.mktemp("told")
    rng = np.random.default_rng(0)
    rows = np.stack([rng.normal(size=700), rng.choice([10.0, 20.0], 700), rng.normal(size=700)], axis=1)
    np.savetxt(folder / "p.csv", rows, delimiter=",", header="x,temperature,y", comments="")
    np.savetxt(folder / "bare.csv", rows[:20, [0, 2]], delimiter=",", header="x,y", comments="")
    with standing_in(folder):
        words = ["train", "--conditional", *BARE]
        for data, name in (("file:p.csv,given=temperature", "mine"), ("scenes", "sc")):
            result = call(*words, "--dataset", data, "--name", name)
            assert result.code == 0, result.err
    return folder


@pytest.fixture(autouse=True)
def _here(told, monkeypatch):
    monkeypatch.chdir(told)


def test_what_is_given_is_in_the_checkpoint():
    header = checkpoint.read_header(Path("outputs/mine/checkpoint.safetensors"))
    names, _, kind, columns, _ = json.loads(header["conditions"])
    assert (names, kind, header["kind"], columns[0][2:]) == (["temperature"], "columns", "columns", [10.0, 20.0])
    assert call("info", "mine", "--json").json["conditions"] == {"kind": "columns", "names": ["temperature"]}
    assert call("info", "sc", "--json").json["conditions"]["names"][-1] == "line"


def test_samples_are_written_with_what_was_given(tmp_path):
    words = ["sample", "--run", "mine", "--given", "temperature=15", "-n", 20]
    result = call(*words, "--out", tmp_path / "s.csv", "--json")
    assert result.json["given"] == {"temperature": 15.0}
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [list(rows[0]), rows[0]["temperature"]] == [["x", "y", "temperature"], "15"]
    assert call(*words, "--out", tmp_path / "s.npz").code == 0
    with np.load(tmp_path / "s.npz") as arrays:
        assert (arrays["given"].tolist(), arrays["given_columns"].tolist()) == ([15.0], ["temperature"])


def test_each_row_has_the_likelihood_of_its_own_values(tmp_path):
    """As many rows as have one value together have the likelihood that --given gives them."""
    words = ["likelihood", "--run", "mine", "--no-mass", "--tolerance", "1e-3"]
    assert call(*words, "--points", "p.csv", "--out", tmp_path / "each.csv").code == 0
    each = np.genfromtxt(tmp_path / "each.csv", delimiter=",", names=True)
    assert each.dtype.names == ("x", "y", "temperature", "log_p", "stderr")
    cold = each[:20]["temperature"] == 10
    same = call(*words, "--points", "bare.csv", "--given", "temperature=10", "--out", tmp_path / "cold.csv")
    assert same.code == 0
    alone = np.genfromtxt(tmp_path / "cold.csv", delimiter=",", names=True)
    np.testing.assert_allclose(each[:20]["log_p"][cold], alone["log_p"][cold], rtol=1e-5)
    held = call(*words, "--json").json
    assert (held["n"], held["failed"]) == (70, 0)


def test_a_file_is_judged_where_rows_have_exactly_the_values():
    words = ["evaluate", "--run", "mine", "-n", 100, "--metric", "sliced_w2", "--repeats", 2]
    assert call(*words, "--given", "temperature=10", "--json").json["given"] == {"temperature": 10.0}
    refused = call(*words, "--given", "temperature=12")
    assert refused.code == 2
    assert "no row of p has exactly temperature=12, so what is true there is not known" in refused.err


def test_a_sentence_is_judged_by_the_points_of_which_it_is_true():
    words = ["evaluate", "--run", "sc", "-n", 100, "--metric", "sliced_w2", "--repeats", 2]
    judged = call(*words, "--prompt", "the small ring on the left", "--json").json
    assert judged["prompt"] == "the small ring on the left"
    assert judged["nll"]["entropy"] == pytest.approx(0.06, abs=0.3)
    assert judged["nll"]["gap"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample", "--run", "mine", "--given", "temp=20"], "unknown given column of mine 'temp'; did you mean"),
        (["sample", "--run", "mine", "--given", "temperature"], "'temperature' is not COLUMN=VALUE"),
        (["sample", "--run", "mine", "--given", "temperature=hot"], "temperature=hot: 'hot' is not a number"),
        (["sample", "--run", "mine", "--given", "temperature=1,temperature=2"], "--given temperature is given twice"),
        (["sample", "--run", "mine", "--given", "temperature=1", "--label", "a"], "--label and --given are for"),
        (["sample", "--run", "mine", "--label", "a"], "mine is told given columns: --given temperature=…"),
        (["sample", "--run", "mine", "--guidance", "2"], "guidance leads towards a value; give --given temperature=…"),
        (["sample", "--run", "sc", "--guidance", "2"], "guidance leads towards a sentence; give --prompt left"),
        (["sample", "--run", "sc", "--prompt", "left right"], "no point is both left and right"),
        (["likelihood", "--run", "mine", "--points", "bare.csv"], "bare.csv has no column 'temperature'"),
        (["likelihood", "--run", "mine", "--points", "p.csv,given=x+y"], "mine is told 1 given column, temperature"),
        (
            ["train", "--dataset", "file:p.csv", "--conditional"],
            "p has no labels and no given columns",
        ),
    ],
)
def test_what_is_refused(words, message):
    result = call(*words)
    assert result.code == 2
    assert message in " ".join(result.err.split())

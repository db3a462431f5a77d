"""solve on the command line; tests/inverse and tests/models ask whether it is right."""

import json

import numpy as np
import pytest

from diffuse_cli import catalog
from tests.cli.conftest import call

SIDES = ["--exact", "--dataset", "overlap"]
QUICK = ["-n", 100, "--steps", 4, "--repeats", 2]
FILES = {
    "matrix.csv": "1,1\n1,-1\n",
    "wide.csv": "1,0,2\n",
    "signal.csv": "x,y\n0.5,-0.25\n",
    "values.txt": "0.25 0.75\n",
    "words.csv": "a,b\nx,y\n",
    "own.py": "import jax.numpy as jnp\n\n\ndef ring(points):\n    return jnp.sum(points**2, axis=1)\n",
}


@pytest.fixture(autouse=True)
def _desk(tmp_path, monkeypatch):
    """A folder with a matrix, a signal, values and own code."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    np.save(tmp_path / "matrix.npy", np.array([[1.0, 2.0]]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def document(*words):
    result = call("solve", *SIDES, *QUICK, *words, "--json")
    assert result.code == 0, result.err
    return result.json


def test_all_methods_beside_the_exact_posterior(tmp_path):
    result = call("solve", *SIDES, *QUICK, "-n", 500, "--observe", "x=0.5", "--figure", "s.svg", "--out", "s.npy")
    assert result.code == 0, result.err
    for name in catalog.CATALOG["posterior"]:
        assert name in result.out
        samples = np.load(tmp_path / f"s-{name}.npy")
        assert samples.shape == (500, 2)
        np.testing.assert_allclose(samples[:, 0], 0.5, atol=1e-9)
    for words in ("measured", "x = 0.5", "log p(y)", "nats", "noise floor of sliced_w2", "KL, nats", "estimate of Z"):
        assert words in result.out
    assert "populations of" in result.err or "particles" in result.out
    assert result.out.split()[-1] == "s.svg"
    assert (tmp_path / "s.svg").is_file()


def test_the_document_has_what_the_table_has():
    found = document("--observe", "x=0.5", "--method", "mmps", "--method", "tds:particles=50", "--metric", "energy")
    assert {
        "run",
        "dataset",
        "n",
        "seed",
        "measured",
        "matrix",
        "values",
        "noise",
        "signal",
        "exact",
        "methods",
    } == set(found)
    assert (found["n"], found["measured"], found["matrix"]) == (100, "x", [[1.0, 0.0]])
    assert (found["values"], found["noise"], found["signal"]) == ([0.5], [0.0], None)
    assert set(found["exact"]) == {"log_evidence", "as_rare", "mean", "std"}
    assert 0 <= found["exact"]["as_rare"] <= 1
    assert found["exact"]["mean"][0] == pytest.approx(0.5)
    assert found["exact"]["std"][0] == pytest.approx(0, abs=1e-6)
    # the density of x alone: six Gaussians of std 0.5, one apart
    apart = (0.5 - (np.arange(6) - 2.5)) / 0.5
    density = np.mean(np.exp(-0.5 * apart**2)) / (0.5 * np.sqrt(2 * np.pi))
    assert found["exact"]["log_evidence"] == pytest.approx(np.log(density))
    mmps, tds = found["methods"]
    assert mmps["kl"] is None  # a histogram of 100 points has no two blocks with five in each
    assert {
        "method", "sampler", "grid", "steps", "evals", "seconds", "clipped", "mean", "std", "metrics", "kl", "mean_gap",
        "particles",
    } == set(mmps) == set(tds)  # fmt: skip
    assert (mmps["method"], mmps["steps"], mmps["evals"], mmps["particles"]) == ("mmps", 4, 8, None)
    assert set(mmps["metrics"]) == {"energy"}
    assert mmps["metrics"]["energy"]["floor"] is not None
    assert tds["sampler"] == "twisted:size=50"
    assert tds["particles"]["populations"] == 2


MEASURED = [
    (["--observe", "y"], "y", [[0, 1]], 0.0),
    (["--observe", "x=0.5,y=0.25", "--noise", "0.3"], "x, y", np.eye(2), 0.3),
    (["--observe", "x=0.5", "--observe", "y=0.25", "--noise", "0.3"], "x, y", np.eye(2), 0.3),
    (["--project", "1,-2=0.3", "--noise", "0.1"], "x - 2 y", [[1, -2]], 0.1),
    (["--noisy", "0.5,-0.4", "--noise", "0.2"], "a noisy point", np.eye(2), 0.2),
    (["--matrix", "matrix.csv", "--noise", "0.5"], "matrix.csv", [[1, 1], [1, -1]], 0.5),
    (["--matrix", "matrix.npy", "--signal", "signal.csv"], "matrix.npy", [[1, 2]], 0.0),
    (["--matrix", "matrix.csv", "--values", "0.25,0.75", "--noise", "0.5"], "matrix.csv", [[1, 1], [1, -1]], 0.5),
    (["--matrix", "matrix.csv", "--values", "values.txt", "--noise", "0.5"], "matrix.csv", [[1, 1], [1, -1]], 0.5),
]


@pytest.mark.parametrize(("words", "measured", "matrix", "noise"), MEASURED, ids=lambda value: str(value)[:40])
def test_each_kind_of_measurement(words, measured, matrix, noise):
    found = document(*words, "--method", "mmps")
    assert (found["measured"], found["matrix"]) == (measured, np.asarray(matrix).tolist())
    np.testing.assert_allclose(found["noise"], noise)
    if "--values" in words:
        assert found["values"] == [0.25, 0.75]
    if "--signal" in words:
        assert (found["values"], found["signal"]) == ([0.0], [0.5, -0.25])
    elif "y" in words:
        assert found["values"] == [found["signal"][1]]
    assert np.isfinite(found["exact"]["log_evidence"])
    assert found["methods"][0]["mean_gap"] is not None


def test_curves_are_measured_by_masks_blurs_and_random_directions():
    for words, count, title in (
        (["--mask", "0.5"], 4, "4 of 8 columns"),
        (["--blur", "1", "--noise", "0.1"], 8, "a blur of 1 columns"),
        (["--random", "3"], 3, "3 random directions"),
    ):
        result = call(
            "solve", "--exact", "--dataset", "curves:dim=8", *QUICK, *words, "--method", "mmps", "--json", "--seed", "3"
        )
        assert result.code == 0, result.err
        assert (result.json["measured"], len(result.json["values"])) == (title, count)
        assert len(result.json["signal"]) == 8


def test_own_code_is_solved_for_by_the_methods_that_can():
    found = document("--function", "own:ring", "--noise", "0.2", "--values", "2.0")
    assert (found["matrix"], found["values"]) == (None, [2.0])
    assert [method["method"] for method in found["methods"]] == ["dps", "pigdm", "mmps", "tds"]
    assert found["exact"]["log_evidence"] < 0


def test_methods_with_options_have_files_of_their_own(tmp_path):
    words = ["--observe", "x=0.5", "--method", "dps:zeta=0.1", "--method", "dps:zeta=1"]
    document(*words, "--out", "s.csv")
    assert sorted(path.name for path in tmp_path.glob("s-*")) == ["s-dps_zeta=0.1.csv", "s-dps_zeta=1.csv"]
    document("--observe", "x=0.5", "--method", "dps", "--out", "one.csv")
    lines = (tmp_path / "one.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("x,y", 101)


def test_a_seed_gives_the_same_again():
    words = ["--observe", "x", "--noise", "0.1", "--method", "mmps"]
    one, same, other = (document(*words, "--seed", seed) for seed in (5, 5, 6))
    for each in (one, same):
        del each["methods"][0]["seconds"]
    assert one == same
    assert one["signal"] != other["signal"]


@pytest.mark.usefixtures("outputs")
def test_a_trained_run_is_solved_with_too(tmp_path):
    words = ["solve", "--run", "small", *QUICK, "--observe", "x=0.5", "--method", "replacement", "--method", "mmps"]
    result = call(*words, "--json", "--figure", tmp_path / "f.svg")
    assert result.code == 0, result.err
    assert [method["method"] for method in result.json["methods"]] == ["replacement", "mmps"]
    assert result.json["exact"]["log_evidence"] < 0
    assert len(result.json["figures"]) == 1
    assert json.loads(result.out)["run"].endswith("small")


MISTAKES = [
    ("", 2, "nothing is measured; give --observe x=0.5"),
    ("--observe z=1", 2, "unknown column 'z'"),
    ("--observe x=", 2, "not a number"),
    ("--observe x=nan", 2, "a value must be finite"),
    ("--observe x=1,x=2", 2, "--observe x is given twice"),
    ("--observe x=1,y", 2, "values for some columns only"),
    ("--observe x=1 --project 1,1", 2, "no value, and the others have some"),
    ("--observe x=1 --noise -1", 2, "a standard deviation is 0 or more"),
    ("--observe x=1 --noise 1,2", 2, "--noise has 2 numbers, and 1 value is measured"),
    ("--observe x=1 --noise nan", 2, "every number must be finite"),
    ("--observe x=1 --values 1", 2, "leave out --values"),
    ("--observe x=1 --signal signal.csv", 2, "there is no --signal to measure"),
    ("--observe x --signal wide.csv", 2, "the signal has 3 values, and the data have 2 columns"),
    ("--observe x --signal nothing.csv", 1, "nothing.csv"),
    ("--project 1,1,1=2", 2, "has 3 columns, and the data have 2"),
    ("--project 0,0=2", 2, "the direction is 0 in all columns"),
    ("--project 1;1=2", 2, "is not numbers with commas"),
    ("--project 1,1=", 2, "is not numbers with commas"),
    ("--noisy 1,2,3", 2, "--noisy has 3 numbers, and the data have 2 columns"),
    ("--mask 1", 2, "0<x<1"),
    ("--random 0", 2, "1<=x"),
    ("--random 3", 2, "only 2 are independent; give --noise"),
    ("--blur 1000 --noise 0", 2, "only 1 are independent; give --noise"),
    ("--matrix wide.csv", 2, "wide.csv has 3 columns, and the data have 2"),
    ("--matrix nothing.csv", 1, "there is no file nothing.csv"),
    ("--matrix words.csv", 1, "not plain numbers"),
    ("--matrix matrix.csv --values 1,2,3", 2, "--values has 3 numbers, and 2 values are measured"),
    ("--function own:ring --observe x=1", 2, "a function is measured alone"),
    ("--function own:rung", 2, "rung"),
    ("--function ring", 2, "module.path:name"),
    ("--function own:ring --noise 0", 2, "a function needs noise"),
    ("--function own:ring --method replacement", 2, "needs a linear measurement"),
    ("--observe x=1 --method dpz", 2, "did you mean 'dps'"),
    ("--observe x=1 --method dps:zeta=-1", 2, "zeta=-1"),
    ("--observe x=1 --method tds --sampler ddim", 2, "give --sampler twisted"),
    ("--observe x=1 --method dps --sampler dpmpp_2m", 2, "give --sampler ddpm"),
    ("--observe x=1 --sampler jump", 2, "no method can use jump"),
    ("--observe x=1 --out s.txt", 2, "known endings"),
    ("--observe x=1 --out -", 2, "give --out samples.csv"),
    ("--observe x=1 --figure s.jpg", 2, ".png"),
    ("--observe x=1000", 1, "the data cannot give x = 1000: log p(y) = "),
    ("--observe x=1 --label all", 2, "give one --label"),
    ("--observe x=1 --guidance 2", 2, "--guidance"),
    ("--impute signal.csv --observe x=1 --out o.csv", 2, "leave out the rest"),
]


@pytest.mark.parametrize(("line", "status", "says"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_mistakes(line, status, says, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__")
    result = call("solve", *SIDES, *line.split())
    assert (result.code, result.out) == (status, ""), result.err
    assert says in result.err
    assert "Traceback" not in result.err
    assert result.err.rstrip().splitlines()[-1].startswith("Error: ")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == before

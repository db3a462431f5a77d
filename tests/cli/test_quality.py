"""The exact denoiser in a trained one's place, likelihood and evaluation, asked what is known."""

import csv
import re

import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.models import run_folder
from tests.cli.conftest import BARE, call, rewrite_settings

FEW = ["-n", 200, "--repeats", 3]


def load(file, name):
    with np.load(file, allow_pickle=False) as archive:
        return archive[name]


@pytest.fixture
def of_file(tmp_path, monkeypatch):
    """A folder with a user's file, of columns in different units."""
    monkeypatch.chdir(tmp_path)
    np.savetxt("mine.csv", np.random.default_rng(0).normal(size=(400, 2)) * [1.0, 20.0], delimiter=",")
    return tmp_path


def test_the_exact_denoiser_draws_the_data_without_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--exact", "--dataset", "bimodal:distance=4,std=0.5,weight=0.3", "--schedule", "linear", "--plot")
    result = call("sample", *words, "-n", 4000, "--out", "s.npy")
    assert result.code == 0, result.err
    x = np.load("s.npy")[:, 0].astype(float)
    n = len(x)
    assert (x > 0).mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / n))
    for mode, centre in ((x[x > 0], 2), (x[x < 0], -2)):
        assert mode.mean() == pytest.approx(centre, abs=5 * 0.5 / np.sqrt(len(mode)))
        assert mode.std() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(2 * len(mode)) + 0.005)
    assert (tmp_path / "s.png").is_file()
    assert not (tmp_path / "outputs").exists()


def test_the_exact_twin_of_a_run_has_its_data_and_schedule(outputs):
    result = call("sample", "--exact", "-n", 20, "--json")
    assert result.json["run"] == "outputs/exact-moons-cosine-T1000"
    assert (result.json["sampler"], result.json["steps"]) == ("dpmpp_2m", 5)  # the run's own
    other = call("plot-reverse", "--exact", "--schedule", "linear", "--frames", 3)
    assert other.out.strip() == "outputs/exact-moons-linear-T1000/figures/reverse.png"
    assert call("sample", "--exact", "--timesteps", 50, "-n", 20, "--json").json["run"].endswith("-cosine-T50")
    assert run_folder.find_run(outputs, "latest").name == "small"  # an exact one's folder is no run


def test_the_exact_denoiser_of_a_file_repeats_its_training_points(of_file):
    result = call("sample", "--exact", "--dataset", "file:mine.csv", "-n", 100, "--out", "s.npy")
    assert result.code == 0, result.err
    assert "has memorised them" in result.err
    points = np.loadtxt("mine.csv", delimiter=",")
    away = np.abs(np.load("s.npy")[:, None] - points[None]) / [1.0, 20.0]
    nearest = away.max(axis=2).min(axis=1)
    assert np.quantile(nearest, 0.9) < 1e-3  # a few end between two of them: fifty steps are not infinitely many


@pytest.mark.slow
def test_the_exact_denoiser_of_a_file_has_a_folder_for_each_choice_of_rows(of_file):
    words = ("sample", "--exact", "-n", 20, "--json", "--dataset", "file:mine.csv")
    assert call(*words).json["run"] == "outputs/memorised-mine-cosine-T1000-seed0"
    assert call("train", "--dataset", "file:mine.csv", *BARE, "--set", "train_size=50", "--seed", 3).code == 0
    assert call(*words[:5]).json["run"] == "outputs/memorised-mine-cosine-T1000-seed3-n50"


def test_exact_denoisers_heed_the_environment_and_runs_do_not(outputs, monkeypatch):
    monkeypatch.setenv("DIFFUSE_SAMPLE_DATASET", "bimodal")
    monkeypatch.setenv("DIFFUSE_SAMPLE_SCHEDULE", "linear")
    words = ("sample", "-n", 20, "--json")
    assert call(*words).json["run"] == "outputs/small"
    assert call(*words, "--exact").json["run"] == "outputs/exact-bimodal-linear-T1000"
    assert call(*words, "--exact", "--dataset", "line").json["run"] == "outputs/exact-line-linear-T1000"
    assert call(*words, "--exact", "--run", "small").json["run"] == "outputs/exact-moons-linear-T1000"
    monkeypatch.setenv("DIFFUSE_SAMPLE_RUN", "small")
    assert "give one of them" in call(*words, "--exact").err
    assert call(*words, "--exact", "--dataset", "line").json["run"] == "outputs/exact-line-linear-T1000"
    assert call(*words).json["run"] == "outputs/small"


def test_the_exact_denoiser_bears_a_schedule_that_leaves_no_signal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for schedule in ("linear:end=0.5", "constant:beta=0.05"):
        assert (
            call("sample", "--exact", "--dataset", "moons", "--schedule", schedule, "-n", 200, "--out", "s.npy").code
            == 0
        )
        assert np.abs(np.load("s.npy") - [0.5, 0.25]).max() < 2


def test_the_bound_is_above_the_likelihood_part_by_part(tmp_path, monkeypatch):
    """Of a perfect denoiser: less so with the variance that belongs to it."""
    monkeypatch.chdir(tmp_path)
    words = ("likelihood", "--exact", "--dataset", "bimodal:distance=4,std=0.5", "-n", 800, "--no-mass", "--bound")
    few, many = (call(*words, "--timesteps", timesteps, "--json").json for timesteps in (10, 100))
    for said, timesteps in ((few, 10), (many, 100)):
        assert set(said["bound"]) == {"small", "large", "learned"}
        for variance, bound in said["bound"].items():
            assert len(bound["steps"]) == timesteps
            assert bound["steps"][0] == bound["reconstruction"]
            assert sum(bound["steps"][1:]) == pytest.approx(bound["diffusion"])
            parts = bound["prior"] + bound["diffusion"] + bound["reconstruction"]
            assert bound["value"] == pytest.approx(parts, abs=1e-4)
            plainly = timesteps == 10 and variance != "learned"
            assert bound["above_nll"] > (3 if plainly else -3) * bound["above_nll_stderr"]
        assert said["bound"]["learned"]["value"] < said["bound"]["small"]["value"]
    table = call(*words, "--timesteps", 10).out
    assert "reconstruction, t = 1/10" in table
    assert f"{few['bound']['large']['value']:.4f}" in table


def test_a_flow_of_matched_pairs_has_no_bound(outputs):
    rewrite_settings(outputs / "small" / run_folder.NEWEST, loss="flow:ot")
    result = call("likelihood", "-n", 10, "--no-mass", "--bound")
    assert result.code == 2
    assert "no chain" in result.err


def test_likelihood_of_a_single_point(outputs):
    (outputs.parent / "one.csv").write_text("x,y\n0.5,1\n")
    result = call("likelihood", "--points", "one.csv", "--no-mass")
    assert (result.code, "±" in result.out) == (0, False)


def test_likelihood_of_a_gaussian_pair_is_its_closed_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.array([-3.0, -2.0, 0.0, 1.5, 2.2])
    np.savetxt("points.csv", x, header="x", comments="")
    words = ("likelihood", "--exact", "--dataset", "bimodal:distance=4,std=0.5", "--points", "points.csv")
    for name in ("p.csv", "p.npy", "p.npz"):
        assert call(*words, "--no-mass", "--out", name).code == 0
    density = sum(np.exp(-0.5 * ((x - m) / 0.5) ** 2) for m in (-2, 2)) / 2 / (0.5 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(np.load("p.npy"), np.log(density), atol=2e-3)
    np.testing.assert_allclose(load("p.npz", "log_p"), np.log(density), atol=2e-3)
    np.testing.assert_allclose(load("p.npz", "points")[:, 0], x, atol=1e-6)
    with open("p.csv") as file:
        header, *rows = csv.reader(file)
    assert header == ["x", "log_p", "stderr"]
    np.testing.assert_allclose([float(row[1]) for row in rows], np.log(density), atol=2e-3)
    said = call(*words, "--json").json
    assert said["value"] == pytest.approx(-np.log(density).mean(), abs=2e-3)
    assert said["bits_per_dimension"] == pytest.approx(said["value"] / np.log(2))
    assert said["mass"] == pytest.approx(1, abs=2e-3)
    assert said["mass_error"] < 1e-3
    assert said["gap"] is None  # the points are nobody's draws


@pytest.mark.slow
def test_detail_finer_than_the_grid_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("likelihood", "--exact", "-n", 5, "--dataset")
    coarse, fine = call(*words, "bimodal"), call(*words, "bimodal:std=0.05")
    assert ("finer than the grid" in coarse.err, "finer than the grid" in fine.err) == (False, True)
    assert re.search(r"integral of p over a grid +1\.0000 ± \de-0\d ", coarse.out)
    said = call(*words, "bimodal:std=0.05", "--json").json
    assert abs(said["mass"] - 1) < 3 * said["mass_error"]
    assert not said["mass_resolved"]


@pytest.mark.slow
def test_the_seed_decides_the_directions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savetxt("points.csv", np.random.default_rng(0).normal(size=(3, 5)), delimiter=",")
    words = ("likelihood", "--exact", "--dataset", "curves:dim=5,terms=2", "--points", "points.csv", "--json", "--seed")
    one, same, other = (call(*words, seed).json for seed in (1, 1, 2))
    assert one["probes"] > 0
    assert one == same
    assert one["value"] != other["value"]


def test_the_help_tells_the_solvers_own_defaults():
    from diffuse_cli.diffusion import likelihood

    said = " ".join(call("likelihood", "--help").out.split())

    def numbers(flag):
        default = re.search(rf"{flag} .*?\[default: ([^\]]*)\]", said)[1]
        return [float(number) for number in re.findall(r"\d[\de.-]*", default)]

    assert numbers("--tolerance") == [likelihood.TOLERANCE]
    assert numbers("--max-steps") == [likelihood.MAX_STEPS]
    assert numbers("--probes") == [0, likelihood._EXACT_UP_TO, likelihood.PROBES]


def test_the_exact_denoiser_has_no_gap(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = call("likelihood", "--exact", "--dataset", "eight_gaussians", "-n", 300, "--no-mass", "--json").json
    assert said["gap"] == pytest.approx(0, abs=2e-3)
    assert said["value"] == pytest.approx(said["entropy"] + said["gap"])


def test_a_solver_that_gives_up_gives_no_number(outputs):
    result = call("likelihood", "-n", 20, "--max-steps", 3, "--no-mass", "--out", "p.npy")
    assert result.code == 1
    assert "gave up at 20 of 20 points after 3 steps" in result.err
    assert np.isnan(np.load("p.npy")).all()
    assert "unknown" in result.out


def test_evaluate_prints_what_scripts_rely_on(outputs):
    result = call("evaluate", *FEW, "--json")
    assert result.code == 0, result.err
    said = result.json
    expected = {"run", "dataset", "n", "sampler", "steps", "evals", "metrics", "nll", "excess_loss", "memorisation"}
    assert set(said) == {*expected, "clipped", "label", "given", "prompt"}
    assert set(said["metrics"]) == set(catalog.CATALOG["metric"])
    for score in said["metrics"].values():
        assert {"value", "floor", "floor_std"} <= set(score)
    assert {"value", "entropy", "gap", "stderr"} <= set(said["nll"])
    assert said["nll"]["gap"] > 0.1  # sixty steps have taught it little
    assert said["excess_loss"]["total"] > 0.05
    log_snr, model, irreducible = np.transpose(said["excess_loss"]["by_log_snr"])
    assert (np.diff(log_snr) > 0).all()
    assert (model >= irreducible).all()
    assert not all(score["indistinguishable"] for score in said["metrics"].values())


def test_evaluate_calls_the_exact_denoiser_indistinguishable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--exact", "--dataset", "eight_gaussians", "-n", 500, "--metric", "sliced_w2", "--metric", "energy")
    said = call("evaluate", *words, "--json").json
    assert list(said["metrics"]) == ["sliced_w2", "energy"]
    assert all(score["indistinguishable"] for score in said["metrics"].values())
    assert said["excess_loss"]["total"] == pytest.approx(0, abs=1e-6)
    assert said["memorisation"] is None  # nothing was trained


def test_a_file_is_judged_by_its_held_out_rows(of_file):
    settings = [word for word in BARE if word not in ("--train-size", "500")]
    assert call("train", "--dataset", "file:mine.csv", "--name", "mine", *settings).code == 0
    said = call("evaluate", "-n", 100, "--repeats", 3, "--json").json
    assert said["excess_loss"] is None
    assert said["nll"]["entropy"] is said["nll"]["gap"] is None
    assert said["nll"]["n"] == 40
    assert said["metrics"]["energy"]["n"] == 40
    by_heart = call("evaluate", "--exact", "-n", 100, "--repeats", 3, "--metric", "energy", "--json").json
    assert by_heart["memorisation"]["nearer"] > 0.95 > said["memorisation"]["nearer"]
    assert call("likelihood", "-n", 10, "--no-mass", "--json").json["n"] == 10
    np.savetxt("mine.csv", 10 * np.loadtxt("mine.csv", delimiter=","), delimiter=",")
    assert "have changed since it was trained" in call("evaluate", "-n", 100).err
    (of_file / "mine.csv").unlink()
    gone = call("evaluate", "-n", 100)
    assert (gone.code, "mine.csv" in gone.err) == (1, True)
    assert call("sample", "-n", 10).code == 0  # for which the data are not needed


@pytest.mark.parametrize(
    ("rows", "held_out", "left"),
    [(30, 3, {"precision", "recall", "density", "coverage"}), pytest.param(12, 1, None, marks=pytest.mark.slow)],
)
def test_metrics_that_need_more_points_are_left_out(rows, held_out, left, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savetxt("few.csv", np.random.default_rng(0).normal(size=(rows, 2)), delimiter=",")
    small = ("--steps", 20, "--batch-size", 8, "--width", 8, "--set", "sampler_steps=5", "--no-figures")
    assert call("train", "--dataset", "file:few.csv", *small).code == 0
    every = set(catalog.CATALOG["metric"])
    left = left or every
    result = call("evaluate", "-n", 100, "--repeats", 3, "--json")
    assert result.code == 0, result.err
    assert set(result.json["metrics"]) == every - left
    assert result.json["nll"]["n"] == held_out
    assert result.json["memorisation"]["nearer"] > 0
    (note,) = [line for line in result.err.splitlines() if "left out" in line]
    assert all(name in note for name in left)
    assert f"{held_out} can be compared" in note
    assert {score["indistinguishable"] for score in result.json["metrics"].values()} <= {None, False}
    assert result.json["memorisation"]["judges"] is False
    table = call("evaluate", "-n", 100, "--repeats", 3).out
    assert "indistinguishable" not in table
    assert f"cannot judge (n = {held_out})" in table
    assert "NLL" in table
    assert "nearer to a training point" in table
    asked = call("evaluate", "-n", 100, "--repeats", 3, "--metric", "coverage")
    assert (asked.code, "at least" in asked.err, asked.out) == (2, True, "")


def test_the_log_has_the_excess(trained):
    judged = [record for record in run_folder.read_log(trained / "small") if "held_out" in record]
    assert all(record["excess"] > 0 for record in judged)
    least = [record["held_out"] - record["excess"] for record in judged]
    np.testing.assert_allclose(least, least[0])  # the same draws each time


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("sample --exact --dataset mons", 2, "did you mean 'moons'"),
        ("sample --dataset moons", 2, "give --exact too"),
        ("plot-reverse --schedule linear", 2, "give --exact too"),
        ("likelihood --schedule linear --timesteps 50", 2, "a run has its own --schedule and --timesteps; the exact"),
        ("sample --exact --dataset moons --run small", 2, "give one of them"),
        ("likelihood --points missing.csv", 1, "missing.csv"),
        ("likelihood --points empty.csv", 1, "empty.csv is empty"),
        ("likelihood --points nan.csv", 1, "line 2, column 2); to leave it out: --points nan.csv,missing=drop"),
        ("likelihood --points wide.csv", 1, "to choose the first: --points wide.csv,columns=1+2"),
        ("likelihood --points one.csv -n 5", 2, "-n"),
        ("likelihood --points one.csv --out p.txt", 2, ".npz"),
        ("likelihood --points one.csv --tolerance 2", 2, "0<x<1"),
        ("likelihood --points one.csv --tolerance 1e-12", 2, "at least"),
        ("likelihood --points one.csv --probes 1", 2, "2 and more"),
        ("likelihood --out - --json", 2, "leave out --json"),
        ("likelihood --out - --bound", 2, "leave out --bound"),
        ("evaluate --metric w3", 2, "unknown metric"),
        ("evaluate -n 5", 2, "100<=x<="),
        ("evaluate --run nobody", 1, "no run named 'nobody'"),
    ],
)
def test_mistakes(words, code, said, outputs):
    for name, text in {
        "empty.csv": "",
        "nan.csv": "0,1\n1,nan\n",
        "wide.csv": "1,2,3\n",
        "one.csv": "x,y\n0.5,1\n",
    }.items():
        (outputs.parent / name).write_text(text)
    result = call(*words.split())
    assert result.code == code, result.err
    assert said in result.err
    assert result.err.count("Error:") == 1

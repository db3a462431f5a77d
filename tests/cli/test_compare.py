"""diffuse compare: on the small run and on exact denoisers, its document, figures and mistakes."""

from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.cli.commands.compare import _SAMPLERS
from tests.cli.conftest import call
from tests.support.cases import few_fast

FEW = ["-n", 200, "--repeats", 3]
EXACT = ["compare", "--exact", "--dataset", "bimodal", *FEW]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_document_that_scripts_rely_on(outputs):
    result = call("compare", *FEW, "--evals", "9", "--json")
    assert result.code == 0, result.err
    said = result.json
    assert set(said) == {"run", "dataset", "n", "metric", "seed", "floor", "exact", "cells", "left_out"}
    assert (said["run"], said["dataset"], said["metric"], said["n"]) == ("outputs/small", "moons", "sliced_w2", 200)
    assert said["floor"]["interval"][0] is None
    assert said["floor"]["floor"] < said["floor"]["interval"][1]
    assert said["exact"]["points"] == 200
    assert [(cell["sampler"], cell["budget"]) for cell in said["cells"]] == [(name, 9) for name in _SAMPLERS]
    for cell in said["cells"]:
        assert set(cell) == {
            "sampler", "grid", "budget", "steps", "evals", "value", "indistinguishable", "gap_rms", "gap_median",
            "map_gap_rms", "map_gap_median", "seconds",
        }  # fmt: skip
        assert cell["evals"] <= cell["budget"]
        assert cell["evals"] == (2 * cell["steps"] - 1 if cell["sampler"] == "heun" else cell["steps"])
        assert (cell["gap_rms"] is None) == (cell["map_gap_rms"] is None) == (cell["sampler"] == "ddpm")
    grids = {cell["sampler"]: cell["grid"] for cell in said["cells"]}
    assert (grids["dpmpp_2m"], grids["heun"]) == ("log_snr", "karras")
    assert said["left_out"] == []
    assert not (outputs / "small" / "figures" / "compare.png").exists()


@pytest.mark.slow
def test_the_error_of_ddim_falls(folder):
    cells = call(*EXACT, "--sampler", "ddim", "--evals", "5,20,80", "--json").json["cells"]
    gaps = [cell["gap_rms"] for cell in cells]
    assert gaps[0] > 3 * gaps[1] > 6 * gaps[2]
    assert cells[2]["indistinguishable"] is not False


def test_the_table_is_printed_and_figures_go_to_the_run_or_where_they_are_asked_to(outputs):
    words = ["compare", *FEW, "--sampler", "ddim", "--sampler", "ddpm", "--evals", "3,6"]
    result = call(*words)
    assert result.code == 0, result.err
    figures = ["outputs/small/figures/compare.png", "outputs/small/figures/compare-ends.png"]
    assert result.out.splitlines()[-2:] == figures
    for suffix, start in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        said = call(*words, "--out", f"c.{suffix}", "--dark", "--json").json
        assert said["figures"] == [f"c.{suffix}", f"c-ends.{suffix}"]
        assert all(Path(name).read_bytes().startswith(start) for name in said["figures"])
    assert all(Path(name).read_bytes().startswith(b"\x89PNG") for name in figures)
    assert "noise floor of sliced_w2" in result.out
    rows = [line for line in result.out.splitlines() if line.strip().startswith("dd")]
    for row, cell in zip(rows, said["cells"], strict=True):
        assert row.split()[0] == cell["sampler"]
        words = {None: "cannot judge (n = 200)", True: "indistinguishable", False: "differs"}
        assert words[cell["indistinguishable"]] in row


@pytest.mark.parametrize("dataset", few_fast(["bimodal", "swiss_roll:dim=3", "curves"], "curves"))
def test_data_of_any_number_of_columns(dataset, folder):
    words = ["--sampler", "ddim", "--evals", "4", "--dataset", dataset, "-n", 100, "--repeats", 2]
    result = call("compare", "--exact", *words, "--out", "c.png")
    assert result.code == 0, result.err
    assert Path("c-ends.png").is_file()


def test_a_file_is_compared_with_its_held_out_rows(folder):
    np.savetxt("mine.csv", np.random.default_rng(0).normal(size=(400, 2)), delimiter=",")
    words = ["--sampler", "ddim", "--evals", "4,8", "--dataset", "file:mine.csv", "-n", 100, "--repeats", 2]
    cells = call("compare", "--exact", *words, "--json").json["cells"]
    assert [(cell["map_gap_rms"], cell["gap_rms"] > 0) for cell in cells] == [(None, True)] * 2


@pytest.mark.slow
def test_the_grid_and_any_metric_can_be_chosen_and_a_budget_too_small_is_left_out_with_a_note(folder):
    words = ["--sampler", "rk4", "--sampler", "ddim", "--evals", "3,6", "--metric", "precision", "--grid", "uniform"]
    result = call(*EXACT, *words, "--json")
    assert result.code == 0, result.err
    said = result.json
    assert {cell["grid"] for cell in said["cells"]} == {"uniform"}
    assert said["metric"] == "precision"
    assert said["floor"]["interval"][1] is None
    assert said["left_out"] == [{"sampler": "rk4", "budget": 3, "least": 5}]
    assert "rk4 is left out at 3 evaluations: it needs 5" in result.err


def test_what_no_figure_can_show_is_named_in_it(folder, monkeypatch):
    from diffuse_cli.plots import style

    figures, save = [], style.save_figure
    monkeypatch.setattr(
        style, "save_figure", lambda figure, *rest, **named: figures.append(figure) or save(figure, *rest, **named)
    )
    words = ["--sampler", "rk4", "--sampler", "ddim", "--sampler", "ddpm", "--evals", "3,6", "--ends", "3"]
    result = call(*EXACT, *words, "--out", "c.png")
    assert result.code == 0, result.err
    quality, ends = figures
    said = quality.legends[0].get_title().get_text().replace("\n", " ")
    assert said == ("Left out: rk4 at 3 evaluations (needs 5). Without distances from the flow, since random: ddpm.")
    assert "without rk4 (needs 5 evaluations)" in ends.get_suptitle().replace("\n", " ")
    assert "The figure of the ends is without rk4 (needs 5 evaluations)" in result.err
    assert len(ends.axes) == 3


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ("--sampler ode", 2, "as its tolerance asks for"),
        ("--sampler heun --evals 2", 2, "they need: heun 3"),
        ("--sampler dimm", 2, "did you mean 'ddim'"),
        ("--metric w3", 2, "unknown metric"),
        ("--evals 5,x", 2, "numbers with commas"),
        ("--evals 0,5", 2, "not a whole number"),
        ("--ends 7", 2, "--ends 7 is none of the budgets 5, 10, 20, 50, 100"),
        ("--grid unifrom", 2, "did you mean 'uniform'"),
        ("--grid fixed --sampler ddim", 2, "stays at one"),
        ("-n 5", 2, "100<=x"),
        ("--repeats 1", 2, "2<=x"),
        ("--dataset moons", 2, "--exact"),
        ("--run nobody", 1, "no run named 'nobody'"),
        ("--out c.jpg", 2, ".png"),
    ],
)
def test_mistakes(words, status, says, outputs):
    before = sorted(outputs.parent.rglob("*"))
    result = call("compare", *words.split())
    assert result.code == status, result.err
    assert says in result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    assert result.err.count("Error: ") == 1
    assert sorted(outputs.parent.rglob("*")) == before

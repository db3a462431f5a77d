"""Students from the command line: how they are judged, and figures that only they have."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, call, standing_in

_FEW = ["-n", 200, "--metric", "sliced_w2", "--repeats", 3]


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    """A folder whose outputs hold a student, and a denoiser of the same data."""
    folder = tmp_path_factory.mktemp("students")
    with standing_in(folder):
        small = [each for each in SMALL if not each.startswith("sampler_steps")][:-1]
        result = call("train", "--dataset", "bimodal", "--loss", "lsd", "--name", "student", "--no-figures", *small)
        assert result.code == 0, result.err
        assert "true loss" in result.out
    return folder


@pytest.fixture
def here(students, tmp_path, monkeypatch):
    shutil.copytree(students / "outputs", tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)


def test_a_student_is_judged_by_numbers_of_evaluations(here):
    judged = call("evaluate", *_FEW, "--json").json
    assert [each["evals"] for each in judged["student"]] == [1, 2, 4, 8]
    for each in judged["student"]:
        assert set(each) == {"evals", "sampler", "steps", "clipped", "map_gap", "kl", "metrics"}
        assert 0 < each["map_gap"]["median"] <= each["map_gap"]["rms"]
        assert each["kl"]["value"] > 0
        assert set(each["metrics"]) == {"sliced_w2"}
    of_run = next(each for each in judged["student"] if each["steps"] == judged["steps"])
    assert of_run["metrics"] == judged["metrics"]
    table = call("evaluate", *_FEW, "--sampler", "ddim", "--steps", 3).out
    assert table.count("sliced_w2") == 2  # beside the student's table, that of the method which was asked for
    assert "KL(student ‖ data), nats" in table


def test_the_true_loss_of_a_student_is_drawn_and_told(here):
    result = call("plot-true-loss", "--dpi", 50)
    assert result.code == 0, result.err
    assert Path(result.out.strip()) == Path("outputs/student/figures/true-loss.png")
    assert "true loss" in call("info").out.split("history")[1]
    before = call("plot-true-loss", "--out", "f.svg").out
    drawn = Path(before.strip()).read_bytes()
    call("plot-true-loss", "--out", "f.svg")
    assert Path("f.svg").read_bytes() == drawn


def test_what_is_no_student_has_no_true_loss(here):
    result = call("plot-true-loss", "--exact", "--out", "f.png")
    assert result.code == 2
    assert "has not learned to jump" in result.err


def test_one_jump_can_be_compared(here):
    cells = call("compare", "--sampler", "jump", "--evals", "1,2", "-n", 100, "--repeats", 3, "--json").json["cells"]
    assert [(cell["evals"], cell["steps"]) for cell in cells] == [(1, 1), (2, 2)]

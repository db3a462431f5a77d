"""A small student on the command line: compared in one evaluation, drawn beside solvers, and on a page."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import BARE, call, rewrite_settings, standing_in

SMALL = [each for each in BARE if each not in ("--set", "sampler_steps=5")]
FEW = ["-n", 200, "--repeats", 3]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the student `student` of bimodal. Not to be changed: ask for `folder` for a copy."""
    base = tmp_path_factory.mktemp("students")
    with standing_in(base):
        result = call("train", "--dataset", "bimodal", "--loss", "lsd", "--name", "student", *SMALL)
        assert result.code == 0, result.err
    return base


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    shutil.copytree(made / "outputs", tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_student_is_compared_from_one_evaluation_on(folder, drawn):
    result = call(
        "compare", *FEW, "--evals", "1,4", "--sampler", "jump", "--sampler", "ddim", "--json", "--out", "c.png"
    )
    assert result.code == 0, result.err
    assert "ddim is left out at 1 evaluation: it needs 2" in result.err
    cells = {(cell["sampler"], cell["evals"]): cell for cell in result.json["cells"]}
    assert set(cells) == {("jump", 1), ("jump", 4), ("ddim", 4)}
    assert cells["jump", 1]["grid"] == "flow_time"
    assert all(cell["map_gap_rms"] >= 0.99 * cell["map_gap_median"] > 0 for cell in cells.values())
    quality, ends = drawn
    assert [axes.get_title() for axes in quality.axes][1:] == [
        "each sample against the model's flow",
        "each sample against the exact map",
    ]
    titles = [axes.get_title().split("\n")[0] for axes in ends.axes]
    assert [title for title in titles if title] == ["exact map", "one jump", "jump", "ddim"]


def test_what_a_student_is_compared_by_unless_told_otherwise(folder, monkeypatch):
    from diffuse_cli.analysis import sampler_comparison

    plans = []

    def plan(*asked):
        plans.append((list(asked[0]), asked[1]))
        raise sampler_comparison.UsageError("far enough")

    monkeypatch.setattr(sampler_comparison, "plan_comparison", plan)
    assert call("compare").code == 2
    assert call("compare", "--exact").code == 2
    assert plans == [
        (["jump", "renoise", "dpmpp_2m", "heun", "ddim"], (1, 2, 4, 8, 16, 50)),
        (["ddim", "heun", "dpmpp_2m", "unipc", "ddpm"], (5, 10, 20, 50, 100)),
    ]


def test_students_beside_solvers(folder, drawn):
    shutil.copytree("outputs/student", "outputs/other")
    words = ["plot-students", "--run", "student", "--run", "other", "-n", 200, "--dpi", 50, "--width", 9]
    result = call(*words, "--evals", "1,4")
    assert result.code == 0, result.err
    assert result.out.strip() == "students.png"
    (figure,) = drawn
    assert figure.get_figwidth() == pytest.approx(9)
    left, right = figure.axes
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["student", "other", *(f"{name}, exact denoiser" for name in ("ddim", "heun", "dpmpp_2m")),
                     "noise floor", "reach of chance"]  # fmt: skip
    first, second = (left.lines[i].get_ydata() for i in (0, 2))  # the root mean squares; their medians follow them
    assert (first == second).all()
    assert len(left.lines) == 2 * 2 + 3
    assert right.get_ylabel() == "sliced_w2"


def test_mistakes(folder, trained):
    shutil.copytree(trained / "small", "outputs/small")
    shutil.copytree("outputs/student", "outputs/other")
    rewrite_settings(Path("outputs/other/checkpoint.safetensors"), timesteps=500)
    for words, says in {
        "plot-students --run small": "small is no student",
        "plot-students --run student --run student": "two of the runs are named student",
        "plot-students --run student --run other": "the timesteps 1000, and other has 500",
        "plot-students --evals 0": "not a whole number from 1 to 1,000",
        "compare --run small --sampler jump": "diffuse distill --run small, or give --sampler dpmpp_2m",
        "compare --run student --sampler heun --evals 2": "they need: heun 3",
    }.items():
        result = call(*words.split())
        assert (result.code, result.out) == (2, ""), words
        assert says in result.err, words


def test_the_page_of_a_student_has_jumps_beside_a_solver(folder):
    result = call("report", "-n", 20, "--no-metrics", "--out", "r.html")
    assert result.code == 0, result.err
    document = json.loads(re.search(r'id="document">(.*?)</script>', Path("r.html").read_text(), re.S)[1])
    panels = [(panel["title"], panel["note"]) for panel in document["scene"]["panels"]]
    assert panels[1:] == [
        ("jump", "4 steps, grid flow_time"),
        ("jump", "1 step, grid flow_time"),
        ("renoise", "4 steps, grid flow_time"),
        ("dpmpp_2m", "50 steps, grid log_snr"),
    ]
    assert document["scene"]["panels"][2]["t"] == [0, 1]
    assert document["student"]
    assert document["summary"].endswith("student, learned by lsd")
    assert [name for name, _ in document["samplers"]] == ["jump", "renoise", "dpmpp_2m"]
    again = document["commands"][-1]
    assert again.startswith("diffuse report --run student -n 20")
    steps = call("report", "-n", 20, "--no-metrics", "--steps", 2, "--out", "r.html")
    assert "through jump, renoise, dpmpp_2m" in steps.err

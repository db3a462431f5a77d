"""Figures from the command line: whose data they show, and what a user is told who asks for what cannot be."""

import importlib
import shlex
import typing
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from diffuse_cli.cli import cli
from diffuse_cli.config import Config
from diffuse_cli.figures import options
from diffuse_cli.figures.options import Asked
from diffuse_cli.figures.table import FIGURES
from diffuse_cli.models import run_folder
from diffuse_cli.models.draw import Method
from diffuse_cli.models.model import Model
from diffuse_cli.plots.formats import Look
from tests.cli.conftest import call, rewrite_settings
from tests.support.cases import few_fast

STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
# of labels, of students and of latents; their own tests draw them
OF_FEW = ("plot-guidance", "plot-students", "plot-true-loss", "plot-latent")
DRAWN = [name for name in FIGURES if name not in OF_FEW]
OF_A_MODEL = [name for name in DRAWN if FIGURES[name].subject in ("model", "samples")]


# --- every row of the table


@pytest.mark.parametrize("name", few_fast(DRAWN, "plot-loss", "plot-forward"))
def test_every_figure_in_every_format(name, outputs):
    """The same bytes when it is drawn again."""
    for suffix, start in STARTS.items():
        result = call(name, "--out", f"f.{suffix}", "--dpi", 50)
        assert result.code == 0, result.err
        assert result.out.strip() == f"f.{suffix}"
        assert Path(f"f.{suffix}").read_bytes().startswith(start)
    before = Path("f.svg").read_bytes()
    assert call(name, "--out", "f.svg", "--dpi", 50).code == 0
    assert Path("f.svg").read_bytes() == before


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_has_its_place_and_is_as_wide_as_asked(name, outputs, drawn):
    row = FIGURES[name]
    result = call(name, "--dpi", 50, "--dark", "--width", 12)
    assert result.code == 0, result.err
    assert drawn[-1].get_figwidth() == pytest.approx(12)
    path, file = Path(result.out.strip()), row.options().file
    here = row.subject in ("settings", "several")
    assert path == Path(f"{file}.png" if here else f"outputs/small/figures/{file}-dark.png")
    assert path.read_bytes().startswith(STARTS["png"])


@pytest.mark.parametrize("name", few_fast(OF_A_MODEL, "plot-density"))
def test_an_exact_denoiser_needs_no_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(name, "--exact", "--dataset", "bimodal", "--out", "f.png", "--dpi", 50)
    assert result.code == 0, result.err


def test_no_figure_goes_where_none_can(tmp_path, monkeypatch):
    """That is told before anything is opened: there is no run here."""
    monkeypatch.chdir(tmp_path)
    told = {(name, out): call(name, "--out", out) for name in FIGURES for out in ("f.gif", "f", "nowhere/f.png")}
    status = {cell: 1 if "/" in cell[1] else 2 for cell in told}
    says = {"f.gif": "known: .png, .svg, .pdf", "f": "has no ending", "nowhere/f.png": "does not exist"}
    wrong = {
        cell: result for cell, result in told.items() if result.code != status[cell] or says[cell[1]] not in result.err
    }
    assert wrong == {}
    assert list(tmp_path.iterdir()) == []


def test_every_row_names_a_function_that_takes_its_options():
    for name, row in FIGURES.items():
        fields = row.options.__annotations__
        assert set(fields) == set(row.options._field_defaults), name
        assert all(isinstance(hint.__metadata__[0], Asked) for hint in fields.values()), name
        if row.subject == "several":
            assert row.draw == "", name
            continue
        module, _, function = row.draw.partition(":")
        draw = getattr(importlib.import_module(f"diffuse_cli.figures.{module}"), function)
        hints = typing.get_type_hints(draw, localns={"Figure": Figure})  # some import it for types only
        assert (hints["asked"], hints["look"], hints["return"]) == (row.options, Look, Figure), name
        first = {"model": [Model], "samples": [Model, Method], "run": [Path], "settings": [Config]}[row.subject]
        assert list(hints.values())[:-3] == first, name


@pytest.mark.parametrize("name", FIGURES)
def test_every_example_can_be_read(name):
    row = FIGURES[name]
    for words in [*row.examples, *(picture.words for picture in row.pictures)]:
        cli.get_command(None, name).make_context(name, shlex.split(words)).close()


def test_a_figure_takes_as_much_as_its_option_says():
    from diffuse_cli.cli.commands import plot_samples
    from diffuse_cli.figures import fields
    from diffuse_cli.plots import collection, field

    hints = typing.get_type_hints(options.FieldOptions)
    assert list(typing.get_args(hints["field"])) == list(fields.NAMES)
    assert list(typing.get_args(hints["style"])) == list(field.STYLES)
    help_text = call("plot-field", "--help").out
    assert f"{field.MOST_FIELDS} at most" in help_text
    assert ",".join(map(str, fields._TIMES)) in "".join(help_text.split())
    assert plot_samples._MOST_COLUMNS == collection.MOST_SETS


# --- what they show


def test_trajectories_are_those_of_sample(outputs, drawn):
    assert call("plot-trajectories", "-n", 20, "--out", "f.svg", "--color-by", "place").code == 0
    assert call("sample", "-n", 20, "--trajectory", "--out", "s.npz").code == 0
    with np.load("s.npz") as archive:
        samples, mean, scale = (archive[name] for name in ("samples", "mean", "scale"))
    ends = drawn[-1].axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(mean + scale * ends, samples, rtol=1e-4, atol=1e-4)


def test_an_exact_field_stands_alone_and_a_models_beside_it(outputs, drawn):
    assert call("plot-field", "--exact", "--at", "0.3", "--out", "f.png", "--dpi", 50).code == 0
    assert len(drawn[-1].axes) == 1
    assert call("plot-field", "--at", "0.3", "--out", "f.png", "--dpi", 50).code == 0
    assert len(drawn[-1].axes) == 3


def test_default_times_fit_a_short_chain(tmp_path, monkeypatch, drawn):
    monkeypatch.chdir(tmp_path)
    words = "plot-field --exact --dataset bimodal --timesteps 5 --out f.png"
    assert call(*words.split(), "--dpi", 50).code == 0
    assert [axes.get_title().split(",")[0] for axes in drawn[-1].axes] == ["$t = 0.20$", "$t = 0.30$", "$t = 0.70$"]


def test_the_density_of_a_file_is_said_to_be_smoothed(outputs, drawn):
    np.savetxt("points.csv", np.random.default_rng(0).normal(size=(200, 1)), delimiter=",")
    small = ["--steps", 20, "--batch-size", 16, "--width", 8, "--no-figures"]
    assert call("train", "--dataset", "file:points.csv", *small).code == 0
    assert call("plot-density", "--run", "points", "--out", "f.png", "--dpi", 50).code == 0
    assert "smoothed data" in [text.get_text() for text in drawn[-1].axes[0].get_legend().get_texts()]
    Path("points.csv").unlink()
    result = call("plot-density", "--run", "points", "--out", "f.png")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "points.csv" in result.err


def test_the_same_set_twice_is_two_panels(tmp_path, monkeypatch, drawn):
    monkeypatch.chdir(tmp_path)
    assert call("plot-samples", "--dataset", "moons", "--dataset", "moons", "-n", 50, "--dpi", 50).code == 0
    assert len(drawn[-1].axes) == 2


def test_a_random_sampler_has_few_paths_and_they_fade(outputs, drawn):
    from diffuse_cli.figures.trajectories import _PATHS, _RANDOM_PATHS

    for sampler in ("ddpm", "ddim"):
        assert call("plot-trajectories", "--sampler", sampler, "--out", "f.png", "--dpi", 50).code == 0
    for figure, count, fades in zip(drawn, (_RANDOM_PATHS, _PATHS), (True, False), strict=True):
        lines, ends = figure.axes[0].collections[0], figure.axes[0].collections[-1]
        assert len(ends.get_offsets()) == count
        assert (len(np.unique(lines.get_colors()[:, 3])) > 1) == fades
    assert 10 * _RANDOM_PATHS < _PATHS


def test_a_grid_has_runs_and_datasets(outputs, drawn):
    words = "plot-samples --run small --dataset moons --dataset s_curve:dim=3 --dataset curves -n 60 --out f.png"
    assert call(*words.split(), "--dpi", 50).code == 0
    titles = [axes.get_title() for axes in drawn[-1].axes]
    assert [title for title in titles if title] == ["small", "moons", "s_curve:dim=3", "curves"]
    assert len(titles) == 5


def test_both_rows_show_the_same_levels(outputs, drawn):
    assert call("plot-reverse", "--rows", "both", "--frames", 3, "--out", "f.png", "--dpi", 50).code == 0
    above, below = drawn[-1].axes[2], drawn[-1].axes[5]  # the noise is the same, but for what is left of the data
    call("plot-reverse", "--rows", "both", "--frames", 3, "--out", "f.png", "--dpi", 50, "--seed", 5)
    other, *_ = (axes.collections[0].get_offsets() for axes in drawn[-1].axes[2:3])
    assert np.abs(above.collections[0].get_offsets() - below.collections[0].get_offsets()).max() < 0.01
    assert np.abs(other - above.collections[0].get_offsets()).max() > 1
    below = drawn[-1].axes[5].collections[0].get_offsets()
    assert np.abs(other - below).max() < 0.01


def test_the_reverse_process_alone_shows_the_frames_of_both_rows(outputs, drawn):
    for rows in ("reverse", "both"):
        assert call("plot-reverse", "--rows", rows, "--frames", 4, "--out", "f.png", "--dpi", 50).code == 0
    alone, both = ([axes.collections[0].get_offsets() for axes in figure.axes] for figure in drawn)
    np.testing.assert_allclose(alone, both[:3:-1], atol=1e-6)  # the lower row is read from right to left


@pytest.mark.slow
def test_the_kl_of_a_schedule_is_the_doctors(outputs, drawn):
    words = "--dataset moons --schedule sigmoid:start=1e-5,end=5e-3 --timesteps 100"
    assert call("plot-schedule", *words.split(), "--out", "f.png", "--dpi", 50).code == 0
    told = call("doctor", *words.split(), "--json").json["end"]
    shown = drawn[-1].axes[3].lines[1].get_ydata()[0]
    assert shown == pytest.approx(told["kl"], abs=4 * told["kl_stderr"] + 0.02)


def test_a_flow_between_pairs_has_a_velocity_and_no_score(outputs, drawn):
    newest = outputs / "small" / run_folder.NEWEST
    rewrite_settings(newest, loss="flow:ot", prediction="velocity", schedule="flow")
    refused = call("plot-field", "--out", "f.png")
    assert (refused.code, "give --field velocity" in refused.err) == (2, True)
    assert call("plot-field", "--field", "velocity", "--at", "0.5", "--out", "f.png", "--dpi", 50).code == 0
    assert len(drawn[-1].axes) == 1  # no exact one beside it: that is another flow


@pytest.fixture
def too_early(outputs):
    """A user's file, and the words that choose it and a schedule that ends too early for it."""
    np.savetxt("points.csv", np.random.default_rng(0).normal(size=(300, 2)) * [3, 1], delimiter=",")
    return ["--dataset", "file:points.csv", "--schedule", "sigmoid:start=1e-5,end=5e-3", "--timesteps", "100"]


@pytest.mark.slow
def test_the_kl_of_a_file_is_the_doctors_too(too_early, drawn):
    assert call("plot-schedule", *too_early, "--out", "f.png", "--dpi", 50).code == 0
    told = call("doctor", *too_early, "--json").json["end"]
    assert drawn[-1].axes[3].lines[1].get_ydata()[0] == pytest.approx(told["kl"], abs=0.01)


def test_a_run_without_its_file_has_no_kl(too_early, drawn):
    small = ["--steps", 20, "--batch-size", 16, "--width", 8, "--no-figures"]
    assert call("train", "--dataset", "file:points.csv", *small).code == 0
    Path("points.csv").unlink()
    assert call("plot-schedule", *too_early, "--out", "f.png").code == 1
    result = call("plot-schedule", "--run", "points", "--out", "f.png", "--dpi", 50)
    assert (result.code, "Without the KL" in result.err) == (0, True)
    assert len(drawn[-1].axes) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("plot-field --exact --dataset curves --out f.png", 2, "has 64; diffuse plot-trajectories"),
        ("plot-density --exact --dataset s_curve:dim=3 --out f.png", 2, "has 3; diffuse likelihood"),
        ("plot-trajectories --exact --dataset line --color-by class --out f.png", 2, "no classes to colour by"),
        ("plot-field --field speed", 2, "'velocity'"),
        ("plot-field --exact --dataset bimodal --at 0", 2, "from 1/T = 0.001 to 1"),
        ("plot-field --exact --dataset bimodal --at .1,.2,.3,.4,.5,.6,.7", 2, "6 are the most"),
        ("plot-reverse --exact --dataset moons --frames 6 --width 3 --out f.png", 2, "too narrow"),
        ("plot-samples", 1, "no run"),
        ("plot-samples --dataset moons --steps 5", 2, "give a --run"),
        ("plot-samples" + 13 * " --dataset moons", 2, "at most 12"),
        ("animate --exact --dataset moons --frames 1000 --size 2000", 2, "give fewer, or a smaller --size"),
    ],
)
def test_mistakes(words, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*words.split())
    assert result.code == code, result.err
    assert said in result.err
    assert "Traceback" not in result.err

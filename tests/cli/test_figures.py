"""Figures from the command line: whose data they show, and what a user is told who asks for what cannot be."""

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import call

LATER = ["plot-trajectories", "plot-field", "plot-density", "plot-samples"]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that commands save, in order."""
    from diffuse_cli.plots import style

    figures, save = [], style.save_figure
    monkeypatch.setattr(
        style, "save_figure", lambda figure, *args, **named: figures.append(figure) or save(figure, *args, **named)
    )
    return figures


def test_what_can_be_chosen_is_what_can_be_drawn():
    from diffuse_cli.cli.commands import plot_field, plot_samples
    from diffuse_cli.figures import fields
    from diffuse_cli.plots import collection, field

    choices = {param.name: getattr(param.type, "choices", None) for param in plot_field.plot_field_command.params}
    assert list(choices["kind"]) == list(fields.NAMES)
    assert list(choices["style"]) == list(field.STYLES)
    assert (plot_field.MOST_TIMES, plot_samples.MOST) == (field.MOST_FIELDS, collection.MOST_SETS)


@pytest.mark.parametrize("command", LATER)
def test_a_run_has_each_figure_in_every_format(command, outputs):
    for suffix, start in {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}.items():
        result = call(command, "--out", f"f.{suffix}", "--dpi", 50)
        assert result.code == 0, result.err
        assert result.out.strip() == f"f.{suffix}"
        assert Path(f"f.{suffix}").read_bytes().startswith(start)


@pytest.mark.parametrize("command", LATER[:3])
def test_it_goes_to_the_figures_of_the_run(command, outputs):
    result = call(command, "--dark", "--dpi", 50)
    assert result.code == 0, result.err
    path = Path(result.out.strip())
    assert path.parent == Path("outputs/small/figures")
    assert path.name.endswith("-dark.png")
    assert path.is_file()


@pytest.mark.parametrize("command", [*LATER[:3], "plot-reverse"])
def test_an_exact_denoiser_needs_no_run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(command, "--exact", "--dataset", "bimodal", "--out", "f.png", "--dpi", 50)
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    "words", ["plot-trajectories -n 9", "plot-field", "plot-samples -n 50", "plot-reverse --frames 3"]
)
def test_width_is_in_inches(words, outputs, drawn):
    assert call(*words.split(), "--width", 9, "--dpi", 50, "--out", "f.png").code == 0
    assert drawn[-1].get_figwidth() == pytest.approx(9)


def test_trajectories_are_those_of_sample(outputs, drawn):
    assert call("plot-trajectories", "-n", 20, "--out", "f.svg", "--color-by", "place").code == 0
    assert call("sample", "-n", 20, "--trajectory", "--out", "s.npz").code == 0
    with np.load("s.npz") as archive:
        samples, mean, scale = (archive[name] for name in ("samples", "mean", "scale"))
    ends = drawn[-1].axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(mean + scale * ends, samples, rtol=1e-4, atol=1e-4)


def test_an_exact_field_stands_alone_and_a_models_beside_it(outputs, drawn):
    assert call("plot-field", "--exact", "--times", "0.3", "--out", "f.png", "--dpi", 50).code == 0
    assert len(drawn[-1].axes) == 1
    assert call("plot-field", "--times", "0.3", "--out", "f.png", "--dpi", 50).code == 0
    assert len(drawn[-1].axes) == 3


def test_default_times_fit_a_short_chain(tmp_path, monkeypatch, drawn):
    monkeypatch.chdir(tmp_path)
    words = "plot-field --exact --dataset bimodal --timesteps 5 --out f.png"
    assert call(*words.split(), "--dpi", 50).code == 0
    assert [axes.get_title().split(",")[0] for axes in drawn[-1].axes] == ["$t = 0.20$", "$t = 0.30$", "$t = 0.70$"]


def test_the_density_of_a_file_is_said_to_be_smoothed(outputs, drawn):
    np.savetxt("points.csv", np.random.default_rng(0).normal(size=(200, 1)), delimiter=",")
    assert call("train", "--dataset", "file:points.csv", "--steps", 20, "--batch-size", 16, "--width", 8).code == 0
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


def test_the_kl_of_a_schedule_is_the_doctors(outputs, drawn):
    words = "--dataset moons --schedule sigmoid:start=1e-5,end=5e-3 --timesteps 100"
    assert call("plot-schedule", *words.split(), "--out", "f.png", "--dpi", 50).code == 0
    told = call("doctor", *words.split(), "--json").json["end"]
    shown = drawn[-1].axes[3].lines[1].get_ydata()[0]
    assert shown == pytest.approx(told["kl"], abs=4 * told["kl_stderr"] + 0.02)


def test_a_flow_between_pairs_has_a_velocity_and_no_score(outputs, drawn):
    flow = ["--loss", "flow:ot", "--prediction", "velocity", "--schedule", "flow", "--name", "pairs"]
    assert call("train", "--steps", 20, "--batch-size", 16, "--width", 8, *flow).code == 0
    refused = call("plot-field", "--run", "pairs", "--out", "f.png")
    assert (refused.code, "give --field velocity" in refused.err) == (2, True)
    assert call("plot-field", "--run", "pairs", "--field", "velocity", "--times", "0.5", "--out", "f.png").code == 0
    assert len(drawn[-1].axes) == 1  # no exact one beside it: that is another flow


def test_the_kl_of_a_file_is_the_doctors_too_and_a_run_without_its_file_has_none(outputs, drawn):
    np.savetxt("points.csv", np.random.default_rng(0).normal(size=(300, 2)) * [3, 1], delimiter=",")
    words = ["--dataset", "file:points.csv", "--schedule", "sigmoid:start=1e-5,end=5e-3", "--timesteps", "100"]
    assert call("plot-schedule", *words, "--out", "f.png", "--dpi", 50).code == 0
    told = call("doctor", *words, "--json").json["end"]
    assert drawn[-1].axes[3].lines[1].get_ydata()[0] == pytest.approx(told["kl"], abs=0.01)
    assert call("train", "--dataset", "file:points.csv", "--steps", 20, "--batch-size", 16, "--width", 8).code == 0
    Path("points.csv").unlink()
    assert call("plot-schedule", *words, "--out", "f.png").code == 1
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
        ("plot-field --exact --dataset bimodal --times 0", 2, "from 1/T = 0.001 to 1"),
        ("plot-field --exact --dataset bimodal --times .1,.2,.3,.4,.5,.6,.7", 2, "6 are the most"),
        ("plot-reverse --exact --dataset moons --frames 6 --width 3 --out f.png", 2, "too narrow"),
        ("plot-samples --out f.gif --dataset moons", 2, ".png, .svg, .pdf"),
        ("plot-samples --out nowhere/f.png --dataset moons", 1, "does not exist"),
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

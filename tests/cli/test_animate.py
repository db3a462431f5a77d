import pytest
from PIL import Image

from diffuse_cli.errors import DiffuseError
from diffuse_cli.models import run_folder
from diffuse_cli.plots import formats
from tests.support.cases import few_fast

from .conftest import call

FEW = ("--frames", 6, "-n", 40, "--size", 160)
EXACT = ("--exact", "--dataset", "line", "--steps", 5)


def frames(path):
    with Image.open(path) as image:
        return image.n_frames


def test_there_and_back_lands_in_the_figures_of_the_run(outputs):
    result = call("animate", *FEW)
    assert result.code == 0, result.err
    assert result.out.strip() == "outputs/small/figures/animation.gif"
    assert frames(outputs / "small/figures/animation.gif") == 6


def test_other_choices_have_other_names(outputs):
    result = call("animate", *FEW, "--direction", "reverse", "--sampler", "ddim", "--dark", "--quiet")
    assert result.out.strip() == "outputs/small/figures/animation-reverse-ddim-5-uniform-dark.gif"
    assert result.err == ""


def test_forward_needs_no_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("animate", *EXACT, *FEW, "--direction", "forward", "--no-ease", "--tail", 0, "-o", "a.gif")
    assert (result.code, result.out) == (0, "a.gif\n"), result.err
    assert frames("a.gif") == 6
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_the_same_seed_gives_the_same_bytes_and_another_another(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert call("animate", *EXACT, *FEW, "--seed", seed, "-o", tmp_path / f"{name}.gif").code == 0
    a, b, c = ((tmp_path / f"{name}.gif").read_bytes() for name in "abc")
    assert a == b != c


def test_the_way_back_begins_where_the_way_there_ends(tmp_path, monkeypatch):
    from diffuse_cli.plots import animation

    seen = []
    monkeypatch.setattr(animation, "_checked", lambda stage, number: seen.append(stage) or stage)
    assert call("animate", *EXACT, *FEW, "-o", tmp_path / "a.gif").code == 0
    there, back = seen
    assert (there.forward, back.forward) == (True, False)
    assert (there.t[0], there.t[-1], back.t[0], back.t[-1]) == (0, 1, 1, 0)
    assert abs(there.frames[-1] - back.frames[0]).max() < 1e-3


@pytest.mark.parametrize("kind", few_fast(["bimodal", "swiss_roll:dim=3", "curves:dim=16"], "curves:dim=16"))
def test_every_view_can_be_animated(kind, tmp_path):
    args = ("--exact", "--dataset", kind, "--steps", 4, "--direction", "forward", *FEW)
    result = call("animate", *args, "-o", tmp_path / "a.gif")
    assert result.code == 0, result.err
    assert frames(tmp_path / "a.gif") == 6


def test_another_format_by_its_ending(tmp_path):
    if formats.ffmpeg() is None:
        pytest.skip("there is no ffmpeg; it comes with the extra video")
    result = call("animate", *EXACT, *FEW, "-o", tmp_path / "a.mp4")
    assert result.code == 0, result.err
    assert (tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("out", "code", "words"),
    [
        ("a.avi", 2, "cannot save an animation as 'a.avi', which ends in '.avi'; known: .gif, .mp4, .webp."),
        ("a", 2, "cannot save an animation as 'a', which has no ending; known: .gif, .mp4, .webp."),
        ("none/a.gif", 1, "cannot write none/a.gif: the folder none does not exist."),
        ("a.mp4", 1, 'a.mp4 needs ffmpeg: pip install "diffuse-cli[video]"; or write a .gif instead.'),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_any_work(out, code, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(formats, "ffmpeg", lambda: None)
    result = call("animate", "--run", "there_is_none", "-o", out)
    assert (result.code, result.out, result.err) == (code, "", f"Error: {words}\n")


def test_the_way_back_does_not_need_the_data(outputs, monkeypatch):
    def gone(*_args, **_options):
        raise DiffuseError("the data have gone")

    monkeypatch.setattr(run_folder, "dataset_of_run", gone)
    assert call("animate", *FEW, "--direction", "reverse", "-o", "a.gif").code == 0
    result = call("animate", *FEW, "-o", "b.gif")
    assert (result.code, result.err) == (1, "Error: the data have gone\n")

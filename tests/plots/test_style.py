import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.samples import samples_figure
from diffuse_cli.plots.strips import forward_strip
from diffuse_cli.plots.style import DARK, LIGHT, default_style, heading, new_figure, save_figure

from .drawing import cloud, drawn, noised, pieces


def lightness(color):
    """Relative luminance: what is left of a colour on a grey print."""
    rgb = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    high, low = sorted((lightness(one), lightness(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_colours_can_be_seen_and_told_apart_in_grey(theme):
    for text in (theme.ink, theme.muted):
        assert contrast(text, theme.paper) > 4.5
    for color in (theme.data, theme.model, *theme.classes, *theme.ramp([0.0, 0.5, 1.0])):
        assert contrast(color, theme.paper) > 1.8
    assert contrast(theme.data, theme.model) > 1.5
    assert contrast(*theme.classes[:2]) > 1.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_the_ramp_only_gets_lighter(theme):
    values = [lightness(color) for color in theme.ramp(np.linspace(0, 1, 40))]
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize("dark", [False, True])
def test_settings_are_left_as_they_were(dark, tmp_path):
    with matplotlib.rc_context({"font.size": 31, "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        save_figure(samples_figure(cloud(50, 2), cloud(50, 2), dark=dark), tmp_path / "a.png", dpi=40)
        assert dict(matplotlib.rcParams) == before


def test_a_readers_settings_do_not_change_a_figure(tmp_path):
    expected = save_figure(samples_figure(cloud(50, 2), cloud(50, 2)), tmp_path / "a.svg").read_bytes()
    with matplotlib.rc_context({"font.size": 31, "axes.grid": True, "svg.hashsalt": "other", "lines.linewidth": 9}):
        figure = samples_figure(cloud(50, 2), cloud(50, 2))
        assert save_figure(figure, tmp_path / "b.svg").read_bytes() == expected


def test_settings_are_restored_after_an_error():
    before = dict(matplotlib.rcParams)
    with pytest.raises(ZeroDivisionError), default_style():
        1 / 0  # noqa: B018
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_imported(tmp_path):
    code = f"""
import sys, numpy as np
from diffuse_cli.plots import loss, panels, point_colors, samples, schedule, strips, style
figure = strips.forward_strip(np.random.default_rng(0).normal(size=(2, 9, 3)), [1.0, 0.0])
style.save_figure(figure, {str(tmp_path / "a.png")!r}, dpi=30)
style.save_figure(loss.loss_figure([1, 2], [1.0, 0.5]), {str(tmp_path / "a.svg")!r})
unwanted = {{"matplotlib.pyplot", "jax", "sklearn", "scipy"}} & set(sys.modules)
sys.exit(f"imported: {{unwanted}}" if unwanted else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "PNG"])
def test_the_same_arrays_give_the_same_bytes(tmp_path, ending):
    frames, log_snr, t = noised(2, 60, 2)
    first, second = (
        save_figure(forward_strip(frames, log_snr, t=t), tmp_path / f"{name}.{ending}", dpi=50).read_bytes()
        for name in "ab"
    )
    assert first == second
    magic = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending.lower()]
    assert first.startswith(magic)


def test_saving_one_figure_twice_gives_the_same_bytes(tmp_path):
    figure = samples_figure(cloud(60, 1), cloud(60, 1))
    first, second = (save_figure(figure, tmp_path / f"{name}.svg").read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_many_points_stay_a_small_file(tmp_path, ending):
    path = save_figure(samples_figure(cloud(10_000, 2), cloud(10_000, 2)), tmp_path / f"a.{ending}", dpi=150)
    assert path.stat().st_size < 2_000_000


def test_few_points_stay_vectors(tmp_path):
    assert b"<image" not in save_figure(samples_figure(cloud(50, 2), cloud(50, 2)), tmp_path / "a.svg").read_bytes()


def test_a_path_is_checked_without_matplotlib():
    code = "import sys; from diffuse_cli.plots.formats import check_path; check_path('a.svg')"
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit('matplotlib' in sys.modules)"], check=True)


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.gz", ".png"])
def test_an_unknown_ending_names_those_that_work(tmp_path, name):
    with pytest.raises(UsageError, match=r"known: \.png, \.svg, \.pdf"):
        save_figure(samples_figure(cloud(9, 2), cloud(9, 2)), tmp_path / name)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DiffuseError, match=r"the folder .*nowhere does not exist"):
        save_figure(samples_figure(cloud(9, 2), cloud(9, 2)), tmp_path / "nowhere" / "a.png", dpi=30)


def test_a_place_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(DiffuseError, match=r"cannot write .*a\.png"):
        save_figure(samples_figure(cloud(9, 2), cloud(9, 2)), tmp_path / "a.png", dpi=30)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_an_older_file_is_replaced(tmp_path):
    (tmp_path / "a.png").write_text("old")
    path = save_figure(samples_figure(cloud(9, 2), cloud(9, 2)), str(tmp_path / "a.png"), dpi=30)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("dark", [False, True])
def test_a_notebook_shows_the_figure_in_its_theme(dark):
    with default_style(dark=dark) as theme:
        figure = new_figure(2, 1, theme)
    assert figure._repr_png_().startswith(b"\x89PNG")
    corner = np.asarray(drawn(figure).buffer_rgba())[0, 0, :3] / 255
    np.testing.assert_allclose(corner, matplotlib.colors.to_rgb(theme.paper), atol=0.01)


@pytest.mark.parametrize("width", [3.0, 5.0, 9.0])
def test_a_long_title_is_wrapped_not_cut(width):
    with default_style() as theme:
        figure = new_figure(width, 3, theme)
        figure.add_subplot()
        heading(figure, "Forward: data → noise", "two moons with noise 0.05, cosine schedule of 1000 steps, seed 3")
    box = pieces(figure)["title 0"]
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


@pytest.mark.parametrize("width", [None, 6.0, 11.0])
def test_a_figure_is_as_wide_as_asked(width):
    with default_style(width=width) as theme:
        figure = new_figure(8.0, 3.0, theme)
    assert figure.get_figwidth() == (width or 8.0)
    assert figure.get_figheight() == pytest.approx(3.0 * max((width or 8.0) / 8.0, 1.0))


def test_a_figure_has_a_least_width():
    with default_style(width=5.9) as theme, pytest.raises(UsageError, match=r"5.9 inches is too narrow.* 6 or more"):
        new_figure(8.0, 3.0, theme)

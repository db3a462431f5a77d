"""Names, units and numbers of axes, and the user's text in every figure."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from diffuse_cli.errors import UsageError
from diffuse_cli.plots.axis_names import Ticks, axis_text, ticks_between
from diffuse_cli.plots.collection import Column, collection_figure
from diffuse_cli.plots.columns import Columns, columns_of
from diffuse_cli.plots.density import density_figure
from diffuse_cli.plots.samples import samples_figure
from diffuse_cli.plots.strips import forward_strip
from diffuse_cli.plots.style import save_figure
from diffuse_cli.plots.trajectories import Paths, trajectories_figure
from diffuse_cli.plots.user_text import fitted, plain, text_width

from .drawing import assert_nothing_cut_or_overlapping, cloud, drawn, noised, scatters

HARD = (
    "price$of$tea_{",
    "身高 \\frac{",
    "a_^{name} of $ a column that is much longer than any panel of a figure is wide",
)
FAR = np.array([5e5, -4.649776e6, 1e9])


def named(dim: int, units="data") -> Columns:
    return Columns(HARD[:dim], units)


def figures(dim: int) -> dict[str, Figure]:
    """One figure of each kind that shows samples of `dim` columns, far from zero where it is in data units."""
    frames, log_snr, t = noised(3, 60, dim)
    data, texts = cloud(60, dim) + FAR[:dim], {"subject": HARD[0]}
    model = {"columns": named(dim, "model"), **texts}
    found = {
        "samples": samples_figure(data, data, columns=named(dim), **texts),
        "grid": collection_figure([(HARD[0], Column(data, data, columns=named(dim)))], **texts),
        "strip": forward_strip(frames, log_snr, t=t, **model),
        "paths": trajectories_figure({HARD[0]: Paths(frames, t), HARD[1]: Paths(frames, t)}, **model),
    }
    if dim <= 2:
        x = [np.linspace(-1, 1, 5) + far for far in FAR[:dim]]
        p = np.ones((5,) * dim)
        found["density"] = density_figure(x[0], None if dim == 1 else x[1], p, p, columns=named(dim), **texts)
    return found


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_names_are_drawn_as_they_are_and_with_their_units(dim, tmp_path):
    wrong = {}
    for kind, figure in figures(dim).items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a letter that no font has
            save_figure(figure, tmp_path / "figure.pdf")
        texts = [text.get_text().replace("\\$", "$") for axes in figure.axes for text in (*axes.texts, *_labels(axes))]
        units = "model units" if kind in ("strip", "paths") else "data units"
        if not any("price$of$tea_{" in text for text in texts) or not any(units in text for text in texts):
            wrong[kind] = texts
        assert HARD[0] in figure.get_suptitle().replace("\\$", "$"), kind
    assert wrong == {}


def _labels(axes):
    return [axis.label for axis in (axes.xaxis, axes.yaxis, *([axes.zaxis] if axes.name == "3d" else []))]


@pytest.mark.parametrize("dim", [1, 2])
def test_nothing_overlaps_with_long_names_far_from_zero(dim):
    for figure in figures(dim).values():
        drawn(figure)
        assert_nothing_cut_or_overlapping(figure)


def test_ticks_far_from_zero_are_short_and_different():
    axes = samples_figure(*2 * [cloud(60, 2) + FAR[:2]], columns=Columns(("e", "n"), "data")).axes[0]
    drawn(axes.figure)
    for axis, label in ((axes.xaxis, "e − 500,000, data units"), (axes.yaxis, "n + 4,649,776, data units")):
        texts = [tick.get_text() for tick in axis.get_ticklabels()]
        assert len(set(texts)) == len(texts) > 2
        assert max(map(len, texts)) <= 4
        assert axis.label.get_text() == label


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-3, 3), (499999.5, 500000.5), (1e9, 1e9 + 10), (0, 1e7), (-1e-7, 1e-6), (1990, 2020)]
)
def test_what_is_written_beside_ticks_gives_their_values(low, high):
    ticks, values = ticks_between(low, high), np.linspace(low, high, 5)
    read = [ticks.offset + 10.0**ticks.power * float(ticks.text(value).replace("−", "-")) for value in values]
    np.testing.assert_allclose(read, values, atol=1e-4 * (high - low))
    assert max(len(ticks.text(value)) for value in values) <= 8


def test_a_name_is_cut_in_its_middle_and_its_units_never():
    text = axis_text(HARD[2], "model units", Ticks(0.0, 0), 1.4, 10.5)
    first, units = text.replace("\\$", "$").split("\n")
    assert units == "model units"
    assert (first[:3], first[-4:]) == ("a_^", "wide")
    assert max(text_width(first, 10.5), text_width(units, 10.5)) <= 1.4
    assert fitted("short", 1.0, 10.5) == "short"


def test_plain_text_has_no_markup_lines_or_unknown_letters():
    assert plain("a$b$ \t\n c") == "a\\$b\\$    c"
    assert "\x07" not in plain("bell\x07")
    assert plain("größe, Рост") == "größe, Рост"


def test_names_need_to_be_as_many_as_columns():
    with pytest.raises(UsageError, match="2 names of columns for samples of 3 values"):
        columns_of(3, Columns(("a", "b"), "data"), "data")


@pytest.mark.parametrize("dim", [4, 12])
def test_a_few_columns_are_drawn_in_pairs(dim):
    data, columns = cloud(90, dim), Columns(tuple(f"c{i}" for i in range(dim)), "data")
    figure = samples_figure(cloud(70, dim, 1), data, columns=columns, subject="name")
    drawn(figure)
    assert_nothing_cut_or_overlapping(figure)
    assert figure.get_suptitle() == "Samples  ·  name, data units"
    pairs = [axes for axes in figure.axes if scatters(axes)]
    assert len(pairs) == dim * (dim - 1) // 2
    assert all(len(scatters(axes)[0].get_offsets()) == 2 * 70 for axes in pairs)
    assert [label for axes in figure.axes if (label := axes.get_xlabel())] == list(columns.names)
    assert [label for axes in figure.axes if (label := axes.get_ylabel())] == list(columns.names[1:])
    limits = {axes.get_xlabel(): axes.get_xlim() for axes in figure.axes if axes.get_xlabel()}
    for name, column in zip(columns.names, data.T, strict=True):
        low, high = limits[name]
        assert low <= column.min() <= column.max() <= high


def test_a_grid_names_the_columns_of_files_only():
    own = Column(cloud(40, 2) * [1, 1000], columns=Columns(("age", "salary"), "data"))
    figure = collection_figure([("own", own), ("moons", Column(cloud(40, 2)))])
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes] == [
        ("age, data units", "salary, data units"),
        ("", ""),
    ]
    assert [axes.get_aspect() for axes in figure.axes] == ["auto", 1.0]
    drawn(figure)
    assert_nothing_cut_or_overlapping(figure)

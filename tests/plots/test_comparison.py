import numpy as np
import pytest
from matplotlib.figure import Figure

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.comparison import Ends, Line, ends_figure, quality_figure, students_figure
from tests.support.cases import few_fast

from .drawing import VIEWS, assert_nothing_cut_or_overlapping, cloud, in_both_themes, scatters

EVALS = np.array([5, 10, 20, 50, 100])
FLOOR = {"metric": "sliced_w2", "floor": 0.02, "interval": (-np.inf, 0.03)}


def line(at=1.0, gaps=True):
    values = at / EVALS + 0.02
    return Line(EVALS, values, values > 0.03, at / EVALS**2.0 if gaps else None)


@in_both_themes
@pytest.mark.parametrize("count", few_fast([1, 5, 15], 1, 15))
@pytest.mark.parametrize("gaps", [True, False])
def test_quality_of_any_number_of_samplers(count, gaps, dark):
    samplers = {f"sampler_{i}:order={i}": line(1 + i, gaps) for i in range(count)}
    figure = quality_figure(samplers, subject="exact moons", dark=dark, **FLOOR)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 1 + gaps
    assert all(axes.get_xscale() == "log" for axes in figure.axes)
    assert_nothing_cut_or_overlapping(figure)
    (key,) = figure.legends
    assert {text.get_text() for text in key.get_texts()} == {*samplers, "noise floor", "reach of chance"}


@pytest.mark.parametrize("gaps", [True, False])
def test_notes_stand_over_the_key_and_cut_nothing(gaps):
    notes = ["Left out: " + ", ".join(f"sampler_{i} at 3 evaluations (needs 5)" for i in range(9)), "Random: ddpm."]
    figure = quality_figure({"ddim": line(gaps=gaps), "heun": line(gaps=gaps)}, notes=notes, **FLOOR)
    assert figure.legends[0].get_title().get_text().replace("\n", " ") == " ".join(notes)
    assert_nothing_cut_or_overlapping(figure)


def test_marks_are_hollow_where_nothing_can_be_told():
    axes = quality_figure({"ddim": line()}, **FLOOR).axes[0]
    (marks,) = scatters(axes)
    faces = marks.get_facecolors()
    hollow = (faces[:, :3] == 1).all(axis=1)
    np.testing.assert_array_equal(hollow, EVALS == 100)


def test_random_samplers_have_no_line_among_the_gaps():
    left, right = quality_figure({"ddim": line(), "ddpm": line(2, gaps=False)}, **FLOOR).axes
    assert len(right.lines) == 1
    np.testing.assert_array_equal(right.lines[0].get_ydata(), 1 / EVALS**2.0)
    assert left.lines[0].get_color() == right.lines[0].get_color()


@in_both_themes
def test_distances_from_the_flow_and_from_the_exact_map_are_on_one_scale(dark):
    ddim = line()._replace(maps=np.full(5, 0.3))
    figure = quality_figure({"ddim": ddim, "ddpm": line(2, gaps=False)}, dark=dark, **FLOOR)
    _, flow, exact = figure.axes
    np.testing.assert_array_equal(flow.lines[0].get_ydata(), ddim.gaps)
    np.testing.assert_array_equal(exact.lines[0].get_ydata(), 0.3)
    assert flow.get_ylim() == exact.get_ylim()
    assert_nothing_cut_or_overlapping(figure)


def student(at, **parts):
    return line(at, gaps=False)._replace(**{"maps": at * np.ones(5), "medians": at / 2 * np.ones(5)} | parts)


@in_both_themes
@pytest.mark.parametrize("count", few_fast([1, 7], 7))
def test_students_stand_beside_grey_solvers(count, dark):
    students = {f"student_{i}": student(0.1 + i) for i in range(count)}
    solvers = {f"{name}, exact denoiser": student(1.0, medians=None) for name in ("ddim", "heun", "dpmpp_2m")}
    figure = students_figure(students, solvers, notes=["Thin lines are medians."], dark=dark, **FLOOR)
    left, right = figure.axes
    assert len(left.lines) == 2 * count + 3
    greys = {each.get_color() for each in left.lines[2 * count :]}
    assert len(greys) == 1
    assert not greys & {each.get_color() for each in left.lines[: 2 * count]}
    assert len({each.get_linestyle() for each in left.lines[2 * count :]}) <= 3
    assert left.lines[1].get_linewidth() < left.lines[0].get_linewidth()
    assert right.get_ylabel() == "sliced_w2"
    assert_nothing_cut_or_overlapping(figure)


def test_a_student_of_another_map_has_no_distance_and_without_a_law_there_is_one_panel():
    other = {"other": student(1.0, maps=None, medians=None)}
    left, _ = students_figure({"a": student(0.1)} | other, {}, **FLOOR).axes
    assert len(left.lines) == 2
    (right,) = students_figure(other, {}, **FLOOR).axes
    assert right.get_title() == "samples against the data"


def test_solvers_far_off_leave_the_panel_and_students_do_not():
    far = {"heun": student(70.0, values=np.full(5, 70.0), medians=None)}
    for at, most in ((0.1, 3.6), (9.0, 10.8)):
        figure = students_figure({"a": student(at, values=np.full(5, at))}, far, **FLOOR)
        assert [axes.get_ylim()[1] for axes in figure.axes] == pytest.approx([most, most])


@pytest.mark.parametrize(
    ("values", "floor", "interval", "scale"),
    [
        ([1.0, 0.5, 0.1, 0.03, 0.02], 0.02, (-np.inf, 0.03), "log"),
        ([0.5, 0.1, 0.01, -0.001, -0.002], 1e-4, (-np.inf, 0.003), "symlog"),
        ([0.6, 0.7, 0.8, 0.9, 0.99], 0.99, (0.97, np.inf), "linear"),
        ([0.9, 0.6, 0.55, 0.5, 0.49], 0.5, (0.48, 0.52), "linear"),
    ],
)
def test_the_scale_follows_from_the_figures_and_holds_them(values, floor, interval, scale):
    given = Line(EVALS, np.array(values), np.ones(5, bool))
    (axes,) = quality_figure({"ddim": given}, metric="m", floor=floor, interval=interval).axes
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    assert low < min([*values, floor])
    assert high > max([*values, floor])


@in_both_themes
@pytest.mark.parametrize("count", few_fast([1, 5, 6], 6))
@pytest.mark.parametrize("kind", VIEWS)
def test_ends_of_every_kind_of_data(kind, count, dark):
    view, dim = VIEWS[kind]
    exact = cloud(300, dim)
    panels = {"exact flow": Ends(exact, "200 evaluations", False)}
    panels |= {f"s{i}": Ends(exact + 0.1 * i, f"{i} evaluations", True) for i in range(count)}
    figure = ends_figure(panels, view=view, subject="exact moons", dark=dark)
    assert len([axes for axes in figure.axes if axes.get_title()]) == count + 1
    if kind != "space":
        assert_nothing_cut_or_overlapping(figure)


def test_lines_lead_from_the_exact_end_to_the_samplers():
    exact = cloud(50, 2)
    shifted = exact + np.array([0.1, 0.0])
    panels = {"exact flow": Ends(exact, "", False), "a": Ends(shifted, "", True), "b": Ends(shifted, "", False)}
    first, aiming, random = ends_figure(panels).axes
    assert [len(axes.collections) for axes in (first, aiming, random)] == [1, 2, 1]
    (lines,) = [each for each in aiming.collections if hasattr(each, "get_segments")]
    segments = np.array(lines.get_segments())
    assert len(segments) > 40
    np.testing.assert_allclose(segments[:, 1] - segments[:, 0], np.tile([0.1, 0.0], (len(segments), 1)), atol=1e-12)
    assert first.get_xlim() == aiming.get_xlim() == random.get_xlim()


def test_errors():
    with pytest.raises(UsageError, match="no sampler"):
        quality_figure({}, **FLOOR)
    with pytest.raises(UsageError, match="of the same k"):
        quality_figure({"a": line()._replace(values=np.ones(3))}, **FLOOR)
    with pytest.raises(UsageError, match="of the same k"):
        students_figure({"a": student(1.0, medians=np.ones(3))}, {}, **FLOOR)
    with pytest.raises(DiffuseError, match="nothing to draw"):
        quality_figure({"a": line()._replace(values=np.full(5, np.nan))}, **FLOOR)
    with pytest.raises(UsageError, match="same points"):
        ends_figure({"exact flow": Ends(cloud(5, 2), "", False), "a": Ends(cloud(6, 2), "", True)})

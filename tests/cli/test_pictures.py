"""Pictures of block characters, and where they are shown."""

import io
import re
import sys

import numpy as np
import pytest
from rich.console import Console

from diffuse_cli.cli import pictures, preview, terminal

from .conftest import call


class Terminal(io.TextIOWrapper):
    """A stdout that says it is a terminal."""

    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self):
        return True

    def read_back(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def screen(monkeypatch):
    """Makes stdout a terminal of this encoding, in an environment that is not that of the tests."""

    def make(encoding="utf-8", **environment):
        for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(terminal, "quiet", False)
        monkeypatch.setattr("sys.stdout", Terminal(encoding))
        return sys.stdout

    return make


class Drawn:
    """A dataset of which only draws are asked for."""

    def __init__(self, dim):
        self.dim = dim

    def draw(self, rng, count):
        return rng.normal(size=(count, self.dim))


# --- densities


def test_mass_is_where_points_are():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1000, 2)) * 0.1 + [[-1.0, 1.0]]
    shown = pictures.window([np.array([[-2.0, -2.0], [2.0, 2.0]])])
    lines = pictures.draw_density(points, shown).split("\n")
    assert len(lines) == shown.rows
    assert {len(line) for line in lines} == {shown.columns}
    found = [(row, column) for row, line in enumerate(lines) for column, each in enumerate(line) if each != " "]
    rows, columns = np.transpose(found)
    assert rows.max() < shown.rows / 2  # above
    assert columns.max() < shown.columns / 2  # at the left
    row, column = next((row, line.index("█")) for row, line in enumerate(lines) if "█" in line)
    assert row == pytest.approx(shown.rows / 4, abs=1.5)
    assert column == pytest.approx(shown.columns / 4, abs=2)


def test_more_points_are_darker():
    points = np.repeat([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 1.0]], [1, 20, 40, 100], axis=0)
    shades = [each for line in pictures.draw_density(points).split("\n") for each in line if each != " "]
    assert sorted(shades) == sorted("░▒▓█")


def test_a_window_has_one_scale_and_holds_the_points():
    rng = np.random.default_rng(0)
    for size in ([1, 1], [5, 1], [1, 5], [1, 0], [100, 1]):
        points = rng.uniform(-1, 1, (500, 2)) * size
        shown = pictures.window([points])
        across, up = shown.high - shown.low
        assert across / shown.columns == pytest.approx(up / (2 * shown.rows))
        assert ((points > shown.low) & (points < shown.high)).all(axis=1).mean() > 0.98


def test_in_colour_a_character_holds_two_cells():
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    shown = pictures.Window(np.zeros(2), np.ones(2), 2, 1)
    text = pictures.painted(points, shown)
    assert text.plain == "▄▀"
    both = pictures.painted(np.array([[0.0, 0.0], [0.0, 1.0]]), shown)
    assert both.plain == "▀ "
    assert both.spans[0].style.bgcolor is not None


@pytest.mark.parametrize("points", [np.full((3, 2), np.nan), np.zeros((4, 2)), np.zeros((0, 2))])
def test_what_cannot_be_seen_is_still_a_picture(points):
    assert len(set(map(len, pictures.draw_density(points).split("\n")))) == 1
    assert pictures.painted(points).plain.count("\n") == pictures.window([points]).rows - 1


def test_points_that_are_not_finite_or_far_out_do_not_matter():
    points = np.random.default_rng(0).normal(size=(2000, 2))
    with_others = np.concatenate([points, [[np.nan, 0.0], [1e9, 1e9]]])
    shown = pictures.window([with_others])
    assert (shown.high < 10).all()
    assert pictures.draw_density(with_others, shown) == pictures.draw_density(points, shown)


# --- lines of bars


def test_a_histogram_is_high_where_values_are():
    values = np.repeat([0.5, 1.5, 3.5], [80, 40, 1])
    lines = pictures.histogram(values, 0, 4, columns=4, rows=2).split("\n")
    assert lines == ["█   ", "██ ▁"]
    assert pictures.histogram(np.array([np.nan]), 0, 1, columns=3, rows=1) == "   "


def test_a_sparkline_rises_as_its_values_do():
    for values in (np.arange(100.0), np.geomspace(1e-6, 1, 100), np.linspace(-5, 5, 100)):
        line = pictures.sparkline(values)
        assert len(line) == 32
        assert list(line) == sorted(line)
        assert (line[0], line[-1]) == ("▁", "█")
        fallen = list(pictures.sparkline(values[::-1]))
        assert fallen == sorted(fallen, reverse=True)


def test_a_sparkline_is_on_a_log_scale_where_values_span_it():
    assert pictures.sparkline(np.array([1.0, 10.0, 100.0])) == "▁▅█"
    assert pictures.sparkline(np.array([1.0, 5.0, 9.0])) == "▁▅█"
    assert pictures.sparkline(np.array([0.0, 1.0, 100.0])) == "▁▁█"


def test_a_sparkline_of_what_stays_or_is_unknown():
    assert pictures.sparkline(np.ones(3)) == "▁▁▁"
    assert pictures.sparkline(np.array([1.0, np.nan, 2.0])) == "▁ █"
    assert pictures.sparkline(np.array([np.inf, np.nan])) == "  "
    assert pictures.sparkline(np.array([])).strip() == ""
    assert pictures.sparkline(np.array([1.0, np.inf, 2.0, 3.0]), columns=2) == "▁█"


# --- where they are shown


def test_pictures_are_for_terminals_with_blocks_and_for_people(screen, monkeypatch):
    screen()
    assert terminal.shows_pictures()
    monkeypatch.setattr(terminal, "quiet", True)
    assert not terminal.shows_pictures()
    screen(TERM="dumb")
    assert not terminal.shows_pictures()
    for encoding in ("ascii", "latin-1"):
        screen(encoding)
        assert not terminal.shows_pictures()
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert not terminal.shows_pictures()


def test_samples_stand_beside_the_data(screen):
    out = screen()
    preview.show_samples(np.random.default_rng(1).normal(size=(500, 2)), Drawn(2), "points", seed=0)
    lines = out.read_back().rstrip("\n").split("\n")
    assert "data" in lines[0]
    assert "samples" in lines[0]
    assert "\x1b[" in lines[3]
    assert "▀" in "".join(lines)


def test_without_colour_there_are_shades(screen):
    out = screen(NO_COLOR="1")
    preview.show_samples(np.random.default_rng(1).normal(size=(500, 2)), Drawn(2), "points", seed=0)
    assert "▓" in out.read_back()


@pytest.mark.parametrize(
    ("dim", "view", "words", "drawn_with"),
    [
        (1, "points", "samples", "█"),
        (5, "points", "two principal axes", "▀"),
        (8, "curves", "one of the samples", "▀"),
    ],
)
def test_other_views(dim, view, words, drawn_with, screen):
    out = screen()
    preview.show_samples(np.random.default_rng(1).normal(size=(500, dim)), Drawn(dim), view, seed=0)
    said = out.read_back()
    assert words in said
    assert drawn_with in said


@pytest.mark.parametrize("columns", [40, 60, 200])
def test_pictures_fit_the_screen(columns, screen):
    out = screen(COLUMNS=str(columns), NO_COLOR="1")
    preview.show_samples(np.random.default_rng(1).normal(size=(500, 2)), Drawn(2), "points", seed=0)
    lines = re.sub("\x1b\\[[0-9;]*m", "", out.read_back()).split("\n")
    assert 30 < max(len(line.rstrip()) for line in lines) <= columns


def test_a_narrow_screen_or_no_finite_sample_shows_nothing(screen):
    out = screen(COLUMNS="30")
    preview.show_samples(np.zeros((5, 2)), Drawn(2), "points", seed=0)
    assert out.read_back() == ""
    out = screen()
    preview.show_samples(np.full((5, 2), np.nan), Drawn(2), "points", seed=0)
    assert out.read_back() == ""


def test_the_course_of_the_loss(screen, monkeypatch):
    records = [{"loss": loss} for loss in (8.0, 4.0, 2.0, 1.0)]
    screen()
    assert preview.course(records).strip()[0] == "█"
    assert preview.course(records[:2]) == ""
    screen("ascii")
    assert preview.course(records) == ""


def test_train_and_evaluate_show_them_on_a_terminal(outputs, monkeypatch):
    monkeypatch.setattr(terminal, "shows_pictures", lambda: True)
    monkeypatch.setattr(preview, "Console", lambda **_: Console(width=100, no_color=True))
    judged = call("evaluate", "-n", 100, "--metric", "energy", "--repeats", 2)
    trained = call("train", "--resume", "small", "--steps", 360, "--no-figures")
    for result in (judged, trained):
        assert result.code == 0, result.err
        assert "samples" in result.out
        assert set("▒▓█") & set(result.out)
    assert set(pictures.BARS) & set(trained.out)


def test_elsewhere_there_are_none(outputs):
    out = call("evaluate", "-n", 100, "--metric", "energy", "--repeats", 2, "--json").out
    assert not (set(pictures.USED) - {" "}) & set(out)

"""How the rows of a file are split into those to train on and those that are held out."""

import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.datasets.dataset import Dataset, standardise
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.data import draw_data, split_rows


def of_points(points):
    points = np.asarray(points, float)
    return Dataset(
        lambda rng, n: points[rng.integers(len(points), size=n)],
        points.shape[1],
        standardise(points, per_column=True),
        points=points,
    )


@pytest.mark.parametrize("name", ["file", "image"])
def test_a_path_is_absolute_in_a_run_and_a_bare_name_for_others(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = config.make({"dataset": f"{name}:some/my tea.png"})
    whole = build.fill_in_settings(settings, of_points(rows(30)))
    assert whole.dataset == f"{name}:path={tmp_path}/some/my tea.png"
    assert build.without_folders(whole).dataset == f"{name}:path=my tea.png"
    assert build.title_of_data(whole.dataset) == "my tea"
    assert build.default_run_name(whole) == "my_tea"


def test_own_code_with_a_path_is_left_alone():
    settings = config.make({"dataset": "mine.sets:some:path=a/b"})
    assert build.without_folders(settings) == settings
    assert build.title_of_data(settings.dataset) == settings.dataset


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))


@pytest.mark.parametrize(("n", "held_out"), [(2, 1), (12, 1), (30, 3), (800, 80), (50_000, 4096)])
def test_rows_that_differ_are_split_as_they_always_were(n, held_out):
    """Checkpoints do not contain their training rows, so the split must not change."""
    order = np.random.default_rng(3).permutation(n)
    split = split_rows(config.make({"seed": 3}), of_points(rows(n)))
    np.testing.assert_array_equal(split.held_out, order[:held_out])
    np.testing.assert_array_equal(split.train, order[held_out:])


@pytest.mark.parametrize(
    ("sizes", "held_out"),
    [
        ([20] * 40, 80),  # four groups of twenty
        ([1] * 700 + [100], 80),
        ([399, 401], 399),  # neither is small enough
        ([2] * 15, 2),
        ([1, 29], 1),
        ([3] * 10, 3),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_equal_rows_stay_on_one_side(sizes, held_out, seed):
    data = of_points(np.repeat(rows(len(sizes)), sizes, axis=0))
    settings = config.make({"seed": seed})
    split, again = split_rows(settings, data), split_rows(settings, data)
    np.testing.assert_array_equal(split.train, again.train)
    assert sorted([*split.train, *split.held_out]) == list(range(sum(sizes)))
    assert len(split.held_out) == held_out
    assert not {*map(tuple, data.points[split.train])} & {*map(tuple, data.points[split.held_out])}


def test_rows_that_single_precision_cannot_tell_apart_are_equal():
    points = np.repeat(rows(20), 5, axis=0)
    points += 1e-12 * rows(100, seed=1)
    data = draw_data(config.make({}), of_points(points))
    assert len(data.held_out) == 10
    assert not {*map(tuple, data.train)} & {*map(tuple, data.held_out)}


def test_a_file_of_which_single_precision_leaves_one_row_is_refused():
    points = np.repeat(rows(1), 40, axis=0)
    with pytest.raises(UsageError, match="nothing to learn"):
        split_rows(config.make({}), of_points(points)._replace(standard=standardise(rows(9), per_column=True)))


def test_fewer_rows_are_trained_on_where_asked():
    data = of_points(rows(100))
    whole, part = (split_rows(config.make({"train_size": size}), data) for size in (90, 40))
    np.testing.assert_array_equal(part.train, whole.train[:40])
    np.testing.assert_array_equal(part.held_out, whole.held_out)
    with pytest.raises(UsageError, match="of which 10 are held out"):
        split_rows(config.make({"train_size": 91}), data)

"""Missing cells are drawn from their conditional law, and the table around them stays as it is."""

import csv
from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.config import Config
from diffuse_cli.datasets.files.incomplete import read_incomplete
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.models import build
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.imputed_files import write_imputed
from diffuse_cli.models.imputing import impute
from diffuse_cli.models.solving import way_of

nan = np.nan
GAPS = np.array([[1.0, nan], [nan, -1.0], [nan, nan], [0.5, 0.25]])


@pytest.fixture(scope="module")
def model():
    config = Config(dataset="overlap")
    return exact_model(config, build.build_dataset(config), Path("unused"), process=build.build_process(config))


def test_cells_have_their_conditional_law(model):
    """overlap is a mixture of six round Gaussians with variance 1/4, so p(y | x) is a mixture on a line."""
    filled = impute(model, GAPS, way_of("mmps", steps=20), draws=500, seed=0)
    assert filled.shape == (500, 4, 2)
    given = ~np.isnan(GAPS)
    np.testing.assert_array_equal(filled[:, given], np.broadcast_to(GAPS[given], (500, given.sum())))
    i = np.arange(6)
    means = np.stack([i - 2.5, np.where(i % 2 == 0, 0.5, -0.5)], axis=1)
    for row, known, free in ((0, 0, 1), (1, 1, 0)):
        share = np.exp(-2 * (GAPS[row, known] - means[:, known]) ** 2)
        share /= share.sum()
        mean = share @ means[:, free]
        variance = 0.25 + share @ (means[:, free] - mean) ** 2
        drawn = filled[:, row, free]
        assert drawn.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / 500))
        assert drawn.var() == pytest.approx(variance, rel=0.2)
    np.testing.assert_allclose(filled[:, 2].std(axis=0), [np.sqrt(35 / 12 + 0.25), np.sqrt(0.5)], rtol=0.15)  # all


def test_rows_are_solved_for_alike_in_parts(model, monkeypatch):
    from diffuse_cli.models import imputing

    monkeypatch.setattr(imputing, "_AT_ONCE", 128)
    filled = impute(model, np.repeat(GAPS[:1], 5, axis=0), way_of("pigdm", steps=4), draws=64, seed=0)
    assert np.isfinite(filled).all()
    assert len({tuple(part) for part in filled[:, :, 1].T}) == 5


def read(path):
    with open(path) as stream:
        return list(csv.reader(stream))


def test_the_file_is_as_it_was_with_its_gaps_filled(tmp_path):
    source = tmp_path / "t.csv"
    source.write_text('id,y,x\n"a, b",,1.50\nc,2,NA\nd,3,4\n')
    table = read_incomplete(ReadOptions(str(source), flag="--impute"), ("x", "y"))
    draws = np.stack([np.where(np.isnan(table.points), value, table.points) for value in (1.0, 2.0, 6.0)])
    scale = np.array([1.0, 10.0])
    write_imputed(tmp_path / "mean.csv", table, draws, ("x", "y"), scale)
    assert read(tmp_path / "mean.csv") == [
        ["id", "y", "x", "x_std", "y_std"],
        ["a, b", "3.0", "1.50", "", "2.646"],
        ["c", "2", "3.0", "2.6458", ""],
        ["d", "3", "4", "", ""],
    ]
    write_imputed(tmp_path / "every.csv", table, draws, ("x", "y"), scale, every=True)
    rows = read(tmp_path / "every.csv")
    assert rows[0] == ["draw", "id", "y", "x"]
    assert [row[0] for row in rows[1:]] == ["1"] * 3 + ["2"] * 3 + ["3"] * 3
    assert rows[5] == ["2", "c", "2", "2.0"]
    write_imputed(tmp_path / "all.npz", table, draws, ("x", "y"), scale)
    with np.load(tmp_path / "all.npz") as found:
        np.testing.assert_array_equal(found["draws"], draws)
        np.testing.assert_array_equal(found["mean"], draws.mean(axis=0))
        np.testing.assert_array_equal(found["missing"], table.missing)
    write_imputed(tmp_path / "every.npy", table, draws, ("x", "y"), scale, every=True)
    assert np.load(tmp_path / "every.npy").shape == (3, 3, 2)

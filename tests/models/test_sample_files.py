"""Files of samples: what is written is read back with its names."""

import numpy as np
import pytest

from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.datasets.files.points import file
from diffuse_cli.models.draw import Drawn
from diffuse_cli.models.sample_files import write_log_p, write_samples

NAMES = ("height, cm", 'the "second"', "größe")
POINTS = np.arange(12.0).reshape(4, 3) ** 2


@pytest.mark.parametrize("judged", [False, True])
def test_the_names_of_columns_come_back(tmp_path, judged):
    path = tmp_path / "points.csv"
    if judged:
        write_log_p(path, POINTS, -np.arange(4.0), np.arange(4.0) + 1, NAMES)
    else:
        write_samples(path, Drawn(POINTS, None, None, 4, 0.0), Standardiser(np.zeros(3), np.ones(3)), NAMES)
    read = file(path=str(path))
    assert read.column_names == (*NAMES, "log_p", "stderr") if judged else read.column_names == NAMES
    np.testing.assert_array_equal(read.points[:, :3], POINTS)


FAR = np.array([500_000.0, -4_649_776.0])  # as coordinates of a map in metres
PLACES = FAR + np.random.default_rng(0).random((400, 2)) * [1.0, 1e-3]


@pytest.mark.parametrize("ending", ["csv", "npy", "npz"])
def test_points_far_from_zero_stay_apart(tmp_path, ending):
    path = tmp_path / f"far.{ending}"
    standard = Standardiser(PLACES.mean(axis=0), PLACES.std(axis=0))
    write_samples(path, Drawn(PLACES, None, None, 4, 0.0), standard, ("e", "n"))
    read = file(path=str(path)).points
    assert [len(np.unique(column)) for column in read.T] == [len(np.unique(column)) for column in PLACES.T]
    np.testing.assert_allclose(standard.to_model(read), standard.to_model(PLACES), atol=3e-6)


def test_points_as_they_were_read_are_written_as_they_were(tmp_path):
    text = "e,n\n500000.403,0.1\n500000.413,1e-07\n"
    (tmp_path / "in.csv").write_text(text)
    write_log_p(tmp_path / "out.csv", file(path=str(tmp_path / "in.csv")).points, np.zeros(2), np.ones(2), ("e", "n"))
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [f"{line},0,1" for line in text.splitlines()[1:]]


def test_digits_without_a_meaning_are_left_out(tmp_path):
    scale = np.array([0.3])
    through = 500_000.0 + scale * np.float32([[0.1], [0.7]])
    write_log_p(tmp_path / "out.csv", through, np.zeros(2), np.ones(2), ("e",), scale)
    assert (tmp_path / "out.csv").read_text().split()[1:] == ["500000.03,0,1", "500000.21,0,1"]

"""Points of the data beside samples."""

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.figures.paths import data_of
from diffuse_cli.figures.samples import some_data


def test_rows_of_a_file_are_shown_once_each(tmp_path):
    table = np.random.default_rng(0).normal(size=(50, 2))
    np.save(tmp_path / "p.npy", table)
    dataset = catalog.build("dataset", f"file:{tmp_path / 'p.npy'}")
    for count in (1, 20, 50, 2000):
        points = some_data(dataset, count, 3)
        assert len(points) == len(np.unique(points, axis=0)) == min(count, 50)
        repeated = data_of(dataset, count, 3)
        assert len(repeated) == count
        assert np.ptp(np.unique(repeated, axis=0, return_counts=True)[1]) <= 1
        assert {*map(tuple, points)} <= {*map(tuple, table)}


def test_a_law_is_drawn_from():
    dataset = catalog.build("dataset", "moons")
    np.testing.assert_array_equal(some_data(dataset, 70, 3), dataset.draw(np.random.default_rng(3), 70))

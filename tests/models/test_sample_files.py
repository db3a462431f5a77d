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

"""Matrices, signals and values in files, as the options of a measurement read them."""

import numpy as np
import pytest

from diffuse_cli.cli.options.measurement import _numbers, _table

TEXTS = [
    ("1,2\n", [[1, 2]]),
    ("1,0\n0,1\n", [[1, 0], [0, 1]]),
    ("1,5\n2,6\n3,7\n", [[1, 5], [2, 6], [3, 7]]),  # the first column numbers the rows, and counts
    ("0,1\n1,0\n2,5\n", [[0, 1], [1, 0], [2, 5]]),
    ("0.5,0.25\n", [[0.5, 0.25]]),
    ("1 2\n3 4\n", [[1, 2], [3, 4]]),
    ("1;2\n3;4\n", [[1, 2], [3, 4]]),
    ("x,y\n1,2\n", [[1, 2]]),
    ("x,y\n1,2\n2,4\n", [[1, 2], [2, 4]]),
    ("1,1\n1,1\n", [[1, 1], [1, 1]]),
]


@pytest.mark.parametrize(("text", "rows"), TEXTS, ids=[repr(text) for text, _ in TEXTS])
def test_every_column_of_a_matrix_is_read(text, rows, tmp_path):
    file = tmp_path / "m.csv"
    file.write_text(text)
    np.testing.assert_array_equal(_table(str(file), "--matrix", 2), rows)
    np.testing.assert_array_equal(_numbers(str(file), "--values"), np.ravel(rows))


def test_a_matrix_of_another_width_keeps_its_width(tmp_path):
    """It is refused later, by a message that names both sizes; no column may go for it to fit."""
    file = tmp_path / "m.csv"
    for text, width in (("1,2,3\n", 3), ("1,0,0\n2,1,0\n", 3), ("1\n2\n", 1)):
        file.write_text(text)
        assert _table(str(file), "--matrix", 2).shape[1] == width


def test_arrays_and_chosen_columns(tmp_path):
    np.save(tmp_path / "m.npy", np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(_table(str(tmp_path / "m.npy"), "--matrix", 2), [[1, 2], [3, 4]])
    (tmp_path / "m.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    np.testing.assert_array_equal(_table(f"{tmp_path}/m.csv,columns=c+a", "--matrix", 2), [[3, 1], [6, 4]])
    np.testing.assert_array_equal(_numbers("0.5,-1", "--values"), [0.5, -1])

"""Tables with missing cells that are to be filled: what is a gap, what is kept, and what is refused."""

import numpy as np
import pytest

from diffuse_cli.datasets.files.incomplete import read_incomplete
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.errors import DiffuseError, UsageError

nan = np.nan


def table_of(folder, text, columns=("x", "y"), name="t.csv", **options):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_incomplete(ReadOptions(str(path), flag="--impute", **options), columns)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("x,y\n1,\n,2.5\n3,4\n", {}),
        ("x,y\n1,NA\nnan,2.5\n3,4\n", {}),
        ("x,y\n1, - \n?,2.5\n3,4\n", {}),
        ("x,y\n1,null\nN/A,2.5\n3,4\n", {}),
        ("y;x\n;1\n2,5;\n4;3\n", {}),  # another order, decimal commas
        ("x\ty\r\n1\t\r\n\t2.5\r\n3\t4\r\n", {}),
        (b"\xef\xbb\xbfx,y\n1,\n,2.5\n3,4\n", {}),
        ("x,y\n1,-9999\n-9999,2.5\n3,4\n", {"missing": "-9999"}),
        ("x,y\n1,lost\nlost,2.5\n3,4\n", {"missing": "lost"}),
        ("1,\n,2.5\n3,4\n", {"header": "no"}),  # no names: by position
        ('id,"x",y\n"a, b",1,\nc,,2.5\nd,3,4\n', {}),  # a column that the model does not know
    ],
)
def test_gaps_are_found(tmp_path, text, options):
    table = table_of(tmp_path, text, **options)
    np.testing.assert_array_equal(table.points, [[1, nan], [nan, 2.5], [3, 4]])
    np.testing.assert_array_equal(table.missing, [[False, True], [True, False], [False, False]])


def test_other_columns_and_their_order_are_kept(tmp_path):
    table = table_of(tmp_path, 'day,y,note,x\nmon,,"a, b",1\ntue,2,,\n')
    assert table.header == ["day", "y", "note", "x"]
    assert table.cells == [["mon", "", "a, b", "1"], ["tue", "2", "", ""]]
    assert table.places == [3, 1]


def test_numpy_files(tmp_path):
    points = np.array([[1.0, nan], [3.0, 4.0]])
    np.save(tmp_path / "t.npy", points)
    table = read_incomplete(ReadOptions(str(tmp_path / "t.npy"), flag="--impute"), ("x", "y"))
    np.testing.assert_array_equal(table.points, points)
    assert table.cells is None


@pytest.mark.parametrize(
    ("text", "options", "error", "words"),
    [
        ("x,z\n1,\n2,3\n", {}, UsageError, "unknown column of .*'y'"),
        ("1,,2\n3,4,5\n", {"header": "no"}, UsageError, "3 columns; the model has 2"),
        ("x,y\n1,abc\n2,\n", {}, DiffuseError, "line 2, column 2 \\(y\\)"),
        ("x,y\n1,2\n2,3\n", {}, DiffuseError, "no cell is missing"),
        ("x,y\n1,inf\n2,\n", {}, DiffuseError, "inf"),
        ("x,y,x\n1,,3\n2,2,3\n", {}, UsageError, "two columns x"),
        ("x,y\n1,\n2,3\n", {"missing": "drop"}, UsageError, "missing=drop leaves out"),
        ("x,y\n1,\n2,3\n", {"label": "x"}, UsageError, "label=x"),
    ],
)
def test_what_is_refused(tmp_path, text, options, error, words):
    with pytest.raises(error, match=words):
        table_of(tmp_path, text, **options)

"""A user's own points: every format reads back the same, and everything wrong is said in one sentence."""

import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_iris

from diffuse_cli import catalog
from diffuse_cli.datasets.files.points import file
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.models.data import law_name, truth_of

POINTS = np.array([[1.5, -2.0], [0.25, 3e-5], [7.0, 1e6]])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, content):
    """Put text, bytes, one array or several into a file, in the format its content asks for."""
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, content)


def saved(array, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def text_of(points, delimiter):
    return "".join(delimiter.join(repr(float(value)) for value in row) + "\n" for row in points)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comma.csv", text_of(POINTS, ",")),
        ("semicolon.csv", text_of(POINTS, ";")),
        ("tab.tsv", text_of(POINTS, "\t")),
        ("tab.txt", text_of(POINTS, "\t")),
        ("spaces.txt", text_of(POINTS, "   ")),
        ("indented.txt", "".join(f"  {line}  \n" for line in text_of(POINTS, " ").splitlines())),
        ("comma_and_space.csv", text_of(POINTS, " , ")),
        ("header.csv", "x,y\n" + text_of(POINTS, ",")),
        ("header_with_spaces.csv", "sepal length (cm), sepal width (cm)\n" + text_of(POINTS, ",")),
        ("quoted.csv", '"x; in m","y, in s"\n"1.5","-2.0"\n"0.25","3e-5"\n7,1e6\n'),
        ("quoted_spaces.txt", '"the x" "the y"\n1.5 -2.0\n0.25 3e-5\n7 1e6\n'),
        ("bom.csv", b"\xef\xbb\xbf" + ("x,y\n" + text_of(POINTS, ",")).encode()),
        ("bom_without_header.csv", b"\xef\xbb\xbf" + text_of(POINTS, ",").encode()),
        ("crlf.csv", ("x,y\n" + text_of(POINTS, ",")).replace("\n", "\r\n")),
        ("old_mac.csv", ("x,y\n" + text_of(POINTS, ",")).replace("\n", "\r")),
        ("blank_lines.csv", "\nx,y\n\n" + text_of(POINTS, ",") + "\n  \n\n"),
        ("no_last_newline.csv", text_of(POINTS, ",").rstrip()),
        ("comments.csv", '# made by hand, "on paper\nx,y\n' + text_of(POINTS, ",") + "  # the end\n"),
        ("CAPITALS.CSV", text_of(POINTS, ",")),
        ("two.npy", POINTS),
        ("single.npz", {"points": POINTS}),
        ("fortran.npy", np.asfortranarray(POINTS)),
        ("big_endian.npy", POINTS.astype(">f8")),
    ],
)
def test_every_format_reads_back_the_same_points(here, name, content):
    write(here / name, content)
    np.testing.assert_array_equal(file(path=name).points, POINTS)


@settings(deadline=None)  # the machine may be busy
@given(
    points=arrays(float, st.tuples(st.integers(2, 5), st.integers(1, 4)), elements=st.floats(-1e9, 1e9), unique=True)
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_numbers_survive_to_the_last_bit(tmp_path_factory, points, delimiter):
    if ((points.std(axis=0) < 1e-30) | (np.ptp(points, axis=0) <= 1e-14 * np.abs(points).max(axis=0))).any():
        return  # refused, as columns that vary by no more than rounding
    path = tmp_path_factory.mktemp("points") / "points.txt"
    path.write_text(text_of(points, delimiter))
    assert file(path=str(path)).points.tobytes() == points.tobytes()


@pytest.mark.parametrize("kind", ["float16", "float32", "int8", "uint64", "int64", "bool"])
def test_any_real_type_becomes_float64(here, kind):
    array = np.array([[0, 1], [1, 0], [1, 1]]).astype(kind)
    write(here / "p.npy", array)
    assert file(path="p.npy").points.dtype == np.float64
    np.testing.assert_array_equal(file(path="p.npy").points, array.astype(float))


def test_integers_beyond_64_bits_are_numbers_like_others(here):
    write(here / "p.csv", f"{10**25},1\n{2 * 10**25},2\n")
    np.testing.assert_array_equal(file(path="p.csv").points, [[1e25, 1], [2e25, 2]])


def test_small_integers_do_not_overflow(here):
    write(here / "p.npy", np.array([[-128], [127]], dtype=np.int8))
    np.testing.assert_allclose(file(path="p.npy").standard.scale, 127.5)


def test_one_column(here):
    write(here / "p.npy", np.arange(5.0))
    write(here / "p.csv", "height in m\n0\n1\n2\n3\n4\n")
    for name in ("p.npy", "p.csv"):
        np.testing.assert_array_equal(file(path=name).points, np.arange(5.0)[:, None])


def test_256_columns(here):
    write(here / "p.npy", np.random.default_rng(0).normal(size=(3, 256)))
    assert file(path="p.npy").dim == 256


def test_a_real_table_with_a_header_and_a_column_of_text(here):
    iris = load_iris()
    lines = [",".join([*iris.feature_names, "species"])]
    lines += [
        ",".join([*map(str, row), iris.target_names[kind]]) for row, kind in zip(iris.data, iris.target, strict=True)
    ]
    write(here / "iris.csv", "\n".join(lines) + "\n")
    with pytest.raises(
        DiffuseError, match=r"column 5 \(species\) is not plain numbers: 'setosa' .*columns=sepal length \(cm\)\+sepal"
    ):
        file(path="iris.csv")
    dataset = catalog.build("dataset", "file:iris.csv,columns=1+2+3+4")
    np.testing.assert_array_equal(dataset.points, iris.data)
    model = dataset.standard.to_model(dataset.points)
    np.testing.assert_allclose(model.mean(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(model.var(axis=0), 1)
    by_name = file(path="iris.csv", columns="petal width (cm)+sepal length (cm)")
    np.testing.assert_array_equal(by_name.points, iris.data[:, [3, 0]])


def test_columns_by_number_without_a_header_beside_text(here):
    write(here / "p.csv", "a,1,10\nb,2,30\n")
    np.testing.assert_array_equal(file(path="p.csv", columns="3+2").points, [[10, 1], [30, 2]])


def test_columns_of_an_array(here):
    write(here / "p.npy", POINTS)
    np.testing.assert_array_equal(file(path="p.npy", columns="2").points, POINTS[:, 1:])


def test_a_column_whose_name_holds_a_plus(here):
    write(here / "p.csv", "a+b,c\n1,2\n3,4\n")
    np.testing.assert_array_equal(file(path="p.csv", columns="a+b").points, [[1], [3]])


def test_a_header_of_numbers_must_be_said(here):
    write(here / "p.csv", "0,1\n5,6\n7,8\n")
    assert len(file(path="p.csv").points) == 3
    assert len(file(path="p.csv", header="yes").points) == 2


def test_a_header_that_is_half_numbers_must_be_said(here):
    write(here / "p.csv", "year,2020\n5,6\n7,8\n")
    with pytest.raises(DiffuseError, match=r"line 1, column 1: 'year' is not a number; .*,header=yes"):
        file(path="p.csv")
    np.testing.assert_array_equal(file(path="p.csv", header="yes").points, [[5, 6], [7, 8]])


def test_a_key_picks_one_array_of_many(here):
    write(here / "p.npz", {"a": POINTS, "b": -POINTS})
    np.testing.assert_array_equal(file(path="p.npz", key="b").points, -POINTS)


def test_the_home_folder(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    write(here / "p.npy", POINTS)
    np.testing.assert_array_equal(file(path="~/p.npy").points, POINTS)


def test_draws_are_rows_chosen_independently(here):
    n = 10_000
    write(here / "p.npy", POINTS)
    dataset = file(path="p.npy")
    draw = dataset.draw(np.random.default_rng(0), n)
    counts = [(draw == row).all(axis=1).sum() for row in POINTS]
    assert sum(counts) == n
    np.testing.assert_allclose(counts, n / 3, atol=5 * np.sqrt(n * 2 / 9))
    assert (dataset.dim, dataset.view, draw.dtype) == (2, "points", np.float64)
    draw[:] = 0  # a draw is the caller's own
    np.testing.assert_array_equal(dataset.points, POINTS)


def test_nobody_knows_the_law_of_a_file(here):
    write(here / "p.npy", POINTS)
    dataset = file(path="p.npy")
    assert dataset.exact is None
    assert truth_of(dataset) is None
    assert law_name(dataset) == "memorised"


def test_columns_are_standardised_each_on_its_own(here):
    write(here / "p.npy", POINTS)
    dataset = file(path="p.npy")
    np.testing.assert_allclose(dataset.standard.to_model(POINTS).var(axis=0), 1)
    np.testing.assert_allclose(dataset.standard.to_data(dataset.standard.to_model(POINTS)), POINTS, atol=1e-9)


def npz_with(member, content) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        if member:
            archive.writestr(member, content)
    return stream.getvalue()


RAGGED_ARRAY = np.array([[1, 2], [3]], dtype=object)
FIELDS = np.zeros(3, dtype=[("x", float), ("y", float)])
DAMAGED = npz_with("a.npy", saved(POINTS)).replace(saved(POINTS)[-8:], b"........")
GOOD = "1,2\n3,4\n5,7\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        # text
        ("p.csv", "", "p.csv is empty"),
        ("p.csv", "\n \r\n\n", "p.csv is empty"),
        ("p.csv", "# nothing here\n", "p.csv holds no rows of numbers"),
        ("p.csv", "x,y\n", r"p.csv has a line of names (line 1) and no rows below it"),
        ("p.csv", "x,y\n1,2\n", "p.csv holds one point only"),
        ("p.csv", "1,2\n", "p.csv holds one point only"),
        ("p.csv", "x,y\n1,2\n\n# c\n3,abc\n", "p.csv, line 5, column 2 (y): 'abc' is not a number"),
        ("p.csv", "1,2\n3,abc\n", "p.csv, line 2, column 2: 'abc' is not a number"),
        ("p.csv", "1,2\n3,1_000\n", "line 2, column 2: '1_000' is not a number"),
        ("p.csv", "1,2\n3," + "z" * 99 + "\n", "line 2, column 2: '" + "z" * 39 + "…' is not a number"),
        ("p.csv", "1,2\n,4\n", "p.csv: 1 of 2 rows has a missing cell (first line 2, column 1)"),
        ("p.csv", "1;2.5\n1,5;2\n", "line 1, column 2: '2.5' is not a number with a decimal comma, as others"),
        ("p.csv", "1,2\n3,NaN\n4,4\n4,4\n", "1 of 4 rows has a missing cell (first line 2, column 2); .* missing=drop"),
        ("p.csv", "1,2\n3,-inf\n", "p.csv, line 2, column 2: -inf is not a finite number"),
        ("p.csv", "1,2\n3,1e400\n", "p.csv, line 2, column 2: inf is not a finite number"),
        ("p.csv", "1,2\n3,1e40\n", "p.csv, line 2, column 2: 1e+40 is too large; the limit is ±1e+30"),
        ("p.csv", "x,y\n1,2\n3,4,5\n", "p.csv, line 3: 3 cells where line 1 has 2"),
        ("p.csv", "1,2\n3,4\n5\n", "p.csv, line 3: 1 cell where line 1 has 2"),
        ("p.csv", '1,2\n"3,4\n5,6\n', "p.csv, line 2: a quote is not closed"),
        (
            "p.csv",
            "x,y\n1,3\n2,3\n",
            "p.csv: column 2 (y) does not vary; to leave it out: --dataset file:p.csv,columns=x",
        ),
        (
            "p.csv",
            "1,2,5,0\n1,3,5,1\n",
            "p.csv: column 1, column 3 do not vary; to leave them out: --dataset file:p.csv,columns=2+4",
        ),
        ("p.csv", "1,2\n1,2\n", "p.csv: column 1, column 2 do not vary."),
        (
            "p.csv",
            "0,1\n1e-200,2\n",
            "p.csv: column 1 does not vary by more than rounding; to leave it out: .*,columns=2",
        ),
        ("p.csv", ",".join("1" * 257) + "\n", "p.csv has 257 columns, and at most 256 can be learnt; transpose"),
        ("p.csv", "x,y\n1,2\nhöhe,3\n".encode("latin-1"), "p.csv, line 3, column 1 (x): 'höhe' is not a number"),
        ("p.csv", b"1,2\n3,\x00\x80\xff\n", "p.csv is not text"),
        ("p.csv", saved(POINTS), "p.csv is not text but a NumPy file, whatever its name says"),
        ("p.csv", "1," + "9" * 200_000 + "\n", "p.csv, line 1: this is not a table of numbers (field larger"),
        # arrays
        ("p.npy", b"", "p.npy is empty"),
        ("p.npy", b"1,2\n3,4\n", "p.npy is not a NumPy file"),
        ("p.npy", saved(POINTS)[:-8], "p.npy cannot be read"),
        ("p.npy", saved(RAGGED_ARRAY, allow_pickle=True), "p.npy holds Python objects, which are never loaded"),
        ("p.npy", np.array(3.0), "p.npy has shape []"),
        ("p.npy", np.zeros((2, 3, 4)), "p.npy has shape [2, 3, 4]; points have shape [rows, columns]"),
        ("p.npy", np.zeros((0, 2)), "p.npy holds no points: 0 rows, 2 columns"),
        ("p.npy", np.zeros((2, 0)), "p.npy holds no points: 2 rows, 0 columns"),
        ("p.npy", np.array([]), "p.npy holds no points: 0 rows"),
        ("p.npy", np.ones((1, 2)), "p.npy holds one point only"),
        ("p.npy", np.ones((2, 300)), "p.npy has 300 columns, and at most 256 can be learnt; transpose"),
        (
            "p.npy",
            np.ones((500, 300)),
            "p.npy has 300 columns, and at most 256 can be learnt; choose some with columns=",
        ),
        ("p.npy", np.array([["a", "b"]]), "p.npy holds values of type <U1; points are real numbers"),
        ("p.npy", np.array([[1j], [2]]), "p.npy holds values of type complex128; points are real numbers"),
        ("p.npy", FIELDS, "p.npy holds named fields; points are real numbers"),
        ("p.npy", np.array([[1, 2], [3, np.nan]]), "p.npy: 1 of 2 rows has a missing cell (first row 2, column 2)"),
        (
            "p.npy",
            np.array([[1, 1], [1, 2]]),
            "p.npy: column 1 does not vary; to leave it out: --dataset file:p.npy,columns=2",
        ),
        ("p.npz", b"PK\x03\x04 and no more", "p.npz cannot be read"),
        ("p.npz", {}, "p.npz holds no arrays"),
        ("p.npz", DAMAGED, "p.npz (a) cannot be read, it may be cut short or damaged"),
        ("p.npz", npz_with("notes.txt", "hello"), "p.npz (notes.txt) is not an array"),
        ("p.npz", {"a": np.array([[1, np.inf], [2, 3]])}, "p.npz (a), row 1, column 2: inf is not a finite number"),
        # other files
        ("p.ods", b"PK\x03\x04", "files that end in .ods cannot be read; known are .csv, .tsv, .txt, .dat, .tab, .npy"),
        ("p.pkl", b"", "files that end in .pkl cannot be read"),
        ("p", GOOD, "files without an ending cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_why(here, name, content, said):
    write(here / name, content)
    with pytest.raises(DiffuseError) as raised:
        file(path=name)
    pattern = said.split(".*")
    message = str(raised.value)
    assert all(part.strip() in message for part in pattern), message
    assert raised.value.exit_code == 1
    assert name in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "p.csv", "key": "a"}, "key=a is for .npz and .xlsx files, and this is a text file"),
        ({"path": "p.npy", "key": "a"}, "p.npy holds a single array, without a name"),
        ({"path": "p.npy", "header": "yes"}, "header=yes is for text files"),
        ({"path": "two.npz"}, "two.npz holds 2 arrays; say which with key=…: samples, other"),
        ({"path": "two.npz", "key": "sample"}, "unknown array in two.npz: 'sample'; did you mean 'samples'?"),
        ({"path": "p.csv", "columns": "3"}, "p.csv has no column '3'. Its columns: numbers from 1 to 2"),
        ({"path": "p.csv", "columns": "0"}, "p.csv has no column '0'"),
        ({"path": "p.csv", "columns": "x"}, "columns=x needs a line of names, but line 1 holds numbers"),
        ({"path": "p.csv", "columns": "x", "header": "no"}, "columns=x needs a line of names, but header=no says"),
        ({"path": "p.csv", "columns": "1+1"}, "columns=1+1 asks for column 1 twice"),
        ({"path": "named.csv", "columns": "left+2"}, "asks for column 2 (left) twice"),
        ({"path": "named.csv", "columns": "rigth"}, "named.csv has no column 'rigth'. Did you mean 'right'?"),
        ({"path": "named.csv", "columns": "left+"}, "named.csv has no column ''"),
        ({"path": "same.csv", "columns": "x"}, "same.csv: 2 columns are named 'x'; choose by number, from 1 to 2"),
        ({"path": "p.npy", "columns": "x"}, "p.npy has no column 'x'. Its columns: numbers from 1 to 2"),
    ],
)
def test_an_option_without_meaning_is_refused(here, options, said):
    write(here / "p.csv", GOOD)
    write(here / "named.csv", "right,left\n" + GOOD)
    write(here / "same.csv", "x,x\n" + GOOD)
    write(here / "p.npy", POINTS)
    write(here / "two.npz", {"samples": POINTS, "other": POINTS})
    with pytest.raises(UsageError) as raised:
        file(**options)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("data/pionts.csv", "there is no file data/pionts.csv; did you mean 'data/points.csv'?"),
        ("data/zzz.npy", "there is no file data/zzz.npy."),
        ("dada/points.csv", "there is no folder 'dada', and so no file dada/points.csv."),
        ("data", "data is a folder; name a file in it, like data/points.csv."),
        (
            "none",
            "none is a folder; name a file in it that ends in .csv, .tsv, .txt, .dat, .tab, .npy, .npz,",
        ),
        ("~nobody-of-this-name/p.csv", "cannot read ~nobody-of-this-name/p.csv"),
        ("a" * 5000 + ".csv", "File name too long"),
    ],
)
def test_a_file_that_is_not_there(here, path, said):
    (here / "data").mkdir()
    (here / "none").mkdir()
    write(here / "data" / "points.csv", GOOD)
    with pytest.raises(DiffuseError) as raised:
        file(path=path)
    assert said in str(raised.value)
    assert raised.value.exit_code == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(here):
    write(here / "p.csv", GOOD)
    (here / "p.csv").chmod(0)
    with pytest.raises(DiffuseError, match=r"cannot read p.csv: Permission denied"):
        file(path="p.csv")


def test_a_pickle_is_never_loaded(here):
    class Trap:
        def __reduce__(self):
            return (open, (str(here / "sprung"), "w"))

    write(here / "p.npy", saved(np.array([Trap()], dtype=object), allow_pickle=True))
    with pytest.raises(DiffuseError, match="Python objects"):
        file(path="p.npy")
    assert not (here / "sprung").exists()

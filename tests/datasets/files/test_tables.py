"""Text tables of all kinds: what is read, what is told about it, and what is refused."""

import logging

import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.files import sheets
from diffuse_cli.datasets.files.numbers import number
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.datasets.files.points import file, read_points
from diffuse_cli.errors import DiffuseError, UsageError

XY = [[1.5, 2], [2.5, 3], [3.5, 5]]
ROWS = "1.5,2\n2.5,3\n3.5,5\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def told():
    """What is logged: notes on what was read, and warnings."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("diffuse_cli.datasets")
    logger.addHandler(handler)
    level, logger.level = logger.level, logging.INFO
    yield lambda: [record.getMessage() for record in records if record.levelno == logging.WARNING]
    logger.level = level
    logger.removeHandler(handler)


def test_what_was_read_is_told_in_one_line(here, told):
    rows = "".join(f"{n},{n % 7}.5,{'' if n < 12 else n % 5}\n" for n in range(812))
    (here / "p.csv").write_text(",height,weight\n" + rows)
    dataset = file(path="p.csv", missing="drop")
    assert dataset.origin == (
        "p.csv: 800 rows × 2 columns: height, weight (index column left out; 12 rows with missing cells dropped; "
        "765 rows repeat another)"
    )
    assert told() == []


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("x,y\nm,kg\n" + ROWS, "line 2 left out: no numbers, but units or the like"),
        ("Measured,\nin 2024,\nx,y\n" + ROWS, "lines 1 to 2 above the table left out"),
        (ROWS, "no line of names"),
        ("x,z,y\n1.5,,2\n2.5,,3\n3.5,,5\n", "column 2 (z) left out: empty"),
        ("x,y\n1.5,2\n,\n2.5,3\n3.5,5\n,\n", "2 empty rows left out"),
        ("x;y\n1,5;2\n2,5;3\n3,5;5\n", "decimal commas"),
        ("time (s) height (m)\n" + ROWS.replace(",", " "), "line 1 above the table left out; no line of names"),
        ("# x,y\n" + ROWS, "names from the comment in line 1"),
        ("größe,y\n".encode("latin-1") + ROWS.encode(), "not UTF-8, read as Windows-1252"),
    ],
)
def test_what_was_left_out_or_decided_is_told(here, text, note):
    (here / "p.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    dataset = file(path="p.csv")
    np.testing.assert_array_equal(dataset.points, XY)
    assert dataset.origin.endswith(f"({note})")


@pytest.mark.parametrize(
    ("text", "options", "points"),
    [
        ("1,2\n3,4\n5,7\n", {"header": "yes"}, [[3, 4], [5, 7]]),
        (",x\n0,5\n1,6\n2,9\n", {"index": "yes"}, [[0, 5], [1, 6], [2, 9]]),
        ("id,x\n7,5\n1,6\n2,9\n", {"index": "no"}, [[5], [6], [9]]),
        ("1.234,5;2\n2.000,5;3\n", {"delimiter": ";", "decimal": "comma"}, [[1234.5, 2], [2000.5, 3]]),
        ("1,5\n2,5\n", {"delimiter": "semicolon", "decimal": "comma"}, [[1.5], [2.5]]),
        ("1,5 2\n2,5 3\n", {"delimiter": "space"}, [[1.5, 2], [2.5, 3]]),
        ("1.5\t2\n2.5\t3\n", {"delimiter": "\\t"}, [[1.5, 2], [2.5, 3]]),
        ("1,2\n3,-9999\n4,\n5,6\n7,-9999.0\n", {"missing": "-9999"}, [[1, 2], [5, 6]]),
        ("x,y\n1,2\n3,unknown\n5,6\n", {"missing": "unknown"}, [[1, 2], [5, 6]]),
        ('"a, b",c+d,"e"\n1,2,3\n4,5,7\n', {"columns": "c+d"}, [[2], [5]]),
        ("a,1,2\nb,3,4\n", {"label": "1"}, [[1, 2], [3, 4]]),
        ("2019,2020,kind\n1,2,a\n3,4,b\n", {"label": "kind"}, [[1, 2], [3, 4]]),
    ],
)
def test_options_say_how_a_table_is_read(here, text, options, points):
    (here / "p.csv").write_text(text)
    written = ",".join(f"{key}={catalog.quote(value)}" for key, value in options.items())
    np.testing.assert_array_equal(catalog.build("dataset", f"file:p.csv,{written}").points, points)


def test_a_column_of_labels(here):
    (here / "p.csv").write_text("kind,x,y\nreed,1,2\nmoss,3,4\nreed,5,7\nNA,6,6\n")
    with pytest.raises(DiffuseError, match=r"1 of 4 rows has a missing cell \(first line 5, the label\)"):
        file(path="p.csv", label="kind")
    dataset = file(path="p.csv", label="kind", missing="drop")
    np.testing.assert_array_equal(dataset.points, [[1, 2], [3, 4], [5, 7]])
    assert (dataset.labels.tolist(), dataset.classes.names, dataset.columns) == (
        [1, 0, 1],
        ("moss", "reed"),
        ("x", "y"),
    )
    assert "column 1 (kind) kept as labels" in dataset.origin


def test_names_of_several_lines(here):
    (here / "p.csv").write_text('"x\n(cm)","y (5"")"\n' + ROWS)
    assert file(path="p.csv").columns == ("x (cm)", 'y (5")')


def test_labels_that_are_numbers_are_in_their_order(here):
    (here / "p.csv").write_text("x,class\n1,10\n2,9\n4,10\n")
    assert file(path="p.csv", label="class").classes.names == ("9", "10")


def test_columns_have_different_names(here):
    (here / "p.csv").write_text("x,x,\n1,2,3\n3,4,4\n5,7,9\n")
    assert file(path="p.csv").columns == ("x", "x.1", "column 3")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("2019,2020\n3.1,1.2\n2.9,-0.4\n", "line 1 (2019, 2020) is read as a row of numbers; .* file:p.csv,header=yes"),
        ("0,1,2\n3.1,1.2,1\n2.9,-0.4,2\n", "line 1 (0, 1, 2) is read as a row"),
        ("1999,2010\n17,12\n19,45\n", "line 1 (1999, 2010) is read as a row"),
        (
            "id,x\n" + "".join(f"{n},{n * n}\n" for n in range(1, 12)),
            "column 1 (id) counts the rows from 1 .* file:p.csv,index=no",
        ),
        (
            "x,y\n1,-9999\n2,3\n3,5\n4,-9999\n",
            "column 2 (y) is -9999 in 2 rows, far from all others; .*,missing=-9999",
        ),
        (
            "x,y\n" + "".join(f"{n % 17},{n % 13}.5\n" for n in range(40)) + "3,1e12\n",
            "column 2 (y) is set by 1 of 41 rows (line 42 (1e+12)), .* 2 of its 14 different values are left",
        ),
        (
            "x\n" + "".join(f"{n}.5\n" for n in range(40)) + "1e12\n",
            "39 of 41 distinct rows become equal to another in single precision",
        ),
    ],
)
def test_what_looks_wrong_is_warned_of(here, told, text, warning):
    (here / "p.csv").write_text(text)
    file(path="p.csv")
    for part in warning.split(" .* "):
        assert part.split(".*")[-1].strip() in " ".join(told())


def test_good_data_give_no_warning(here, told):
    rng = np.random.default_rng(0)
    for name, points in {
        "normal": rng.normal(size=(300, 2)),
        "heavy": rng.standard_t(3, size=(300, 2)),
        "whole": rng.integers(0, 9, size=(300, 2)),
        "far": 4649776 + rng.normal(size=(300, 2)),
        "counts": rng.poisson(0.2, size=(300, 2)),
    }.items():
        np.savetxt(here / f"{name}.csv", points, delimiter=",", header="x,y", comments="")
        file(path=f"{name}.csv")
    assert told() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y\n1,2\n3,4\n5,7\nn = 3,13\n", "line 5, column 1 (x): 'n = 3' is not a number; if it is a sum or a remark"),
        ("x,y\n1,2\n3,4\n5,7\n(3 rows)\n", "line 5: 1 cell where line 1 has 2; if it is a sum or a remark"),
        ("x,y\n1,$2.50\n3,$4\n", "column 2 (y) is not plain numbers: '$2.50' has a currency sign"),
        ("x,y\n1,25 %\n3,4 %\n", "'25 %' has a percent sign"),
        ("x,y\n1,25 kg\n3,4 kg\n", "'25 kg' has a unit"),
        ("x,y\n1,2\n3,(4.5)\n4,4\n", "line 3, column 2 (y): '(4.5)' is a negative number of bookkeeping"),
        ("x,y\n31.12.2024,2\n1.1.2025,4\n", "'31.12.2024' is a date"),
        ("x,y\n1,5,2,5\n1,6,3,5\n", "2 names and 4 cells in each row; if these are decimal commas"),
        ('x,y\n1,"2\n3,4\n5,6\n', "line 2: a quote is not closed"),
        ("x;y\n1,5;2.5\n2,5;3.5\n", "line 2, column 2 (y): '2.5' is not a number with a decimal comma, as others"),
        ("x,y\n14.62,1\n14.620000000000001,2\n", "column 1 (x) does not vary by more than rounding; .*columns=y"),
        ("x,y\nNA,1\n2,NA\n", "every row has a missing cell"),
        ("<html>\n<body>Not found</body>\n", "no column is left to learn from"),
        ('[{"x": 1, "y": 2}, {"x": 3, "y": 4}]\n', "is not a number"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(here, text, said):
    (here / "p.csv").write_text(text)
    with pytest.raises(DiffuseError) as raised:
        file(path="p.csv", missing="drop")
    assert all(part in str(raised.value) for part in said.split(" .*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("delimiter=:", "delimiter=:: choose one of comma, semicolon, tab, space, pipe"),
        ("delimiter=,", "a value with a comma in it stands in double quotes"),
        ("decimal=.", "decimal=.: choose one of auto, point, comma"),
        ("columns=1,index=no", "columns= says already which columns"),
        ("label=1+2", "one column can be labels"),
        ("label=1,columns=1+2", "column 1 (x) cannot be label and coordinate"),
        ("label=z", "no column 'z'"),
    ],
)
def test_an_option_without_meaning_is_refused(here, options, said):
    (here / "p.csv").write_text("x,y\n" + ROWS)
    with pytest.raises(UsageError) as raised:
        catalog.build("dataset", f"file:p.csv,{options}")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("cell", "decimal", "value"),
    [
        ("1,234.5", "point", 1234.5),
        ("1.234,5", "comma", 1234.5),
        ("12,34,567", "point", 1234567),
        ("1 234 567,8", "comma", 1234567.8),
        ("1\u202f234", "point", 1234),
        ("1'234.5", "point", 1234.5),
        ("−1.5e−3", "point", -0.0015),
        ("1.5D+02", "point", 150),
        (",5", "comma", 0.5),
        ("1,23", "point", None),
        ("1.23", "comma", None),
        ("1,234 567", "point", None),
        ("0,123", "point", None),
        ("1_000", "point", None),
        ("12 kg", "point", None),
    ],
)
def test_numbers_as_people_write_them(cell, decimal, value):
    assert number(cell, decimal) == value


def test_points_of_a_likelihood_are_read_the_same_way(here):
    (here / "p.csv").write_text(";x;y\n0;1,5;2\n1;2,5;\n")
    with pytest.raises(DiffuseError, match=r"--points p.csv,missing=drop$|has a missing cell"):
        read_points(ReadOptions("p.csv", flag="--points"))
    np.testing.assert_array_equal(read_points(ReadOptions("p.csv", missing="drop", flag="--points"))[0], [[1.5, 2]])


@pytest.mark.parametrize(("name", "package"), [("p.xlsx", "openpyxl"), ("p.parquet", "pyarrow")])
def test_a_missing_reader_is_named_with_the_command_that_installs_it(here, monkeypatch, name, package):
    (here / name).write_bytes(b"PK\x03\x04")
    monkeypatch.setitem(__import__("sys").modules, package, None)
    monkeypatch.delitem(__import__("sys").modules, "pyarrow.parquet", raising=False)
    with pytest.raises(DiffuseError, match=rf"the package {package} .* pip install 'diffuse-cli\[tables\]'"):
        file(path=name)


@pytest.mark.parametrize("name", ["p.xlsx", "p.parquet"])
def test_a_damaged_sheet_is_one_line(here, name):
    for content in (b"", b"PK\x03\x04 and no more", b"PAR1 and no more PAR1"):
        (here / name).write_bytes(content)
        with pytest.raises(DiffuseError, match="cannot be read") as raised:
            file(path=name)
        assert "\n" not in str(raised.value)


def test_too_many_cells_are_refused(here, monkeypatch):
    import openpyxl

    book = openpyxl.Workbook()
    for row in XY:
        book.active.append(row)
    book.create_sheet("other").append([1, 2])
    book.save("p.xlsx")
    with pytest.raises(UsageError, match=r"2 sheets: Sheet, other. To read the first: --dataset file:p.xlsx,key=Sheet"):
        file(path="p.xlsx")
    np.testing.assert_array_equal(file(path="p.xlsx", key="Sheet").points, XY)
    monkeypatch.setattr(sheets, "_MOST_CELLS", 4)
    with pytest.raises(DiffuseError, match="more than 4 cells"):
        file(path="p.xlsx", key="Sheet")

"""Tables as pandas, R, spreadsheets, numpy and MATLAB write them, in several countries: all are read as they are meant,
or refused with a flag that reads them so when it is pasted."""

import io
import re
import shlex

import numpy as np
import openpyxl
import pyarrow
import pytest
from pyarrow import parquet

from diffuse_cli import catalog
from diffuse_cli.datasets.files.points import file
from diffuse_cli.errors import DiffuseError

DATA = np.array([[1613.16, -1381.11], [2076.38, 1594.41], [812.5, 0.25], [12345.67, 999.0]])
WHOLE = np.array([[1613.0, -1381.0], [2076.0, 1594.0], [812.0, 3.0], [12345.0, 999.0]])
NAMES = ("height (cm)", "Größe")
THREE = np.array([[1.613, 1.381], [2.076, 1.594], [8.125, 3.025], [12.345, 999.125]])
LACKING = np.array([[1613.16, -1381.11], [2076.38, np.nan], [812.5, 0.25], [12345.67, 999.0]])

# Decimal mark and mark between thousands, as spreadsheets write them
PLACES = {
    "en": (".", ","),
    "de": (",", "."),
    "fr": (",", "\u202f"),
    "ch": (".", "’"),
    "se": (",", "\u00a0"),
    "plain": (".", ""),
}


def spell(value, place="plain", digits=2):
    if np.isnan(value):
        return ""
    decimal, group = PLACES[place]
    return f"{value:,.{digits}f}".translate({ord(","): group, ord("."): decimal})


def lines(rows, delimiter, end="\n"):
    """Rows of cells as text; cells that hold the delimiter are in quotes, as all programs do it."""
    quoted = [[f'"{cell}"' if delimiter in cell else cell for cell in row] for row in rows]
    return "".join(delimiter.join(row) + end for row in quoted)


def table(delimiter=",", place="plain", *, index=None, names=NAMES, data=DATA, digits=2, missing="", end="\n"):
    rows = [[spell(value, place, digits) or missing for value in row] for row in data]
    if index is not None:
        rows = [[str(index + number), *row] for number, row in enumerate(rows)]
        names = ["", *names]
    return lines([list(names), *rows] if names else rows, delimiter, end)


def of_r(delimiter, place, *, short=False):
    """R's write.csv, write.csv2, and with `short` write.table."""
    rows = [[f'"{number}"', *(spell(value, place) for value in row)] for number, row in enumerate(DATA, 1)]
    head = [f'"{name}"' for name in NAMES]
    return "\n".join(delimiter.join(row) for row in [head if short else ['""', *head], *rows]) + "\n"


def of_excel(*rows):
    stream = io.BytesIO()
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(stream)
    return stream.getvalue()


def of_parquet(**columns):
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


def of_numpy(**options):
    stream = io.StringIO()
    np.savetxt(stream, DATA, **options)
    return stream.getvalue()


READ = {
    "pandas.csv": table(index=0),
    "pandas index=False.csv": table(),
    "pandas sep=; decimal=,.csv": table(";", "de", index=0).replace(".", ""),
    "pandas decimal=,.csv": table(",", "de").replace(".", ""),
    "pandas.tsv": table("\t", index=0),
    "pandas header=False.csv": table(names=None),
    "pandas filtered.csv": table(index=0).replace("\n1,", "\n8,"),
    "pandas dates.csv": re.sub(r"\n(\d),", r"\n2024-01-0\1,", table(index=0)),
    "pandas read and written again.csv": re.sub(r"(?m)^(\d),", r"\1,\1,", ",Unnamed: 0" + table(index=0)),
    "pandas units.csv": table(index=0).replace("\n", "\n,cm,m\n", 1),
    "R write.csv.csv": of_r(",", "plain"),
    "R write.csv2.csv": of_r(";", "de").replace(".", "").replace("height cm", "height (cm)"),
    "R write.table.txt": of_r(" ", "plain", short=True),
    "R named rows.csv": re.sub(r'\n"(\d)"', r'\n"Mazda \1"', of_r(",", "plain")),
    "Excel en.csv": table(",", "en", end="\r\n"),
    "Excel en UTF-8.csv": b"\xef\xbb\xbf" + table(",", "en", end="\r\n").encode(),
    "Excel de.csv": table(";", "de", end="\r\n").encode("cp1252"),
    "Excel fr.csv": table(";", "se", end="\r\n").encode("cp1252"),
    "Excel sep=.csv": "sep=;\r\n" + table(";", "de", end="\r\n"),
    "Excel empty columns.csv": re.sub("\n", ";;\n", table(";", "de")) + ";;;\n;;;\n",
    "Excel title.csv": "Messungen;\r\n;\r\n" + table(";", "de", end="\r\n"),
    "Excel Unicode text.txt": table("\t", "de", end="\r\n").encode("utf-16"),
    "Excel.xlsx": of_excel(NAMES, *DATA.tolist()),
    "pandas.xlsx": of_excel(["", *NAMES], *([n, *row] for n, row in enumerate(DATA.tolist()))),
    "Excel title.xlsx": of_excel(["Messungen"], [], [None, *NAMES], *([None, *row] for row in DATA.tolist())),
    "pandas.parquet": of_parquet(**dict(zip(NAMES, DATA.T, strict=True))),
    "pandas filtered.parquet": of_parquet(**dict(zip(NAMES, DATA.T, strict=True)), __index_level_0__=[0, 3, 4, 9]),
    "LibreOffice en.csv": table(",", "en"),
    "LibreOffice de.csv": table(";", "de"),
    "LibreOffice fr.csv": table(";", "fr"),
    "LibreOffice ch.csv": table(";", "ch"),
    "LibreOffice de plain.csv": table(";", "de").replace(".", ""),
    "LibreOffice quoted.csv": re.sub(r"[^,\n]+", r'"\g<0>"', table()),
    "numpy.txt": of_numpy(),
    "numpy names.txt": of_numpy(fmt="%.2f", delimiter=",", header=",".join(NAMES)),
    "numpy names.csv": of_numpy(delimiter=",", header=",".join(NAMES), comments=""),
    "numpy fixed.dat": of_numpy(fmt="%12.2f"),
    "MATLAB writematrix.csv": table(names=None),
    "MATLAB writetable.txt": table(names=NAMES),
    "psql.txt": table(" | ").replace("\n", "\n-------+------\n", 1),
    "markdown.txt": re.sub("(?m)^(.+)$", r"| \1 |", table(" | ")).replace("\n", "\n|---|---|\n", 1),
    "twice quoted.csv": re.sub("(?m)^(.+)$", r'"\1"', table()),
    "typographic minus.csv": table().replace("-", "\u2212"),
    "CAPITALS.CSV": table(),
}  # fmt: skip

REFUSED = {  # file: content, the flags that are offered, and the points that one of them reads
    "Excel whole numbers en.csv": (table(",", "en", data=WHOLE, digits=0), 2, WHOLE),
    "Excel whole numbers de.csv": (table(";", "de", data=WHOLE, digits=0), 2, WHOLE),
    "three decimals.csv": (table(";", data=THREE, digits=3), 2, THREE),
    "one column de.csv": ("x\n1,5\n2,5\n3,25\n", 1, np.array([[1.5], [2.5], [3.25]])),
    "pandas NaN.csv": (table(index=0, data=LACKING), 1, DATA[[0, 2, 3]]),
    "R NA.csv": (table(data=LACKING, missing="NA"), 1, DATA[[0, 2, 3]]),
    "Excel error.csv": (table(";", "de", data=LACKING, missing="#NV"), 1, DATA[[0, 2, 3]]),
    "MATLAB NaN.csv": (table(data=LACKING, missing="NaN"), 1, DATA[[0, 2, 3]]),
    "missing.xlsx": (of_excel(NAMES, *np.where(np.isnan(LACKING), None, LACKING).tolist()), 1, DATA[[0, 2, 3]]),
    "a word.csv": (table(data=LACKING, missing="not measured, yet"), 1, DATA[[0, 2, 3]]),
    "infinite.csv": (table(data=LACKING, missing="Inf"), 1, DATA[[0, 2, 3]]),
    "total.csv": (table() + "Total,12\n", 1, DATA),
    "missing.npy": (LACKING, 1, DATA[[0, 2, 3]]),
    "pandas concat.csv": (table(index=0).replace("\n1,", "\n0,"), 2, DATA),
    "kinds.csv": (re.sub("\n(?=.)", "\nreed,", "kind," + table()), 2, DATA),
    "dates.csv": (re.sub("\n(?=.)", "\n2020-01-01,", "date," + table()), 2, DATA),
    "true.csv": (re.sub("\n(?=.)", "\nTRUE,", "ok," + table()), 2, DATA),
    "money.csv": (re.sub("\n(?=.)", "\n$5,", "price," + table()), 2, DATA),
    "a year.csv": ("year,2020\n" + table(names=None), 1, DATA),
    "path, with=comma it's.csv": (table(data=LACKING), 1, DATA[[0, 2, 3]]),
}  # fmt: skip


def write(path, content):
    if isinstance(content, np.ndarray):
        np.save(path, content)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def flags(message):
    """The values of the flags that a message offers, as a shell would hand them over."""
    words = re.findall(r"--dataset ((?:'[^']*'|\"[^\"]*\"|[^\s;)'])+)", message)
    return [shlex.split(word)[0] for word in words]


@pytest.mark.parametrize("name", READ)
def test_what_programs_write_is_read_as_they_mean_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name, READ[name])
    dataset = file(path=name)
    np.testing.assert_array_equal(dataset.points, DATA)
    headless = re.search(r"numpy\.txt|fixed|header=False|writematrix", name)
    assert dataset.columns == (None if headless else NAMES)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_read_with_the_flag_that_is_offered(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, count, points = REFUSED[name]
    write(tmp_path / name, content)
    with pytest.raises(DiffuseError) as raised:
        file(path=name)
    assert "\n" not in str(raised.value)
    offered = flags(str(raised.value))
    assert len(offered) == count, str(raised.value)
    read = [catalog.build("dataset", choice).points for choice in offered]
    assert any(np.array_equal(each, points) for each in read), read


def test_there_are_enough_of_them():
    assert len(READ) + len(REFUSED) > 50

"""Rows of cells in files of other programs: .xlsx and Parquet. Their readers are the extra `tables`."""

import datetime
import importlib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

from diffuse_cli.datasets.files.layout import Sheet
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.errors import DiffuseError, UsageError, unknown

_MOST_CELLS = 1 << 24  # some GiB of memory while they are text
_MOST_BYTES = 1 << 28  # unpacked


def _reader(module: str, options: ReadOptions) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise DiffuseError(
            f"{options.path}: the package {package} reads such files; to install it: pip install 'diffuse-cli[tables]'"
        ) from error


def read_excel(path: Path, options: ReadOptions) -> Sheet:
    """Read the sheet of an .xlsx file that has cells; `key=` names one of several.

    Raises DiffuseError for a file that is damaged or too large, or if openpyxl is missing; UsageError for several.
    """
    openpyxl, source = _reader("openpyxl", options), options.path
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except Exception as error:  # zipfile raises several kinds on damaged files
        raise DiffuseError(f"{source} cannot be read, it may be damaged or not an .xlsx file: {error}") from error
    if size > _MOST_BYTES:
        raise DiffuseError(
            f"{source} unpacks to {size / 1e6:,.0f} MB, and at most {_MOST_BYTES / 1e6:,.0f} can be read."
        )
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        tables = {sheet.title: _rows(sheet, source) for sheet in book.worksheets}
        book.close()
    except DiffuseError:
        raise
    except Exception as error:  # openpyxl raises many kinds on damaged files
        raise DiffuseError(f"{source} cannot be read, it may be damaged: {type(error).__name__}: {error}") from error
    filled = [title for title, rows in tables.items() if rows]
    if options.key is not None and options.key not in tables:
        raise unknown(f"sheet in {source}:", options.key, list(tables))
    if options.key is None and len(filled) > 1:
        raise UsageError(
            f"{source} holds {len(filled)} sheets: {', '.join(filled)}. To read the first: "
            f"{options.flag_with(key=filled[0])}"
        )
    title = options.key or (filled[0] if filled else None)
    if title is None or not tables[title]:
        raise DiffuseError(
            f"{source} holds no numbers; formulas have some only after a program computed and saved them."
        )
    return Sheet(source, tables[title])


def _rows(sheet: Any, source: str) -> list[tuple[int, list[str]]]:
    """The rows of a sheet that are not empty, all as long as the longest, without empty columns before all others."""
    rows: list[tuple[int, list[str]]] = []
    cells = 0
    for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
        row = [_text(value) for value in values]
        cells += len(row)
        if cells > _MOST_CELLS:
            raise DiffuseError(f"{source} has more than {_MOST_CELLS:,} cells; save the numbers as .csv or .npy.")
        if any(row):
            rows.append((number, row))
    first = min((next(i for i, cell in enumerate(row) if cell) for _, row in rows), default=0)
    if first and rows and not rows[0][1][first - 1] and all(not cell for _, row in rows for cell in row[:first]):
        rows = [(number, row[first:]) for number, row in rows]
    width = max((len(row) for _, row in rows), default=0)
    return [(number, row + [""] * (width - len(row))) for number, row in rows]


def read_parquet(path: Path, options: ReadOptions) -> Sheet:
    """Read a Parquet file.

    Raises DiffuseError for a file that is damaged or too large, or if pyarrow is missing.
    """
    parquet, source = _reader("pyarrow.parquet", options), options.path
    try:
        with parquet.ParquetFile(path) as file:
            cells = file.metadata.num_rows * len(file.schema_arrow.names)
            if cells > _MOST_CELLS:
                raise DiffuseError(f"{source} has {cells:,} cells, and at most {_MOST_CELLS:,} can be read.")
            table = file.read()
    except DiffuseError:
        raise
    except Exception as error:  # pyarrow raises several kinds on damaged files
        raise DiffuseError(
            f"{source} cannot be read, it may be damaged: {' '.join(str(error).split())[:120]}"
        ) from error
    names = ["" if name == "__index_level_0__" else name for name in table.column_names]
    order = sorted(range(len(names)), key=lambda index: names[index] != "")  # pandas writes its index last
    columns = [list(map(_text, table.column(index).to_pylist())) for index in order]
    rows = [(number, list(row)) for number, row in enumerate(zip(*columns, strict=True), 1)]
    return Sheet(source, rows, names=[names[index] for index in order])


def _text(value: object) -> str:
    """A value as text that reads back to the same number."""
    if value is None:
        return ""
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return str(value).strip()

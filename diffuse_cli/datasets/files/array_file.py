"""Tables of numbers in NumPy files, .npy and .npz. Nothing is unpickled: a data file must not run code."""

import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from diffuse_cli.datasets.files.table import Table, choose_columns
from diffuse_cli.errors import DiffuseError, UsageError, unknown

_BEGINNINGS = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")
_UNREADABLE = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, MemoryError)


def read_array(path: Path, source: str, *, key: str | None, columns: str | None) -> Table:
    """Read an array of shape [n, d], or [n] for one column. `key` names the array of an .npz file that has several.

    `columns` is as in `choose_columns`. The points may still hold nan and infinity.

    Raises DiffuseError if the file cannot be read without pickle or the array is not a table of real numbers;
    UsageError for a key or column that is not there, or a key that is missing.
    """
    with path.open("rb") as stream:
        beginning = stream.read(6)
        stream.seek(0)
        if not beginning:
            raise DiffuseError(f"{source} is empty.")
        if not beginning.startswith(_BEGINNINGS):
            raise DiffuseError(f"{source} is not a NumPy file, whatever its name says; numpy.save writes one.")
        array, source = _load(stream, source, key)

    table = _as_table(array, source)
    chosen = choose_columns(columns, None, table.shape[1], source)
    with np.errstate(over="ignore"):  # numbers too large for float64 become infinite, and are refused later
        points = table[:, chosen].astype(np.float64)
    return Table(points, source, chosen, table.shape[1])


def _load(stream: BinaryIO, source: str, key: str | None) -> tuple[np.ndarray, str]:
    """The array, and its name for messages."""
    try:
        loaded = np.load(stream, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            key = _which(loaded, key, source)
            source = f"{source} ({key})"
            return loaded[key], source
    except _UNREADABLE as error:
        if "Object arrays" in str(error):
            raise DiffuseError(f"{source} holds Python objects, which are never loaded; save plain numbers.") from error
        raise DiffuseError(f"{source} cannot be read, it may be cut short or damaged: {error}") from error
    if key is not None:
        raise UsageError(f"{source} holds a single array, without a name; leave out key={key}.")
    return loaded, source


def _which(loaded: "np.lib.npyio.NpzFile", key: str | None, source: str) -> str:
    names = list(loaded.files)
    if not names:
        raise DiffuseError(f"{source} holds no arrays.")
    if key is not None:
        if key not in names:
            raise unknown(f"array in {source}:", key, names)
        return key
    if len(names) > 1:
        raise UsageError(f"{source} holds {len(names)} arrays; say which with key=…: {', '.join(names)}.")
    return names[0]


def _as_table(array: np.ndarray, source: str) -> np.ndarray:
    if not isinstance(array, np.ndarray):  # a zip file can hold anything
        raise DiffuseError(f"{source} is not an array.")
    if array.dtype.kind not in "biuf":
        what = "named fields" if array.dtype.names else f"values of type {array.dtype}"
        raise DiffuseError(f"{source} holds {what}; points are real numbers, an array of shape [rows, columns].")
    if array.ndim not in (1, 2):
        raise DiffuseError(
            f"{source} has shape {list(array.shape)}; points have shape [rows, columns], or [rows] for one column."
        )
    return array[:, None] if array.ndim == 1 else array

"""Tables of numbers in NumPy files, .npy and .npz. Nothing is unpickled: a data file must not run code.

Sizes are checked before anything is built, so that a damaged or hostile file costs no memory.
"""

import math
import os
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from diffuse_cli.datasets.files.columns import given_note, given_places, without_given
from diffuse_cli.datasets.files.options import ReadOptions
from diffuse_cli.datasets.files.table import MOST_NUMBERS, Table, check_shape, choose_columns
from diffuse_cli.errors import DiffuseError, UsageError, unknown

_DEFLATE = 1032  # unpacked bytes for one packed byte, at most
_LONGEST_HEADER = 10_000  # bytes; numpy takes no longer ones for safe
_BEGINNINGS = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")


def read_array(path: Path, source: str, options: ReadOptions) -> Table:
    """Read an array of shape [n, d], or [n] for one column. `key` names the array of an .npz file that has several.

    `columns` and `given` are as in `choose_columns`, numbers. The points may still hold nan and infinity.

    Raises DiffuseError if the file cannot be read without pickle, is damaged or too large, or the array is not a table
    of real numbers; UsageError for a key or column that is not there, or a key that is missing.
    """
    key = options.key
    with path.open("rb") as stream:
        beginning = stream.read(6)
        stream.seek(0)
        if not beginning:
            raise DiffuseError(f"{source} is empty.")
        if not beginning.startswith(_BEGINNINGS):
            raise DiffuseError(f"{source} is not a NumPy file, whatever its name says; numpy.save writes one.")
        if beginning.startswith(b"PK"):
            array, source = _read_archive(stream, source, key)
        elif key is not None:
            raise UsageError(f"{source} holds a single array, without a name; leave out key={key}.")
        else:
            array = _read(stream, os.fstat(stream.fileno()).st_size, source)

    width = array.shape[1]
    given = given_places(options, None, width, source)
    chosen = [index for index in range(width) if index not in given]
    if options.columns is not None:
        chosen = without_given(choose_columns(options.columns, None, width, source), given, None, source)
    chosen = [*chosen, *given]
    with np.errstate(over="ignore"):  # numbers too large for float64 become infinite, and are refused later
        points = array[:, chosen].astype(np.float64)
    epsilon = float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0
    return Table(points, source, chosen, width, notes=given_note(given, None), epsilon=epsilon, given=len(given))


def _read_archive(stream: BinaryIO, source: str, key: str | None) -> tuple[np.ndarray, str]:
    """The array of an .npz file, and its name for messages."""
    with _damage_told(source):
        archive = zipfile.ZipFile(stream)
    members = {name.removesuffix(".npy"): name for name in archive.namelist()}
    key = _which(list(members), key, source)
    source = f"{source} ({key})"
    with _damage_told(source), archive.open(members[key]) as member:
        return _read(member, _unpacked_size(archive.getinfo(members[key])), source), source


def _unpacked_size(member: zipfile.ZipInfo) -> int:
    """The size that a member says it has, or less where its packed bytes cannot become so many."""
    packed = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _DEFLATE}.get(member.compress_type)
    return member.file_size if packed is None else min(member.file_size, packed * member.compress_size)


def _which(names: list[str], key: str | None, source: str) -> str:
    if not names:
        raise DiffuseError(f"{source} holds no arrays.")
    if key is not None:
        if key not in names:
            raise unknown(f"array in {source}:", key, names)
        return key
    if len(names) > 1:
        raise UsageError(f"{source} holds {len(names)} arrays; say which with key=…: {', '.join(names)}.")
    return names[0]


def _read(stream: BinaryIO, size: int, source: str) -> np.ndarray:
    """The table [n, d] in a stream of `size` bytes, read only after its header is known to be possible."""
    if stream.read(6) != b"\x93NUMPY":  # a zip file can hold anything
        raise DiffuseError(f"{source} is not an array.")
    stream.seek(0)
    with _damage_told(source):
        version = np.lib.format.read_magic(stream)
        length = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")
        if length > _LONGEST_HEADER:
            raise ValueError(f"its header has {length:,} bytes")
        stream.seek(8)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version, np.lib.format.read_array_header_2_0)  # version 3 differs in the encoding of names of fields
        shape, _, dtype = read_header(stream)
        data_begins = stream.tell()
    _check_kind(shape, dtype, source)
    rows, columns = (*shape, 1)[:2]
    check_shape(rows, columns, source)
    if rows * columns > MOST_NUMBERS:
        raise DiffuseError(f"{source} says that it holds {rows:,} × {columns:,} numbers; {_MOST_WORDS}.")
    expected = math.prod(shape) * dtype.itemsize
    if expected > size - data_begins:
        raise DiffuseError(
            f"{source} cannot be read, it is cut short or damaged: it says that it holds {expected:,} bytes of "
            f"numbers, and has {size - data_begins:,}."
        )
    stream.seek(0)
    with _damage_told(source):
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return array[:, None] if array.ndim == 1 else array


_MOST_WORDS = f"at most {MOST_NUMBERS:,} can be read"


def _check_kind(shape: tuple[int, ...], dtype: np.dtype, source: str) -> None:
    """Refuse what is not a table of real numbers."""
    if dtype.hasobject:
        raise DiffuseError(f"{source} holds Python objects, which are never loaded; save plain numbers.")
    if dtype.kind not in "biuf" or dtype.itemsize == 0:
        what = "named fields" if dtype.names else f"values of type {dtype}"
        raise DiffuseError(f"{source} holds {what}; points are real numbers, an array of shape [rows, columns].")
    if len(shape) not in (1, 2):
        raise DiffuseError(
            f"{source} has shape {list(shape)}; points have shape [rows, columns], or [rows] for one column."
        )
    if min(shape) < 0:
        raise DiffuseError(f"{source} cannot be read, it is damaged: it says that its shape is {list(shape)}.")


class _damage_told:  # noqa: N801, used like a function
    """In this block every exception but our own means that the file is damaged, and names it."""

    def __init__(self, source: str):
        self.source = source

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        # numpy and zipfile raise some twenty kinds on damaged bytes, down to SyntaxError and struct.error
        if isinstance(error, Exception) and not isinstance(error, DiffuseError):
            words = " ".join(str(error).split())
            words = words if len(words) <= 120 else words[:119] + "…"
            raise DiffuseError(f"{self.source} cannot be read, it may be cut short or damaged: {words}") from error

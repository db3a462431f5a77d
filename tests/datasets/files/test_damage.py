"""Damaged and hostile files: one line each, in little memory, whatever they say of themselves."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import openpyxl
import pyarrow
import pytest
from pyarrow import parquet

from diffuse_cli.datasets.files.points import file
from diffuse_cli.errors import DiffuseError

POINTS = np.array([[1.5, -2.0], [0.25, 3e-5], [7.0, 1e6]])
_LITTLE = 1 << 24  # bytes


def npy(shape: str, kind: str = "<f8", data: bytes = b"", version: int = 1) -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + data


def npz(*, claim: int | None = None, **members: bytes) -> bytes:
    """An archive; `claim` is written as the unpacked size of its members in place of the right one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
        if claim is not None:
            for member in archive.infolist():
                member.file_size = claim
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.npy", npy("(0, 2147483648)"), "holds no points: 0 rows, 2,147,483,648 columns"),
        ("p.npy", npy("(2147483648, 0)"), "holds no points"),
        ("p.npy", npy("(100000000000000000000, 2)", data=bytes(64), version=3), "at most 33,554,432 can be read"),
        ("p.npy", npy("(30000000, 1)", data=bytes(64)), "says that it holds 240,000,000 bytes of numbers, and has 64"),
        ("p.npy", npy("(3, 100000000)", data=bytes(64)), "has 100,000,000 columns, and at most 256"),
        ("p.npy", npy("(-1, 2)", data=bytes(64)), "damaged"),
        ("p.npy", npy("(3, 2.5)", data=bytes(64)), "damaged"),
        ("p.npy", npy("(" * 3000 + ")" * 3000, data=bytes(64)), "damaged"),
        ("p.npy", npy("(4, 2)", kind="|V0", data=bytes(64)), "points are real numbers"),
        ("p.npy", npy("(4, 2)", kind="|O", data=bytes(64)), "Python objects"),
        ("p.npy", npy("(4, 2)", kind="<f9", data=bytes(64)), "damaged"),
        ("p.npy", npy("(4, 2)", data=bytes(64)).replace(b"\x01\x00", b"\x09\x07", 1), "damaged"),
        ("p.npz", npz(a=npy("(20000000, 8)", data=bytes(1 << 26))), "at most 33,554,432 can be read"),
        ("p.npz", npz(a=npy("(10000000, 2)", data=bytes(1 << 20))), "says that it holds 160,000,000 bytes"),
        ("p.npz", npz(a=npy("(10000000, 2)", data=bytes(1 << 20)), claim=1 << 40), "holds 160,000,000 bytes"),
    ],
)  # fmt: skip
def test_sizes_are_checked_before_anything_is_built(tmp_path, monkeypatch, name, content, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    with pytest.raises(DiffuseError) as raised:
        file(path=name)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert peak < _LITTLE


def saved(name: str) -> bytes:
    stream = io.BytesIO()
    if name == "p.npy":
        np.save(stream, POINTS)
    elif name == "p.npz":
        np.savez_compressed(stream, a=POINTS)
    elif name == "p.xlsx":
        book = openpyxl.Workbook()
        for row in POINTS.tolist():
            book.active.append(row)
        book.save(stream)
    elif name == "p.parquet":
        parquet.write_table(pyarrow.table({"x": POINTS[:, 0], "y": POINTS[:, 1]}), stream)
    else:
        stream.write(
            b"x;y\n1,5;2\n2,5;3\n3,5;NA\n" if name == "p.csv" else b"\xff\xfe" + "x\ty\n1\t2".encode("utf-16-le")
        )
    return stream.getvalue()


@pytest.mark.parametrize("name", ["p.npy", "p.npz", "p.xlsx", "p.parquet", "p.csv", "p.txt"])
def test_any_damaged_byte_is_read_or_refused_in_one_line(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    whole, rng = saved(name), np.random.default_rng(0)
    for _ in range(60):
        content = bytearray(whole)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            content[place] ^= 1 << rng.integers(8)
        content = content[: rng.integers(len(content))] if rng.random() < 0.2 else content
        (tmp_path / name).write_bytes(content)
        words = ""
        try:
            assert np.isfinite(file(path=name).points).all()
        except DiffuseError as error:
            words = str(error)
        assert "\n" not in words


def test_a_text_that_is_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open("p.csv", "wb") as stream:
        stream.truncate(1 << 34)  # a hole: it takes no room on the disk
    with pytest.raises(DiffuseError, match=r"has 17,180 MB, and at most 268 MB of text can be read"):
        file(path="p.csv")

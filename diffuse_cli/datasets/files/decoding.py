"""The text in a file: UTF-8, UTF-16 as Excel writes it, or Windows-1252."""

from pathlib import Path

from diffuse_cli.errors import DiffuseError
from diffuse_cli.files import decode

_MOST_BYTES = 1 << 28  # some ten times as much memory is needed while cells are text
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1a"))  # ^Z ends files of old programs
_BINARY = {b"\x93NUMPY": "a NumPy file", b"PK\x03\x04": "a zip file, like .npz and .xlsx", b"PAR1": "a Parquet file",
           b"\x1f\x8b": "compressed"}  # fmt: skip


def read_lines(path: Path, source: str) -> tuple[list[str], list[str]]:
    """The lines of a text file without their ends, and notes on how they were read.

    Raises DiffuseError for a file that is empty, too large or no text.
    """
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise DiffuseError(
            f"{source} has {size / 1e6:,.0f} MB, and at most {_MOST_BYTES / 1e6:,.0f} MB of text can be read; "
            "save the numbers as .npy, or fewer of them."
        )
    content = path.read_bytes()
    if not content.strip(b" \t\r\n\f\x00\xef\xbb\xbf\xff\xfe"):
        raise DiffuseError(f"{source} is empty.")
    for beginning, what in _BINARY.items():
        if content.startswith(beginning):
            raise DiffuseError(f"{source} is not text but {what}, whatever its name says.")
    text, notes = _decode(content, source)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x1a", "").split("\n"), notes


def _decode(content: bytes, source: str) -> tuple[str, list[str]]:
    try:
        text = decode(_with_mark(content))
        if "\x00" not in text:
            return text, []
    except UnicodeDecodeError:
        if not set(content) & set(_CONTROL):
            return content.decode("cp1252", errors="replace"), ["not UTF-8, read as Windows-1252"]
    raise DiffuseError(f"{source} is not text; save the table as CSV in UTF-8.")


def _with_mark(content: bytes) -> bytes:
    """The content with a byte order mark, if every other of its bytes is zero, as in UTF-16 of digits."""
    beginning = content[:2000]
    for first, mark in ((0, b"\xfe\xff"), (1, b"\xff\xfe")):
        if len(content) % 2 == 0 and not any(beginning[first::2]) and all(beginning[1 - first :: 2]):
            return mark + content
    return content

"""Files written whole or not at all, text with byte order marks or control characters, what JSON has no word for."""

import codecs
import math
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from diffuse_cli.errors import DiffuseError

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # a terminal obeys these


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`: to a temporary name in the same folder, flushed to disk, then renamed over it.

    Whoever reads `path` sees the old file or the new one, also after a crash. Raises DiffuseError where the folder is
    missing or cannot be written, or the disk is full.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise DiffuseError(f"cannot write {path}: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)  # the only portable way to read it is to set it
    os.umask(mask)
    return mask


_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # begins like that of UTF-16
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def decode(content: bytes) -> str:
    """The text of a file: UTF-8, or what its byte order mark says, as Excel and PowerShell write one.

    Raises UnicodeDecodeError where it is not.

    >>> decode(codecs.BOM_UTF8 + b"steps = 10"), decode("x;y".encode("utf-16"))
    ('steps = 10', 'x;y')
    """
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    return content.decode("utf-8")


def finite(value: Any) -> Any:
    """The same tree of dict, list, tuple and scalars, with None in place of nan and infinity, which JSON does not have.

    >>> finite({"loss": float("nan"), "steps": [1, 2.5]})
    {'loss': None, 'steps': [1, 2.5]}
    """
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain_name(text: str) -> str:
    """The text as part of a file's name: letters, digits and a few marks, `_` for all others.

    >>> plain_name("s_curve-dim=3"), plain_name("cola & rum")
    ('s_curve-dim=3', 'cola_rum')
    """
    return re.sub(r"[^\w.=-]+", "_", text).strip(".")

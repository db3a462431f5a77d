"""Files written whole or not at all, and what JSON has no word for."""

import math
import os
import tempfile
from pathlib import Path
from typing import Any

from diffuse_cli.errors import DiffuseError


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

"""Writing a file whole or not at all."""

import os
import tempfile
from pathlib import Path

from diffuse_cli.errors import DiffuseError


def write(path: Path, data: bytes) -> None:
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

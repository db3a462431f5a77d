"""Where a figure can be written, known without importing matplotlib: a wrong name is told before any work is done."""

import os
from pathlib import Path
from typing import NamedTuple

from diffuse_cli.errors import DiffuseError, UsageError

FORMATS = (".png", ".svg", ".pdf")


class Look(NamedTuple):
    """How any figure can be asked to look: light on dark, and how many inches wide, None for what suits it."""

    dark: bool = False
    width: float | None = None


def check_path(path: str | os.PathLike) -> Path:
    """The path of a figure that can be written, by its ending and its folder.

    Raises UsageError for an ending other than .png, .svg or .pdf, DiffuseError where the folder is not there.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        given = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        raise UsageError(f"cannot save a figure as {path.name!r}, which {given}; known: {', '.join(FORMATS)}.")
    if not path.parent.is_dir():
        raise DiffuseError(f"cannot write {path}: the folder {path.parent} does not exist.")
    return path

"""Where a user's file is, with what may help where it is not."""

import os
from collections.abc import Sequence
from pathlib import Path

from diffuse_cli.errors import DiffuseError


def existing_file(path: str, endings: Sequence[str]) -> Path:
    """The place of a file that exists; ~ is the home folder. endings: of the files that could be meant, like .csv.

    Raises DiffuseError if there is no such file, or if it is a folder, a device or a pipe.
    """
    try:
        place = Path(path).expanduser()
    except RuntimeError as error:  # ~name of a user that does not exist
        raise DiffuseError(f"cannot read {path}: {error}") from error
    if place.is_dir():
        raise DiffuseError(f"{path} is a folder; name a file in it{_examples(place, endings)}.")
    if not place.exists():
        raise DiffuseError(_missing(place, path))
    if not place.is_file():
        raise DiffuseError(f"{path} is not a file but a device or a pipe; save what comes from it first.")
    return place


def _missing(place: Path, path: str) -> str:
    import difflib

    if not place.parent.is_dir():
        return f"there is no folder {str(place.parent)!r}, and so no file {path}."
    near = difflib.get_close_matches(place.name, os.listdir(place.parent), n=1)
    return f"there is no file {path}" + (f"; did you mean {str(place.with_name(near[0]))!r}?" if near else ".")


def _examples(folder: Path, endings: Sequence[str]) -> str:
    names = sorted(name for name in os.listdir(folder) if Path(name).suffix.lower() in endings)
    return f", like {folder / names[0]}" if names else f" that ends in {', '.join(endings)}"

"""Where a figure can be written, known without importing matplotlib: a wrong name is told before any work is done."""

import importlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from diffuse_cli.errors import DiffuseError, UsageError

_FORMATS = (".png", ".svg", ".pdf")
_MOVING_FORMATS = (".gif", ".mp4", ".webp")
_PAGE_FORMATS = (".html",)


class Look(NamedTuple):
    """How any figure can be asked to look: light on dark, and how many inches wide, None for what suits it."""

    dark: bool = False
    width: float | None = None


DEFAULT_LOOK = Look()


def check_path(path: str | os.PathLike) -> Path:
    """The path of a figure that can be written, by its ending and its folder.

    Raises UsageError for an ending other than .png, .svg or .pdf, DiffuseError where the folder is not there.
    """
    return _checked(path, _FORMATS, "a figure")


def check_animation_path(path: str | os.PathLike) -> Path:
    """The path of an animation that can be written, by its ending, its folder and what is installed.

    Raises UsageError for an ending other than .gif, .mp4 or .webp, DiffuseError where the folder or a part is missing.
    """
    path = _checked(path, _MOVING_FORMATS, "an animation")
    kind = path.suffix.lower()
    if kind == ".mp4" and ffmpeg() is None:
        raise DiffuseError(f'{path.name} needs ffmpeg: pip install "diffuse-cli[video]"; or write a .gif instead.')
    if kind == ".webp" and not _has_webp():
        raise DiffuseError(
            f"{path.name} needs a Pillow built with WebP: pip install --upgrade pillow; or write a .gif."
        )
    return path


def check_page_path(path: str | os.PathLike) -> Path:
    """The path of a page that can be written. Raises UsageError for an ending other than .html, DiffuseError where the
    folder is not there."""
    return _checked(path, _PAGE_FORMATS, "a report")


def ffmpeg() -> str | None:
    """The program that makes an .mp4, if there is one: that of the package imageio-ffmpeg, or else the system's."""
    try:
        return importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except (ImportError, RuntimeError):  # RuntimeError: the package is there without the program
        return shutil.which("ffmpeg")


def _has_webp() -> bool:
    from PIL import features

    return bool(features.check("webp"))


def _checked(path: str | os.PathLike, endings: tuple[str, ...], what: str) -> Path:
    path = Path(path)
    if path.suffix.lower() not in endings:
        given = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        raise UsageError(f"cannot save {what} as {path.name!r}, which {given}; known: {', '.join(endings)}.")
    if not path.parent.is_dir():
        raise DiffuseError(f"cannot write {path}: the folder {path.parent} does not exist.")
    return path

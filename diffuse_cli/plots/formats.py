"""Checks of the path of a figure. They do not import matplotlib, so that a wrong name is reported before any work."""

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
    """The look of a figure: dark, for light on dark; width in inches, None for the natural width of the figure."""

    dark: bool = False
    width: float | None = None


DEFAULT_LOOK = Look()


def check_path(path: str | os.PathLike) -> Path:
    """The path of a figure, its ending and folder checked.

    Raises UsageError for an ending other than .png, .svg or .pdf, DiffuseError where the folder does not exist.
    """
    return _checked(path, _FORMATS, "a figure")


def check_animation_path(path: str | os.PathLike) -> Path:
    """The path of an animation, its ending and folder checked, and that the needed encoder is installed.

    Raises UsageError for an ending other than .gif, .mp4 or .webp, DiffuseError where the folder does not exist or the
    encoder is missing.
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
    """The path of a page, its ending and folder checked.

    Raises UsageError for an ending other than .html, DiffuseError where the folder does not exist.
    """
    return _checked(path, _PAGE_FORMATS, "a report")


def ffmpeg() -> str | None:
    """The path of ffmpeg, which makes an .mp4: that of the package imageio-ffmpeg, else the system's, else None."""
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

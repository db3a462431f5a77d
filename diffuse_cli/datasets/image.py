"""A picture as a density: points are where it is dark."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.catalog import IMAGE_FILES
from diffuse_cli.datasets.box_mixture import box_mixture, stacked
from diffuse_cli.datasets.dataset import Dataset, Scale, scaled
from diffuse_cli.datasets.files.place import existing_file
from diffuse_cli.datasets.noisy_curve import Noise
from diffuse_cli.errors import DiffuseError, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

_SHADES = 16  # of darkness, without white: few, so that neighbours are often equal and are one box
_MOST_PIXELS = 100_000_000  # of a file

_log = logging.getLogger(__name__)


def image(
    *,
    path: str,
    size: Annotated[int, Meta(ge=4, le=128)] = 64,
    invert: bool = False,
    noise: Noise = 0.01,
    scale: Scale = 1.0,
) -> Dataset:
    """A picture of which the dark parts are the data, `image:photo.png`: .png, .jpg and what else Pillow reads.

    The picture is reduced to `size` pixels along its longer side, if it has more. A point is in a pixel with
    probability proportional to the darkness of the pixel, 1 − its brightness, in steps of 1/16; it is uniform inside
    the pixel, and then noise · ξ, ξ ~ N(0, I), is added. The longer side has length 2, the middle of the picture is at
    0, y points upwards, and `scale` then multiplies all. Draws are [n, 2].

    path: the file; ~ is the home folder. invert: light parts are the data, for a light drawing on a dark ground.
    What is transparent has no points.

    Raises DiffuseError if the file cannot be read, is no picture, or has more than 100 million pixels; UsageError if
    nothing in it is dark (or light).

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.fromarray(np.uint8([[0, 255], [255, 255]])).save(Path(folder, "dot.png"))
    ...     points = image(path=f"{folder}/dot.png", noise=0.0).draw(np.random.default_rng(0), 1000)
    >>> points.round().min(axis=0) + 0.0, points.round().max(axis=0) + 0.0  # in the upper left quarter
    (array([-1.,  0.]), array([0., 1.]))
    """
    place = existing_file(path, IMAGE_FILES)
    picture = _read(place, path)
    shades = _shades(picture, size, invert=invert)
    rows, columns = shades.shape
    _log.info("%s: %d x %d pixels, as %d x %d", path, *picture.size, columns, rows)
    if not shades.any():
        ground = ("light", "dark") if invert else ("dark", "light")
        other = "leave out invert" if invert else "give invert=true"
        raise UsageError(f"nothing in {path} is {ground[0]}; where the drawing is {ground[1]}, {other}")
    boxes, weights = stacked(map(_runs, shades[::-1]))
    unit = 2 / max(rows, columns)
    boxes = unit * (boxes - np.tile([columns / 2, rows / 2], 2))
    low, high = boxes[:, :2], boxes[:, 2:]
    return scaled(box_mixture(low, high, noise, weights=weights * np.prod(high - low, axis=1)), scale)


def _read(place: Path, path: str) -> "Image":
    """The picture in a file, decoded and turned as its camera says."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is a limit of our own
            opened = Image.open(place)
        with opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise Image.DecompressionBombError
            return ImageOps.exif_transpose(opened)
    except UnidentifiedImageError as error:
        raise DiffuseError(f"{path} is not a picture that can be read, like {', '.join(IMAGE_FILES[:3])}.") from error
    except Image.DecompressionBombError as error:
        raise DiffuseError(f"{path} has more than {_MOST_PIXELS:,} pixels; save a smaller copy of it first.") from error
    except (OSError, SyntaxError, ValueError) as error:  # which Pillow raises for damaged files
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DiffuseError(f"cannot read {path}: {reason}; the file may be damaged.") from error


def _shades(picture: "Image", size: int, *, invert: bool) -> np.ndarray:
    """How dark the pixels are, [rows, columns], the highest row first: 0, 1, … 16, of at most `size` pixels."""
    from PIL import Image, ImageChops

    if picture.mode.startswith(("I", "F")):  # 16 bits for a pixel, of which Pillow would cut off what is above 255
        values = np.asarray(picture, np.float32)
        top = 65535.0 if picture.mode.startswith("I") else max(1.0, float(values.max()))
        picture = Image.fromarray(np.uint8(np.clip(values / top, 0, 1) * 255 + 0.5))
    layers = picture.convert("RGBA")
    brightness, opacity = layers.convert("L"), layers.getchannel("A")
    ink = ImageChops.multiply(brightness if invert else ImageChops.invert(brightness), opacity)
    factor = min(1.0, size / max(ink.size))
    wanted = tuple(max(1, round(factor * side)) for side in ink.size)
    small = np.asarray(ink.resize(wanted, Image.Resampling.BOX), float)
    return np.floor(small / 255 * _SHADES + 0.5).astype(int)


def _runs(row: np.ndarray) -> list[tuple[float, float, float]]:
    """The runs of equal pixels in one row that are not blank: (left end, right end, shade)."""
    cuts = np.flatnonzero(np.diff(row)) + 1
    starts, ends = np.append(0, cuts), np.append(cuts, len(row))
    return [(float(a), float(b), float(row[a])) for a, b in zip(starts, ends, strict=True) if row[a]]

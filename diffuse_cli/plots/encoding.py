"""From frames [height, width, 3] to the bytes of a file: GIF and WebP by Pillow, MP4 by ffmpeg."""

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from diffuse_cli.errors import DiffuseError
from diffuse_cli.plots.formats import ffmpeg

SAMPLED = 6  # frames from which the colours of a GIF are chosen
_COLORS = 104  # in a GIF: those that are left out are hardly seen, and the file is smaller
_FLAT = 16  # of them are kept for colours that stand in many pixels at once, like paper and ink
_BITS = 5  # of each channel, by which a colour finds its nearest in the palette
_WEBP = {"quality": 70, "method": 2}  # method: 0 fast to 6 small


def milliseconds(ticks: np.ndarray, fps: float, unit: int) -> list[int]:
    """How long each frame stays, in whole `unit`s of milliseconds, never far from ticks / fps."""
    ends = np.rint(np.append(0, np.cumsum(ticks)) / fps * 1000 / unit).astype(int) * unit
    return np.diff(ends).tolist()


def gif(
    frames: Iterable[np.ndarray], some: Sequence[np.ndarray], fixed_colors: np.ndarray, durations: list[int]
) -> bytes:
    """A GIF that runs for ever, of one palette: the colours `kept` [m, 3], and those of `some` frames; durations [ms].

    No dithering: it would be noise of its own, and is what makes files large.
    """
    palette = _palette(some, fixed_colors)
    nearest = _nearest(palette)
    filled = np.concatenate([palette, _unused(palette)])  # Pillow sorts a palette that is shorter, or repeats itself
    color_options = filled.tobytes()

    def indexed(frame: np.ndarray) -> Image.Image:
        image = Image.fromarray(nearest[_cell(frame)])
        image.putpalette(color_options)
        return image

    first, *others = map(indexed, frames)
    content = BytesIO()
    looks = {"palette": color_options, "optimize": False, "disposal": 1}
    first.save(content, "GIF", save_all=True, append_images=others, duration=durations, loop=0, **looks)
    return content.getvalue()


def webp(frames: Iterable[np.ndarray], durations: list[int]) -> bytes:
    """A WebP that runs for ever; durations [ms]."""
    first, *others = map(Image.fromarray, frames)
    content = BytesIO()
    first.save(content, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, **_WEBP)
    return content.getvalue()


def mp4(frames: Iterable[np.ndarray], size: tuple[int, int], ticks: np.ndarray, fps: float) -> bytes:
    """An MP4 by H.264 with 4:2:0 chroma, which plays everywhere. size: width and height, both even.

    Raises DiffuseError where ffmpeg fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, log_path = Path(folder, "out.mp4"), Path(folder, "said.txt")
        with log_path.open("wb") as log_file:
            process = subprocess.Popen(
                _command(size, fps, out), stdin=subprocess.PIPE, stdout=log_file, stderr=log_file
            )
        try:
            with process.stdin as pipe:
                for frame, times in zip(frames, ticks, strict=True):
                    pipe.write(np.ascontiguousarray(frame).tobytes() * int(times))
        except BrokenPipeError:  # it has ended early, and said why
            pass
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        if process.returncode or not out.is_file():
            words = log_path.read_text(errors="replace").strip().splitlines() or ["it says nothing"]
            raise DiffuseError(f"ffmpeg could not make the video: {words[-1]}; a .gif needs no ffmpeg.")
        return out.read_bytes()


def _command(size: tuple[int, int], fps: float, out: Path) -> list[str]:
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "-"]
    # The colours of HD video, and saying so: players guess otherwise, each in its own way.
    named = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    color_options = ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p", *named]
    codec = ["-an", "-c:v", "libx264", "-crf", "20", "-preset", "medium", "-movflags", "+faststart"]
    return [ffmpeg() or "ffmpeg", "-y", "-loglevel", "error", *source, *color_options, *codec, "-bitexact", str(out)]


def _palette(some: Sequence[np.ndarray], fixed_colors: np.ndarray) -> np.ndarray:
    """The colours [at most _COLORS, 3] of a GIF: of most pixels, then kept ones, then the middles of others."""
    pixels = np.concatenate([frame[::2, ::2].reshape(-1, 3) for frame in some])
    code = (pixels.astype(np.uint32) << np.array([16, 8, 0], np.uint32)).sum(axis=1, dtype=np.uint32)
    found, count = np.unique(code, return_counts=True)
    most = found[np.argsort(-count, kind="stable")[:_FLAT]]
    color_options = np.concatenate([np.stack([most >> 16, most >> 8 & 255, most & 255], axis=1), fixed_colors])
    others, room = pixels[~np.isin(code, most)], _COLORS - len(color_options)
    if len(others):
        middles = Image.fromarray(others[None]).quantize(room, method=Image.Quantize.MEDIANCUT).getpalette()
        color_options = np.concatenate([color_options, np.reshape(middles, (-1, 3))[:room]])
    first = np.sort(np.unique(color_options, axis=0, return_index=True)[1])
    return color_options[first].astype(np.uint8)


def _cell(color_options: np.ndarray) -> np.ndarray:
    """The number of the cell of colour space in which colours [..., 3] lie."""
    high = (color_options >> (8 - _BITS)).astype(np.uint32)
    return high[..., 0] << 2 * _BITS | high[..., 1] << _BITS | high[..., 2]


def _nearest(palette: np.ndarray) -> np.ndarray:
    """For each cell of colour space, the index of the nearest colour of a palette [colours, 3]."""
    steps = np.arange(2**_BITS) * 255 / (2**_BITS - 1)
    cells = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    known = palette.astype(float)
    nearest = (np.square(known).sum(axis=1) - 2 * cells @ known.T).argmin(axis=1).astype(np.uint8)
    last = np.arange(len(palette))[::-1]
    nearest[_cell(palette[last])] = last  # what is in the palette stays what it is; of two in a cell, the first
    return nearest


def _unused(palette: np.ndarray) -> np.ndarray:
    """Colours that are not in a palette, as many as it takes to have 256."""
    source = {tuple(color) for color in palette.tolist()}
    free = ((level, level, level) for level in range(256))
    others = ((level, 0, 255 - level) for level in range(256))
    rest = [color for color in (*free, *others) if color not in source]
    return np.array(rest[: 256 - len(palette)], np.uint8).reshape(-1, 3)

"""Encoding frames [height, width, 3], 0..255, as the bytes of a file: GIF and WebP by Pillow, MP4 by ffmpeg."""

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
_COLORS = 104  # colours of a GIF: more are hardly visible and make the file larger
_FLAT = 16  # of them are reserved for the most frequent colours, like paper and ink
_BITS = 5  # bits of each channel by which the nearest colour of the palette is looked up
_WEBP = {"quality": 70, "method": 2}  # method: 0 fast to 6 small


def milliseconds(ticks: np.ndarray, fps: float, unit: int) -> list[int]:
    """The durations [frames] in milliseconds, multiples of `unit`; rounding does not add up over frames."""
    ends = np.rint(np.append(0, np.cumsum(ticks)) / fps * 1000 / unit).astype(int) * unit
    return np.diff(ends).tolist()


def gif(
    frames: Iterable[np.ndarray], some: Sequence[np.ndarray], fixed_colors: np.ndarray, durations: list[int]
) -> bytes:
    """An endless GIF with one palette: `fixed_colors` [m, 3] and colours chosen from `some` frames; durations [ms].

    There is no dithering: it would look like noise in the data, and make the file large.
    """
    palette = _palette(some, fixed_colors)
    nearest = _nearest(palette)
    filled = np.concatenate([palette, _unused(palette)])  # Pillow sorts a palette that is shorter or has repeats
    palette_bytes = filled.tobytes()

    def indexed(frame: np.ndarray) -> Image.Image:
        image = Image.fromarray(nearest[_cell(frame)])
        image.putpalette(palette_bytes)
        return image

    first, *others = map(indexed, frames)
    content = BytesIO()
    looks = {"palette": palette_bytes, "optimize": False, "disposal": 1}
    first.save(content, "GIF", save_all=True, append_images=others, duration=durations, loop=0, **looks)
    return content.getvalue()


def webp(frames: Iterable[np.ndarray], durations: list[int]) -> bytes:
    """An endless WebP; durations [ms]."""
    first, *others = map(Image.fromarray, frames)
    content = BytesIO()
    first.save(content, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, **_WEBP)
    return content.getvalue()


def mp4(frames: Iterable[np.ndarray], size: tuple[int, int], ticks: np.ndarray, fps: float) -> bytes:
    """An MP4 by H.264 with 4:2:0 chroma, which all players can show. size: width and height in pixels, both even.

    Raises DiffuseError where ffmpeg fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, log_path = Path(folder, "out.mp4"), Path(folder, "log.txt")
        with log_path.open("wb") as log_file:
            process = subprocess.Popen(
                _command(size, fps, out), stdin=subprocess.PIPE, stdout=log_file, stderr=log_file
            )
        try:
            with process.stdin as pipe:
                for frame, times in zip(frames, ticks, strict=True):
                    pipe.write(np.ascontiguousarray(frame).tobytes() * int(times))
        except BrokenPipeError:  # ffmpeg has ended early; the reason is in its log
            pass
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        if process.returncode or not out.is_file():
            words = log_path.read_text(errors="replace").strip().splitlines() or ["it gave no reason"]
            raise DiffuseError(f"ffmpeg could not make the video: {words[-1]}; a .gif needs no ffmpeg.")
        return out.read_bytes()


def _command(size: tuple[int, int], fps: float, out: Path) -> list[str]:
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "-"]
    # The colour space of HD video, named in the file: without the name each player guesses one.
    named = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    color_options = ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p", *named]
    codec = ["-an", "-c:v", "libx264", "-crf", "20", "-preset", "medium", "-movflags", "+faststart"]
    return [ffmpeg() or "ffmpeg", "-y", "-loglevel", "error", *source, *color_options, *codec, "-bitexact", str(out)]


def _palette(some: Sequence[np.ndarray], fixed_colors: np.ndarray) -> np.ndarray:
    """The colours [at most _COLORS, 3] of a GIF: the most frequent ones, then the fixed ones, then means of others."""
    pixels = np.concatenate([frame[::2, ::2].reshape(-1, 3) for frame in some])
    code = (pixels.astype(np.uint32) << np.array([16, 8, 0], np.uint32)).sum(axis=1, dtype=np.uint32)
    codes, counts = np.unique(code, return_counts=True)
    most = codes[np.argsort(-counts, kind="stable")[:_FLAT]]
    color_options = np.concatenate([np.stack([most >> 16, most >> 8 & 255, most & 255], axis=1), fixed_colors])
    others, room = pixels[~np.isin(code, most)], _COLORS - len(color_options)
    if len(others):
        middles = Image.fromarray(others[None]).quantize(room, method=Image.Quantize.MEDIANCUT).getpalette()
        color_options = np.concatenate([color_options, np.reshape(middles, (-1, 3))[:room]])
    first = np.sort(np.unique(color_options, axis=0, return_index=True)[1])
    return color_options[first].astype(np.uint8)


def _cell(color_options: np.ndarray) -> np.ndarray:
    """The number [...] of the cell of colour space in which each of the colours [..., 3] lies."""
    high = (color_options >> (8 - _BITS)).astype(np.uint32)
    return high[..., 0] << 2 * _BITS | high[..., 1] << _BITS | high[..., 2]


def _nearest(palette: np.ndarray) -> np.ndarray:
    """For each cell of colour space, the index of the nearest colour of a palette [colours, 3]."""
    steps = np.arange(2**_BITS) * 255 / (2**_BITS - 1)
    cells = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points = palette.astype(float)
    nearest = (np.square(points).sum(axis=1) - 2 * cells @ points.T).argmin(axis=1).astype(np.uint8)
    last = np.arange(len(palette))[::-1]
    nearest[_cell(palette[last])] = last  # colours of the palette map to themselves; of two in a cell, to the first
    return nearest


def _unused(palette: np.ndarray) -> np.ndarray:
    """Colours that are not in a palette, as many as it needs to have 256."""
    source = {tuple(color) for color in palette.tolist()}
    free = ((level, level, level) for level in range(256))
    others = ((level, 0, 255 - level) for level in range(256))
    rest = [color for color in (*free, *others) if color not in source]
    return np.array(rest[: 256 - len(palette)], np.uint8).reshape(-1, 3)

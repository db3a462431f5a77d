"""The times at which an animation shows a trajectory: closer together where points move fast."""

import itertools

import numpy as np

from diffuse_cli.diffusion.process import angle_of, log_snr_of

_EVEN = 0.2  # the share of even spacing in time: without it, times at which points hardly move would be skipped


def even_frames(
    x: np.ndarray, log_snr: np.ndarray, t: np.ndarray, frames: int, *, ease: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A trajectory x [k, n, d], log_snr [k], t [k], interpolated to `frames` frames from its first level to its last.

    With `ease`, points move about equally far from frame to frame, in the root mean square; else frames are equally
    spaced in t. Between two levels points move on straight lines. Returns x [frames, n, d], log_snr and t [frames].
    """
    place = _pace(x, t, frames) if ease else _places(np.abs(np.diff(t)), frames)
    before = np.minimum(place.astype(int), len(x) - 2)
    part = place - before
    beside = part[:, None, None].astype(x.dtype)
    moved = x[before] * (1 - beside) + x[before + 1] * beside
    return moved, _log_snr(log_snr, before, part), t[before] * (1 - part) + t[before + 1] * part


def _pace(x: np.ndarray, t: np.ndarray, frames: int) -> np.ndarray:
    """The fractional indices [frames], 0 to k - 1, of frames between which points move equally far."""
    squares = np.array([_mean_square(after - before) for before, after in itertools.pairwise(x)])
    length, time = np.sqrt(squares), np.abs(np.diff(t))
    if length.sum() == 0:
        return _places(time, frames)
    return _places((1 - _EVEN) * length / length.sum() + _EVEN * time / (time.sum() or 1.0), frames)


def _mean_square(step: np.ndarray) -> float:
    finite = np.isfinite(step).all(axis=1)
    return float(np.square(step[finite], dtype=np.float64).sum(axis=1).mean()) if finite.any() else 0.0


def _places(lengths: np.ndarray, frames: int) -> np.ndarray:
    """The fractional indices [frames] of equally spaced places on a path whose pieces have `lengths` [k - 1]."""
    if lengths.sum() == 0:  # all levels coincide
        return np.linspace(0, len(lengths), frames)
    done = np.append(0.0, np.cumsum(lengths) / lengths.sum())
    place = np.interp(np.linspace(0, 1, frames), done, np.arange(len(done)))
    place[0], place[-1] = 0.0, len(lengths)
    return place


def _log_snr(log_snr: np.ndarray, before: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The log-SNR between levels, linear in the angle with tan(angle) = sigma / alpha, which is 0 for clean data."""
    angle = angle_of(log_snr)
    between = log_snr_of(angle[before] * (1 - part) + angle[before + 1] * part)
    exact = np.where(part == 0, before, before + 1)  # a frame that lies on a level has exactly its log-SNR
    return np.where((part == 0) | (part == 1), np.asarray(log_snr, np.float64)[exact], between)

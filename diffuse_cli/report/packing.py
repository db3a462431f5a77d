"""Arrays as text for the page: whole numbers of 8 or 16 bits, little-endian, in base64."""

import base64

import numpy as np


def packed(values: np.ndarray, low: float, high: float) -> str:
    """Numbers in [low, high] as whole numbers of 16 bits, in base64; numbers outside are clipped to the interval."""
    scaled = (np.asarray(values, np.float64) - low) / (high - low)
    return text_of(np.rint(np.clip(scaled, 0, 1) * 65535).astype("<u2"))


def text_of(array: np.ndarray) -> str:
    """The bytes of an array in row-major order, in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def packed_size(numbers: int) -> int:
    """The number of letters of `packed` for so many numbers.

    >>> packed_size(3) == len(packed(np.zeros(3), low=0.0, high=1.0))
    True
    """
    return -(-2 * numbers // 3) * 4

"""Arrays as text that a page can hold: whole numbers of 8 or 16 bits, little-endian, in base64."""

import base64

import numpy as np


def packed(values: np.ndarray, low: float, high: float) -> str:
    """Numbers as 16 bits over [low, high]; what lies beyond comes to lie on its edge."""
    scaled = (np.asarray(values, np.float64) - low) / (high - low)
    return text_of(np.rint(np.clip(scaled, 0, 1) * 65535).astype("<u2"))


def text_of(array: np.ndarray) -> str:
    """The bytes of an array, rows first."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def packed_size(numbers: int) -> int:
    """How many letters `packed` needs for so many numbers."""
    return -(-2 * numbers // 3) * 4

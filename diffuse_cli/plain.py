"""Documents of plain data, as JSON knows them."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """The same tree of dict, list, tuple and scalars, with None for numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

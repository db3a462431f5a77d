"""Numbers as text, with the digits that their uncertainty leaves a meaning."""

import math

_MOST_DECIMALS = 6


def decimals_of(spread: float, *, least: int = 0) -> int:
    """The decimals that show the two leading digits of a standard deviation above 0, but at least `least`.

    >>> decimals_of(0.0312), decimals_of(45.0), decimals_of(45.0, least=2)
    (3, 0, 2)
    """
    return min(max(1 - math.floor(math.log10(spread)), least), _MOST_DECIMALS)


def rounded_to(value: float, spread: float | None) -> str:
    """A value with the digits that its standard error allows: as many decimals as two digits of that need.

    >>> rounded_to(3.42794, 0.5709), rounded_to(0.010812, 0.00153), rounded_to(1234.5, 60.0), rounded_to(0.5, None)
    ('3.43', '0.0108', '1234', '0.5')
    """
    if spread is None or not math.isfinite(spread) or spread <= 0:
        return f"{value:.4g}"
    return f"{value:.{decimals_of(spread)}f}"


def with_spread(value: float, spread: float | None) -> str:
    """A value and its standard error, to the same decimal; the value alone where that is unknown.

    >>> with_spread(3.42794, 0.5709), with_spread(0.010812, 0.00153), with_spread(0.5, None)
    ('3.43 ± 0.57', '0.0108 ± 0.0015', '0.5')
    """
    if spread is None or not math.isfinite(spread):
        return rounded_to(value, None)
    return f"{rounded_to(value, spread)} ± {rounded_to(spread, spread)}"

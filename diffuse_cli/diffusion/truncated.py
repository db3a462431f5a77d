"""The standard normal distribution on an interval, short or long, with all digits of small results.

An interval is its middle m and its half width h, in standard deviations; n = m + h t is the variable and t lies in
[−1, 1], where its density is in proportion to exp(−m h t − h² t² / 2). Short intervals near the middle of the normal
are integrated by quadrature, where every result is a small sum of small numbers; long ones and those in a tail have
closed forms, in a tail by Mills' ratio (Johnson, Kotz & Balakrishnan 1994, section 10.1).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

_SHORT, _LEVEL = 1.0, 2.0  # up to this h and this |m h| the error of the quadrature is below 1e-8
_NODES, _WEIGHTS = (side[3:] for side in np.polynomial.legendre.leggauss(6))  # the positive nodes; the rule is even
_TAIL = 5.0  # from here on eight terms of the continued fraction give 8 digits
_NOTHING = 9.0  # beyond this many standard deviations the probability is 1e-19
_LOG_2PI = float(np.log(2 * np.pi))


class Truncated(NamedTuple):
    """The standard normal n given that it is in the interval. All fields have the shape of m and h.

    log_mass: the log of the probability of the interval. mean: the mean of n. place, spread: the mean and the variance
    of t. short: whether the interval counts as short; if so, tilt is log(mass / (2 h phi(m))), else 0.
    """

    log_mass: Float[Array, "*shape"]
    mean: Float[Array, "*shape"]
    place: Float[Array, "*shape"]
    spread: Float[Array, "*shape"]
    short: Bool[Array, "*shape"]
    tilt: Float[Array, "*shape"]


def normal(m: Float[Array, "*shape"], h: Float[Array, "*shape"]) -> Truncated:
    """N(0, 1) on the interval from m − h to m + h, h not negative.

    >>> inside = normal(jnp.float32(0.0), jnp.float32(50.0))
    >>> float(inside.log_mass), float(inside.mean)
    (0.0, 0.0)
    """
    short = (h <= _SHORT) & (jnp.abs(m * h) <= _LEVEL)
    # each formula only gets the arguments it is meant for, so that its derivatives are finite
    near = _short(jnp.where(short, m, 0.0), jnp.where(short, h, 0.5))
    far = _long(jnp.where(short, 0.0, m), jnp.where(short, 2.0, h))
    return Truncated(*(jnp.where(short, a, b) for a, b in zip(near, far, strict=True)))


def _short(m: Float[Array, "*shape"], h: Float[Array, "*shape"]) -> Truncated:
    slope, bend = m * h, h**2 / 2
    even, odd, square = jnp.zeros_like(h), jnp.zeros_like(h), jnp.zeros_like(h)
    for t, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
        left, right = jnp.expm1(slope * t - bend * t**2), jnp.expm1(-slope * t - bend * t**2)
        even += weight / 2 * (left + right)
        odd += weight / 2 * t * (right - left)
        square += weight * t**2 * (1 + (left + right) / 2)
    tilt, place = jnp.log1p(even), odd / (1 + even)
    log_mass = tilt + jnp.log(2 * h) - (m**2 + _LOG_2PI) / 2
    return Truncated(log_mass, m + h * place, place, square / (1 + even) - place**2, jnp.ones_like(h, bool), tilt)


def _long(m: Float[Array, "*shape"], h: Float[Array, "*shape"]) -> Truncated:
    side = jnp.where(m < 0, -1.0, 1.0).astype(m.dtype)
    middle = side * m
    a, b = middle - h, middle + h  # a may be negative, b is not
    in_tail = a > 0
    ends = [jnp.minimum(end, _NOTHING) for end in (jnp.where(in_tail, a, -a), b)]  # |a| has no slope at 0
    beyond = [0.5 * jax.scipy.special.erfc(end * float(np.sqrt(0.5))) for end in ends]
    at = [jnp.exp(-0.5 * (end**2 + _LOG_2PI)) for end in ends]
    # about zero, where a <= 0
    mass = 1 - beyond[0] - beyond[1]
    mean = (at[0] - at[1]) / mass
    about = jnp.log(mass), mean, 1 - (ends[0] * at[0] + ends[1] * at[1]) / mass - mean**2
    # in a tail, all relative to the density at a
    drop = 2 * m * h * side
    ratio = jnp.exp(-drop)  # of the density at b
    mills = [
        jnp.where(end < _TAIL, q / p, _mills(jnp.maximum(end, _TAIL)))
        for end, q, p in zip((a, b), beyond, at, strict=True)
    ]
    mass = jnp.where(in_tail, mills[0] - ratio * mills[1], 1.0)
    mean = -jnp.expm1(-drop) / mass
    tail = jnp.log(mass) - 0.5 * (a**2 + _LOG_2PI), mean, 1 + (a - b * ratio) / mass - mean**2
    log_mass, mean, variance = (jnp.where(in_tail, x, y) for x, y in zip(tail, about, strict=True))
    place, spread = jnp.clip((mean - middle) / h, -1.0, 1.0), jnp.maximum(variance, 0.0) / h**2
    return Truncated(log_mass, side * mean, side * place, spread, jnp.zeros_like(h, bool), jnp.zeros_like(h))


def _mills(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """(1 − Phi(a)) / phi(a) in a tail, by Laplace's continued fraction 1 / (a + 1 / (a + 2 / (a + …)))."""
    u = a**-2
    return jnp.polyval(jnp.asarray(_ABOVE, a.dtype), u) / (a * jnp.polyval(jnp.asarray(_BELOW, a.dtype), u))


def _fraction(terms: int) -> tuple[np.ndarray, np.ndarray]:
    """Numerator and denominator, as polynomials of 1 / a², of a times the continued fraction with so many terms."""
    above, below = np.poly1d([1.0]), np.poly1d([1.0])
    for k in range(terms, 0, -1):  # 1 + k u / (what follows)
        above, below = above + k * np.poly1d([1.0, 0.0]) * below, above
    return below.coeffs, above.coeffs


_ABOVE, _BELOW = _fraction(8)

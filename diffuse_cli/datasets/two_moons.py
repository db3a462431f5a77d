"""The two moons of simulation-based inference: a posterior p(theta | x) of two crescents, in closed form.

With u = (theta1 + theta2) / √2 and v = (theta2 − theta1) / √2 a simulation is

    x = p + (−|u|, v),    p = (r cos a + 1/4, r sin a),    a ~ U[−π/2, π/2], r ~ N(0.1, 0.01²).

So theta is known from x and p, but for the sign of u: u = ±(p1 − x1), v = x2 − p2. These maps keep volumes, and the
prior is uniform on [−1, 1]², which is |u| + |v| ≤ √2. So p(theta | x) is the density of p at x − (−|u|, v), divided by
2 P(x), where P(x) is the probability that p1 − x1 ≥ 0 and that the theta of (a, r) lies in the square.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from diffuse_cli.datasets.dataset import Dataset, Scale, Standardiser, scaled
from diffuse_cli.datasets.given import Given
from diffuse_cli.errors import UsageError

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law

_RADIUS, _NOISE, _SHIFT = 0.1, 0.01, 0.25
_LIMIT = np.sqrt(2)  # of |u| + |v|
_NAMES = ("x1", "x2")
_LEAST = 1e-6  # P(x): below it no theta of the prior can be said to have made x
_WHOLE = 1e-4  # as much of the crescents may lie outside of the prior where their law is taken for the whole ones
_ANGLES = 200  # nodes of the quadrature for P(x)
_TOGETHER = 4096  # rows for which it is done at once

_WIDEST, _SLOPE, _CLOSEST = 0.04, 0.2, 3e-6  # of the Gaussians along the arc; angles, and parts of the way to its end
_PLACES = 300  # from an end to the middle, in equal steps and in equal ratios, at which the arc is fitted
_ROUNDS = 100  # of EM for their weights


def two_moons(*, scale: Scale = 1.0) -> Dataset:
    """The two moons of simulation-based inference: parameters theta in a square, given a simulation (x1, x2).

    theta ~ U[−1, 1]²; x = (r cos a + ¼ − |theta1 + theta2| / √2, r sin a + (theta2 − theta1) / √2), a ~ U[−π/2, π/2],
    r ~ N(0.1, 0.01²). Greenberg, Nonnenmacher & Macke 2019; Lueckmann et al. 2021, task T.8. What is to be learned is
    the posterior p(theta | x), two crescents, with exact density and draws. Draws are theta, [n, 2], times `scale`.

    >>> theta, x = two_moons().given.draw(np.random.default_rng(0), 1000)
    >>> bool((np.abs(theta) <= 1).all()), x.shape
    (True, (1000, 2))
    """
    standard = Standardiser(np.zeros(2), np.full(2, 1 / np.sqrt(3)))
    # the moments of r cos a, of r sin a, and of |u| and v for theta uniform on the square
    circle, square = (_RADIUS**2 + _NOISE**2) / 2, 1 / 3
    mean = np.array([_SHIFT + _RADIUS * 2 / np.pi - _LIMIT / 3, 0.0])
    variance = [circle - (_RADIUS * 2 / np.pi) ** 2 + square - 2 / 9, circle + square]

    def exact(row: np.ndarray) -> "Law | None":
        inside = _inside(row[None])[0]
        if not inside > _LEAST:
            raise UsageError(f"no theta in the prior, [-1, 1]², gives {_told(row)}")
        return _posterior(row, standard) if inside > 1 - _WHOLE else None

    given = Given(
        _NAMES,
        _simulate,
        Standardiser(mean, np.sqrt(variance)),
        exact=exact,
        draw_at=_draw_at,
        log_density=_log_density,
    )
    simulated = Dataset(
        lambda rng, n: _simulate(rng, n)[0],
        2,
        standard,
        exact=lambda: _prior(standard),
        columns=("theta1", "theta2"),
        given=given,
    )
    return scaled(simulated, scale)


def _told(row: np.ndarray) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in zip(_NAMES, row.tolist(), strict=True))


def _crescent(rng: np.random.Generator, n: int) -> np.ndarray:
    """p [n, 2]."""
    a, r = rng.uniform(-np.pi / 2, np.pi / 2, n), rng.normal(_RADIUS, _NOISE, n)
    return np.stack([r * np.cos(a) + _SHIFT, r * np.sin(a)], axis=1)


def _simulate(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    theta = rng.uniform(-1, 1, (n, 2))
    return theta, _crescent(rng, n) + _shift_of(theta)


def _shift_of(theta: np.ndarray) -> np.ndarray:
    """(−|u|, v) of theta [n, 2]."""
    first, second = theta.T
    return np.stack([-np.abs(first + second), second - first], axis=1) / np.sqrt(2)


def _theta_of(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.stack([u - v, u + v], axis=-1) / np.sqrt(2)


def _draw_at(rng: np.random.Generator, n: int, row: np.ndarray) -> np.ndarray:
    """Draws of p whose theta the prior has, each with one of the two signs of u."""
    kept: list[np.ndarray] = []
    count = int(1.1 * n / _inside(row[None])[0]) + 16
    while (missing := n - sum(map(len, kept))) > 0:
        for each in np.array_split(_crescent(rng, count), -(-count // (1 << 20))):
            w, v = each[:, 0] - row[0], row[1] - each[:, 1]
            held = (w >= 0) & (w + np.abs(v) <= _LIMIT)
            sign = rng.choice([-1.0, 1.0], held.sum())
            kept.append(_theta_of(sign * w[held], v[held])[:missing])
            missing -= len(kept[-1])
    return np.concatenate(kept)


def _log_density(theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """log p(theta | x) at each of theta [n, 2] for the x [n, 2] in its row."""
    from_centre = rows - _shift_of(theta) - np.array([_SHIFT, 0.0])
    r = np.linalg.norm(from_centre, axis=1)
    held = (from_centre[:, 0] >= 0) & (np.abs(theta) <= 1).all(axis=1)
    normal = -0.5 * ((r - _RADIUS) / _NOISE) ** 2 - np.log(_NOISE * np.sqrt(2 * np.pi))
    with np.errstate(divide="ignore"):
        inside = _inside(rows[:1] if (rows == rows[:1]).all() else rows)
        return np.where(held, normal - np.log(2 * np.pi * r * inside), -np.inf)


def _inside(rows: np.ndarray) -> np.ndarray:
    """P(x) for x [n, 2]: over a by Gauss and Legendre's quadrature, over r in closed form, since the r that count are
    those between two ends."""
    from scipy.special import ndtr

    z, weights = np.polynomial.legendre.leggauss(_ANGLES)
    cos, sin = np.cos(np.pi / 2 * z), np.sin(np.pi / 2 * z)

    def of_some(x: np.ndarray) -> np.ndarray:
        x1, x2 = x[:, :1], x[:, 1:]
        low, high = (x1 - _SHIFT) / cos, np.full((len(x), _ANGLES), np.inf)
        for slope, most in ((cos - sin, _LIMIT - _SHIFT + x1 - x2), (cos + sin, _LIMIT - _SHIFT + x1 + x2)):
            low = np.where(slope < 0, np.maximum(low, most / slope), low)
            high = np.where(slope > 0, np.minimum(high, most / slope), high)
        low, high = ((end - _RADIUS) / _NOISE for end in (low, high))
        return np.maximum(ndtr(high) - ndtr(low), 0.0) @ weights / 2

    return np.concatenate([of_some(rows[i : i + _TOGETHER]) for i in range(0, len(rows), _TOGETHER)])


def _prior(standard: Standardiser) -> "Law":
    from diffuse_cli.diffusion import exact

    return exact.boxes(*(standard.to_model(np.full((1, 2), end)) for end in (-1.0, 1.0)))


def _posterior(row: np.ndarray, standard: Standardiser) -> "Law":
    """The law of both whole crescents: Gaussians along the arc, normal in r, whose KL from them is below 1e-4."""
    from diffuse_cli.diffusion import exact

    angle, width, weights = _along_the_arc()
    cos, sin, width = np.cos(angle), np.sin(angle), _RADIUS * width
    r = _RADIUS - width**2 / (2 * _RADIUS)  # a straight Gaussian lies outside of the arc, by this on average
    w, v = _SHIFT + r * cos - row[0], row[1] - r * sin
    means, covariances = [], []
    for sign in (-1.0, 1.0):
        means.append(_theta_of(sign * w, v))
        along_r, along_arc = _theta_of(sign * cos, -sin), _theta_of(-sign * sin, -cos)
        scaled = np.stack([_NOISE * along_r, width[:, None] * along_arc], axis=2)
        covariances.append(scaled @ np.swapaxes(scaled, 1, 2))
    law = exact.gaussians(
        standard.to_model(np.concatenate(means)),
        np.concatenate(covariances) / standard.scale[0] ** 2,
        np.tile(weights, 2) / 2,
        _NOISE / standard.scale[0] / 2,
    )
    z, normal = np.polynomial.hermite_e.hermegauss(20)
    log_r = normal @ np.log(_RADIUS + _NOISE * z) / normal.sum()
    bare = np.log(2 * np.pi) + log_r + 0.5 * np.log(2 * np.pi * np.e * _NOISE**2) - 2 * np.log(standard.scale[0])
    return law._replace(entropy=lambda level: float(bare) if float(level.sigma) == 0 else law.entropy(level))


@cache
def _along_the_arc() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles, widths and weights [k] of Gaussians whose mixture is uniform on [−π/2, π/2], but for a KL below 1e-4.

    They become narrower towards the ends, where the density falls at once. The weights are those of least KL, by EM.
    """
    half = [np.pi / 2 * _CLOSEST]  # the distances of centres from an end
    while half[-1] < np.pi / 2:
        half.append(half[-1] + 1.3 * min(_WIDEST, _SLOPE * half[-1]))
    distance = np.array(half) * (np.pi / 2) / half[-1]
    distance = np.concatenate([distance, distance[-2::-1]])
    angle = np.concatenate([-np.pi / 2 + distance[: len(half)], np.pi / 2 - distance[len(half) :]])
    width = np.minimum(_WIDEST, _SLOPE * distance)
    edges = np.union1d(np.geomspace(_CLOSEST / 10, np.pi / 2, _PLACES), np.linspace(0, np.pi / 2, _PLACES))
    middles = (edges[1:] + edges[:-1]) / 2
    places = np.concatenate([-np.pi / 2 + middles, np.pi / 2 - middles])
    lengths = np.tile(np.diff(edges), 2) / np.pi
    each = np.exp(-0.5 * ((places[:, None] - angle) / width) ** 2) / width
    weights = np.gradient(angle) / np.pi
    for _ in range(_ROUNDS):
        weights = weights * (lengths / (each @ weights) @ each)
        weights /= weights.sum()
    return angle, width, weights

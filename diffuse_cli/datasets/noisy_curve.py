"""A curve with round noise, the law of most datasets in the plane: x0 = c(u) + s ξ, u uniform on an interval."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import numpy as np
from msgspec import Meta

from diffuse_cli.datasets.dataset import Classes, Dataset, Standardiser, labelled, standardise

if TYPE_CHECKING:
    from diffuse_cli.diffusion.exact import Law

Noise = Annotated[float, Meta(ge=0, le=100)]
Curve = Callable[[np.ndarray], np.ndarray]  # parameters [n] -> points [n, d], data units

PANELS = 1 << 10
_FINEST = 0.005  # the noise of the last level before the clean one, in model space

_IN_A_PANEL = 16


def noisy_curve(c: Curve, interval: tuple[float, float], noise: float, pieces: int = 1) -> Dataset:
    """The Dataset of c(u) + noise ξ with u ~ U[interval], ξ ~ N(0, I).

    c: parameters [n] -> points [n, d]; its speed may vary, and it may consist of several pieces. interval: the range of
    u. noise: the standard deviation s, data units; 0 gives the bare curve. pieces: the number of pieces of the curve,
    each on an equal part of the interval; if there are several, they are the classes.

    The constants of standardisation are computed by quadrature along the curve, not from a draw: mean E c(u), and
    variance Var c(u) + s².

    >>> circle = noisy_curve(lambda u: np.stack([np.cos(u), np.sin(u)], axis=1), (0.0, 2 * np.pi), noise=0.0)
    >>> circle.standard.scale.round(3)
    array([0.707, 0.707])
    """
    cuts = np.linspace(*interval, pieces + 1)

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        u = rng.uniform(*interval, n)
        on_curve = c(u)
        return on_curve + noise * rng.standard_normal(on_curve.shape), np.searchsorted(cuts[1:-1], u, side="right")

    u, weights = nodes(interval, PANELS * pieces)
    bare = standardise(c(u), per_column=False, weights=weights)
    standard = Standardiser(bare.mean, np.hypot(bare.scale, noise))

    def piece(label: int) -> "Law":
        return curve_density(c, (cuts[label], cuts[label + 1]), noise, standard)

    classes = Classes(np.full(pieces, 1 / pieces), draw, piece)
    dataset = labelled(classes, standard, lambda: curve_density(c, interval, noise, standard, pieces))
    return dataset if pieces > 1 else dataset._replace(classes=None)


def curve_density(
    c: Curve, interval: tuple[float, float], noise: float, standard: Standardiser, pieces: int = 1
) -> "Law":
    """The law of the noisy curve in model space, by quadrature along it.

    p(x) = ∫ N(x; c(u), τ²) du / |interval| at every noise level, τ being the set's own noise and the level's together.
    """
    from diffuse_cli.diffusion import exact

    u, weights = close_nodes(c, interval, noise, standard, pieces)
    return exact.mixture(standard.to_model(c(u)), noise / standard.scale[0], weights)


def close_nodes(
    c: Curve, interval: tuple[float, float], noise: float, standard: Standardiser, pieces: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights so close that quadrature by them along the noisy curve is exact but for rounding.

    On average they stand two thirds of a τ apart or closer where τ is smallest; a bare curve has no density of its own,
    and is taken to be as fine as the finest level that is sampled. Each half of each piece has its own panels.
    """
    fine = np.linspace(*interval, 1 << 14)
    speed = np.quantile(np.linalg.norm(np.diff(c(fine), axis=0), axis=1) / (fine[1] - fine[0]), 0.999)  # but for joins
    length = speed * (interval[1] - interval[0])
    wanted = 1.5 * length / max(noise, _FINEST * standard.scale[0]) / _IN_A_PANEL
    return nodes(interval, 2 * pieces * int(np.ceil(wanted / (2 * pieces))))


def nodes(interval: tuple[float, float], panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss and Legendre's nodes and weights, 16 in each of so many equal panels; the weights sum to 1.

    The midpoint rule would do inside a curve, but not beyond its ends, where it errs by several per cent.
    """
    z, weights = np.polynomial.legendre.leggauss(_IN_A_PANEL)
    edges = np.linspace(*interval, panels + 1)
    u = edges[:-1, None] + (edges[1] - edges[0]) * (1 + z) / 2
    return u.ravel(), np.tile(weights / (2 * panels), panels)

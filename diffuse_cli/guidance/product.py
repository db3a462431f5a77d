"""Products of laws: the exact law in proportion to p(x) h(x), and the product of the laws of two denoisers."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.datasets.dataset import Draw, Standardiser
from diffuse_cli.diffusion import exact, grid_law
from diffuse_cli.diffusion.denoisers import Predict, Prediction, Twist
from diffuse_cli.diffusion.exact import Law
from diffuse_cli.diffusion.gaussian_posterior import refuse_no_mass, times_gaussian
from diffuse_cli.diffusion.process import CLEAN, Level
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.guidance.factors import Factor
from diffuse_cli.guidance.smoothed_law import can_smooth, times

_BROAD = 3.0  # model space: the standard deviation of the law by which a product of two laws is divided on the way
_MOST_ROUNDS = 10_000
_SAME = 1e-5  # of a standard deviation: two standardisations that differ by less are of the same data


class Product(NamedTuple):
    """The law p h / Z.

    law: in the model space of p. log_z: log Z, the log of the mean of h over p. draw: (rng, n) -> [n, d] independent
    draws in data units, as of a Dataset.
    """

    law: Law
    log_z: float
    draw: Draw


def product_law(law: Law, factor: Factor, points: Float[np.ndarray, "m d"], standard: Standardiser) -> Product:
    """The exact product of a law with a factor: closed forms for mixtures of Gaussians, else a grid in the plane.

    law: p, in model space. factor: in data units. points: some thousand draws of p, data units; they say where a grid
    has to be. A mixture of Gaussians times a Gaussian is one again; times a half-plane, or a box along the axes of its
    components, it has a density and a denoiser in closed form, and draws and the entropy on a grid in one or two
    columns (in more the draws are those of p where h is not 0). All else is on a grid, whose law is a mixture of boxes.

    Raises DiffuseError where the product has no mass, where h is negative or no number at one of the points, and for
    three or more columns where there is no closed form.

    >>> from diffuse_cli.guidance.factors import gaussian
    >>> standard = Standardiser(np.zeros(1), np.ones(1))
    >>> points = np.random.default_rng(0).standard_normal((100, 1))
    >>> product = product_law(exact.gaussian(np.zeros(1), np.eye(1)), gaussian(1, x=2.0, std=1.0), points, standard)
    >>> round(product.log_z, 4)  # −½ log 2 − 1
    -1.3466
    """
    h, drawn = factor.in_model_space(standard), standard.to_model(points)
    _check_values(h, drawn, points)
    try:
        product = _product_in_model_space(law, h, drawn)
    except DiffuseError as error:
        low, high = points.min(axis=0), points.max(axis=0)
        spans = ", ".join(f"{a:.4g} to {b:.4g}" for a, b in zip(low[:4], high[:4], strict=True))
        more = ", …" if len(low) > 4 else ""
        raise DiffuseError(f"p · h: {error} (the data lie between {spans}{more})") from error
    return product._replace(draw=_in_data_units(product.draw, standard))


def _product_in_model_space(law: Law, h: Factor, drawn: np.ndarray) -> Product:
    mixture = law.gaussians and law.gaussians()
    if mixture is not None and h.gaussian is not None:
        gaussians, log_z = times_gaussian(law, *h.gaussian)
        return Product(gaussians, log_z, draw_of_gaussians(gaussians))
    if mixture is not None and can_smooth(mixture, h):
        plane, on_grid = drawn.shape[1] <= 2, cache(lambda: _on_grid(law, h.log_h, drawn, np.inf))

        def entropy(level: Level) -> float:
            return on_grid().law().entropy(level)  # which raises DiffuseError for three or more columns

        smooth, log_z = times(mixture, h, entropy)
        refuse_no_mass(log_z)
        return Product(smooth, log_z, _where_positive(on_grid().draw if plane else draw_of_gaussians(law), h))
    width = np.inf if h.gaussian is None else np.linalg.eigvalsh(h.gaussian.precision).max() ** -0.5
    grid = _on_grid(law, h.log_h, drawn, width)
    return Product(grid.law(), grid.log_z, _where_positive(grid.draw, h))


def product_of_laws(one: Law, other: Law, points: Float[np.ndarray, "m d"], standard: Standardiser) -> Product:
    """The exact law in proportion to the product of two densities, on a grid of one or two columns.

    Both laws are in one model space. log_z is the log of ∫ p q dx there. points: draws of both, data units.
    Raises DiffuseError where the product has no mass, where a density is infinite, and for three or more columns.

    >>> standard = Standardiser(np.zeros(1), np.ones(1))
    >>> points = np.linspace(-4, 4, 100)[:, None]
    >>> normal = exact.gaussian(np.zeros(1), np.eye(1))
    >>> round(product_of_laws(normal, normal, points, standard).log_z, 4)  # −½ log 4π
    -1.2655
    """

    def log_q(x: Float[Array, "n d"]) -> Float[Array, " n"]:
        return exact.log_prob(other, x, Level(*(jnp.asarray(field, x.dtype) for field in CLEAN)))

    width = np.inf if other.gaussians is None else other.gaussians().narrowest
    grid = _on_grid(one, log_q, standard.to_model(points), width)
    return Product(grid.law(), grid.log_z, _in_data_units(grid.draw, standard))


def require_same_space(one: Standardiser, other: Standardiser) -> None:
    """Raise UsageError unless two models have the same columns and the same standardisation, so that x is the same.

    >>> require_same_space(Standardiser(np.zeros(2), np.ones(2)), Standardiser(np.zeros(1), np.ones(1)))
    Traceback (most recent call last):
    diffuse_cli.errors.UsageError: a product needs two runs of the same columns; these have 2 and 1
    """
    columns = len(one.mean), len(other.mean)
    if columns[0] != columns[1]:
        raise UsageError(f"a product needs two runs of the same columns; these have {columns[0]} and {columns[1]}")
    apart = np.abs(one.mean - other.mean) / one.scale + np.abs(np.log(one.scale / other.scale))
    if column := next(iter(np.flatnonzero(~(apart < _SAME)) + 1), None):
        first, second = (f"mean {s.mean[column - 1]:.6g}, scale {s.scale[column - 1]:.6g}" for s in (one, other))
        raise UsageError(
            f"a product needs two runs with one standardisation, and column {column} has {first} in one and {second} "
            "in the other; train both on parts of one dataset, such as its labels"
        )


def product_of(one: Predict, other: Predict) -> Predict:
    """The denoiser of the product of the laws of two others, with weights, for the sampler `twisted`.

    The score is s_1 + s_2 − s_0, where s_0 belongs to N(0, 9 I), and the factor N(x; 0, 9 I) is the h of its twist. By
    log-SNR λ, with g² dτ = σ² dλ (alpha = 1), the weights grow by

        d log W / dλ = ½ (|eps|² − |eps_1|² − |eps_2|² + |eps_0|²),

    as for any powers of laws with noise (Skreta et al. 2025). Without s_0 the powers sum to 2, the law of pure noise is
    N(0, sigma² / 2 I), and weights that say nothing of the data differ by thousands there; with it particles start from
    the usual noise with equal weights. The mean weight estimates ∫ p q dx in model space, up to the error of the steps.

    Costs one evaluation of each.

    >>> from diffuse_cli.diffusion.process import unscaled
    >>> normal = exact.denoiser(exact.gaussian(np.zeros(1), 9 * np.eye(1)))
    >>> p = jax.jit(product_of(normal, normal))(np.ones((1, 1)), unscaled(0.0))
    >>> round(p.x0.item(), 6), round(abs(p.log_weight.item()), 6)  # that of N(0, 9), whose weights are equal
    (0.9, 0.0)
    """
    return jax.tree_util.Partial(_product_of, one, other)


def _product_of(one: Predict, other: Predict, x: Float[Array, "n d"], level: Level) -> Prediction:
    p, q = one(x, level), other(x, level)
    broad = _BROAD**2 / (level.alpha**2 * _BROAD**2 + level.sigma**2)
    x0, eps = level.alpha * broad * x, level.sigma / _BROAD**2 * broad * x
    both = Prediction(p.x0 + q.x0 - x0, p.eps + q.eps - eps)
    squares = both.eps**2 - p.eps**2 - q.eps**2 + eps**2
    log_h = jnp.sum(jax.scipy.stats.norm.logpdf(both.x0, 0.0, _BROAD), axis=-1)
    twist = Twist(jnp.zeros_like(log_h), jnp.zeros_like(x), log_h)
    return both._replace(log_weight=0.5 * jnp.sum(squares, axis=-1), twist=twist)


def _check_values(h: Factor, drawn: np.ndarray, points: np.ndarray) -> None:
    log_h = np.asarray(jax.jit(h.log_h)(drawn))
    if (bad := np.flatnonzero(np.isnan(log_h) | np.isposinf(log_h))).size:
        raise DiffuseError(f"h has to be a number from 0 on, and at {points[bad[0]].round(4).tolist()} it is not")


def _on_grid(law: Law, log_h: Callable[..., Array], drawn: np.ndarray, width: float) -> grid_law.GridLaw:
    """width: the least standard deviation in h."""
    narrowest = min(width, np.inf if law.gaussians is None else law.gaussians().narrowest)
    low, high, cells = grid_law.around(drawn, narrowest if 0 < narrowest < np.inf else None)
    return grid_law.multiplied(law, log_h, low, high, cells)


def draw_of_gaussians(law: Law) -> Draw:
    """Draws of a mixture of Gaussians, in its own units."""
    if law.gaussians is None:
        raise ValueError("not a mixture of Gaussians")
    means, covariances, weights, _ = law.gaussians()
    values, axes = np.linalg.eigh(covariances)
    roots = np.broadcast_to(axes * np.sqrt(np.maximum(values, 0))[:, None, :], (len(means), *axes.shape[1:]))

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        which = rng.choice(len(means), n, p=weights / weights.sum())
        return np.asarray(
            means[which] + np.einsum("nij,nj->ni", roots[which], rng.standard_normal((n, means.shape[1])))
        )

    return draw


def _where_positive(draw: Draw, h: Factor) -> Draw:
    """Draws without those where h is 0, as in a part of a cell of a grid.

    Raises DiffuseError where hardly any is left.
    """
    log_h = jax.jit(h.log_h)

    def kept(rng: np.random.Generator, n: int) -> np.ndarray:
        parts: list[np.ndarray] = []
        for _ in range(_MOST_ROUNDS):
            points = draw(rng, n)
            parts.append(points[np.isfinite(np.asarray(log_h(points)))])
            if sum(map(len, parts)) >= n:
                return np.concatenate(parts)[:n]
        raise DiffuseError(
            f"of {_MOST_ROUNDS * n:,} draws {sum(map(len, parts))} are where h is not 0, too few to go on"
        )

    return kept


def _in_data_units(draw: Draw, standard: Standardiser) -> Draw:
    return lambda rng, n: standard.to_data(draw(rng, n))

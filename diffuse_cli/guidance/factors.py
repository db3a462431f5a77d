"""Factors h(x) >= 0 by which the law of a model is multiplied: pi(x) is in proportion to p(x) h(x).

A factor is written in the units of the data. Besides log h, guidance needs it smoothed by a normal law,

    log E h(x0) for x0 ~ N(m, C), and its derivative by m, which is C^-1 (E[x0 h] / E[h] - m).

Both are closed forms for Gaussians, half-planes and boxes, and quadratures for code of a user. The derivative is
computed by formula, so it is finite everywhere, also where h is 0 around m and where h has an edge.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from msgspec import Meta

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.diffusion import truncated
from diffuse_cli.errors import UsageError

EDGE = 0.05  # model space: as wide is the edge of a factor where it is needed without noise, but has no slope
_LEAST = 1e-4  # the least standard deviation of a normal law along a direction, so that numbers stay finite
_FAR, _WIDE = 10.0, 40.0  # standard deviations: nothing lies beyond _FAR, nor _WIDE away from the near end of a tail
_NODES = {1: 48, 2: 16, 3: 8}  # of a Gauss-Hermite rule in each direction, by the number of columns
_POINTS = 512  # of a quasi-random rule in more columns
_NOTHING = 1e-30  # h below it counts as this, so that its logarithm is finite
_TOGETHER = 64  # points whose quadratures are computed at once
_COLUMNS = ("x", "y", "z")

Coordinate = float | None
Std = Annotated[float, Meta(gt=0)] | None


class Smoothed(NamedTuple):
    """log E h(x0) for x0 ~ N(m, C) at n means m, and its derivative by m."""

    log_mean: Float[Array, " n"]
    slope: Float[Array, "n d"]


class GaussianForm(NamedTuple):
    """h(x) = exp(-½ (x - mean)ᵀ precision (x - mean)); a column without a condition has a row of zeros."""

    mean: Float[np.ndarray, " d"]
    precision: Float[np.ndarray, "d d"]


class Factor(NamedTuple):
    """h(x), for points of d columns.

    log_h: points [n, d] -> log h [n]; -inf where h is 0.
    smoothed: (means [n, d], covariances [n, d, d] or one [1, d, d] for all) -> Smoothed. A box is smoothed along its
        sides only, by the diagonals of the covariances. Both functions are pytrees (jax.tree_util.Partial), in which
        the numbers of the factor are data.
    moved: (mean [d], scale [d]) -> the Factor of z -> h(mean + scale z).
    gaussian: its form, if it is Gaussian.
    edge: the standard deviation, in model space, by which it has to be smoothed to have a slope; 0 for a Gaussian.
    exact_for: the covariances for which `smoothed` is a closed form and not a quadrature.
    """

    log_h: Callable[[Float[Array, "n d"]], Float[Array, " n"]]
    smoothed: Callable[[Float[Array, "n d"], Float[Array, "#n d d"]], Smoothed]
    moved: Callable[[np.ndarray, np.ndarray], "Factor"]
    gaussian: GaussianForm | None = None
    edge: float = EDGE
    exact_for: Literal["all", "diagonal", "none"] = "none"

    def in_model_space(self, standard: Standardiser) -> "Factor":
        """The same factor as a function of standardised points, data = mean + scale · model."""
        return self.moved(standard.mean, standard.scale)


def build(text: str, dim: int, *, trust: bool = True) -> Factor:
    """The factor that `text` names, for data of `dim` columns, in data units.

    Code of a user, `package.module:name`, is h itself where the function has a parameter by position: points [n, d]
    in data units -> h [n], written with jax.numpy. With options only, it makes such a function, or a Factor.
    Raises UsageError like `catalog.build`, and where the code of a user gives something else.

    >>> build("halfplane:x=1,at=0.5", dim=2).log_h(np.array([[0.0, 3.0], [1.0, 3.0]])).tolist()
    [-inf, 0.0]
    """
    choice = catalog.parse("factor", text)
    if not choice.own or not trust:
        made: Factor = catalog.build("factor", text, dim, trust=trust)
        return made
    make, options = catalog.factory(choice), catalog.convert_options(choice)
    takes_points = catalog.positional(make) > 0
    result = partial(make, **options) if takes_points else make(**options)
    if isinstance(result, Factor):
        return result
    if not callable(result):
        raise UsageError(f"factor {choice.name} made a {type(result).__name__}; it has to make a function or a Factor")
    return of_function(result, dim, choice.name)


def gaussian(
    dim: int,
    *,
    x: Coordinate = None,
    y: Coordinate = None,
    z: Coordinate = None,
    std: Std = None,
    std_x: Std = None,
    std_y: Std = None,
    std_z: Std = None,
) -> Factor:
    """h(x) = exp(-½ Σ ((x_i - mean_i) / std_i)²) over the columns that are given; at its mean it is 1.

    x, y, z: the mean, data units; a column that is not given is free. std: the standard deviation of all given columns;
    std_x, std_y and std_z are those of one column.
    Raises UsageError where no column is given, one has no std, or the data have no such column.

    >>> factor = gaussian(2, x=1.0, std=0.5)
    >>> factor.log_h(np.array([[0.5, 7.0]])).tolist()
    [-0.5]
    """
    means, stds = _given("gaussian", dim, (x, y, z)), (std_x, std_y, std_z)
    if not means:
        raise UsageError("factor gaussian needs a mean: gaussian:x=1,y=0,std=0.3")
    for column, name in enumerate(_COLUMNS):
        if stds[column] is not None and column not in means:
            raise UsageError(f"factor gaussian: std_{name} is given, and no {name}")
    widths = {column: stds[column] or std for column in means}
    for column, width in widths.items():
        if width is None:
            raise UsageError(f"factor gaussian: {_COLUMNS[column]} has no std; give std=, or std_{_COLUMNS[column]}=")
    mean, inverse = np.zeros(dim), np.zeros(dim)
    for column, value in means.items():
        mean[column], inverse[column] = value, 1 / float(widths[column] or 1)
    return of_gaussian(GaussianForm(mean, np.diag(inverse**2)))


def halfplane(dim: int, *, x: Coordinate = None, y: Coordinate = None, z: Coordinate = None, at: float = 0.0) -> Factor:
    """h(x) = 1 where n·x >= at, else 0. n is the direction (x, y, z) brought to length 1.

    x, y, z: a direction; a column that is not given is 0. at: the distance of the edge from the origin along n, data
    units. Raises UsageError where the direction is 0, or the data have no such column.

    >>> halfplane(2, x=3.0, y=4.0, at=1.0).log_h(np.array([[0.6, 0.9], [0.6, 0.7]])).tolist()
    [0.0, -inf]
    """
    direction = np.zeros(dim)
    for column, value in _given("halfplane", dim, (x, y, z)).items():
        direction[column] = value
    length = np.linalg.norm(direction)
    if not length > 0:
        raise UsageError("factor halfplane needs a direction, such as halfplane:x=1,y=0,at=0.5")
    return _of_halfplane(direction / length, at)


def box(
    dim: int,
    *,
    left: Coordinate = None,
    right: Coordinate = None,
    bottom: Coordinate = None,
    top: Coordinate = None,
    near: Coordinate = None,
    far: Coordinate = None,
) -> Factor:
    """h(x) = 1 inside a box whose sides are parallel to the axes, else 0.

    left, right: its sides in x; bottom, top: in y; near, far: in z; data units. Where a side is not given, the box is
    open. Raises UsageError where no side is given, two are in the wrong order, or the data have no such column.

    >>> box(2, left=0.0, top=1.0).log_h(np.array([[5.0, 0.9], [5.0, 1.1]])).tolist()
    [0.0, -inf]
    """
    names = (("left", "right"), ("bottom", "top"), ("near", "far"))
    lows, highs = _given("box", dim, (left, bottom, near)), _given("box", dim, (right, top, far))
    if not lows and not highs:
        raise UsageError("factor box needs a side, such as box:left=0,right=1")
    low, high = np.full(dim, -np.inf), np.full(dim, np.inf)
    for ends, sides in ((low, lows), (high, highs)):
        for column, value in sides.items():
            ends[column] = value
    for column in np.flatnonzero(~(low < high)).tolist():
        first, second = names[column]
        raise UsageError(f"factor box: {first}={low[column]:g} is not less than {second}={high[column]:g}")
    return _of_box(low, high)


def of_gaussian(form: GaussianForm) -> Factor:
    """The factor of a Gaussian form, in the units of the form.

    >>> of_gaussian(GaussianForm(np.zeros(1), np.eye(1))).log_h(np.array([[2.0]])).tolist()
    [-2.0]
    """
    values, basis = np.linalg.eigh(form.precision)
    root = np.sqrt(np.maximum(values, 0))[:, None] * basis.T  # precision = rootᵀ root

    def moved(mean: np.ndarray, scale: np.ndarray) -> Factor:
        return of_gaussian(GaussianForm((form.mean - mean) / scale, scale[:, None] * form.precision * scale))

    return Factor(
        jax.tree_util.Partial(_log_gaussian, form.mean, root),
        jax.tree_util.Partial(_smoothed_gaussian, form.mean, root),
        moved,
        form,
        edge=0.0,
        exact_for="all",
    )


def of_function(h: Callable[[Float[Array, "n d"]], Float[Array, " n"]], dim: int, name: str = "h") -> Factor:
    """The factor of a function of points [n, d] -> h [n], not negative, that jax can trace.

    It is smoothed by a Gauss-Hermite rule in up to three columns, and by quasi-random points in more. The nodes are
    about half a standard deviation apart, so a narrower feature of h is seen roughly, and where h is below 1e-30 at all
    of them its slope is 0. name: for messages. Raises UsageError where jax cannot trace the function, or
    where its result is not [n].

    >>> ring = of_function(lambda points: jnp.exp(-((jnp.hypot(points[:, 0], points[:, 1]) - 1) ** 2)), dim=2)
    >>> ring.log_h(np.array([[2.0, 0.0]])).tolist()
    [-1.0]
    """
    shape = jax.ShapeDtypeStruct((2, dim), jnp.result_type(float))
    try:
        result = jax.eval_shape(h, shape)
    except jax.errors.TracerArrayConversionError as error:
        raise UsageError(f"factor {name} has to be written with jax.numpy, for its slope is computed") from error
    if getattr(result, "shape", None) != (2,):
        given = getattr(result, "shape", type(result).__name__)
        raise UsageError(
            f"factor {name} has to give one number for each of the points [n, {dim}]; for 2 it gave {given}"
        )
    return _of_function(h, np.zeros(dim), np.ones(dim))


def _given(kind: str, dim: int, values: tuple[Coordinate, ...]) -> dict[int, float]:
    """Column -> value of those that are given. Raises UsageError for a column that the data do not have."""
    given = {column: value for column, value in enumerate(values) if value is not None}
    for column in given:
        if column >= dim:
            raise UsageError(f"factor {kind}: {_COLUMNS[column]} is column {column + 1}, and the data have {dim}")
    return given


def _log_gaussian(mean: Any, root: Any, points: Float[Array, "n d"]) -> Float[Array, " n"]:
    points = jnp.asarray(points)
    mean, root = (jnp.asarray(part, points.dtype) for part in (mean, root))
    apart: Array = jnp.einsum("ij,nj->ni", root, points - mean[None], precision="highest")
    return -0.5 * jnp.sum(apart**2, axis=1)


def _smoothed_gaussian(mean: Any, root: Any, m: Float[Array, "n d"], covariance: Float[Array, "#n d d"]) -> Smoothed:
    """E h is the density of root (x0 - mean) + N(0, I) at 0, times (2 pi)^(d/2)."""
    mean, root = (jnp.asarray(part, m.dtype) for part in (mean, root))
    dot = partial(jnp.einsum, precision="highest")
    variance = jnp.eye(m.shape[1], dtype=m.dtype)[None] + dot("ij,njk,lk->nil", root, covariance, root)
    factor = jnp.linalg.cholesky(variance)
    apart = dot("ij,nj->ni", root, m - mean[None])
    solve = partial(jax.lax.linalg.triangular_solve, left_side=True, lower=True)
    factors = jnp.broadcast_to(factor, (len(m), *factor.shape[1:]))
    half = solve(factors, apart[..., None])
    whole = solve(factors, half, transpose_a=True)[..., 0]
    log_norm = jnp.sum(jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)), axis=1)
    log_mean = -0.5 * jnp.sum(half[..., 0] ** 2, axis=1) - log_norm
    return Smoothed(log_mean, -dot("ji,nj->ni", root, whole))


def _of_halfplane(direction: np.ndarray, at: float) -> Factor:
    def moved(mean: np.ndarray, scale: np.ndarray) -> Factor:
        length = np.linalg.norm(direction * scale)
        return _of_halfplane(direction * scale / length, float((at - direction @ mean) / length))

    at = np.float64(at)
    return Factor(
        jax.tree_util.Partial(_log_halfplane, direction, at),
        jax.tree_util.Partial(_smoothed_halfplane, direction, at),
        moved,
        exact_for="all",
    )


def _log_halfplane(direction: Any, at: Any, points: Float[Array, "n d"]) -> Float[Array, " n"]:
    points = jnp.asarray(points)
    along = points @ jnp.asarray(direction, points.dtype)
    return jnp.where(along >= at, 0.0, -jnp.inf).astype(points.dtype)


def _smoothed_halfplane(
    direction: Any, at: Any, m: Float[Array, "n d"], covariance: Float[Array, "#n d d"]
) -> Smoothed:
    direction = jnp.asarray(direction, m.dtype)
    along = jnp.einsum("nj,j->n", m, direction, precision="highest")
    variance = jnp.einsum("i,nij,j->n", direction, covariance, direction, precision="highest")
    log_mass, slope = _mass_between(jnp.asarray(at, m.dtype), jnp.asarray(jnp.inf, m.dtype), along, variance)
    return Smoothed(log_mass, slope[:, None] * direction[None])


def _of_box(low: np.ndarray, high: np.ndarray) -> Factor:
    def moved(mean: np.ndarray, scale: np.ndarray) -> Factor:
        return _of_box((low - mean) / scale, (high - mean) / scale)

    return Factor(
        jax.tree_util.Partial(_log_box, low, high),
        jax.tree_util.Partial(_smoothed_box, low, high),
        moved,
        exact_for="diagonal",
    )


def _log_box(low: Any, high: Any, points: Float[Array, "n d"]) -> Float[Array, " n"]:
    points = jnp.asarray(points)
    low, high = (jnp.asarray(ends, points.dtype)[None] for ends in (low, high))
    inside = jnp.all((points >= low) & (points <= high), axis=1)
    return jnp.where(inside, 0.0, -jnp.inf).astype(points.dtype)


def _smoothed_box(low: Any, high: Any, m: Float[Array, "n d"], covariance: Float[Array, "#n d d"]) -> Smoothed:
    low, high = (jnp.asarray(ends, m.dtype)[None] for ends in (low, high))
    variance = jnp.diagonal(covariance, axis1=1, axis2=2)
    log_mass, slope = _mass_between(low, high, m, variance)
    return Smoothed(jnp.sum(log_mass, axis=1), slope)


def _mass_between(
    low: Float[Array, "*#shape"],
    high: Float[Array, "*#shape"],
    m: Float[Array, "*shape"],
    variance: Float[Array, "*#shape"],
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """log P(low <= x <= high) for x ~ N(m, variance), and its derivative by m; the ends may be infinite."""
    std = jnp.sqrt(jnp.maximum(variance, _LEAST**2))
    first, second = (low - m) / std, (high - m) / std
    # a far end of the interval is replaced by one beyond which there is no mass either
    first, second = (
        jnp.maximum(first, jnp.minimum(-_FAR, second - _WIDE)),
        jnp.minimum(second, jnp.maximum(_FAR, first + _WIDE)),
    )
    inside = truncated.normal((first + second) / 2, (second - first) / 2)
    return inside.log_mass, inside.mean / std


def _of_function(h: Callable[..., Array], mean: np.ndarray, scale: np.ndarray) -> Factor:
    def moved(to: np.ndarray, by: np.ndarray) -> Factor:
        return _of_function(h, mean + scale * to, scale * by)

    nodes, log_weights = _rule(len(mean))
    log_h = jax.tree_util.Partial(_log_of(h), mean, scale)
    return Factor(log_h, jax.tree_util.Partial(_smoothed_function, log_h, nodes, log_weights), moved)


@cache  # jit recognises compiled code by the function object, so there must be one object for one function
def _log_of(h: Callable[..., Array]) -> Callable[..., Array]:
    return partial(_log_function, h)


def _log_function(h: Callable[..., Array], mean: Any, scale: Any, points: Float[Array, "n d"]) -> Float[Array, " n"]:
    points = jnp.asarray(points)
    mean, scale = (jnp.asarray(part, points.dtype)[None] for part in (mean, scale))
    return jnp.log(h(mean + scale * points))


def _smoothed_function(
    log_h: Callable[..., Array],
    nodes: Any,
    log_weights: Any,
    m: Float[Array, "n d"],
    covariance: Float[Array, "#n d d"],
) -> Smoothed:
    dim = m.shape[1]
    least = _LEAST**2 * jnp.eye(dim, dtype=m.dtype)[None]
    factors = jnp.broadcast_to(jnp.linalg.cholesky(covariance + least), (len(m), dim, dim))
    nodes, log_weights = (jnp.asarray(part, m.dtype) for part in (nodes, log_weights))

    def at(one: tuple[Float[Array, " d"], Float[Array, "d d"]]) -> Smoothed:
        mean, factor = one
        points = mean[None] + jnp.einsum("ij,kj->ki", factor, nodes, precision="highest")
        log_each = log_weights + jnp.maximum(log_h(points), float(np.log(_NOTHING)))
        pull = jnp.einsum("k,kj->j", jax.nn.softmax(log_each), nodes, precision="highest")
        slope = jax.lax.linalg.triangular_solve(factor, pull[:, None], left_side=True, lower=True, transpose_a=True)
        return Smoothed(jax.nn.logsumexp(log_each), slope[:, 0])

    smoothed: Smoothed = jax.lax.map(at, (m, factors), batch_size=_TOGETHER)
    return smoothed


def _rule(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes [k, dim] and the logs of the weights [k] of a quadrature for N(0, I)."""
    if dim in _NODES:
        along, weights = np.polynomial.hermite_e.hermegauss(_NODES[dim])
        grid = np.stack(np.meshgrid(*[along] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
        log_weights = sum(np.meshgrid(*[np.log(weights / weights.sum())] * dim, indexing="ij"))
        return grid, np.ravel(log_weights)
    from scipy.stats import norm, qmc

    half = norm.ppf(qmc.Sobol(dim, rng=0).random(_POINTS // 2))
    return np.vstack([half, -half]), np.full(_POINTS, -np.log(_POINTS))

"""The exact posterior of a measurement: p(x | y) with its draws, density, moments and evidence p(y).

Mixtures of Gaussians and linear measurements have it in closed form, in any number of columns. In one or two columns
all other laws and functions have it on a grid; what is measured there without noise leaves a line, and a grid along it.
With noise in all values, draws of the prior that are kept in proportion to the likelihood are draws of the posterior,
for any prior that can be drawn from.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.datasets.dataset import Dataset, Draw
from diffuse_cli.diffusion import exact, grid_law
from diffuse_cli.diffusion.exact import Law
from diffuse_cli.diffusion.gaussian_posterior import Posteriors, posterior_of, posteriors_of
from diffuse_cli.diffusion.grid_law import GridLaw
from diffuse_cli.diffusion.process import CLEAN, Level
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.guidance.product import draw_of_gaussians
from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.inverse.observed import Observed, observe

_REACH = 10_000  # draws of the prior that say where it lies, and what it makes of a measurement
_MOMENTS = 20_000  # draws that give the moments of a posterior without a closed form
_FEWEST = 1e-4  # of the draws of the prior, which have to be kept; with fewer it would take minutes
_FLAT = 1e-6  # the least slope of a measurement, in units of its noise, that cells of a grid are chosen by
_TYPICAL = 200  # draws of the prior, whose measurements are compared with the given one
_ROUND = 1 << 16  # draws of the prior at once
_IMPOSSIBLE = float(np.log(1e-30))


class ExactPosterior(NamedTuple):
    """p(x | y).

    draw: (rng, n) -> [n, d], data units. log_evidence: log p(y), nats, in the units of y. mean [d], covariance [d, d]:
    model space. free: orthonormal rows [k, d], the directions in model space that are not known for certain. law: ()
    -> the law in model space; None where only draws are known. grid: () -> the density of the coordinates along `free`;
    None likewise, and for more than two of them. as_rare: the share of measurements of the data whose p(y) is as low;
    None where it is not known.
    """

    draw: Draw
    log_evidence: float
    mean: np.ndarray
    covariance: np.ndarray
    free: np.ndarray
    law: Callable[[], Law] | None = None
    grid: Callable[[], GridLaw] | None = None
    as_rare: float | None = None

    @property
    def total_variance(self) -> float:
        """The mean squared error of the posterior mean, model space: no estimate of x has a smaller one."""
        return float(np.trace(self.covariance))


def exact_posterior(dataset: Dataset, measurement: Measurement) -> ExactPosterior | None:
    """The ExactPosterior of a measurement of a point of the dataset; None where it is not known.

    Raises DiffuseError, with the evidence, where the prior cannot give such a measurement.

    >>> from diffuse_cli.datasets.gaussians import bimodal
    >>> sides = bimodal(distance=4.0, std=1.0)
    >>> noisy = Measurement("x", np.eye(1), np.array([1.0]), np.array([2.0]))
    >>> round(float(sides.standard.to_data(exact_posterior(sides, noisy).mean)[0]), 3)  # 2, and a little of −2
    1.964
    """
    law = dataset.exact and dataset.exact()
    observed = observe(measurement, dataset.standard)
    if law is not None and law.gaussians is not None and measurement.matrix is not None:
        return _of_gaussians(dataset, law, measurement, observed)
    if law is not None and dataset.dim <= 2:
        certain = measurement.exact and measurement.matrix is not None
        return (_on_line if certain else _on_grid)(dataset, law, measurement, observed)
    return None if measurement.exact or dataset.points is not None else _by_rejection(dataset, measurement, observed)


def exact_posteriors(
    dataset: Dataset, measurement: Measurement, values: Float[np.ndarray, "N m"], draws: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "N draws d"], Float[np.ndarray, "N d"], Float[np.ndarray, " N"]] | None:
    """Draws of the exact posteriors of N values of one measurement, and their means and total variances, model space.

    None where they are not known. Raises DiffuseError like `exact_posterior`.
    """
    law = dataset.exact and dataset.exact()
    if law is not None and law.gaussians is not None and measurement.matrix is not None:
        a, y, noise = _in_numpy(observe(measurement, dataset.standard, values))
        found: Posteriors = posteriors_of(law, a, y, noise)
        return found.draw(rng, draws), found.mean, found.total_variance
    each = [exact_posterior(dataset, measurement._replace(values=y)) for y in values]
    known = [one for one in each if one is not None]
    if len(known) < len(each):
        return None
    points = np.stack([dataset.standard.to_model(one.draw(rng, draws)) for one in known])
    return points, np.stack([one.mean for one in known]), np.array([one.total_variance for one in known])


def free_directions(measurement: Measurement, scale: Float[np.ndarray, " d"]) -> Float[np.ndarray, "k d"]:
    """Orthonormal rows that span, in model space, what is not measured without noise.

    >>> free_directions(Measurement("x", np.array([[1.0, 0.0]]), np.zeros(1)), np.ones(2)).round(6) + 0.0
    array([[0., 1.]])
    """
    if measurement.matrix is None or not measurement.exact:
        return np.eye(len(scale))
    certain = measurement.matrix[measurement.std == 0] * scale
    _, sizes, basis = np.linalg.svd(certain)
    free: np.ndarray = basis[len(sizes) :]
    return np.asarray(free * np.sign(free[np.arange(len(free)), np.abs(free).argmax(axis=1)])[:, None])


def _of_gaussians(dataset: Dataset, law: Law, measurement: Measurement, observed: Observed) -> ExactPosterior:
    a, y, noise = _in_numpy(observed)
    posterior, log_evidence = posterior_of(law, a, y[0], noise)
    if posterior.gaussians is None:
        raise ValueError("the posterior of a mixture is one")
    as_rare = _as_rare(dataset, law, measurement, log_evidence, observed)
    gaussians = posterior.gaussians()
    mean, covariance = moments_of(gaussians)
    free, draw = free_directions(measurement, dataset.standard.scale), draw_of_gaussians(posterior)

    @cache
    def on_grid() -> GridLaw:
        along = exact.gaussians(gaussians.means @ free.T, free @ gaussians.covariances @ free.T, gaussians.weights)
        narrowest = along.gaussians().narrowest if along.gaussians else 0.0
        reach = draw(np.random.default_rng(0), _REACH) @ free.T
        log_p = lambda z: exact.log_prob(along, z, _clean(z))  # noqa: E731
        return grid_law.on_grid(log_p, *grid_law.around(reach, narrowest or None), what="the posterior")

    return ExactPosterior(
        _in_data_units(draw, dataset),
        log_evidence - float(observed.log_unit),
        mean,
        covariance,
        free,
        lambda: posterior,
        on_grid if 0 < len(free) <= 2 else None,
        as_rare,
    )


def _as_rare(dataset: Dataset, law: Law, measurement: Measurement, log_evidence: float, observed: Observed) -> float:
    """The share of measurements of draws of the prior with a p(y) as low.

    Raises DiffuseError where this p(y) is below 1e-30 of that of any of them.
    """
    rng = np.random.default_rng(0)
    values = measurement.drawn(dataset.draw(rng, _TYPICAL), rng)
    a, y, noise = _in_numpy(observe(measurement, dataset.standard, values))
    usual = posteriors_of(law, a, y, noise).log_evidence
    if log_evidence < usual.min() + _IMPOSSIBLE:
        refuse_impossible(log_evidence - float(observed.log_unit), values, measurement)
    return float((usual <= log_evidence).mean())


def _in_numpy(observed: Observed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matrix, y [n, m] and the covariance of the noise of a linear measurement, model space."""
    if observed.matrix is None:
        raise ValueError("a closed form needs a matrix")
    return np.asarray(observed.matrix[0]), np.asarray(observed.y), np.diag(np.asarray(observed.variance[0]))


def refuse_impossible(log_evidence: float, values: Float[np.ndarray, "n m"], measurement: Measurement) -> None:
    """Raise DiffuseError for a measurement that the prior cannot give; values: measurements of draws of it."""
    low, high = values.min(axis=0)[:4], values.max(axis=0)[:4]
    spans = ", ".join(f"{a:.4g} to {b:.4g}" for a, b in zip(low, high, strict=True))
    more = ", …" if values.shape[1] > 4 else ""
    raise DiffuseError(
        f"the data cannot give {measurement.title}: log p(y) = {log_evidence:.4g} nats; points of the data give "
        f"{spans}{more}"
    )


def _on_grid(dataset: Dataset, law: Law, measurement: Measurement, observed: Observed) -> ExactPosterior:
    """The density in each cell of a grid over the prior, times the likelihood."""
    _need_noise(measurement)
    drawn = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), _REACH))
    slope = np.asarray(jax.jit(lambda x: observed.near(x).slope)(drawn[:_TYPICAL]))
    steepest = np.linalg.norm(slope / np.sqrt(observed.variance)[..., None], ord=2, axis=(1, 2)).max()
    grid = _refused_without_mass(
        lambda: grid_law.multiplied(law, observed.log_likelihood, *grid_law.around(drawn, 1 / max(steepest, _FLAT))),
        dataset,
        measurement,
    )
    places = np.stack(np.meshgrid(*grid.axes, indexing="ij"), axis=-1).reshape(-1, dataset.dim)
    masses = grid.masses.reshape(-1)
    mean = masses @ places
    covariance = (masses[:, None] * (places - mean)).T @ (places - mean) + np.diag(grid.widths**2 / 12)
    log_evidence = grid.log_z - float(observed.log_unit)
    free = np.eye(dataset.dim)
    return ExactPosterior(
        _in_data_units(grid.draw, dataset), log_evidence, mean, covariance, free, cache(grid.law), lambda: grid
    )


def _on_line(dataset: Dataset, law: Law, measurement: Measurement, observed: Observed) -> ExactPosterior:
    """The density along the line, or at the point, that measurements without noise leave of a plane or a line."""
    if observed.matrix is None:
        raise ValueError("only a matrix leaves a line")
    certain, standard = measurement.std == 0, dataset.standard
    a, y = observed.matrix[0][certain], observed.y[0][certain]
    point, free = np.linalg.pinv(a) @ y, free_directions(measurement, standard.scale)
    others = observed._replace(
        **{name: getattr(observed, name)[:, ~certain] for name in ("y", "variance", "matrix")}, separated=None
    )

    def log_density(x: Float[Array, "n d"]) -> Float[Array, " n"]:
        return exact.log_prob(law, x, _clean(x)) + others.log_likelihood(x)

    log_size = 0.5 * float(np.linalg.slogdet(a @ a.T)[1])
    usual = -0.5 * float(np.sum(np.log(2 * np.pi * observed.variance[0][~certain]) + 1))  # log density of the noise

    def evidence_of(log_mass: float) -> float:
        log_evidence = log_mass - log_size - float(observed.log_unit)
        if not log_mass - log_size - usual > _IMPOSSIBLE:
            refuse_impossible(log_evidence, _predictive(dataset, measurement), measurement)
        return log_evidence

    if not len(free):
        log_evidence = evidence_of(float(_in_double(log_density, point[None])[0]))
        fixed = standard.to_data(point)
        nothing = np.zeros((dataset.dim, dataset.dim))
        return ExactPosterior(lambda rng, n: np.tile(fixed, (n, 1)), log_evidence, point, nothing, free)
    reach = standard.to_model(dataset.draw(np.random.default_rng(0), _REACH)) @ free.T
    along = lambda z: log_density(point[None] + z @ free)  # noqa: E731
    steepest = np.linalg.norm(observed.matrix[0][~certain] @ free.T / np.sqrt(observed.variance[0][~certain])[:, None])
    cells = grid_law.around(reach, 1 / max(float(steepest), _FLAT))
    on_grid = lambda: grid_law.on_grid(along, *cells, what="the posterior")  # noqa: E731
    grid = _refused_without_mass(on_grid, dataset, measurement)
    log_evidence = evidence_of(grid.log_z)
    places, masses = grid.axes[0], grid.masses
    mean = masses @ places
    variance = masses @ (places - mean) ** 2 + grid.widths[0] ** 2 / 12

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return standard.to_data(point + grid.draw(rng, n) @ free)

    @cache
    def law_in_plane() -> Law:
        parts = grid.law().gaussians
        if parts is None:
            raise DiffuseError("the density along this line has edges, and no noised law here")
        found = parts()
        return exact.gaussians(point + found.means @ free, free.T @ found.covariances @ free, found.weights)

    return ExactPosterior(
        draw, log_evidence, point + mean * free[0], variance * free.T @ free, free, law_in_plane, lambda: grid
    )


def _by_rejection(dataset: Dataset, measurement: Measurement, observed: Observed) -> ExactPosterior:
    """Draws of the prior, each kept with the likelihood of y over the largest one that there can be."""
    _need_noise(measurement)
    standard, likelihood = dataset.standard, jax.jit(observed.log_likelihood)
    most = float(-0.5 * np.log(2 * np.pi * observed.variance).sum())

    def kept(rng: np.random.Generator) -> np.ndarray:
        drawn = dataset.draw(rng, _ROUND)
        return drawn[np.log(rng.random(_ROUND)) < np.asarray(likelihood(standard.to_model(drawn))) - most]

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        parts: list[np.ndarray] = []
        while (count := sum(map(len, parts))) < n:
            parts.append(kept(rng))
            if count < len(parts) * _ROUND * _FEWEST and len(parts) > 8:
                raise DiffuseError(
                    f"{measurement.words}: of {len(parts) * _ROUND:,} draws of the data {count} are as measured, too "
                    "few for the exact posterior; give more --noise"
                )
        return np.concatenate(parts)[:n]

    x = standard.to_model(draw(np.random.default_rng(1), _MOMENTS))
    typical = standard.to_model(dataset.draw(np.random.default_rng(2), _ROUND))
    log_evidence = float(jax.nn.logsumexp(likelihood(typical)) - np.log(_ROUND)) - float(observed.log_unit)
    return ExactPosterior(draw, log_evidence, x.mean(axis=0), np.cov(x.T).reshape(x.shape[1], -1), np.eye(x.shape[1]))


def _need_noise(measurement: Measurement) -> None:
    if measurement.exact:
        raise UsageError(f"{measurement.words} is a function, and needs noise in each value; give --noise")


def _refused_without_mass(make: Callable[[], GridLaw], dataset: Dataset, measurement: Measurement) -> GridLaw:
    try:
        return make()
    except DiffuseError:
        refuse_impossible(-np.inf, _predictive(dataset, measurement), measurement)
        raise


def _predictive(dataset: Dataset, measurement: Measurement) -> np.ndarray:
    rng = np.random.default_rng(0)
    return measurement.drawn(dataset.draw(rng, _REACH), rng)


def moments_of(gaussians: exact.Gaussians) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
    """The mean and the covariance of a mixture."""
    means, covariances, weights, _ = gaussians
    mean = weights @ means
    apart = means - mean
    within = np.einsum("k,kij->ij", weights, np.broadcast_to(covariances, (len(means), *covariances.shape[1:])))
    return mean, within + np.einsum("k,ki,kj->ij", weights, apart, apart)


def _clean(x: Float[Array, "n d"]) -> Level:
    return Level(*(jnp.asarray(field, x.dtype) for field in CLEAN))


def _in_double(function: Callable[[Array], Array], x: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(jax.jit(function)(x))


def _in_data_units(draw: Draw, dataset: Dataset) -> Draw:
    return lambda rng, n: dataset.standard.to_data(draw(rng, n))

"""The observed order of convergence of a sampler: how fast its error against the exact flow falls with its step size.

With the exact denoiser the whole error is that of the solver. Between two noisy levels, where the flow is smooth, a
method of order p with N equal steps in its variable ends at a distance of C N^-p from the end of the flow (Hairer,
Nørsett & Wanner 1993, section II.3). The last step to the clean level, of first order for all samplers, is left out.

All computations are in double precision: in single precision rounding would hide the higher orders.
"""

import typing
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level, Process
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.models import build
from diffuse_cli.models.data import law_of
from diffuse_cli.samplers.base import Adaptive, Sampler, State
from diffuse_cli.samplers.loop import carry

_LAST = 3  # numbers of steps over which the slope is taken
_TIGHT, _LOOSER = Adaptive(1e-12, 20_000), Adaptive(1e-11, 20_000)
_ROUNDING = 1e-12  # of sums over thousands of steps


class Stretch(NamedTuple):
    """The flow between two noisy levels, with some points at its start and their exact ends, model space, float64.

    log_snr: (first, last). start, end: [n, d], at the first and at the last level. accuracy: a bound on the error of
    `end`, the root mean square over points.
    """

    predict: Predict
    process: Process
    log_snr: tuple[float, float]
    start: Array
    end: Array
    accuracy: float

    @property
    def rounding(self) -> float:
        """The least error of a sampler that is not dominated by rounding and by the error of `end`."""
        return max(10 * self.accuracy, _ROUNDING)


class Order(NamedTuple):
    """The order of a sampler in theory, as stated by the sampler, and as observed.

    errors, evals: [k], the root mean square over points of the distance to the exact end, and network evaluations.
    observed: minus the slope of log error over log steps, on the last three numbers of steps with errors above
        rounding; None where there are fewer than two, or any error is not finite.
    passed: whether the two orders agree; None where the errors are too small to decide.
    """

    theory: int
    evals: np.ndarray
    errors: np.ndarray
    observed: float | None
    passed: bool | None


def with_order() -> list[str]:
    """All samplers of the catalogue that state an order; one with an option `order`, once for each of its values."""
    names = []
    for name in catalog.CATALOG["sampler"]:
        known = catalog.options_of(catalog.factory(catalog.parse("sampler", name)))
        if any(option.default is option.empty for option in known.values()):
            continue  # it needs an option without a default; no such sampler is a solver of the flow
        orders = typing.get_args(known["order"].annotation) if "order" in known else ()
        names += [f"{name}:order={order}" for order in orders] or [name]
    return [name for name in names if catalog.build("sampler", name).order is not None]


def build_deterministic(name: str) -> Sampler:
    """The sampler of a choice. Raises UsageError, with the reason, for a sampler without an order of convergence."""
    sampler = catalog.build("sampler", name)
    if isinstance(sampler, Adaptive):
        raise UsageError(f"{name} chooses its own steps, so there is no number of them to set its error against")
    if sampler.order is None:
        raise UsageError(
            f"{name} states no order of convergence: it is random, and ends elsewhere each time; or it is own code, "
            "which states one as Sampler(step, order=2)"
        )
    return sampler


def stretch(predict: Predict, process: Process, x0: np.ndarray, times: tuple[float, float], seed: int) -> Stretch:
    """The flow from t = times[0] down to times[1], of points x0 [n, d] of model space with noise added.

    It is solved by Tsit5 (Tsitouras 2011) at a tolerance of 1e-12, and once more at 1e-11: their distance bounds the
    error of the first. Raises UsageError where a time has no log-SNR, DiffuseError where the solver gives up.
    """
    with jax.enable_x64(True):
        ends = np.asarray(process.schedule(jnp.array(times)), np.float64)
        if not np.isfinite(ends).all():
            values = " and ".join(f"{end:g} at t = {t:g}" for t, end in zip(times, ends, strict=True))
            raise UsageError(f"the log-SNR of this schedule is {values}; a flow needs it finite")
        levels = process.at(jnp.asarray(ends))
        noise = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,))).standard_normal(x0.shape)
        start = jnp.asarray(levels.alpha[0] * x0 + levels.sigma[0] * noise, jnp.float64)
        key = jax.random.key(0)  # of no use to a flow
        end, looser = (
            carry(predict, each, levels, start, key, scaling=process.scaling).x for each in (_TIGHT, _LOOSER)
        )
        if not np.isfinite(end).all():
            raise DiffuseError("the exact flow could not be solved here; choose times closer to each other")
        return Stretch(predict, process, tuple(ends.tolist()), start, end, distance(end, looser))


def exact_stretch(config: Config, times: tuple[float, float], *, points: int) -> Stretch:
    """The Stretch for `points` draws of the dataset of a Config, under the exact denoiser.

    Raises UsageError for a dataset whose law is unknown, and UsageError and DiffuseError like `stretch`.
    """
    dataset = build.build_dataset(config)
    predict = jax.tree_util.Partial(exact.denoiser(law_of(config, dataset)))
    x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(config.seed), points))
    return stretch(predict, build.build_process(config), x0, times, config.seed)


def order(flow: Stretch, sampler: Sampler, steps: Sequence[int]) -> Order:
    """The Order of a sampler that is not random, in each of `steps`, rising numbers of steps."""
    with jax.enable_x64(True):
        grids = [levels_between(flow, sampler, count) for count in steps]
        most = max(steps) + 1
        ends = [
            _end(flow.predict, sampler, _padded(grid, most), count, flow.start)
            for grid, count in zip(grids, steps, strict=True)
        ]
        errors = np.array([distance(end, flow.end) for end in ends])
    observed = slope(np.asarray(steps), errors, flow.rounding)
    passed = None if np.isfinite(errors).all() else False
    if observed is not None:
        passed = abs(observed - sampler.order) <= allowance(sampler.order)
    return Order(sampler.order, np.array([sampler.cost(count) for count in steps]), errors, observed, passed)


def allowance(order: int) -> float:
    """The largest difference of observed and theoretical order that passes; high orders are reached more slowly."""
    return 0.15 if order < 3 else 0.3


def slope(steps: np.ndarray, errors: np.ndarray, rounding: float) -> float | None:
    """Minus the slope of log errors [k] over log steps [k], by least squares over the last three above `rounding`."""
    telling = np.flatnonzero(errors > rounding)[-_LAST:]
    if not np.isfinite(errors).all() or len(telling) < 2:
        return None
    return float(-np.polyfit(np.log(steps[telling]), np.log(errors[telling]), 1)[0])


def levels_between(flow: Stretch, sampler: Sampler, steps: int) -> Level:
    """Levels for this many steps, fields [steps + 1], equal in the solver's own variable.

    The variable is log-SNR, or (sigma / alpha)^(1/7) for samplers whose grid is `karras`.
    """
    first, last = flow.log_snr
    between = flow.process._replace(schedule=lambda t: jnp.where(t == 1, first, last))
    grid = "karras:sigma_max=1e9" if sampler.grid == "karras" else "log_snr:floor=-60"  # as they are, without a cut
    return jax.tree.map(lambda field: field[:-1], catalog.build("grid", grid)(between, steps + 1))


def distance(ends: Array, others: Array) -> float:
    """The root mean square over n points of the distance between ends [n, d] and others [n, d]."""
    gaps = np.asarray(ends, np.float64) - np.asarray(others, np.float64)
    return float(np.sqrt(np.mean(np.sum(gaps**2, axis=1))))


@partial(jax.jit, static_argnames="sampler")
def _end(predict: Predict, sampler: Sampler, levels: Level, steps: Array, x: Array) -> Array:
    """The end of x after the first `steps` of `levels`. Their number is an array, so one program serves all numbers."""

    def step(i: Array, state: State) -> State:
        at = lambda i: jax.tree.map(lambda field: field[i], levels)  # noqa: E731
        return sampler.step(predict, state, at(i), at(i + 1), jax.random.key(0))

    return jax.lax.fori_loop(0, steps, step, sampler.init(x)).x


def _padded(levels: Level, count: int) -> Level:
    return jax.tree.map(lambda field: jnp.pad(field, (0, count - len(field)), mode="edge"), levels)

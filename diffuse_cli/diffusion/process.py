"""Noise levels, and the process that visits them.

The one primitive is the log signal-to-noise ratio, lambda = log(alpha^2 / sigma^2). A schedule maps time t in [0, 1]
(0 = data, 1 = noise) to lambda, strictly decreasing; a scaling turns lambda into (alpha, sigma). Then

    x_t = alpha x_0 + sigma eps,    eps ~ N(0, I).

Arrays of x are [batch, d] in model space, where data have about unit variance. A level's three fields are scalars, or
[batch, 1] in training, or [k] where a whole grid is meant.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

LOWEST_LOG_SNR = (
    -60.0
)  # log-SNR: 1e-13 of signal to one of noise; what is fainter is as good as this, and holds no number
_KNOT_TOLERANCE = 1e-2  # steps: what rounding makes of a level's place in the chain
Scaling = Callable[[Array], tuple[Array, Array]]  # log_snr -> (alpha, sigma)


class Level(NamedTuple):
    """One noise level: x = alpha x0 + sigma eps. The clean level is log_snr = inf, alpha = 1, sigma = 0."""

    log_snr: Array
    alpha: Array
    sigma: Array


CLEAN = Level(np.inf, 1.0, 0.0)  # under every scaling


def variance_preserving(log_snr: Array) -> tuple[Array, Array]:
    """alpha^2 + sigma^2 = 1. Ho et al. 2020; Kingma et al. 2021, section 3.1."""
    return jnp.sqrt(jax.nn.sigmoid(log_snr)), jnp.sqrt(jax.nn.sigmoid(-log_snr))


def variance_exploding(log_snr: Array) -> tuple[Array, Array]:
    """alpha = 1. Song & Ermon 2019; Karras et al. 2022."""
    return jnp.ones_like(log_snr), jnp.exp(-log_snr / 2)


def straight_flow(log_snr: Array) -> tuple[Array, Array]:
    """alpha + sigma = 1, the straight line from noise to data. Lipman et al. 2023."""
    return jax.nn.sigmoid(log_snr / 2), jax.nn.sigmoid(-log_snr / 2)


def sub_variance_preserving(log_snr: Array) -> tuple[Array, Array]:
    """sigma = 1 - alpha^2, less noise than under variance preservation. Song et al. 2021, eq. 14 and appendix B."""
    inverse = jnp.exp(-log_snr / 2)
    alpha = 2 / (inverse + jnp.hypot(inverse, 2.0))
    return alpha, alpha * inverse


class Schedule(NamedTuple):
    """t in [0, 1] -> log_snr, +inf at t = 0 and strictly falling; and the scaling that its authors wrote it in.

    with_curve: of a schedule that is learned, makes the one that follows a given increasing curve from 0 to 1.
    """

    log_snr: Callable[[Array], Array]
    scaling: Scaling = variance_preserving
    with_curve: "Callable[[Callable[[Array], Array]], Schedule] | None" = None

    def __call__(self, t: Array) -> Array:
        return self.log_snr(t)


def preserved(level: Level) -> Level:
    """The level with this log-SNR under variance preservation."""
    return Level(level.log_snr, *variance_preserving(level.log_snr))


def unscaled(log_snr: Array) -> Level:
    """The level with alpha = 1."""
    return Level(log_snr, *variance_exploding(log_snr))


class Process(NamedTuple):
    """A schedule, the length T of the discrete chain at whose knots i/T it is read, and a scaling."""

    schedule: Schedule
    timesteps: int
    scaling: Scaling = variance_preserving

    def level(self, t: Array) -> Level:
        """The noise level at time t, any shape."""
        return self.at(self.schedule(jnp.asarray(t, jnp.result_type(float))))

    def levels_at(self, t: np.ndarray) -> Level:
        """The noise levels at times t, any shape, as numpy's: for what is asked once, outside of compiled code.

        It is one small program, where `level` there would be one for each operation of the schedule.
        """
        return jax.device_get(_level(self, np.asarray(t, jnp.result_type(float))))

    def at(self, log_snr: Array) -> Level:
        """The noise level with this log-SNR, any shape."""
        return Level(log_snr, *self.scaling(log_snr))

    def earlier(self, level: Level) -> Level:
        """The level one step of the discrete chain before this one, t - 1/T; before the first comes the clean one.

        It is found by its log-SNR, so that levels between the knots have one too. Variance preserving.
        """
        knots = jnp.arange(1, self.timesteps + 1)
        place = jnp.interp(-level.log_snr, -self.schedule(knots / self.timesteps), knots.astype(level.log_snr.dtype))
        nearest = jnp.round(place)
        place = jnp.where(jnp.abs(place - nearest) < _KNOT_TOLERANCE, nearest, place)
        log_snr = self.schedule(jnp.maximum(place - 1, 0) / self.timesteps)
        return Level(log_snr, *variance_preserving(log_snr))

    @property
    def finest(self) -> float:
        """The log-SNR at t = 1/T, where training begins: less noise nobody has seen."""
        return float(self.levels_at(1.0 / self.timesteps).log_snr)

    def knots(self) -> Level:
        """The T + 1 levels of the discrete chain, t = 0, 1/T, …, 1; the first is clean."""
        return self.level(jnp.linspace(0.0, 1.0, self.timesteps + 1))


@partial(jax.jit, static_argnames="process")
def _level(process: Process, t: Array) -> Level:
    return process.level(t)


def angle_of(log_snr: np.ndarray) -> np.ndarray:
    """atan(sigma / alpha), from 0 for clean data to π/2 for noise alone; equal parts of it look like equal parts of the
    way. In double precision."""
    with np.errstate(over="ignore"):
        return np.arctan(np.exp(-np.asarray(log_snr, np.float64) / 2))


def log_snr_of(angle: np.ndarray) -> np.ndarray:
    """The log-SNR at which atan(sigma / alpha) is `angle`."""
    with np.errstate(divide="ignore"):
        return -2 * np.log(np.tan(np.asarray(angle, np.float64)))


def prior(key: Array, shape: tuple[int, ...], level: Level) -> Array:
    """Noise to start sampling from at `level`: Gaussian with the variance that unit-variance data have there.

    Under variance preservation this is N(0, I) at every level, as in the articles, also where the schedule ends too
    early for x_T to have forgotten the data.
    """
    return jnp.hypot(level.alpha, level.sigma) * jax.random.normal(key, shape)


def transition(earlier: Level, later: Level) -> tuple[Array, Array]:
    """The forward step q(x_later | x_earlier) = N(scale x_earlier, std^2 I) between two levels, as (scale, std).

    For one step of a beta table this is scale = sqrt(1 - beta), std = sqrt(beta). Ho et al. 2020, eq. 2.
    """
    scale = later.alpha / earlier.alpha
    return scale, later.sigma * jnp.sqrt(-jnp.expm1(later.log_snr - earlier.log_snr))


def add_noise(x0: Array, eps: Array, level: Level) -> Array:
    """x_t given x_0 in one step, eps ~ N(0, I). Ho et al. 2020, eq. 4."""
    return level.alpha * x0 + level.sigma * eps


def forward_chain(key: Array, x0: Array, levels: Level) -> Array:
    """One path of the forward chain through `levels` (fields [k], noisier and noisier, the first one clean).

    Returns [k, batch, d]; the first frame is x0 itself. In law each frame is `add_noise`, but frames belong together.
    """

    def step(x, inputs):
        earlier, later, key = inputs
        scale, std = transition(earlier, later)
        x = scale * x + std * jax.random.normal(key, x.shape)
        return x, x

    steps = len(levels.log_snr) - 1
    pairs = (
        jax.tree.map(lambda a: a[:-1], levels),
        jax.tree.map(lambda a: a[1:], levels),
        jax.random.split(key, steps),
    )
    _, path = jax.lax.scan(step, x0, pairs)
    return jnp.concatenate([x0[None], path])

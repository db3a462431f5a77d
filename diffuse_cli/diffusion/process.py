"""Noise levels, and the process that visits them.

The one primitive is the log signal-to-noise ratio, lambda = log(alpha^2 / sigma^2). A schedule maps time t in [0, 1]
(0 = data, 1 = noise) to lambda, strictly decreasing; a scaling turns lambda into (alpha, sigma). Then

    x_t = alpha x_0 + sigma eps,    eps ~ N(0, I).

Arrays of x are [n, d] in model space, where data have about unit variance. A level's three fields are scalars; or
[n, 1], where every row of x has its own level, as in training; or [k], for a whole grid of levels.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

# The lowest log-SNR used: alpha is 1e-13 of sigma. Less signal makes no difference, and its squares would underflow.
LOWEST_LOG_SNR = -60.0
_KNOT_TOLERANCE = 1e-2  # steps of the chain: a level as near to a knot as this is at the knot, up to rounding

LogSnr = Float[Array | np.ndarray | float, "*level"]
Time = Float[Array | np.ndarray | float, "*time"]
Scaling = Callable[[LogSnr], tuple[Float[Array, "*level"], Float[Array, "*level"]]]  # log_snr -> (alpha, sigma)


class Level(NamedTuple):
    """One noise level: x = alpha x0 + sigma eps. The clean level is log_snr = inf, alpha = 1, sigma = 0.

    Outside of compiled code the fields may also be numpy arrays or plain numbers.
    """

    log_snr: Float[Array, "*level"]
    alpha: Float[Array, "*level"]
    sigma: Float[Array, "*level"]


CLEAN = Level._make((np.inf, 1.0, 0.0))  # in every scaling


def variance_preserving(log_snr: LogSnr) -> tuple[Float[Array, "*level"], Float[Array, "*level"]]:
    """alpha^2 + sigma^2 = 1. Ho et al. 2020; Kingma et al. 2021, section 3.1."""
    return jnp.sqrt(jax.nn.sigmoid(log_snr)), jnp.sqrt(jax.nn.sigmoid(-log_snr))


def variance_exploding(log_snr: LogSnr) -> tuple[Float[Array, "*level"], Float[Array, "*level"]]:
    """alpha = 1. Song & Ermon 2019; Karras et al. 2022."""
    return jnp.ones_like(log_snr), jnp.exp(-log_snr / 2)


def straight_flow(log_snr: LogSnr) -> tuple[Float[Array, "*level"], Float[Array, "*level"]]:
    """alpha + sigma = 1, the straight line from noise to data. Lipman et al. 2023."""
    return jax.nn.sigmoid(log_snr / 2), jax.nn.sigmoid(-log_snr / 2)


def sub_variance_preserving(log_snr: LogSnr) -> tuple[Float[Array, "*level"], Float[Array, "*level"]]:
    """sigma = 1 - alpha^2, less noise than with variance preservation. Song et al. 2021, eq. 14 and appendix B."""
    inverse = jnp.exp(-log_snr / 2)
    alpha = 2 / (inverse + jnp.hypot(inverse, 2.0))
    return alpha, alpha * inverse


class Schedule(NamedTuple):
    """How the noise grows with time.

    log_snr: t in [0, 1], any shape -> log-SNR, +inf at t = 0 and strictly decreasing.
    scaling: the one that the authors of the schedule use.
    with_curve: for a learned schedule, makes the schedule that follows a given increasing curve from [0, 1] to [0, 1];
        None for all others.
    """

    log_snr: Callable[[Time], Float[Array, "*time"]]
    scaling: Scaling = variance_preserving
    with_curve: "Callable[[Callable[[Float[Array, '*time']], Float[Array, '*time']]], Schedule] | None" = None

    def __call__(self, t: Time) -> Float[Array, "*time"]:
        """The log-SNR at time t."""
        return self.log_snr(t)


def preserved(level: Level) -> Level:
    """The variance-preserving level with the same log-SNR."""
    return Level(level.log_snr, *variance_preserving(level.log_snr))


def unscaled(log_snr: LogSnr) -> Level:
    """The level with this log-SNR and alpha = 1."""
    return Level._make((log_snr, *variance_exploding(log_snr)))


class Process(NamedTuple):
    """A forward process: a schedule, the number T of steps of the discrete chain (at times i/T), and a scaling.

    >>> process = Process(Schedule(lambda t: 10 - 20 * t), timesteps=1000)
    >>> level = process.level(0.5)
    >>> [round(float(field), 3) for field in level]
    [0.0, 0.707, 0.707]
    """

    schedule: Schedule
    timesteps: int
    scaling: Scaling = variance_preserving

    def level(self, t: ArrayLike) -> Level:
        """The noise level at time t, any shape."""
        return self.at(self.schedule(jnp.asarray(t, jnp.result_type(float))))

    def levels_at(self, t: ArrayLike | Sequence[float]) -> Level:
        """The noise levels at times t, any shape, as numpy arrays; for calls outside of compiled code.

        This compiles one small program, where `level` would compile one for each operation of the schedule.
        """
        levels: Level = jax.device_get(_level(self, np.asarray(t, jnp.result_type(float))))
        return levels

    def at(self, log_snr: LogSnr) -> Level:
        """The noise level with this log-SNR, any shape."""
        return Level._make((log_snr, *self.scaling(log_snr)))

    def earlier(self, level: Level) -> Level:
        """The level one step of the discrete chain earlier, at t - 1/T; for t up to 1/T, the clean level.

        t is computed from the log-SNR, so the level may lie between two knots. The result is variance preserving.
        """
        knots = jnp.arange(1, self.timesteps + 1)
        place = jnp.interp(-level.log_snr, -self.schedule(knots / self.timesteps), knots.astype(level.log_snr.dtype))
        nearest = jnp.round(place)
        place = jnp.where(jnp.abs(place - nearest) < _KNOT_TOLERANCE, nearest, place)
        log_snr = self.schedule(jnp.maximum(place - 1, 0) / self.timesteps)
        return Level(log_snr, *variance_preserving(log_snr))

    @property
    def finest(self) -> float:
        """The log-SNR at t = 1/T, the highest one that networks are trained at."""
        return float(self.levels_at(1.0 / self.timesteps).log_snr)

    def knots(self) -> Level:
        """The T + 1 levels of the discrete chain, t = 0, 1/T, …, 1, as fields [T + 1]; the first is clean."""
        return self.level(jnp.linspace(0.0, 1.0, self.timesteps + 1))


@partial(jax.jit, static_argnames="process")
def _level(process: Process, t: Float[Array, "*time"]) -> Level:
    return process.level(t)


def angle_of(log_snr: ArrayLike) -> np.ndarray | np.float64:
    """atan(sigma / alpha) in radians, from 0 for clean data to π/2 for pure noise; in double precision.

    Pictures at equal steps of it seem to change equally.
    """
    with np.errstate(over="ignore"):
        return np.arctan(np.exp(-np.asarray(log_snr, np.float64) / 2))


def log_snr_of(angle: ArrayLike) -> np.ndarray | np.float64:
    """The log-SNR at which atan(sigma / alpha) is `angle`."""
    with np.errstate(divide="ignore"):
        return -2 * np.log(np.tan(np.asarray(angle, np.float64)))


def prior(key: PRNGKeyArray, shape: tuple[int, ...], level: Level) -> Float[Array, "..."]:
    """Noise to start sampling from at `level`: Gaussian, with the variance that data of unit variance have there.

    With variance preservation this is N(0, I) at every level, as in the articles; also where the schedule ends so early
    that x_T still depends on the data.
    """
    return jnp.hypot(level.alpha, level.sigma) * jax.random.normal(key, shape)


def transition(earlier: Level, later: Level) -> tuple[Float[Array, "*level"], Float[Array, "*level"]]:
    """The forward step q(x_later | x_earlier) = N(scale x_earlier, std^2 I) between two levels, as (scale, std).

    For one step of a beta table this is scale = sqrt(1 - beta), std = sqrt(beta). Ho et al. 2020, eq. 2.
    """
    scale = later.alpha / earlier.alpha
    return scale, later.sigma * jnp.sqrt(-jnp.expm1(later.log_snr - earlier.log_snr))


def add_noise(x0: Float[Array, "n d"], eps: Float[Array, "n d"], level: Level) -> Float[Array, "n d"]:
    """x_t given x_0 in one step, with eps from N(0, I). Ho et al. 2020, eq. 4."""
    return level.alpha * x0 + level.sigma * eps


def forward_chain(key: PRNGKeyArray, x0: Float[Array, "n d"], levels: Level) -> Float[Array, "k n d"]:
    """Paths of the forward Markov chain through `levels` (fields [k], from clean to noisy), starting from x0.

    The first frame is x0 itself. Each frame has the distribution of `add_noise`, and follows from the frame before it.
    """

    def step(
        x: Float[Array, "n d"], inputs: tuple[Level, Level, PRNGKeyArray]
    ) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
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

"""Flow maps: where the probability flow carries a point from one noise level to another, in one jump.

Time here is that of the straight path x_t = (1 - t) x0 + t eps, t = sigma / (alpha + sigma), so that t = 1 is noise and
0 is clean data, whatever the schedule and the scaling: all of them describe one flow. With the velocity v(x, t) of this
flow, its map and its average velocity are

    X_{t→r}(x) = x + ∫_t^r v(X_{t→s}(x), s) ds = x - (t - r) u(x, t, r),    u(x, t, t) = v(x, t).

Geng et al. 2025 (MeanFlow), eqs. 3 and 4; Boffi et al. 2025, section 2.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from diffuse_cli.diffusion import probability_flow
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level, straight_flow, variance_preserving

TOLERANCE = 1e-8  # of the exact map in double precision
_SINGLE = 1e-6  # the least that single precision allows
_MAX_STEPS = 5000
_WIDTH = 0.1  # of warped_time: about the width of the finest detail of data of unit variance
_TOGETHER = 128  # points that `solve_in_double` solves at once
_LONGEST = math.asinh(1 / _WIDTH)
_NEARLY_CLEAN = 22.0  # log-SNR: sigma is 1.7e-5 of alpha, where the posterior mean is the end of the flow to 1e-8

_X = Float[Array, "n d"]
_Time = Float[Array, "n 1"]
AverageVelocity = Callable[[_X, _Time, _Time], _X]  # (x, t, r) -> u, x on the straight path
Velocity = Callable[[_X, _Time], _X]  # (x, t) -> v, x on the straight path
# (x, now, nxt) -> x at the level nxt, for levels with scalar fields or [n, 1]; nxt has less noise or is clean
Jump = Callable[[_X, Level, Level], _X]


def flow_time(level: Level) -> Float[Array, "*level"]:
    """The time t = sigma / (alpha + sigma) of a level on the straight path: 1 is noise, 0 is clean.

    >>> from diffuse_cli.diffusion.process import CLEAN, unscaled
    >>> float(flow_time(unscaled(jnp.array(0.0)))), float(flow_time(CLEAN))
    (0.5, 0.0)
    """
    return jnp.asarray(level.sigma / (level.alpha + level.sigma))


def flow_level(t: Float[Array, "*level"]) -> Level:
    """The level of the straight path at time t, alpha = 1 - t and sigma = t; of t between 0 and 1, both excluded."""
    log_snr = 2 * (jnp.log1p(-t) - jnp.log(t))
    return Level._make((log_snr, *straight_flow(log_snr)))


def warped_time(t: Float[Array, "*time"]) -> Float[Array, "*time"]:
    """arsinh(t / 0.1), scaled to run from 0 to 1 as t does: a time in which the flow is about as fine everywhere.

    >>> print(warped_time(jnp.array([0.0, 0.1, 1.0])).round(2))
    [0.   0.29 1.  ]
    """
    return jnp.arcsinh(t / _WIDTH) / _LONGEST


def unwarped_time(w: Float[Array, "*time"]) -> Float[Array, "*time"]:
    """The time t whose `warped_time` is w."""
    return jnp.minimum(_WIDTH * jnp.sinh(w * _LONGEST), 1.0)  # which rounding may exceed


def jump_by(velocity: AverageVelocity, x: _X, now: Level, nxt: Level) -> _X:
    """x of the level `now` carried to the level `nxt` by an average velocity, in one evaluation.

    >>> from diffuse_cli.diffusion.process import CLEAN, unscaled
    >>> still = lambda x, t, r: jnp.zeros_like(x)
    >>> float(jump_by(still, jnp.array([[3.0]]), unscaled(jnp.array(0.0)), CLEAN)[0, 0])  # 3 / 2 on the straight path
    1.5
    """
    t, r = (jnp.broadcast_to(flow_time(level), (len(x), 1)).astype(x.dtype) for level in (now, nxt))
    start = x / (now.alpha + now.sigma)
    return (nxt.alpha + nxt.sigma) * (start - (t - r) * velocity(start, t, r))


def clipped_jump(jump: Jump, low: Float[Array | np.ndarray, " d"], high: Float[Array | np.ndarray, " d"]) -> Jump:
    """The Jump whose clean samples are clipped to the box from low to high, as `denoisers.clipped` does for x0."""
    return jax.tree_util.Partial(_jump_within, jump, low, high)


def _jump_within(
    jump: Jump,
    low: Float[Array | np.ndarray, " d"],
    high: Float[Array | np.ndarray, " d"],
    x: _X,
    now: Level,
    nxt: Level,
) -> _X:
    end = jump(x, now, nxt)
    return jnp.where(nxt.sigma == 0, jnp.clip(end, low[None], high[None]), end)


def velocity_of(predict: Predict, first: float = 1e-5, last: float = 1 - 1e-5) -> Velocity:
    """The velocity eps - x0 of a denoiser on the straight path; earlier than `first` and later than `last`, as there.

    Lipman et al. 2023, section 4.1.
    """

    def velocity(x: _X, t: _Time) -> _X:
        p = predict(x, flow_level(jnp.clip(t, first, last)))
        return p.eps - p.x0

    return velocity


def exact_jump(predict: Predict) -> Jump:
    """The Jump of a denoiser's own flow, solved by an adaptive solver for each point: a pytree like `predict`.

    In double precision to 1e-8, in single precision to 1e-6.
    """
    return jax.tree_util.Partial(_solved_jump, predict)


def _solved_jump(predict: Predict, x: _X, now: Level, nxt: Level) -> _X:
    end: Array = solve_map(predict, x, now, nxt)[0]
    return end


@partial(jax.jit, static_argnames="tolerance")
def solve_map(
    predict: Predict, x: _X, now: Level, nxt: Level, *, tolerance: float | None = None
) -> tuple[_X, Bool[Array, " n"]]:
    """X from the level `now` to the level `nxt` along the flow of a denoiser, and whether each point was solved.

    now, nxt: fields that are scalars or [n, 1], so that each point may have its own. nxt may be clean. tolerance: the
    error allowed to one step, absolute and relative; by default 1e-8 in double and 1e-6 in single precision. Rows where
    the solver failed are NaN.

    >>> from diffuse_cli.diffusion import exact
    >>> from diffuse_cli.diffusion.process import CLEAN, unscaled
    >>> normal = jax.tree_util.Partial(exact.denoiser(exact.gaussian(jnp.zeros(1), jnp.eye(1))))
    >>> x, solved = solve_map(normal, jnp.array([[2.0]]), unscaled(jnp.array(0.0)), CLEAN)
    >>> round(float(x[0, 0]), 4), bool(solved[0])  # 2 / sqrt(1 + 1)
    (1.4142, True)
    """
    if tolerance is None:
        tolerance = TOLERANCE if x.dtype == jnp.float64 else _SINGLE
    first, last = (jnp.broadcast_to(level.log_snr, (len(x), 1))[:, 0].astype(x.dtype) for level in (now, nxt))
    times = probability_flow.time_of(jnp.stack([first, jnp.minimum(last, _NEARLY_CLEAN)], axis=1))

    def one(x: Float[Array, " d"], times: Float[Array, "2"]) -> tuple[Float[Array, " d"], Bool[Array, ""]]:
        field = lambda s, x, _: probability_flow.flow_velocity(predict, variance_preserving, s, x)  # noqa: E731
        end, solved, _ = probability_flow.solve_flow(field, times, x, tolerance, max_steps=_MAX_STEPS)
        return jnp.where(solved, end[0], jnp.nan), solved

    ends, solved = jax.vmap(one)(x / jnp.hypot(now.alpha, now.sigma), times)
    log_snr = jnp.minimum(last, _NEARLY_CLEAN)[:, None]
    clean = predict(ends, Level._make((log_snr, *variance_preserving(log_snr)))).x0
    scaled = jnp.hypot(nxt.alpha, nxt.sigma) * ends
    return jnp.where(last[:, None] > _NEARLY_CLEAN, clean, scaled), solved


def solve_in_double(predict: Predict, x: Float[np.ndarray, "n d"], now: Level, nxt: Level) -> Float[np.ndarray, "n d"]:
    """`solve_map` in double precision, to 1e-8; rows where the solver failed are NaN.

    Few points are solved together: more wait for the slowest of them, and leave the cache.

    >>> from diffuse_cli.diffusion import exact
    >>> from diffuse_cli.diffusion.process import CLEAN, unscaled
    >>> normal = jax.tree_util.Partial(exact.denoiser(exact.gaussian(np.zeros(1), np.eye(1))))
    >>> print(solve_in_double(normal, np.array([[2.0]]), unscaled(np.array(0.0)), CLEAN).round(6))  # 2 / sqrt(1 + 1)
    [[1.414214]]
    """
    n = len(x)
    rows = np.resize(np.arange(n), (-(-n // _TOGETHER), _TOGETHER))  # the last part is filled up with the first rows

    def of_rows(level: Level, part: np.ndarray) -> Level:
        fields = (np.asarray(field, np.float64) for field in level)
        return Level(*(jnp.asarray(field[part] if field.ndim else field) for field in fields))

    with jax.enable_x64(True):
        ends = [
            np.asarray(solve_map(predict, jnp.asarray(x[part], jnp.float64), of_rows(now, part), of_rows(nxt, part))[0])
            for part in rows
        ]
    return np.concatenate(ends)[:n]

"""Flows whose maps are known: on Gaussian data, on a mixture of Gaussians on a line, and of any exact denoiser.

On Gaussian data the map scales along each axis. On a line the flow keeps the order of points, so that its map is the
monotone rearrangement F_r^-1(F_t(x)) of one distribution function into another. Both have derivatives in closed form.
Elsewhere the flow is solved by `flow_maps.solve_map`, and the derivatives of its map follow from its definition,

    ∂_r X_{t→r}(x) = v(X_{t→r}(x), r),    ∂_t X_{t→r}(x) = -J v(x, t),    J = ∂_x X_{t→r}(x).

Time, velocities and average velocities are those of `flow_maps`. All is meant for double precision.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, logsumexp
from jaxtyping import Array, Float

from diffuse_cli.config import Config
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.flow_maps import AverageVelocity, Velocity, flow_level, solve_map, velocity_of
from diffuse_cli.models import build
from diffuse_cli.models.data import draw_data, law_of

_X = Float[Array, "n d"]
_Time = Float[Array, "n 1"]
_FAR, _HALVINGS = 16.0, 60  # the mixture's points lie nearer than this, and are found to the last digit
_SHORT = 1e-7  # of t - r: of shorter jumps a difference has no digits left, and the average velocity is the velocity
_TOLERANCE = 1e-9  # of the flow that is solved


class ExactMap(NamedTuple):
    """Data whose flow map is known.

    draw: (random numbers, n) -> points [n, d], model space. velocity: v(x, t). jump: (x, t, r) -> X_{t→r}(x).
    average: u(x, t, r), which can be differentiated. lines: the velocity of the straight lines from each noise z to
    X_{1→0}(z), where it has a closed form. allowed: how large the residual of a
    loss may be, by the error of `average` on short jumps. draws: how many of them a check takes.
    """

    name: str
    draw: Callable[[np.random.Generator, int], np.ndarray]
    velocity: Velocity
    jump: Callable[[_X, _Time, _Time], _X]
    average: AverageVelocity
    lines: Velocity | None = None
    allowed: float = 1e-4
    draws: int = 8192


def gaussian() -> ExactMap:
    """N(m, diag s^2) in the plane: y = x - (1 - t) m is scaled by S_r / S_t, with S_t^2 = (1 - t)^2 s^2 + t^2.

    >>> z = jnp.array([[1.0, -1.0]])
    >>> print(np.asarray(gaussian().jump(z, jnp.ones((1, 1)), jnp.zeros((1, 1)))).round(3))  # m + s z
    [[ 1.1 -1.7]]
    """
    mean, std = np.array([[0.6, -0.4]]), np.array([[0.5, 1.3]])

    def spread(t: _Time) -> _X:
        return jnp.hypot((1 - t) * std, t)

    def jump(x: _X, t: _Time, r: _Time) -> _X:
        return (1 - r) * mean + (x - (1 - t) * mean) * spread(r) / spread(t)

    def average(x: _X, t: _Time, r: _Time) -> _X:
        """(S_t - S_r) / (t - r) without a difference, so that t may be equal to r."""
        slope = (t + r - std**2 * (2 - t - r)) / (spread(t) + spread(r))
        return (x - (1 - t) * mean) * slope / spread(t) - mean

    def lines(x: _X, t: _Time) -> _X:
        z = (x - (1 - t) * mean) / ((1 - t) * std + t)
        return (1 - std) * z - mean

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return mean + std * rng.standard_normal((n, 2))

    return ExactMap("gaussian", draw, lambda x, t: average(x, t, t), jump, average, lines)


def mixture() -> ExactMap:
    """Three Gaussians on a line, whose map F_r^-1(F_t(x)) is far from linear.

    >>> x, t, r = jnp.array([[0.3]]), jnp.full((1, 1), 0.9), jnp.full((1, 1), 0.2)
    >>> back = mixture().jump(mixture().jump(x, t, r), r, t)
    >>> print(np.asarray(back).round(4))
    [[0.3]]
    """
    means, stds, weights = np.array([[-1.2, 0.3, 1.1]]), np.array([[0.35, 0.2, 0.3]]), np.array([[0.4, 0.25, 0.35]])

    def standardised(x: _X, t: _Time) -> tuple[Float[Array, "n k"], Float[Array, "n k"]]:
        spread = jnp.hypot((1 - t) * stds, t)
        return (x - (1 - t) * means) / spread, spread

    def log_odds(x: _X, t: _Time) -> _X:
        """log F - log (1 - F), which has its digits in both tails."""
        z, _ = standardised(x, t)
        below, above = (logsumexp(log_ndtr(sign * z), axis=1, b=weights, keepdims=True) for sign in (1, -1))
        odds: Array = below - above
        return odds

    def velocity(x: _X, t: _Time) -> _X:
        z, spread = standardised(x, t)
        near = jax.nn.softmax(np.log(weights) - z**2 / 2 - jnp.log(spread), axis=1)
        of_each = (t - (1 - t) * stds**2) / spread * z - means
        return jnp.sum(near * of_each, axis=1, keepdims=True)

    @jax.jit
    def jump(x: _X, t: _Time, r: _Time) -> _X:
        odds = log_odds(x, t)

        def halve(_: int, ends: tuple[_X, _X]) -> tuple[_X, _X]:
            middle = (ends[0] + ends[1]) / 2
            low = log_odds(middle, r) < odds
            return jnp.where(low, middle, ends[0]), jnp.where(low, ends[1], middle)

        far = jnp.full_like(x, _FAR)
        end = jax.lax.stop_gradient(jax.lax.fori_loop(0, _HALVINGS, halve, (-far, far))[0])
        slope = jax.lax.stop_gradient(jax.jvp(lambda y: log_odds(y, r), (end,), (jnp.ones_like(end),))[1])
        return end - (log_odds(end, r) - odds) / slope  # Newton's step carries the derivatives

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        part = rng.choice(weights.shape[1], n, p=weights[0])
        return (means[0, part] + stds[0, part] * rng.standard_normal(n))[:, None]

    return ExactMap("mixture", draw, velocity, jump, _average_of(velocity, jump))


def of_dataset(config: Config) -> ExactMap:
    """The map of the dataset of a Config; of a user's file that of the mixture on its training points.

    Raises UsageError for a dataset whose law is unknown.
    """
    dataset = build.build_dataset(config)
    predict = jax.tree_util.Partial(exact.denoiser(law_of(config, dataset)))

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        if dataset.points is None:
            return np.asarray(dataset.standard.to_model(dataset.draw(rng, n)), np.float64)
        return np.asarray(rng.choice(draw_data(config, dataset).train, n), np.float64)

    return of_denoiser(build.title_of_data(config.dataset), predict, draw)


def of_denoiser(name: str, predict: Predict, draw: Callable[[np.random.Generator, int], np.ndarray]) -> ExactMap:
    """The map of an exact denoiser, a pytree, solved to 1e-9. A point at which the solver fails is NaN."""
    velocity = velocity_of(predict)

    @jax.custom_jvp
    def jump(x: _X, t: _Time, r: _Time) -> _X:
        end: Array = _solved(predict, x, t, r)
        return end

    @jump.defjvp
    def _derivative(at: tuple[_X, _Time, _Time], along: tuple[_X, _Time, _Time]) -> tuple[_X, _X]:
        (x, t, r), (dx, dt, dr) = at, along
        end, moved = _pushed(predict, x, t, r, dx - dt * velocity(x, t))
        return end, moved + dr * velocity(end, r)

    return ExactMap(name, draw, velocity, jump, _average_of(velocity, jump), allowed=1e-3, draws=512)


@jax.jit
def _solved(predict: Predict, x: _X, t: _Time, r: _Time) -> _X:
    return solve_map(predict, x, flow_level(t), flow_level(r), tolerance=_TOLERANCE)[0]


@jax.jit
def _pushed(predict: Predict, x: _X, t: _Time, r: _Time, along: _X) -> tuple[_X, _X]:
    """X and J along a vector."""
    return jax.jvp(lambda x: _solved(predict, x, t, r), (x,), (along,))


def _average_of(velocity: Velocity, jump: Callable[[_X, _Time, _Time], _X]) -> AverageVelocity:
    def average(x: _X, t: _Time, r: _Time) -> _X:
        short = t - r < _SHORT
        return jnp.where(short, velocity(x, t), (x - jump(x, t, r)) / jnp.where(short, 1.0, t - r))

    return average

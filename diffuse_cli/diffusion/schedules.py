"""The beta tables of the literature, and the one adaptor that makes a continuous schedule of any of them.

A factory takes the number of timesteps T and returns a Schedule. Where `start` and `end` are not given they are DDPM's
1e-4 and 0.02 scaled by 1000/T, so that a chain of about fifty steps or more ends in the same noise whatever its length;
given, they are taken as given.
"""

from typing import Annotated

import jax.numpy as jnp
import numpy as np
from jax import Array
from msgspec import Meta

from diffuse_cli.diffusion.process import Schedule
from diffuse_cli.errors import UsageError

Beta = Annotated[float, Meta(gt=0, lt=1)]
_MAX_BETA = 0.999  # a beta of 1 would be a level with no signal at all: log-SNR -inf


def from_betas(betas: np.ndarray) -> Schedule:
    """The schedule whose discrete chain has these betas [T], each in (0, 1).

    At the knots i/T, alpha_bar is the cumulative product of 1 - beta (Ho et al. 2020, eq. 4). Between them
    log alpha_bar is linear in t, which makes beta(t) of the continuous process constant on each interval
    (Song et al. 2021, eq. 11).
    """
    log_alpha_bar = np.concatenate([[0.0], np.cumsum(np.log1p(-np.asarray(betas, np.float64)))])
    timesteps = len(betas)

    def schedule(t: Array) -> Array:
        table = jnp.asarray(log_alpha_bar)
        place = t * timesteps
        knot = jnp.clip(jnp.floor(place).astype(int), 0, timesteps - 1)
        value = table[knot] + (place - knot) * (table[knot + 1] - table[knot])
        return value - jnp.log(-jnp.expm1(value))

    return schedule


def linear(timesteps: int, *, start: Beta | None = None, end: Beta | None = None) -> Schedule:
    """beta from `start` to `end` in equal steps. Ho et al. 2020, section 4."""
    return from_betas(np.linspace(*_span(timesteps, start, end), timesteps))


def quadratic(timesteps: int, *, start: Beta | None = None, end: Beta | None = None) -> Schedule:
    """sqrt(beta) from sqrt(start) to sqrt(end) in equal steps."""
    low, high = _span(timesteps, start, end)
    return from_betas(np.linspace(low**0.5, high**0.5, timesteps) ** 2)


def sigmoid(timesteps: int, *, start: Beta | None = None, end: Beta | None = None) -> Schedule:
    """beta from about `start` to about `end` along a logistic curve on [-6, 6]."""
    low, high = _span(timesteps, start, end)
    return from_betas(low + (high - low) / (1 + np.exp(-np.linspace(-6, 6, timesteps))))


def tanh(timesteps: int, *, start: Beta | None = None, end: Beta | None = None) -> Schedule:
    """beta from `start` to `end` along tanh on [0, 3]: it rises early and levels off.

    The positive half only: on a symmetric interval tanh is the logistic curve again, (1 + tanh x) / 2 = sigmoid(2x).
    """
    low, high = _span(timesteps, start, end)
    return from_betas(low + (high - low) * np.tanh(np.linspace(0, 3, timesteps)) / np.tanh(3))


def constant(timesteps: int, *, beta: Beta | None = None) -> Schedule:
    """The same beta at every step. By default the one that ends at alpha_bar = exp(-10), about 4.5e-5 like `linear`."""
    return from_betas(np.full(timesteps, -np.expm1(-10 / timesteps) if beta is None else beta))


def cosine(timesteps: int, *, s: Annotated[float, Meta(ge=0, lt=1)] = 0.008) -> Schedule:
    """alpha_bar(t) = f(t) / f(0), f(t) = cos^2(pi/2 (t + s) / (1 + s)), beta at most 0.999.

    Nichol & Dhariwal 2021, eq. 17.
    """
    t = np.linspace(0, 1, timesteps + 1)
    f = np.cos(np.pi / 2 * (t + s) / (1 + s)) ** 2
    return from_betas(np.clip(1 - f[1:] / f[:-1], 1e-12, _MAX_BETA))


def _span(timesteps: int, start: float | None, end: float | None) -> tuple[float, float]:
    scale = 1000 / timesteps
    low = min(1e-4 * scale, _MAX_BETA) if start is None else start
    high = min(0.02 * scale, _MAX_BETA) if end is None else end
    if low > high:
        raise UsageError(f"a schedule's beta grows: start={low:g} must not be above end={high:g}")
    return low, high

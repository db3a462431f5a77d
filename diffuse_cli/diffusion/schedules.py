"""Noise schedules: the beta tables of the literature, made continuous by one function, and schedules without a table.

A factory takes the number T of steps of the discrete chain and returns a Schedule. By default `start` and `end` are
DDPM's 1e-4 and 0.02 times 1000/T, so that all chains of about fifty steps or more end at the same noise level.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from msgspec import Meta

from diffuse_cli.diffusion.process import Schedule, Time, straight_flow, sub_variance_preserving, variance_exploding
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.files import decode

_Beta = Annotated[float, Meta(gt=0, lt=1)]
_Sigma = Annotated[float, Meta(gt=0, le=1e6)]
_LogSnr = Annotated[float, Meta(ge=-30, le=30)]
_NO_SIGNAL = -30.0  # log-SNR at t = 1 of a schedule with zero terminal SNR, whose own is -inf
_MAX_BETA = 0.999  # with a beta of 1 no signal would be left, log-SNR -inf


def from_betas(betas: np.ndarray) -> Schedule:
    """The schedule whose discrete chain has these betas [T], each in (0, 1).

    At the knots i/T, alpha_bar is the cumulative product of 1 - beta (Ho et al. 2020, eq. 4). Between them
    log alpha_bar is linear in t, which makes beta(t) of the continuous process constant on each interval
    (Song et al. 2021, eq. 11).

    >>> schedule = from_betas(np.array([0.5, 0.5]))  # alpha_bar is 1, 0.5, 0.25
    >>> round(float(schedule(jnp.array(0.5))), 2)
    0.0
    """
    log_alpha_bar = np.concatenate([[0.0], np.cumsum(np.log1p(-np.asarray(betas, np.float64)))])
    timesteps = len(betas)

    def schedule(t: Time) -> Float[Array, "*time"]:
        # the precision is named, because jax remembers for an array of numpy's the one that it first had
        table = jnp.asarray(log_alpha_bar, jnp.result_type(float))
        place = t * timesteps
        knot = jnp.clip(jnp.floor(place).astype(int), 0, timesteps - 1)
        value = table[knot] + (place - knot) * (table[knot + 1] - table[knot])
        return value - jnp.log(-jnp.expm1(value))

    return Schedule(schedule)


def linear(timesteps: int, *, start: _Beta | None = None, end: _Beta | None = None) -> Schedule:
    """beta from `start` to `end` in equal steps. Ho et al. 2020, section 4. Raises UsageError where beta decreases.

    >>> round(float(linear(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    -2.46
    """
    return from_betas(np.linspace(*_span(timesteps, start, end), timesteps))


def quadratic_betas(timesteps: int, *, start: _Beta | None = None, end: _Beta | None = None) -> Schedule:
    """sqrt(beta) from sqrt(start) to sqrt(end) in equal steps. Raises UsageError where beta decreases.

    >>> round(float(quadratic_betas(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    -0.69
    """
    low, high = _span(timesteps, start, end)
    return from_betas(np.linspace(low**0.5, high**0.5, timesteps) ** 2)


def sigmoid(timesteps: int, *, start: _Beta | None = None, end: _Beta | None = None) -> Schedule:
    """beta from about `start` to about `end` along a logistic curve on [-6, 6]. Raises UsageError where beta decreases.

    >>> round(float(sigmoid(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    -0.84
    """
    low, high = _span(timesteps, start, end)
    return from_betas(low + (high - low) / (1 + np.exp(-np.linspace(-6, 6, timesteps))))


def tanh(timesteps: int, *, start: _Beta | None = None, end: _Beta | None = None) -> Schedule:
    """beta from `start` to `end` along tanh on [0, 3]: it rises early and levels off.

    Only the positive half of tanh: on a symmetric interval it is the logistic curve, (1 + tanh x) / 2 = sigmoid(2x).
    Raises UsageError where beta decreases.

    >>> round(float(tanh(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    -5.78
    """
    low, high = _span(timesteps, start, end)
    return from_betas(low + (high - low) * np.tanh(np.linspace(0, 3, timesteps)) / np.tanh(3))


def constant(timesteps: int, *, beta: _Beta | None = None) -> Schedule:
    """The same beta at every step. By default alpha_bar ends at exp(-10), about 4.5e-5, as for `linear`.

    >>> round(float(constant(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    -4.99
    """
    return from_betas(np.full(timesteps, -np.expm1(-10 / timesteps) if beta is None else beta))


def cosine(timesteps: int, *, s: Annotated[float, Meta(ge=0, lt=1)] = 0.008) -> Schedule:
    """alpha_bar(t) = f(t) / f(0), f(t) = cos^2(pi/2 (t + s) / (1 + s)), beta at most 0.999.

    Nichol & Dhariwal 2021, eq. 17.

    >>> round(float(cosine(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    -0.02
    """
    t = np.linspace(0, 1, timesteps + 1)
    f = np.cos(np.pi / 2 * (t + s) / (1 + s)) ** 2
    return from_betas(np.clip(1 - f[1:] / f[:-1], 1e-12, _MAX_BETA))


def table(timesteps: int, *, betas: str | None = None, path: str | None = None) -> Schedule:
    """Given betas, one for each timestep: `table:path=betas.csv` or `table:0.01,0.02,0.05`.

    Raises UsageError where they are not T numbers between 0 and 1, DiffuseError where the file cannot be read.

    >>> round(float(table(2, betas="0.5,0.5")(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    0.0
    """
    if betas is not None and path is None:
        values = _numbers(betas.split(","), "table")
    elif path is not None and betas is None:
        values = read_betas(path)
    else:
        raise UsageError(
            "the schedule table needs its betas, in a file or in a list: table:path=betas.csv, or table:0.01,0.02,…"
        )
    if len(values) != timesteps:
        raise UsageError(f"the table has {len(values)} betas, so it needs --timesteps {len(values)}, not {timesteps}")
    return from_betas(values)


def read_betas(path: str) -> np.ndarray:
    """The betas [T] in a text file, separated by spaces, commas, semicolons or line ends.

    Raises DiffuseError where the file cannot be read, UsageError where it holds anything but numbers between 0 and 1.
    """
    try:
        text = decode(Path(path).read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise DiffuseError(f"cannot read betas from {path}: {getattr(error, 'strerror', 'not a text file')}") from error
    return _numbers(re.sub("[,;]", " ", text).split(), path)


def _numbers(words: list[str], source: str) -> np.ndarray:
    try:
        values = np.array([float(word) for word in words])
    except ValueError as error:
        raise UsageError(f"{source}: betas are numbers: {error}") from error
    if not len(values) or not ((values > 0) & (values < 1)).all():
        raise UsageError(f"{source}: every beta must lie between 0 and 1, and there must be at least one")
    return values


def sub_vp(timesteps: int, *, start: _Beta | None = None, end: _Beta | None = None) -> Schedule:
    """The betas of `linear` with sigma = 1 - alpha_bar: less noise at every t. Song et al. 2021, eq. 14.

    Raises UsageError where beta decreases.

    >>> round(float(sub_vp(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    -2.38
    """
    preserving = linear(timesteps, start=start, end=end)

    def log_snr(t: Time) -> Float[Array, "*time"]:
        linear_log_snr = preserving(t)
        return jax.nn.log_sigmoid(linear_log_snr) - 2 * jax.nn.log_sigmoid(-linear_log_snr)

    return Schedule(log_snr, sub_variance_preserving)


def edm(
    timesteps: int, *, sigma_min: _Sigma = 0.002, sigma_max: _Sigma = 80.0, rho: Annotated[float, Meta(ge=1)] = 7.0
) -> Schedule:
    """sigma^(1/rho) grows linearly in t, alpha is 1. Karras et al. 2022, eq. 5 and table 1.

    Raises UsageError where sigma_min is not below sigma_max.

    >>> round(float(edm(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    -1.84
    """
    _check_sigmas(sigma_min, sigma_max)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return Schedule(_from_clean(lambda t: -2 * rho * jnp.log(low + t * (high - low))), variance_exploding)


def log_linear(timesteps: int, *, sigma_min: _Sigma = 0.01, sigma_max: _Sigma = 50.0) -> Schedule:
    """log sigma grows linearly in t, alpha is 1: the variance-exploding SDE. Song et al. 2021, appendix C.

    Raises UsageError where sigma_min is not below sigma_max.

    >>> round(float(log_linear(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    0.69
    """
    _check_sigmas(sigma_min, sigma_max)
    low, high = np.log(sigma_min), np.log(sigma_max)
    return Schedule(_from_clean(lambda t: -2 * (low + t * (high - low))), variance_exploding)


def flow(timesteps: int, *, end: Annotated[float, Meta(gt=0, lt=1)] = 0.9999) -> Schedule:
    """The straight path x = (1 - t) x0 + t eps, t up to `end`. Lipman et al. 2023, section 4.1; Liu et al. 2023.

    Departure: with `end` = 1 no signal would be left at t = 1, log-SNR -inf.

    >>> round(float(flow(1000)(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    0.0
    """
    return Schedule(lambda t: 2 * (jnp.log1p(-end * t) - jnp.log(end * t)), straight_flow)


def learned(timesteps: int, *, first: _LogSnr = 10.0, last: _LogSnr = -10.0) -> Schedule:
    """log-SNR from `first` at t = 1/T to `last` at t = 1 along a trained curve. Kingma et al. 2021, section 3.2.

    Before training the curve is a straight line. Departure: the two ends are fixed. Raises UsageError where `first` is
    not above `last`.

    >>> schedule = learned(1000).with_curve(lambda share: share**2)
    >>> round(float(schedule(jnp.array(0.5))), 2)  # log-SNR at t = 0.5
    5.01
    """
    if first <= last:
        raise UsageError(f"a schedule's log-SNR falls: first={first:g} must be above last={last:g}")
    clearest = -np.log1p(np.exp(-first))  # log alpha_bar at t = 1/T

    def with_curve(curve: Callable[[Float[Array, "*time"]], Float[Array, "*time"]]) -> Schedule:
        def log_snr(t: Time) -> Float[Array, "*time"]:
            share = curve(jnp.maximum(t * timesteps - 1, 0) / max(timesteps - 1, 1))
            early = jnp.minimum(t * timesteps, 1) * clearest  # linear before the first knot, as in a table of betas
            return jnp.where(t * timesteps < 1, early - jnp.log(-jnp.expm1(early)), first + (last - first) * share)

        return Schedule(log_snr, with_curve=with_curve)

    return with_curve(lambda share: share)


def with_zero_terminal_snr(schedule: Schedule) -> Schedule:
    """The schedule with alpha shifted and scaled so that no signal is left at t = 1. Lin et al. 2024, algorithm 1.

    Departures: the clean end stays as it is, for the first step of the chain; and the last log-SNR is -30, where alpha
    is 3e-7 of sigma, instead of -inf.

    >>> round(float(with_zero_terminal_snr(linear(1000))(jnp.array(1.0))), 2)  # log-SNR at t = 1
    -30.0
    """

    def lost(t: Time) -> Float[Array, "*time"]:
        return -jnp.expm1(jax.nn.log_sigmoid(schedule(t)) / 2)  # 1 - alpha

    def log_snr(t: Time) -> Float[Array, "*time"]:
        share = lost(t) / lost(jnp.ones_like(t))
        left = jnp.maximum(1 - share, np.exp(_NO_SIGNAL / 2))
        return 2 * jnp.log(left) - jnp.log(share) - jnp.log1p(left)

    return Schedule(log_snr, schedule.scaling)


def _from_clean(
    log_snr: Callable[[Time], Float[Array, "*time"]],
) -> Callable[[Time], Float[Array, "*time"]]:
    """The same function of time, with the clean level at t = 0."""
    return lambda t: jnp.where(t > 0, log_snr(t), jnp.inf)


def _check_sigmas(low: float, high: float) -> None:
    if low >= high:
        raise UsageError(f"a schedule's noise grows: sigma_min={low:g} must be below sigma_max={high:g}")


def _span(timesteps: int, start: float | None, end: float | None) -> tuple[float, float]:
    scale = 1000 / timesteps
    low = min(1e-4 * scale, _MAX_BETA) if start is None else start
    high = min(0.02 * scale, _MAX_BETA) if end is None else end
    if low > high:
        raise UsageError(f"a schedule's beta grows: start={low:g} must not be above end={high:g}")
    return low, high

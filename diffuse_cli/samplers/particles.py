"""A sampler of particles with weights: a reverse SDE, and resampling within populations.

A denoiser with a `log_weight` is, at each noise level, the score of a law π that no process with this score carries
from one level to the next; particles with these weights do (Skreta et al. 2025). Populations of P particles that are
resampled where their effective size falls below a share of P draw from this law with an error that falls as P^(−1/2).
The mean of the weights estimates Z, the mass of the unnormalised law without noise, for instance ∫ p(x | c)^w p(x)^(1 −
w) dx, and its mean over independent populations is Z for any P, up to the error of the steps.

With alpha = 1, score s and log-SNR λ, all processes with drift (1 + noise) / 2 · σ² s and the variance noise · σ² per
unit of λ need the same weights: the flow is noise = 0, the reverse SDE noise = 1. More noise lets particles that lie
wrong move to where π is, so that fewer of them have to be replaced. Steps are of second order in the drift, as those
of `dpmpp_2m_sde`, and the log-weights are integrated by the trapezoidal rule.

At the noisiest level π is taken to be N(0, (alpha² + sigma²) I). Its distance KL(π ‖ N) is about ½ SNR |m|², where m is
the mean of the law without noise and SNR = alpha² / sigma²: below 1e-3 nats at a log-SNR of −10 for |m| up to 6.
"""

from functools import cache
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.samplers.base import Particles, Sampler, State, standard_normal, without_scale


class Weights(NamedTuple):
    """What is known of n particles in k populations; the memory of the sampler `particles`.

    log_weight: [n], since the last resampling. growth: [n], of log_weight per unit of log-SNR at the last level.
    parent: [n], the row before the last step. root: [n], the row at the start. log_z: [k], the log of the mean weight
    up to the last resampling. least: [k], the least effective share so far. last: [k], that of the last step.
    log_snr: of the last level; infinite before the first step.
    """

    log_weight: Float[Array, " n"]
    growth: Float[Array, " n"]
    parent: Int[Array, " n"]
    root: Int[Array, " n"]
    log_z: Float[Array, " k"]
    least: Float[Array, " k"]
    last: Float[Array, " k"]
    log_snr: Float[Array, ""]


class Diagnosis(NamedTuple):
    """How the populations have fared, [k] each, as numpy arrays.

    size: the number of particles. least, last: the effective share (Σ w)² / (P Σ w²), the least on the way and that of
    the final weights. ancestors: how many particles of the start have descendants among the samples. log_z: the log
    of the estimate of Z.
    """

    size: np.ndarray
    least: np.ndarray
    last: np.ndarray
    ancestors: np.ndarray
    log_z: np.ndarray


class _Layout(NamedTuple):
    """n particles in k populations of almost equal size, as a table [k, widest] with empty places at the end of rows.

    row: [k, widest], the particle in each place (0 in an empty one). filled: [k, widest]. size: [k]. place: [n], where
    each particle lies in the flat table.
    """

    row: Int[np.ndarray, "k widest"]
    filled: Bool[np.ndarray, "k widest"]
    size: Int[np.ndarray, " k"]
    place: Int[np.ndarray, " n"]


def particles(
    *,
    size: Annotated[int, Meta(ge=2, le=1_000_000)] = 1000,
    noise: Annotated[float, Meta(gt=0, le=100)] = 4.0,
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5,
) -> Sampler:
    """Particles with weights that are resampled within populations, for guidance with weights.

    size: the least number of particles in a population; where there are fewer samples, they are one. Samples of one
    population depend on each other; the more there are, the nearer they are to the law. noise: in units of the reverse
    SDE, for which it is 1. threshold: a population is resampled where its effective share is below it. A denoiser
    without weights is sampled too, at noise=1 as by `dpmpp_2m_sde`. With w up to 2 take 200 steps, with 4 take 400.

    >>> particles(size=100).weighted, particles().cost(10)
    (True, 10)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        p = predict(state.x, now)
        to_resample, to_move = jax.random.split(key)
        before = state.memory.log_snr
        weights = resampled(grown(state.memory, p, now), threshold, to_resample)
        x0, eps, earlier = (part[weights.parent] for part in (p.x0, p.eps, state.x0))
        h = nxt.log_snr - now.log_snr
        share = jnp.where(jnp.isfinite(before), h / (2 * (now.log_snr - before)), 0.0)  # 0 in the first step
        middle = x0 + share * (x0 - earlier)
        mean = middle + jnp.exp(-(1 + noise) / 2 * h) * (now.sigma * eps + x0 - middle)
        std = nxt.sigma * jnp.sqrt(-jnp.expm1(-noise * h))
        return State(mean + std * standard_normal(to_move, mean), x0, weights)

    def finish(p: Prediction, state: State, level: Level, key: PRNGKeyArray) -> State:
        weights = resampled(grown(state.memory, p, level), 1.0, key)
        return State(state.x[weights.parent], p.x0[weights.parent], weights)

    return Sampler(
        without_scale(step),
        init=lambda x: State(x, jnp.zeros_like(x), start(len(x), size, x.dtype)),
        grid="log_snr",
        particles=Particles(finish, lambda state: state.memory.parent),
    )


def diagnose(weights: Weights) -> Diagnosis:
    """The Diagnosis of the memory that the loop returns after the last resampling."""
    root, log_z, least, last = map(np.asarray, weights[3:7])
    layout = _layout_of(len(root), len(log_z))
    rows = [np.unique(root[row[filled]]) for row, filled in zip(layout.row, layout.filled, strict=True)]
    left = np.asarray(weights.log_weight)[layout.row[:, 0]]  # of populations whose weights are equal, and were kept
    return Diagnosis(layout.size, least, last, np.array([len(row) for row in rows]), log_z + left)


def start(n: int, size: int, dtype: jnp.dtype) -> Weights:
    """Equal weights of n particles, in as many populations of `size` or more as there are."""
    none, rows = jnp.zeros(n, dtype), jnp.arange(n, dtype=jnp.int32)
    each = jnp.ones(max(n // size, 1), dtype)
    return Weights(none, none, rows, rows, jnp.zeros_like(each), each, each, jnp.asarray(jnp.inf, dtype))


def grown(weights: Weights, p: Prediction, level: Level) -> Weights:
    """The weights at the next level, where the particles have this prediction; by the trapezoidal rule."""
    growth = jnp.zeros_like(weights.growth) if p.log_weight is None else p.log_weight
    h = jnp.where(jnp.isfinite(weights.log_snr), level.log_snr - weights.log_snr, 0.0)
    log_weight = weights.log_weight + h * (weights.growth + growth) / 2
    return weights._replace(log_weight=log_weight, growth=growth, log_snr=level.log_snr)


def resampled(weights: Weights, threshold: float, key: PRNGKeyArray) -> Weights:
    """The weights after resampling the populations whose effective share is below the threshold.

    Rows of other arrays have to follow: they become those of `parent`.
    """
    layout = _layout_of(len(weights.root), len(weights.log_z))
    table = jnp.where(layout.filled, weights.log_weight[layout.row], -jnp.inf)
    highest = jnp.max(table, axis=1, keepdims=True)
    weight = jnp.exp(table - highest)
    total = jnp.sum(weight, axis=1)
    share = total**2 / (layout.size * jnp.sum(weight**2, axis=1))
    uneven = jnp.any(layout.filled & (table < highest), axis=1)
    chosen = (share < threshold) & uneven
    parent = jnp.where(chosen[:, None], _systematic(weight, layout, key), layout.row).reshape(-1)[layout.place]
    mean = highest[:, 0] + jnp.log(total / layout.size)
    return weights._replace(
        log_weight=jnp.where(chosen[:, None], 0.0, table).reshape(-1)[layout.place],
        growth=weights.growth[parent],
        parent=parent,
        root=weights.root[parent],
        log_z=weights.log_z + jnp.where(chosen, mean, 0.0),
        least=jnp.minimum(weights.least, share),
        last=share,
    )


def _systematic(weight: Float[Array, "k widest"], layout: _Layout, key: PRNGKeyArray) -> Int[Array, "k widest"]:
    """Rows drawn by systematic resampling (Douc, Cappé & Moulines 2005, section 2.4), in the shape of the table.

    The places of P particles in the cumulated weights are (i + u) / P, with one u for each population: a particle with
    the share w of all weight gets P w descendants, rounded up or down.
    """
    widest = weight.shape[1]
    below = jnp.cumsum(weight, axis=1)
    u = jax.random.uniform(key, (len(weight), 1), weight.dtype)
    wanted = (jnp.arange(widest)[None] + u) / layout.size[:, None] * below[:, -1:]
    found = jax.vmap(lambda below, wanted: jnp.searchsorted(below, wanted, side="right"))(below, wanted)
    return jnp.asarray(layout.row[:, :1]) + jnp.minimum(found, layout.size[:, None] - 1).astype(jnp.int32)


@cache
def _layout_of(n: int, k: int) -> _Layout:
    size = np.full(k, n // k) + (np.arange(k) < n % k)
    first, widest = np.cumsum(size) - size, int(size.max())
    filled = np.arange(widest) < size[:, None]
    row = np.where(filled, first[:, None] + np.arange(widest), 0).astype(np.int32)
    return _Layout(row, filled, size, np.flatnonzero(filled))

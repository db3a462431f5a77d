"""A sampler of particles with weights: the reverse SDE, and resampling within populations.

A denoiser with a `log_weight` is the score of a law π_t at each noise level that the reverse SDE does not carry from
one level to the next; particles with these weights do (Skreta et al. 2025). A population of P particles that is
resampled whenever its effective size falls below P/2 draws from the law with an error that falls as P^(−1/2). The
mean of the weights estimates Z, the mass of π_0 relative to that of π_1, without bias for any P, up to the error of the
steps; so do independent populations, and their spread shows how sure the estimate is.

At the noisiest level π_1 is taken to be N(0, (alpha² + sigma²) I). With SNR = alpha² / sigma² there, KL(π_1 ‖ N) is
about ½ SNR |mean of the data under π|², below 1e-3 for a log-SNR of −10 and means up to 6 standard deviations.
"""

from functools import cache
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level
from diffuse_cli.samplers.base import Particles, Sampler, State, standard_normal, without_scale


class Weights(NamedTuple):
    """What is known of n particles in k populations; the memory of the sampler `particles`.

    log_weight: [n], since the last resampling. parent: [n], the row before the last step. root: [n], the row at the
    start. log_z: [k], the log of the mean weight up to the last resampling. least: [k], the least effective share so
    far. last: [k], the effective share before the last resampling; that of the last step until the end.
    """

    log_weight: Float[Array, " n"]
    parent: Int[Array, " n"]
    root: Int[Array, " n"]
    log_z: Float[Array, " k"]
    least: Float[Array, " k"]
    last: Float[Array, " k"]


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
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5,
) -> Sampler:
    """Ancestral steps of weighted particles that are resampled within populations, for guidance with weights.

    size: the least number of particles in a population; all samples form one if they are fewer. Samples of one
    population depend on each other, and more of them are nearer to the law. threshold: resample where the effective
    share of a population is below it. A denoiser without weights is sampled as by `ddpm`.

    >>> particles(size=100).weighted, particles().cost(10)
    (True, 10)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        p = predict(state.x, now)
        to_resample, to_move = jax.random.split(key)
        growth = jnp.zeros_like(state.memory.log_weight) if p.log_weight is None else p.log_weight
        # e^h − 1 in place of h, the length of the step in log-SNR: this is the ratio of the normal laws of the steps
        grown = state.memory.log_weight + jnp.expm1(nxt.log_snr - now.log_snr) * growth
        weights = resampled(state.memory._replace(log_weight=grown), threshold, to_resample)
        x0, eps = (part[weights.parent] for part in p[:2])
        kept = jnp.exp(now.log_snr - nxt.log_snr)  # (sigma' / sigma)^2, with alpha = 1
        noise = nxt.sigma * jnp.sqrt(-jnp.expm1(now.log_snr - nxt.log_snr)) * standard_normal(to_move, state.x)
        return State(x0 + kept * now.sigma * eps + noise, x0, weights)

    def resample(state: State, key: PRNGKeyArray) -> State:
        weights = resampled(state.memory, 1.0, key)
        return State(state.x[weights.parent], state.x0[weights.parent], weights)

    return Sampler(
        without_scale(step),
        init=lambda x: State(x, jnp.zeros_like(x), start(len(x), size, x.dtype)),
        grid="log_snr",
        particles=Particles(resample, lambda state: state.memory.parent),
    )


def diagnose(weights: Weights) -> Diagnosis:
    """The Diagnosis of the memory that the loop returns after the last resampling."""
    root, log_z, least, last = (np.asarray(part) for part in weights[2:])
    layout = _layout_of(len(root), len(log_z))
    rows = [np.unique(root[row[filled]]) for row, filled in zip(layout.row, layout.filled, strict=True)]
    return Diagnosis(layout.size, least, last, np.array([len(row) for row in rows]), log_z)


def start(n: int, size: int, dtype: jnp.dtype) -> Weights:
    """Equal weights for n particles, in as many populations of at least `size` as there are."""
    layout, rows = _layout_of(n, max(n // size, 1)), jnp.arange(n, dtype=jnp.int32)
    each = jnp.ones(len(layout.size), dtype)
    return Weights(jnp.zeros(n, dtype), rows, rows, jnp.zeros_like(each), each, each)


def resampled(weights: Weights, threshold: float, key: PRNGKeyArray) -> Weights:
    """The weights after resampling the populations whose effective share is below the threshold. The rows of x that
    belong to them are `parent`."""
    layout = _layout_of(len(weights.root), len(weights.log_z))
    table = jnp.where(layout.filled, weights.log_weight[layout.row], -jnp.inf)
    highest = jnp.max(table, axis=1, keepdims=True)
    weight = jnp.exp(table - highest)
    total = jnp.sum(weight, axis=1)
    share = total**2 / (layout.size * jnp.sum(weight**2, axis=1))
    uneven = jnp.any(layout.filled & (table < highest), axis=1)
    chosen = (share < threshold) & uneven
    row = jnp.where(chosen[:, None], _systematic(weight, layout, key), layout.row)
    mean = highest[:, 0] + jnp.log(total / layout.size)
    parent = row.reshape(-1)[layout.place]
    return Weights(
        jnp.where(chosen[:, None], 0.0, table).reshape(-1)[layout.place],
        parent,
        weights.root[parent],
        weights.log_z + jnp.where(chosen, mean, 0.0),
        jnp.minimum(weights.least, share),
        share,
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

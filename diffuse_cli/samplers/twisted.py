"""Twisted sequential Monte Carlo: particles that are led by a factor h, with weights that make them draws of p h / Z.

Wu et al. 2023, algorithm 1. A denoiser with a `twist` says, at x, about log E[h(x0) | x] and which way it grows. A step
draws from q, the ancestral step towards the mean of x0 that the twist moves, and the weight is multiplied by

    p(x_s | x_t) / q(x_s | x_t) · twist(x_s) / twist(x_t),

p being the ancestral step without it. At the end the twist is replaced by h itself, at the clean sample. So particles
with their weights have the law of the chain times h, whatever the twist; a better one makes the weights more equal. The
mean weight estimates Z, the mean of h over the samples of the chain, without bias for any number of particles.

A denoiser that is a combination of others may also have a `log_weight`, as for the sampler `particles`; both count.
"""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict, Twist
from diffuse_cli.diffusion.process import Level
from diffuse_cli.samplers.base import Particles, Sampler, State, standard_normal, without_scale
from diffuse_cli.samplers.particles import Weights, resampled, start

_NOTHING = -1e4  # log h where h is 0: such a particle has no descendants beside any other


class _Seen(NamedTuple):
    """What the denoiser sees in the particles."""

    x0: Float[Array, "n d"]
    eps: Float[Array, "n d"]
    twist: Twist
    growth: Float[Array, " n"]  # of the log-weight by log-SNR


class Twisted(NamedTuple):
    """The memory of the sampler. known: whether `seen` is of the present x, and the weights have its twist."""

    weights: Weights
    seen: _Seen
    known: Bool[Array, ""]


def twisted(
    *,
    size: Annotated[int, Meta(ge=2, le=1_000_000)] = 1000,
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5,
) -> Sampler:
    """Ancestral steps of particles that are led by a factor and weighted. Wu et al. 2023, algorithm 1.

    size and threshold are those of `particles`: the least number of particles in a population, and the effective share
    below which one is resampled. A denoiser without a factor is sampled as by `ddpm`.

    >>> twisted(size=64).weighted, twisted().cost(10)
    (True, 11)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        weights, seen, known = state.memory
        seen = jax.lax.cond(known, lambda: seen, lambda: _seen(predict, state.x, now))
        log_weight = weights.log_weight + jnp.where(known, 0.0, seen.twist.log_mean)
        log_weight += jnp.expm1(nxt.log_snr - now.log_snr) * seen.growth
        to_resample, to_move = jax.random.split(key)
        weights = resampled(weights._replace(log_weight=log_weight), threshold, to_resample)
        seen = jax.tree.map(lambda part: part[weights.parent], seen)
        kept = jnp.exp(now.log_snr - nxt.log_snr)  # (sigma' / sigma)^2, with alpha = 1
        std, noise = nxt.sigma * jnp.sqrt(-jnp.expm1(now.log_snr - nxt.log_snr)), standard_normal(to_move, state.x)
        moved = -jnp.expm1(now.log_snr - nxt.log_snr) * seen.twist.shift  # the mean of q less that of p
        x = seen.x0 + kept * now.sigma * seen.eps + moved + std * noise
        # where two levels are equal, nothing moves and there is no noise
        apart = moved / jnp.where(std > 0, std, 1.0)
        log_ratio = -jnp.sum(apart * (noise + apart / 2), axis=1)  # log p - log q at x
        there = _seen(predict, x, nxt)
        grown = weights.log_weight + log_ratio + there.twist.log_mean - seen.twist.log_mean
        return State(x, seen.x0, Twisted(weights._replace(log_weight=grown), there, jnp.ones((), bool)))

    return Sampler(
        without_scale(step),
        init=lambda x: State(x, jnp.zeros_like(x), _unknown(x, size)),
        starting=1,
        grid="log_snr",
        particles=Particles(_ended, lambda state: state.memory.weights.parent, lambda memory: memory.weights),
    )


def _ended(state: State, key: PRNGKeyArray) -> State:
    """Particles of equal weight, after the twist has been replaced by h at the clean sample."""
    weights, seen, known = state.memory
    last = jnp.maximum(seen.twist.log_h, _NOTHING) - jnp.where(known, seen.twist.log_mean, 0.0)
    weights = resampled(weights._replace(log_weight=weights.log_weight + last), 1.0, key)
    seen = jax.tree.map(lambda part: part[weights.parent], seen)
    return State(state.x[weights.parent], state.x0[weights.parent], Twisted(weights, seen, known))


def _seen(predict: Predict, x: Float[Array, "n d"], level: Level) -> _Seen:
    p = predict(x, level)
    growth = jnp.zeros(len(x), x.dtype) if p.log_weight is None else p.log_weight
    return _Seen(p.x0, p.eps, _no_twist(x) if p.twist is None else p.twist, growth)


def _unknown(x: Float[Array, "n d"], size: int) -> Twisted:
    nothing, each = jnp.zeros_like(x), jnp.zeros(len(x), x.dtype)
    return Twisted(start(len(x), size, x.dtype), _Seen(nothing, nothing, _no_twist(x), each), jnp.zeros((), bool))


def _no_twist(x: Float[Array, "n d"]) -> Twist:
    each = jnp.zeros(len(x), x.dtype)
    return Twist(each, jnp.zeros_like(x), each)

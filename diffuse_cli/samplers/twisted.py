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
from jaxtyping import Array, Float, Int, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import Level
from diffuse_cli.samplers.base import Particles, Sampler, State, standard_normal, without_scale
from diffuse_cli.samplers.particles import Weights, grown, resampled, start

_NOTHING = -1e4  # log h where h is 0: such a particle has no descendants beside any other


class Twisted(NamedTuple):
    """The memory of the sampler: the weights, and the log of the twist that they contain."""

    weights: Weights
    log_mean: Float[Array, " n"]


def twisted(
    *,
    size: Annotated[int, Meta(ge=2, le=1_000_000)] = 1000,
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5,
) -> Sampler:
    """Ancestral steps of particles that are led by a factor and weighted. Wu et al. 2023, algorithm 1.

    size and threshold are those of `particles`: the least number of particles in a population, and the effective share
    below which one is resampled. A denoiser without a factor is sampled as by `ddpm`.

    >>> twisted(size=64).weighted, twisted().cost(10)
    (True, 10)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        p = predict(state.x, now)
        to_resample, to_move = jax.random.split(key)
        log_mean = jnp.zeros_like(state.memory.log_mean) if p.twist is None else p.twist.log_mean
        weights = resampled(_weighted(state.memory, p, log_mean, now), threshold, to_resample)
        shift = jnp.zeros_like(state.x) if p.twist is None else p.twist.shift
        x0, eps, shift, log_mean = (part[weights.parent] for part in (p.x0, p.eps, shift, log_mean))
        kept = jnp.exp(now.log_snr - nxt.log_snr)  # (sigma' / sigma)^2, with alpha = 1
        lost = -jnp.expm1(now.log_snr - nxt.log_snr)
        std, noise = nxt.sigma * jnp.sqrt(lost), standard_normal(to_move, state.x)
        moved = lost * shift  # the mean of q less that of p
        apart = moved / jnp.where(std > 0, std, 1.0)  # between equal levels nothing moves
        log_ratio = -jnp.sum(apart * (noise + apart / 2), axis=1)  # log p − log q at the new x
        weights = weights._replace(log_weight=weights.log_weight + log_ratio)
        return State(x0 + kept * now.sigma * eps + moved + std * noise, x0, Twisted(weights, log_mean))

    def finish(p: Prediction, state: State, level: Level, key: PRNGKeyArray) -> State:
        log_h = jnp.zeros_like(state.memory.log_mean) if p.twist is None else p.twist.log_h
        weights = resampled(_weighted(state.memory, p, jnp.maximum(log_h, _NOTHING), level), 1.0, key)
        return State(state.x[weights.parent], p.x0[weights.parent], weights)

    return Sampler(
        without_scale(step),
        init=lambda x: State(x, jnp.zeros_like(x), Twisted(start(len(x), size, x.dtype), jnp.zeros(len(x), x.dtype))),
        grid="log_snr",
        particles=Particles(finish, _parents),
    )


def _weighted(memory: Twisted, p: Prediction, log_twist: Float[Array, " n"], level: Level) -> Weights:
    """The weights with this twist in place of that of the level before, and with the growth since then."""
    weights = grown(memory.weights, p, level)
    return weights._replace(log_weight=weights.log_weight + log_twist - memory.log_mean)


def _parents(state: State) -> Int[Array, " n"]:
    """Also of the state that `finish` returns, which has the weights alone."""
    parent: Array = (state.memory.weights if isinstance(state.memory, Twisted) else state.memory).parent
    return parent

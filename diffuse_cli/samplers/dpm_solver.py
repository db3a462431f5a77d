"""Singlestep exponential integrators: DPM-Solver and DPM-Solver++.

With alpha = 1 and l = -log sigma, half the log-SNR, the flow from l to l + h is, exactly,

    x' = x - ∫ e^-u eps du,    or    x' = (sigma'/sigma) x + sigma' ∫ e^u x0 du,    u from l to l + h

(Lu et al. 2022, eq. 3.4; Lu et al. 2022b, eq. 8). Between its ends eps or x0 is a polynomial in u through values at
levels in between, each asked of the network; nothing is remembered from the step before. As x = x0 + sigma eps, a step
by eps is x0 + sigma' eps and what eps changes by on the way, which is a difference of x0 over sigma: where sigma is
large neither x nor eps has digits for it.
"""

import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level, unscaled
from diffuse_cli.samplers.base import Sampler, State, without_scale


def dpm_2() -> Sampler:
    """DPM-Solver-2, eps asked half way in log-SNR. Lu et al. 2022, algorithm 1 with r1 = 1/2."""

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        middle = _between(now, nxt, 1 / 2)
        p = predict(state.x, now)
        ahead = predict(p.x0 + middle.sigma * p.eps, middle)
        change = (p.x0 - ahead.x0) / middle.sigma  # of eps
        return State(p.x0 + nxt.sigma * p.eps + (nxt.sigma - now.sigma) * change, p.x0)

    return Sampler(without_scale(step), evals=2, grid="log_snr", order=2)


def dpm_3() -> Sampler:
    """DPM-Solver-3, eps asked at a third and at two thirds in log-SNR. Lu et al. 2022, algorithm 2."""

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        def bent(to: Level, curve: Array) -> Array:
            """What the integral of e^-u (eps + curve (u - l)) to a level has of curve, which is a slope in l."""
            h = _half(to) - _half(now)
            return -to.sigma * (jnp.expm1(h) - h) * curve

        first, second = _between(now, nxt, 1 / 3), _between(now, nxt, 2 / 3)
        p = predict(state.x, now)
        ahead = predict(p.x0 + first.sigma * p.eps, first)
        change = (p.x0 - ahead.x0) / first.sigma  # of eps
        more = bent(second, change / (_half(first) - _half(now)))
        ahead = predict(p.x0 + second.sigma * p.eps + more, second)
        change = (p.x0 - ahead.x0 + more) / second.sigma
        return State(p.x0 + nxt.sigma * p.eps + bent(nxt, change / (_half(second) - _half(now))), p.x0)

    return Sampler(without_scale(step), evals=3, grid="log_snr", order=3)


def dpmpp_2s() -> Sampler:
    """DPM-Solver++(2S), x0 asked half way in log-SNR. Lu et al. 2022b, algorithm 1 with r = 1/2."""

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        middle = _between(now, nxt, 1 / 2)
        p = predict(state.x, now)
        u = p.x0 + (middle.sigma / now.sigma) * (state.x - p.x0)
        ahead = predict(u, middle).x0
        return State(ahead + (nxt.sigma / now.sigma) * (state.x - ahead), p.x0)

    return Sampler(without_scale(step), evals=2, grid="log_snr", order=2)


def _half(level: Level) -> Array:
    """Half the log-SNR, which these papers call lambda."""
    return level.log_snr / 2


def _between(now: Level, nxt: Level, share: float) -> Level:
    return unscaled(now.log_snr + share * (nxt.log_snr - now.log_snr))

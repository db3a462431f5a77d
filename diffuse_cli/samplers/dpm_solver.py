"""Singlestep exponential integrators: DPM-Solver and DPM-Solver++.

With alpha = 1 and l = -log sigma, half the log-SNR, the flow from l to l + h is, exactly,

    x' = x - ∫ e^-u eps du,    or    x' = (sigma'/sigma) x + sigma' ∫ e^u x0 du,    u from l to l + h

(Lu et al. 2022, eq. 3.4; Lu et al. 2022b, eq. 8). Within a step eps or x0 is approximated by a polynomial in u through
its values at intermediate levels, where the network is evaluated; nothing is carried over from the step before.

As x = x0 + sigma eps, a step by eps is x0 + sigma' eps plus an integral of the change of eps within the step. That
change is computed as a difference of x0 over sigma, since x and eps have no digits for it where sigma is large.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level, unscaled
from diffuse_cli.samplers.base import Sampler, State, without_scale


def dpm_2() -> Sampler:
    """DPM-Solver-2, with eps also evaluated half way in log-SNR. Lu et al. 2022, algorithm 1 with r1 = 1/2.

    >>> dpm_2().order, dpm_2().cost(10)
    (2, 20)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        middle = _between(now, nxt, 1 / 2)
        p = predict(state.x, now)
        ahead = predict(p.x0 + middle.sigma * p.eps, middle)
        change = (p.x0 - ahead.x0) / middle.sigma  # of eps
        return State(p.x0 + nxt.sigma * p.eps + (nxt.sigma - now.sigma) * change, p.x0)

    return Sampler(without_scale(step), evals=2, grid="log_snr", order=2)


def dpm_3() -> Sampler:
    """DPM-Solver-3, with eps also evaluated at one and two thirds in log-SNR. Lu et al. 2022, algorithm 2.

    >>> dpm_3().order, dpm_3().cost(10)
    (3, 30)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        def bent(to: Level, curve: Float[Array, "n d"]) -> Float[Array, "n d"]:
            """The part of x at the level `to` that comes from the slope `curve` of eps in l."""
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
    """DPM-Solver++(2S), with x0 also evaluated half way in log-SNR. Lu et al. 2022b, algorithm 1 with r = 1/2.

    >>> dpmpp_2s().order, dpmpp_2s().cost(10)
    (2, 20)
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        middle = _between(now, nxt, 1 / 2)
        p = predict(state.x, now)
        u = p.x0 + (middle.sigma / now.sigma) * (state.x - p.x0)
        ahead = predict(u, middle).x0
        return State(ahead + (nxt.sigma / now.sigma) * (state.x - ahead), p.x0)

    return Sampler(without_scale(step), evals=2, grid="log_snr", order=2)


def _half(level: Level) -> Float[Array, "*level"]:
    """Half the log-SNR, which these papers call lambda."""
    return level.log_snr / 2


def _between(now: Level, nxt: Level, share: float) -> Level:
    return unscaled(now.log_snr + share * (nxt.log_snr - now.log_snr))

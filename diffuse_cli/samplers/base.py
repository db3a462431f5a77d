"""What a sampler is: a pure function that goes from one noise level to the next cleaner one.

Users write their own samplers against this module; docs and README show how.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.process import LOWEST_LOG_SNR, Level, unscaled


class State(NamedTuple):
    """What a sampler carries from step to step.

    x: the noisy samples. x0: the clean samples that the denoiser saw in the last step. memory: a pytree of whatever
    else a later step needs, as in a multistep sampler.
    """

    x: Float[Array, "n d"]
    x0: Float[Array, "n d"]
    memory: Any = ()


# (predict, state, now, nxt, key) -> state; `predict` is a Predict, or a Jump for a sampler that needs one
Step = Callable[[Any, State, Level, Level, PRNGKeyArray], State]


class Sampler(NamedTuple):
    """A sampler: its step, and what a caller has to know to use it.

    step: (predict, state, now, nxt, key) -> state moves x from the level `now` to the level `nxt`, both noisy and with
        scalar fields. No step meets the clean level, where sigma is 0: after the last one comes `loop.denoise`, the
        same for all samplers.
    init: the state before the first step, for the noise x it starts from.
    evals: network evaluations in a step.
    starting: how many more there are in the first step.
    grid: the choice of grid that suits it, unless the user asks for another.
    order: the order of convergence between two noisy levels that theory gives; None for a random sampler.
    draws_noise: whether a sampler without an order is random.
    lookback: how many earlier steps a step uses.
    allows_equal_levels: whether a step between two equal levels is of use, as in Langevin dynamics.
    needs_variance: whether it needs a denoiser that also gives the variance of x0.
    needs_jump: whether it is given a Jump (`diffusion.flow_maps`) in place of a denoiser. Its last step is the jump to
        the clean level.
    particles: where its samples are particles with weights, what is done with them; None for all other samplers.

    >>> halve = Sampler(lambda predict, state, now, nxt, key: state._replace(x=state.x / 2), evals=0)
    >>> halve.deterministic, halve.cost(10)
    (False, 0)
    """

    step: Step
    init: Callable[[Float[Array, "n d"]], State] = lambda x: State(x, jnp.zeros_like(x))
    evals: int = 1
    starting: int = 0
    grid: str = "uniform"
    order: int | None = None
    lookback: int = 0
    allows_equal_levels: bool = False
    needs_variance: bool = False
    needs_jump: bool = False
    draws_noise: bool = True
    particles: "Particles | None" = None

    def cost(self, steps: int) -> int:
        """The network evaluations that `steps` steps take."""
        return steps * self.evals + (self.starting if steps else 0)

    @property
    def deterministic(self) -> bool:
        """Whether the same noise always leads to the same sample; only such a sampler has an order."""
        return self.order is not None or not self.draws_noise

    @property
    def weighted(self) -> bool:
        """Whether its samples are particles with weights."""
        return self.particles is not None


class Particles(NamedTuple):
    """What the loop does with the samples of a sampler that gives them weights.

    finish: (prediction at the last noisy level, state there, this level, key) -> a state with equal weights, with the
        clean samples in x0. parents: state -> the row [n] of each sample before the last step, or before `finish`.
    """

    finish: Callable[[Prediction, State, Level, PRNGKeyArray], State]
    parents: Callable[[State], Int[Array, " n"]]


class Adaptive(NamedTuple):
    """A sampler whose solver chooses its own steps: as many between two given levels as the tolerance asks for.

    tolerance: the error allowed to one step, absolute and relative; max_steps: after as many a sample has failed. The
    other fields mean what they mean for a Sampler, and are the same for every tolerance.
    """

    tolerance: float
    max_steps: int
    grid: str = "log_snr"
    order: int | None = None
    lookback: int = 0
    allows_equal_levels: bool = False
    needs_variance: bool = False
    needs_jump: bool = False
    deterministic: bool = True
    weighted: bool = False


def without_scale(step: Step) -> Step:
    """Turn a step written for alpha = 1, x = x0 + sigma eps, into a step under any scaling.

    A denoiser gives the same answer for all x and levels with the same x / alpha and log-SNR, so the step may call it
    at levels with alpha = 1 too: every scaling is a change of variables (Karras et al. 2022, section 2).
    """

    def scaled(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        here, there = _without_scale(now), _without_scale(nxt)
        # the ratio of the sigmas, since alpha may be too small for a floating-point number
        state = step(predict, state._replace(x=here.sigma / now.sigma * state.x), here, there, key)
        return state._replace(x=nxt.sigma / there.sigma * state.x)

    return scaled


def _without_scale(level: Level) -> Level:
    """The level with alpha = 1. Where sigma would overflow, one with less noise, but still without signal."""
    log_snr = level.log_snr
    return unscaled(jnp.where(log_snr < LOWEST_LOG_SNR, LOWEST_LOG_SNR + 1e-3 * (log_snr - LOWEST_LOG_SNR), log_snr))


def standard_normal(key: PRNGKeyArray, like: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Noise from N(0, I), with the shape and type of `like`."""
    return jax.random.normal(key, like.shape, like.dtype)

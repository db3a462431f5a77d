"""What a sampler is: one step from a noise level to the next cleaner one, as a pair of pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import LOWEST_LOG_SNR, Level, unscaled


class State(NamedTuple):
    """Where a sampler is: x [n, d], the clean sample x0 [n, d] it last saw, and whatever else its steps remember."""

    x: Array
    x0: Array
    memory: Any = ()


Step = Callable[[Predict, State, Level, Level, Array], State]


class Sampler(NamedTuple):
    """step(predict, state, now, nxt, key) moves x from level `now` to `nxt`, both of them noisy.

    After the last step comes `loop.denoise`, the same for all samplers: none meets the clean level, where sigma is 0.

    evals: network evaluations in a step; starting: how many more in the first one.
    grid: the choice of grid that suits it, unless the user asks for another.
    order: of convergence between two noisy levels, as theory has it; None for what is random.
    lookback: how many steps before this one it makes use of.
    allows_equal_levels: whether a step between two equal levels does anything.
    needs_variance: whether it asks how uncertain the clean sample is.
    """

    step: Step
    init: Callable[[Array], State] = lambda x: State(x, jnp.zeros_like(x))
    evals: int = 1
    starting: int = 0
    grid: str = "uniform"
    order: int | None = None
    lookback: int = 0
    allows_equal_levels: bool = False
    needs_variance: bool = False

    def cost(self, steps: int) -> int:
        """The network evaluations of so many steps."""
        return steps * self.evals + (self.starting if steps else 0)

    @property
    def deterministic(self) -> bool:
        """Whether the same noise always leads to the same sample."""
        return self.order is not None


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
    deterministic: bool = True


def without_scale(step: Step) -> Step:
    """A step written for alpha = 1, x = x0 + sigma eps, as a step under any scaling.

    A denoiser answers alike for all x and levels with the same x / alpha and log-SNR, so intermediate levels may be
    asked about in this frame too: Karras et al. 2022, section 2, where every scaling is a change of variables.
    """

    def scaled(predict: Predict, state: State, now: Level, nxt: Level, key: Array) -> State:
        here, there = _without_scale(now), _without_scale(nxt)
        # by sigma, since alpha may be too small for a number
        state = step(predict, state._replace(x=here.sigma / now.sigma * state.x), here, there, key)
        return state._replace(x=nxt.sigma / there.sigma * state.x)

    return scaled


def _without_scale(level: Level) -> Level:
    """The level with alpha = 1; where no number could hold its sigma, one with as little signal in all that matters."""
    log_snr = level.log_snr
    return unscaled(jnp.where(log_snr < LOWEST_LOG_SNR, LOWEST_LOG_SNR + 1e-3 * (log_snr - LOWEST_LOG_SNR), log_snr))


def standard_normal(key: Array, like: Array) -> Array:
    """Noise N(0, I) of this shape and type."""
    return jax.random.normal(key, like.shape, like.dtype)

"""Samplers of a flow map, in one to a few evaluations: jumps along the flow, and jumps to clean data with new noise."""

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from diffuse_cli.diffusion.flow_maps import Jump
from diffuse_cli.diffusion.process import CLEAN, Level, add_noise
from diffuse_cli.samplers.base import Sampler, State, standard_normal

_GRID = "straight"


def jump() -> Sampler:
    """X_{t→r} from level to level. Boffi et al. 2025; Geng et al. 2025 (MeanFlow), eq. 12.

    With an exact map any number of steps gives the same samples, so it has no order of convergence.

    >>> jump().needs_jump, jump().cost(4)
    (True, 4)
    """

    def step(jump: Jump, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        # x0 is for a path that is recorded; where none is, compiling leaves this second evaluation out
        return State(jump(state.x, now, nxt), jump(state.x, now, CLEAN))

    return Sampler(step, needs_jump=True, draws_noise=False, grid=_GRID)


def renoise() -> Sampler:
    """To clean data in one jump, then new noise up to the next level. Song et al. 2023 (consistency), algorithm 1.

    >>> renoise().deterministic
    False
    """

    def step(jump: Jump, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        x0 = jump(state.x, now, CLEAN)
        return State(add_noise(x0, standard_normal(key, jnp.asarray(x0)), nxt), x0)

    return Sampler(step, needs_jump=True, grid=_GRID)

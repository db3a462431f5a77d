"""The probability-flow ODE, solved in steps whose length the solver chooses for each sample."""

from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from msgspec import Meta

from diffuse_cli.diffusion import probability_flow
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level, Scaling
from diffuse_cli.samplers.base import Adaptive


def ode(
    *, tolerance: Annotated[float, Meta(ge=1e-6, lt=1)] = 1e-4, max_steps: Annotated[int, Meta(ge=1)] = 500
) -> Adaptive:
    """The probability-flow ODE by the solver Tsit5 (Tsitouras 2011). Song et al. 2021, appendix D.4.

    Each sample has its own steps. The levels that are asked for are only those at which the path is recorded; the
    number of network evaluations is reported afterwards.
    tolerance: the error allowed to one step, absolute and relative.
    max_steps: a sample that needs more of them has failed.

    >>> ode(tolerance=1e-3).deterministic
    True
    """
    return Adaptive(tolerance, max_steps)


@partial(jax.jit, static_argnames=("scaling", "max_steps"))
def solve_adaptively(
    predict: Predict,
    scaling: Scaling,
    levels: Level,
    x: Float[Array, "n d"],
    tolerance: float | Float[Array, ""],
    *,
    max_steps: int,
) -> tuple[Float[Array, "k n d"], Int[Array, " n"]]:
    """Carry x from the first of `levels` (fields [k], all noisy) through all the others.

    Returns x at each level, NaN where the solver failed, and the number of network evaluations of each sample.
    """
    times = probability_flow.time_of(levels.log_snr)
    norms = jnp.hypot(levels.alpha, levels.sigma)

    def one(x: Float[Array, " d"]) -> tuple[Float[Array, "k d"], Int[Array, ""]]:
        field = lambda s, x, _: probability_flow.flow_velocity(predict, scaling, s, x)  # noqa: E731
        xs, solved, steps = probability_flow.solve_flow(field, times, x, tolerance, max_steps=max_steps, every=True)
        return jnp.where(solved, xs, jnp.nan), probability_flow.EVALS * steps

    path, evals = jax.vmap(one, out_axes=(1, 0))(x / norms[0])
    return norms[:, None, None] * path, evals

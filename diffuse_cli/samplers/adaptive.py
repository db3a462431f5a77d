"""The probability-flow ODE by a solver that chooses its own steps."""

from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import Array
from msgspec import Meta

from diffuse_cli.diffusion import probability_flow
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level, Scaling
from diffuse_cli.samplers.base import Adaptive


def ode(
    *, tolerance: Annotated[float, Meta(ge=1e-6, lt=1)] = 1e-4, max_steps: Annotated[int, Meta(ge=1)] = 500
) -> Adaptive:
    """The flow by Tsit5 (Tsitouras 2011), each sample with steps of its own. Song et al. 2021, appendix D.4.

    tolerance: the error allowed to one step, absolute and relative. The number of steps asked for is that of the frames
    seen on the way; how many evaluations it took is reported. A sample that takes more than `max_steps` is no sample.
    """
    return Adaptive(tolerance, max_steps)


@partial(jax.jit, static_argnames=("scaling", "max_steps"))
def solve_adaptively(
    predict: Predict, scaling: Scaling, levels: Level, x: Array, tolerance: Array, *, max_steps: int
) -> tuple[Array, Array]:
    """Carry x [n, d] from levels[0] through all of `levels` (fields [k], all noisy).

    Returns x at each of them, [k, n, d], NaN where the solver gave up, and the network evaluations of each sample, [n].
    """
    times = probability_flow.time_of(levels.log_snr)
    norms = jnp.hypot(levels.alpha, levels.sigma)

    def one(x: Array) -> tuple[Array, Array]:
        field = lambda s, x, _: probability_flow.velocity_and_divergence(predict, scaling, s, x)  # noqa: E731
        xs, found, steps = probability_flow.solve_flow(field, times, x, tolerance, max_steps=max_steps, every=True)
        return jnp.where(found, xs, jnp.nan), probability_flow.EVALS * steps

    path, evals = jax.vmap(one, out_axes=(1, 0))(x / norms[0])
    return norms[:, None, None] * path, evals

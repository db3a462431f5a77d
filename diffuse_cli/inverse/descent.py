"""Diffusion posterior sampling: steps that go down the distance of the denoised point from the measurement."""

from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level
from diffuse_cli.inverse.base import Measured, PosteriorMethod
from diffuse_cli.inverse.observed import Observed
from diffuse_cli.samplers.base import Sampler, State

_LEAST = 1e-12  # of a squared distance, so that its root has a slope


def dps(*, zeta: Annotated[float, Meta(ge=0, le=1000)] = 1.0) -> PosteriorMethod:
    """A step, and then zeta times the slope of |y − f(D(x))| downwards. Chung et al. 2023, algorithm 1.

    The slope is of the norm and not of its square, so a step moves x by about the same length however far y is, and
    however much noise y has; in units where data have variance 1, and under variance preservation. The length does not
    know how many steps there are: the article has 1,000. Neither a law nor the noise of y is in the formula, and what
    it samples is no posterior: it is a way to reconstruct.

    >>> dps(zeta=0.5).evaluations(3)
    2
    """

    def around(sampler: Sampler) -> Sampler:
        def step(measured: Measured, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
            slope = jax.grad(lambda x: jnp.sum(_distance(measured.predict, measured.observed, x, now)))(state.x)
            state = sampler.step(measured, state, now, nxt, key)
            # both lengths under variance preservation: the slope by x there, and the move of x here
            preserved = jnp.hypot(now.alpha, now.sigma) * jnp.hypot(nxt.alpha, nxt.sigma)
            return state._replace(x=state.x - zeta * preserved * slope)

        return sampler._replace(step=step)

    return PosteriorMethod("dps", around=around, steps=1000, single=True, gradients=1)


def _distance(predict: Predict, observed: Observed, x: Float[Array, "n d"], level: Level) -> Float[Array, " n"]:
    apart = observed.y - observed.near(predict(x, level).x0).value
    return jnp.sqrt(jnp.sum(apart**2, axis=-1) + _LEAST)

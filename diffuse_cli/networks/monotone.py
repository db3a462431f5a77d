"""A curve that can only rise: how a learned noise schedule falls."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

_UNITS = 16
_STEEPNESS = 10.0
_EVEN = 0.2  # the part of the way that is straight, whatever else is learned, so that it rises everywhere


class Monotone(nnx.Module):
    """s in [0, 1], any shape -> [0, 1], from 0 to 1 and rising: a sum of logistic steps, none of them down.

    After the monotone network of Kingma et al. 2021, appendix H; smaller, and nearly straight with weights of zero.
    """

    def __init__(self):
        self.place, self.steepness, self.height = (nnx.Param(jnp.zeros(_UNITS)) for _ in range(3))

    def __call__(self, s: Array) -> Array:
        places = jnp.linspace(0.0, 1.0, _UNITS) + self.place[...]
        steepness, height = _STEEPNESS * jnp.exp(self.steepness[...]), jnp.exp(self.height[...])

        @jnp.vectorize
        def rise(s: Array) -> Array:
            return _EVEN * s + jnp.mean(height * jax.nn.sigmoid(steepness * (s - places)))

        start, end = rise(0.0), rise(1.0)
        return (rise(s) - start) / (end - start)

"""An increasing curve, which a learned noise schedule follows."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

_UNITS = 16
_STEEPNESS = 10.0
_EVEN = 0.2  # the straight part of the curve, which is not learned, so that it increases everywhere


class Monotone(nnx.Module):
    """s in [0, 1], any shape -> [0, 1], increasing from 0 to 1: a sum of logistic steps of positive height.

    After the monotone network of Kingma et al. 2021, appendix H; smaller, and nearly straight with weights of zero.

    >>> print(Monotone()(jnp.array([0.0, 0.5, 1.0])).round(3))
    [0.  0.5 1. ]
    """

    def __init__(self) -> None:
        self.place, self.steepness, self.height = (nnx.Param(jnp.zeros(_UNITS)) for _ in range(3))

    def __call__(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The height of the curve at s."""
        places = jnp.linspace(0.0, 1.0, _UNITS) + self.place[...]
        steepness, height = _STEEPNESS * jnp.exp(self.steepness[...]), jnp.exp(self.height[...])

        @jnp.vectorize
        def rise(s: Float[Array, ""]) -> Float[Array, ""]:
            return _EVEN * s + jnp.mean(height * jax.nn.sigmoid(steepness * (s - places)))

        start, end = rise(0.0), rise(1.0)
        curve: Array = (rise(s) - start) / (end - start)
        return curve

"""Features that let a small network see fine detail."""

import jax.numpy as jnp
from flax import nnx
from jax import Array


class FourierFeatures(nnx.Module):
    """x [..., d] -> [..., d (2 k + 1)]: x itself, then sin and cos of pi/2 f x at k fixed frequencies f.

    A network of smooth units learns low frequencies first; given high ones as inputs it learns a thin curve in far
    fewer steps. Tancik et al. 2020, section 4.
    """

    def __init__(self, frequencies):
        self.frequencies = tuple(float(f) for f in frequencies)

    def __call__(self, x: Array) -> Array:
        angle = jnp.multiply.outer(x, jnp.pi / 2 * jnp.array(self.frequencies, x.dtype)).reshape(*x.shape[:-1], -1)
        return jnp.concatenate([x, jnp.sin(angle), jnp.cos(angle)], axis=-1)

    def width(self, dim: int) -> int:
        """Number of features that `dim` inputs become."""
        return dim * (2 * len(self.frequencies) + 1)

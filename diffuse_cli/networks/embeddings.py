"""Features of the inputs with which a small network can represent fine detail."""

from collections.abc import Iterable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int


class FourierFeatures(nnx.Module):
    """x [..., d] -> [..., d (2 k + 1)]: x itself, then sin and cos of pi/2 f x at k fixed frequencies f.

    A network of smooth units learns low frequencies first; with high ones among its inputs it learns a thin curve in
    far fewer steps. Tancik et al. 2020, section 4.

    >>> FourierFeatures([0.5, 1.0])(jnp.ones((4, 2))).shape
    (4, 10)
    """

    def __init__(self, frequencies: Iterable[float]) -> None:
        self.frequencies = tuple(float(f) for f in frequencies)

    def __call__(
        self, x: Float[Array, "*n d"], variance: Float[Array, "*n 1"] | None = None
    ) -> Float[Array, "*n features"]:
        """The features of x; with a variance their means under noise of that variance, exp(−(pi/2 f)² variance / 2)
        times sin and cos, so that none is finer than the noise. Barron et al. 2021, section 3.1."""
        angular = jnp.pi / 2 * jnp.array(self.frequencies, x.dtype)
        angle = jnp.multiply.outer(x, angular).reshape(*x.shape[:-1], -1)
        waves = [jnp.sin(angle), jnp.cos(angle)]
        if variance is not None:
            left = jnp.tile(jnp.exp(-0.5 * angular**2 * variance), x.shape[-1])
            waves = [left * wave for wave in waves]
        return jnp.concatenate([x, *waves], axis=-1)

    def width(self, dim: int) -> int:
        """The number of features of `dim` columns."""
        return dim * (2 * len(self.frequencies) + 1)


class LabelEmbedding(nnx.Module):
    """Labels [n] -> [n, width]: a learned vector for each of `count` labels, and one for no label, −1.

    All vectors start at zero, so that an untrained network does not depend on the label.

    >>> LabelEmbedding(3, width=8)(jnp.array([0, 2, -1])).shape
    (3, 8)
    """

    def __init__(self, count: int, *, width: int) -> None:
        self.vectors = nnx.Param(jnp.zeros((count + 1, width)))

    def __call__(self, label: Int[Array, " n"]) -> Float[Array, "n width"]:
        """The vectors of these labels; that of −1 is the last."""
        return self.vectors[...][label]

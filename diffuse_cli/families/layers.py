"""A plain multilayer perceptron, of which the networks of several families are made."""

from collections.abc import Callable
from itertools import pairwise

import jax
from flax import nnx
from jaxtyping import Array, Float


class Layers(nnx.Module):
    """x [n, inputs] -> [n, outputs], with `depth` hidden layers of `width` units."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        width: int,
        depth: int,
        rngs: nnx.Rngs,
        activation: Callable[[Array], Array] = jax.nn.silu,
    ) -> None:
        sizes = [inputs, *([width] * depth)]
        self.hidden = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in pairwise(sizes)])
        self.last = nnx.Linear(sizes[-1], outputs, rngs=rngs)
        self.activation = activation

    def __call__(self, x: Float[Array, "n inputs"]) -> Float[Array, "n outputs"]:
        """The output for each row of x."""
        for layer in self.hidden:
            x = self.activation(layer(x))
        return self.last(x)

"""The network: a residual multilayer perceptron on Fourier features of position and of noise levels."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from diffuse_cli.diffusion.conditions import Condition, Conditions
from diffuse_cli.networks.embeddings import (
    COORDINATE_FREQUENCIES,
    FEW,
    ColumnEmbedding,
    Embedding,
    FourierFeatures,
    LabelEmbedding,
    LogSnrFeatures,
    SpanFeatures,
    WordEmbedding,
)
from diffuse_cli.networks.monotone import Monotone


class MLP(nnx.Module):
    """(x [n, dim], log_snr [n, 1]) -> [n, outputs]: `depth` hidden layers of `width` SiLU units.

    Hidden layers are residual. The last layer starts at zero, so the output of an untrained network is 0. Without
    `time` the network does not get the noise level (Sun et al. 2025). With `jumps` it gets the times (t, r) [n, 2] of a
    jump in place of log-SNR, which also scale the units of each layer (Perez et al. 2018, FiLM). With `conditions` it
    is also told one for each row, or none, as one more input of the first layer. By default it has `dim` outputs. With
    `smooth` its features of x are no finer than the noise, and so are its slopes.

    >>> network = MLP(2, width=64, depth=3, rngs=nnx.Rngs(0))
    >>> network(jnp.ones((4, 2)), jnp.zeros((4, 1))).shape
    (4, 2)
    """

    course: Monotone  # the curve of a learned schedule, which only a network that learns one has

    def __init__(
        self,
        dim: int,
        *,
        width: int,
        depth: int,
        outputs: int | None = None,
        time: bool = True,
        conditions: Conditions | None = None,
        smooth: bool = False,
        jumps: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        self.position = FourierFeatures(COORDINATE_FREQUENCIES if dim <= FEW else ())
        self.noise = SpanFeatures() if jumps else LogSnrFeatures() if time else None
        inputs = self.position.width(dim) + (self.noise.width() if self.noise is not None else 0)
        self.first = nnx.Linear(inputs, width, rngs=rngs)
        self.hidden = nnx.List([nnx.Linear(width, width, rngs=rngs) for _ in range(depth - 1)])
        of_times = partial(nnx.Linear, kernel_init=nnx.initializers.zeros, rngs=rngs)
        scales = [of_times(self.noise.width(), width) for _ in range(depth)] if jumps and self.noise is not None else []
        self.scales = nnx.List(scales)
        self.last = nnx.Linear(width, outputs or dim, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.smooth = smooth
        kind, count = (None, 0) if conditions is None else (conditions.kind, len(conditions.names))
        places = 0 if conditions is None else len(conditions.places)
        self.label = LabelEmbedding(count, width=width) if kind == "label" else None
        self.given = ColumnEmbedding(count, width=width, rngs=rngs) if kind == "columns" else None
        self.words = WordEmbedding(count, places=places, width=width, rngs=rngs) if kind == "words" else None

    @property
    def jumps(self) -> bool:
        """Whether it gets the two times of a jump."""
        return isinstance(self.noise, SpanFeatures)

    @property
    def embedding(self) -> Embedding | None:
        """What makes vectors of conditions; None for a network that is told none."""
        return self.label or self.given or self.words

    def __call__(
        self, x: Float[Array, "n dim"], noise: Float[Array, "n inputs"], condition: Condition | None = None
    ) -> Float[Array, "n outputs"]:
        """The raw output for x at these noise levels, or these times; condition: one for all rows or for each, by
        default none.

        Raises ValueError where there are not as many conditions as rows: one row alone would broadcast against all.
        """
        features = [self.position(x, jax.nn.sigmoid(-noise) if self.smooth else None)]
        if self.noise is not None:
            features.append(self.noise(noise))
        h = self.first(jnp.concatenate(features, axis=-1))
        if (embedding := self.embedding) is not None:
            told = embedding.none() if condition is None else jnp.asarray(condition)
            if told.ndim == embedding.rank:
                told = told[None]
            elif len(told) != len(x):
                raise ValueError(f"{len(told)} conditions for {len(x)} points")
            h = h + embedding(told)
        for number, layer in enumerate(self.hidden):
            h = h + layer(self._units(h, number, features[-1]))
        return self.last(self._units(h, len(self.hidden), features[-1]))

    def _units(self, h: Float[Array, "n width"], number: int, times: Float[Array, "n f"]) -> Float[Array, "n width"]:
        """What a layer sends on; in a network of jumps scaled by the features of their times."""
        units = jax.nn.silu(h)
        return units * (1 + self.scales[number](times)) if len(self.scales) else units

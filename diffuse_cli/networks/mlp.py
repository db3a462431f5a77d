"""The denoiser's network: a residual multilayer perceptron on Fourier features of position and log-SNR."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from diffuse_cli.networks.embeddings import FourierFeatures

_POSITION_FREQUENCIES = np.geomspace(0.5, 4.0, 5)  # periods of 8 to 1 units of model space
_LOG_SNR_FREQUENCIES = np.arange(1, 9) / 2
_LOG_SNR_SCALE = 8.0  # log-SNR / 8 runs over about [-1, 1] where there is anything to learn
_LARGEST_LOG_SNR = 20.0  # beyond it a level is as good as clean, or as pure noise
_FEW = 8  # up to this many dimensions every coordinate is given its own Fourier features


class MLP(nnx.Module):
    """(x [batch, dim], log_snr [batch, 1]) -> [batch, dim]: `depth` hidden layers of `width` SiLU units, with skips.

    The last layer starts at zero, so that an untrained network answers 0.
    """

    def __init__(self, dim: int, *, width: int, depth: int, rngs: nnx.Rngs):
        self.position = FourierFeatures(_POSITION_FREQUENCIES if dim <= _FEW else ())
        self.noise = FourierFeatures(_LOG_SNR_FREQUENCIES)
        self.first = nnx.Linear(self.position.width(dim) + self.noise.width(1), width, rngs=rngs)
        self.hidden = nnx.List([nnx.Linear(width, width, rngs=rngs) for _ in range(depth - 1)])
        self.last = nnx.Linear(width, dim, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, x: Array, log_snr: Array) -> Array:
        bounded = jnp.clip(log_snr, -_LARGEST_LOG_SNR, _LARGEST_LOG_SNR) / _LOG_SNR_SCALE
        h = self.first(jnp.concatenate([self.position(x), self.noise(bounded)], axis=-1))
        for layer in self.hidden:
            h = h + layer(jax.nn.silu(h))
        return self.last(jax.nn.silu(h))

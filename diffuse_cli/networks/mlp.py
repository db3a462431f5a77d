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
    """(x [batch, dim], log_snr [batch, 1]) -> [batch, outputs dim]: `depth` hidden layers of `width` SiLU units.

    Layers have skips. The last one starts at zero, so that an untrained network answers 0. Without `time` the network
    is not told how much noise there is (Sun et al. 2025).
    """

    def __init__(self, dim: int, *, width: int, depth: int, outputs: int = 1, time: bool = True, rngs: nnx.Rngs):
        self.position = FourierFeatures(_POSITION_FREQUENCIES if dim <= _FEW else ())
        self.noise = FourierFeatures(_LOG_SNR_FREQUENCIES) if time else None
        inputs = self.position.width(dim) + (self.noise.width(1) if time else 0)
        self.first = nnx.Linear(inputs, width, rngs=rngs)
        self.hidden = nnx.List([nnx.Linear(width, width, rngs=rngs) for _ in range(depth - 1)])
        self.last = nnx.Linear(width, outputs * dim, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, x: Array, log_snr: Array) -> Array:
        features = [self.position(x)]
        if self.noise is not None:
            bounded = jnp.clip(log_snr, -_LARGEST_LOG_SNR, _LARGEST_LOG_SNR) / _LOG_SNR_SCALE
            features.append(self.noise(bounded))
        h = self.first(jnp.concatenate(features, axis=-1))
        for layer in self.hidden:
            h = h + layer(jax.nn.silu(h))
        return self.last(jax.nn.silu(h))

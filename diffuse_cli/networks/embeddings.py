"""Features of the inputs with which a small network can represent fine detail."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from diffuse_cli.diffusion.conditions import NO_LABEL
from diffuse_cli.diffusion.flow_maps import warped_time

COORDINATE_FREQUENCIES = np.geomspace(0.5, 4.0, 5)  # periods of 8 to 1 units of model space
FEW = 8  # up to this many columns each has its own Fourier features
_LOG_SNR_FREQUENCIES = np.arange(1, 9) / 2
_LOG_SNR_SCALE = 8.0  # log-SNR / 8 runs over about [-1, 1] where there is anything to learn
_LARGEST_LOG_SNR = 20.0  # beyond it a level is as good as clean, below its negative as good as pure noise
_TIME_FREQUENCIES = 2.0 * np.arange(1, 4)  # up to 3 pi


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
        times sin and cos, so that none is finer than the noise. Barron et al. 2021 (mip-NeRF)."""
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


class LogSnrFeatures(nnx.Module):
    """log-SNR [n, 1] -> [n, features]: Fourier features of it, within the range where there is anything to learn.

    >>> LogSnrFeatures()(jnp.zeros((4, 1))).shape
    (4, 17)
    """

    inputs = 1

    def __init__(self) -> None:
        self.features = FourierFeatures(_LOG_SNR_FREQUENCIES)

    def __call__(self, log_snr: Float[Array, "n 1"]) -> Float[Array, "n features"]:
        """The features of these noise levels."""
        return self.features(jnp.clip(log_snr, -_LARGEST_LOG_SNR, _LARGEST_LOG_SNR) / _LOG_SNR_SCALE)

    def width(self) -> int:
        """The number of features."""
        return self.features.width(1)


class SpanFeatures(nnx.Module):
    """The times (t, r) of a jump [n, 2], on the straight path -> [n, features]: Fourier features of both.

    Losses of flow maps take derivatives along t and r. So the frequencies are low, and they are not those of a
    logarithm, which diverges at r = 0, but of `warped_time`, which is as fine near the data and has a bounded slope.

    >>> SpanFeatures()(jnp.zeros((4, 2))).shape
    (4, 14)
    """

    inputs = 2

    def __init__(self) -> None:
        self.features = FourierFeatures(_TIME_FREQUENCIES)

    def __call__(self, times: Float[Array, "n 2"]) -> Float[Array, "n features"]:
        """The features of these times."""
        return self.features(warped_time(times))

    def width(self) -> int:
        """The number of features."""
        return self.features.width(2)


class LabelEmbedding(nnx.Module):
    """Labels [n] -> [n, width]: a learned vector for each of `count` labels, and one for no label, −1.

    All vectors start at zero, so that an untrained network does not depend on the label.

    >>> LabelEmbedding(3, width=8)(jnp.array([0, 2, -1])).shape
    (3, 8)
    """

    rank = 0

    def __init__(self, count: int, *, width: int) -> None:
        self.vectors = nnx.Param(jnp.zeros((count + 1, width)))

    def __call__(self, label: Int[Array, " n"]) -> Float[Array, "n width"]:
        """The vectors of these labels; that of −1 is the last."""
        vectors: Array = self.vectors[...][label]
        return vectors

    def none(self) -> Int[Array, ""]:
        """The condition that is none."""
        return jnp.full((), NO_LABEL, jnp.int32)


class ColumnEmbedding(nnx.Module):
    """Given columns [n, count], in model space -> [n, width]: a linear layer on their Fourier features.

    A row that has a NaN is one without a condition, and gets a learned vector. All weights start at zero, so that an
    untrained network does not depend on the columns.

    >>> ColumnEmbedding(2, width=8, rngs=nnx.Rngs(0))(jnp.array([[0.5, 1.0], [jnp.nan, jnp.nan]])).shape
    (2, 8)
    """

    rank = 1

    def __init__(self, count: int, *, width: int, rngs: nnx.Rngs) -> None:
        self.count = count
        self.features = FourierFeatures(COORDINATE_FREQUENCIES if count <= FEW else ())
        self.linear = nnx.Linear(
            self.features.width(count), width, use_bias=False, kernel_init=nnx.initializers.zeros, rngs=rngs
        )
        self.absent = nnx.Param(jnp.zeros(width))

    def __call__(self, values: Float[Array, "n count"]) -> Float[Array, "n width"]:
        """The vectors of these values."""
        absent = jnp.isnan(values).any(axis=-1, keepdims=True)
        features = self.features(jnp.where(absent, 0.0, values))  # before, since the gradient of what is NaN is NaN
        vectors: Array = jnp.where(absent, self.absent[...], self.linear(features))
        return vectors

    def none(self) -> Float[Array, " count"]:
        """The condition that is none."""
        return jnp.full(self.count, jnp.nan)


class WordEmbedding(nnx.Module):
    """Words [n, places], the numbers of `count` words, −1 where none is said -> [n, width].

    Each word has a learned vector; the sum of those of a sentence goes through a SiLU and a linear layer, so that what
    a word means may depend on the others. That layer starts at zero, so that an untrained network depends on no words.

    >>> WordEmbedding(5, places=2, width=8, rngs=nnx.Rngs(0))(jnp.array([[0, 3], [-1, 4], [-1, -1]])).shape
    (3, 8)
    """

    rank = 1

    def __init__(self, count: int, *, places: int, width: int, rngs: nnx.Rngs) -> None:
        self.places = places
        self.vectors = nnx.Param(jax.random.normal(rngs.params(), (count, width)))
        self.linear = nnx.Linear(width, width, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, words: Int[Array, "n places"]) -> Float[Array, "n width"]:
        """The vectors of these sentences."""
        said = (words != NO_LABEL)[..., None]
        total = jnp.sum(jnp.where(said, self.vectors[...][words], 0.0), axis=1)
        vectors: Array = self.linear(jax.nn.silu(total))
        return vectors

    def none(self) -> Int[Array, " places"]:
        """The condition that is none."""
        return jnp.full(self.places, NO_LABEL, jnp.int32)


Embedding = LabelEmbedding | ColumnEmbedding | WordEmbedding

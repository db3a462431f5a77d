"""An autoregressive model: each column given those before it, a mixture of Gaussians from one masked network."""

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.families.base import Family, PerPoint, Points, Size, Standards

_LEAST_LOG_STD = -7.0
_SPREAD = 2.0  # of the first means, in standard deviations of the data


class MaskedLinear(nnx.Module):
    """A linear layer, some of whose weights are always 0: those where `mask` [inputs, outputs] is."""

    def __init__(self, mask: Float[np.ndarray, "i o"], rngs: nnx.Rngs) -> None:
        self.mask = tuple(map(tuple, mask.tolist()))  # static, as a part of the structure
        inputs, outputs = mask.shape
        self.kernel = nnx.Param(nnx.initializers.lecun_normal()(rngs.params(), (inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        """x times the weights that are kept, and the bias."""
        kept = self.kernel[...] * jnp.asarray(self.mask, x.dtype)
        return x @ kept + self.bias[...]


class Autoregressive(nnx.Module):
    """MADE (Germain et al. 2015): x [n, d] -> the parameters of p(x_i | x_<i), which only see the columns before i.

    Each hidden unit has a number m in 0, …, d − 1, and sees inputs with numbers up to m; the output of column i sees
    hidden units with m < i.
    """

    def __init__(self, size: Size, components: int, rngs: nnx.Rngs) -> None:
        self.dim, self.components = size.dim, components
        inputs = np.arange(1, size.dim + 1)
        units = np.arange(size.width) % size.dim  # units of number 0 see no column: what is known without any
        outputs = np.repeat(np.arange(1, size.dim + 1), 3 * components)
        masks = [inputs[:, None] <= units, *[units[:, None] <= units] * (size.depth - 1)]
        self.hidden = nnx.List([MaskedLinear(mask.astype(float), rngs) for mask in masks])
        self.last = MaskedLinear((units[:, None] < outputs).astype(float), rngs)
        spread = jnp.linspace(-_SPREAD, _SPREAD, components) if components > 1 else jnp.zeros(1)
        bias = jnp.stack([jnp.zeros(components), spread, jnp.full(components, -0.5)])
        self.last.bias[...] = jnp.tile(bias.reshape(-1), size.dim)

    def conditionals(self, x: Float[Array, "n d"]) -> tuple[Array, Array, Array]:
        """log shares, means and log standard deviations [n, d, k] of each column given those before it."""
        for layer in self.hidden:
            x = jax.nn.silu(layer(x))
        shares, means, log_stds = jnp.moveaxis(self.last(x).reshape(len(x), self.dim, 3, self.components), 2, 0)
        return jax.nn.log_softmax(shares, axis=-1), means, jnp.maximum(log_stds, _LEAST_LOG_STD)

    def log_prob(self, x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log p(x) = Σ log p(x_i | x_<i)."""
        log_shares, means, log_stds = self.conditionals(x)
        each = jax.scipy.stats.norm.logpdf(x[..., None], means, jnp.exp(log_stds))
        return jax.nn.logsumexp(log_shares + each, axis=-1).sum(axis=-1)

    def draw(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n independent draws, one column after the other."""

        def column(x: Array, number: Array) -> tuple[Array, None]:
            of_component, of_noise = jax.random.split(jax.random.fold_in(key, number))
            log_shares, means, log_stds = (part[:, number] for part in self.conditionals(x))
            chosen = jax.random.categorical(of_component, log_shares)[:, None]
            mean, log_std = (jnp.take_along_axis(part, chosen, axis=-1)[:, 0] for part in (means, log_stds))
            return x.at[:, number].set(mean + jnp.exp(log_std) * jax.random.normal(of_noise, (n,))), None

        return jax.lax.scan(column, jnp.zeros((n, self.dim)), jnp.arange(self.dim))[0]


def autoregressive(*, components: Annotated[int, Meta(ge=1, le=100)] = 16) -> Family:
    """p(x) = Π p(x_i | x_<i), each a mixture of `components` Gaussians (Bishop 1994; Uria et al. 2013), by one masked
    network for all columns.

    >>> family = autoregressive(components=2)
    >>> network = family.network(Size(3, 16, 2), nnx.Rngs(0))
    >>> family.draw(network, jax.random.key(0), 4).shape, family.log_prob(network, jnp.zeros((5, 3))).shape
    ((4, 3), (5,))
    """

    def losses(network: Autoregressive, x: Points, _key: PRNGKeyArray, _progress: Float[Array, ""]) -> PerPoint:
        return -network.log_prob(x)

    return Family(
        title="an autoregressive model",
        network=lambda size, rngs: Autoregressive(size, components, rngs),
        draw=lambda network, key, n: network.draw(key, n),
        losses=losses,
        log_prob=lambda network, x: network.log_prob(x),
        standards=Standards(width=128, depth=3, steps=12_000, lr=2e-3),
        by_column=True,
    )

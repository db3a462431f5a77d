"""Each column given those before it: a mixture of Gaussians whose parameters are the outputs of a network."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.families.base import Family, PerPoint, Points, Size, Standards
from diffuse_cli.families.layers import Layers
from diffuse_cli.networks.embeddings import COORDINATE_FREQUENCIES, FEW, FourierFeatures

_NARROWEST = 1e-3  # standard deviation of a component; a column of equal values would have no narrowest one
_LOG_2PI = float(np.log(2 * np.pi))


class Conditionals(NamedTuple):
    """The mixtures [..., k] of one value: log weights, up to a constant, means and standard deviations."""

    logits: Float[Array, "*n k"]
    mean: Float[Array, "*n k"]
    std: Float[Array, "*n k"]


class Autoregressive(nnx.Module):
    """A multilayer perceptron for each of d columns, which sees the columns before its own and 0 for all others.

    The weights of all are arrays with the column as their first axis, so that all are evaluated at once.
    """

    def __init__(self, size: Size, components: int, *, rngs: nnx.Rngs) -> None:
        self.dim = size.dim
        self.features = FourierFeatures(COORDINATE_FREQUENCIES if size.dim <= FEW else ())
        inputs, outputs = self.features.width(size.dim), 3 * components

        @nnx.split_rngs(splits=size.dim)
        @nnx.vmap
        def each(rngs: nnx.Rngs) -> Layers:
            return Layers(inputs, outputs, width=size.width, depth=size.depth, rngs=rngs)

        self.columns = each(rngs)

    def all(self, x: Float[Array, "n d"]) -> Conditionals:
        """The conditionals [d, n, k] of all columns of x, each given the values before it."""
        seen = jnp.tril(jnp.ones((self.dim, self.dim), x.dtype), -1)
        return self._conditionals(*nnx.split(self.columns), seen[:, None] * x[None])

    def of(self, column: Array, x: Float[Array, "n d"]) -> Conditionals:
        """The conditionals [n, k] of one column of x, by its number."""
        structure, weights = nnx.split(self.columns)
        weights = jax.tree.map(lambda array: array[column][None], weights)
        seen = jnp.where(jnp.arange(self.dim)[None] < column, x, 0.0)
        return Conditionals(*(part[0] for part in self._conditionals(structure, weights, seen[None])))

    def _conditionals(self, structure: Any, weights: Any, seen: Float[Array, "c n d"]) -> Conditionals:
        outputs = jax.vmap(lambda weights, x: nnx.merge(structure, weights)(x))(weights, self.features(seen))
        logits, mean, raw = jnp.split(outputs, 3, axis=-1)
        return Conditionals(logits, mean, jax.nn.softplus(raw) + _NARROWEST)


def autoregressive(*, components: Annotated[int, Meta(ge=1, le=256)] = 16) -> Family:
    """Each column given those before it, as a mixture of Gaussians. Uria et al. 2013 (RNADE).

        p(x) = Π_i Σ_k w_k N(x_i; m_k, s_k²),  with w, m and s functions of x_1, …, x_(i-1)

    There all columns share a hidden layer; here each has a network of its own, which costs as much as a shared one that
    is wide enough for all (a mixture density network, Bishop 1994). In up to 8 columns the networks are given Fourier
    features, like that of diffusion. A sample is drawn column by column. components: k. s is at least 0.001.

    >>> family = autoregressive(components=2)
    >>> network = family.network(Size(3, 8, 1), nnx.Rngs(0))
    >>> family.draw(network, jax.random.key(0), 5).shape, family.log_prob(network, jnp.zeros((4, 3))).shape
    ((5, 3), (4,))
    """
    return Family(
        title="an autoregressive model",
        network=lambda size, rngs: Autoregressive(size, components, rngs=rngs),
        draw=_draw,
        losses=_losses,
        log_prob=_log_prob,
        standards=Standards(width=64, depth=3, steps=12_000),
        by_column=True,
    )


def _log_prob(network: Autoregressive, x: Points) -> PerPoint:
    given = network.all(x)
    apart = (x.T[..., None] - given.mean) / given.std
    each = jax.nn.log_softmax(given.logits) - 0.5 * (apart**2 + _LOG_2PI) - jnp.log(given.std)
    return jax.nn.logsumexp(each, axis=-1).sum(axis=0)


def _losses(network: Autoregressive, x0: Points, key: PRNGKeyArray, progress: Float[Array, ""]) -> PerPoint:
    return -_log_prob(network, x0)


def _draw(network: Autoregressive, key: PRNGKeyArray, n: int) -> Points:
    def add(x: Float[Array, "n d"], column: Array) -> tuple[Float[Array, "n d"], None]:
        which, noise = jax.random.split(jax.random.fold_in(key, column))
        given = network.of(column, x)
        chosen = jax.random.categorical(which, given.logits)[:, None]
        mean, std = (jnp.take_along_axis(part, chosen, axis=1)[:, 0] for part in (given.mean, given.std))
        return x.at[:, column].set(mean + std * jax.random.normal(noise, (n,))), None

    return jax.lax.scan(add, jnp.zeros((n, network.dim)), jnp.arange(network.dim))[0]

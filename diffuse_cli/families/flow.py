"""Normalizing flows: coupling layers, whose Jacobian is triangular. The layers are those of flowjax."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Annotated, Any

import equinox
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.errors import UsageError
from diffuse_cli.families.base import Family, Size, Standards, surprise

_INTERVAL = 4.0  # in which the splines bend; outside of it they are the identity

Layers = Annotated[int, Meta(ge=1, le=64)]
Transformer = Callable[[], Any]  # the bijection of one column, whose parameters a network of the others gives


class CouplingFlow(nnx.Module):
    """The arrays of a coupling flow as Params; `skeleton` makes the flow around them."""

    def __init__(self, size: Size, layers: int, knots: int, rngs: nnx.Rngs) -> None:
        self.size, self.layers, self.knots = size, layers, knots
        arrays = equinox.filter(_flow(size, layers, knots, rngs.params()), equinox.is_inexact_array)
        self.arrays = nnx.List([nnx.Param(leaf) for leaf in jax.tree.leaves(arrays)])

    @property
    def distribution(self) -> Any:
        """The flow with these arrays: a distribution of flowjax."""
        structure, static = _skeleton(self.size, self.layers, self.knots)
        arrays = jax.tree.unflatten(structure, [param[...] for param in self.arrays])
        return equinox.combine(arrays, static)

    def log_prob(self, x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """log p(x), by the density of the noise that x comes from and the Jacobian."""
        log_p: Array = self.distribution.log_prob(x)
        return log_p

    def draw(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n independent draws."""
        draws: Array = self.distribution.sample(key, (n,))
        return draws


def _flow(size: Size, layers: int, knots: int, key: PRNGKeyArray) -> Any:
    """A newly initialised flow; knots: of a spline, 0 for affine layers."""
    from flowjax.bijections import Affine, RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow

    spline = RationalQuadraticSpline(knots=knots, interval=_INTERVAL) if knots else Affine()
    return coupling_flow(
        key,
        base_dist=Normal(jnp.zeros(size.dim)),
        transformer=spline,
        flow_layers=layers,
        nn_width=size.width,
        nn_depth=size.depth,
        nn_activation=jax.nn.silu,
    )


@cache
def _skeleton(size: Size, layers: int, knots: int) -> tuple[Any, Any]:
    """The structure of the arrays of a flow, and all of it that is no array."""

    def make() -> Any:
        return _flow(size, layers, knots, jax.random.key(0))

    # It may first be asked for inside of a function that is being compiled, whose arrays have no values; another thread
    # is outside of that.
    with ThreadPoolExecutor(1) as thread:
        arrays, static = equinox.partition(thread.submit(make).result(), equinox.is_inexact_array)
    return jax.tree.structure(arrays), static


def realnvp(*, layers: Layers = 8) -> Family:
    """RealNVP (Dinh et al. 2017): each of `layers` layers scales and shifts one half of the columns by what a network
    makes of the other half.

    >>> family = realnvp(layers=2)
    >>> network = family.network(Size(2, 8, 1), nnx.Rngs(0))
    >>> family.log_prob(network, jnp.zeros((3, 2))).shape
    (3,)
    """
    return _family("a RealNVP flow", layers, 0)


def flow(*, layers: Layers = 6, knots: Annotated[int, Meta(ge=2, le=64)] = 8) -> Family:
    """A neural spline flow (Durkan et al. 2019): the coupling layers of `realnvp`, with a rational-quadratic spline of
    so many `knots` in place of a scale and a shift.

    >>> family = flow(layers=1)
    >>> family.draw(family.network(Size(2, 8, 1), nnx.Rngs(0)), jax.random.key(0), 4).shape
    (4, 2)
    """
    return _family("a normalizing flow", layers, knots)


def _family(title: str, layers: int, knots: int) -> Family:
    def network(size: Size, rngs: nnx.Rngs) -> CouplingFlow:
        if size.dim < 2:
            raise UsageError(
                "a flow of coupling layers moves some columns by what others are, and these data have one only; give "
                "--family autoregressive, or gmm"
            )
        return CouplingFlow(size, layers, knots, rngs)

    return Family(
        title=title,
        network=network,
        draw=lambda network, key, n: network.draw(key, n),
        losses=surprise,
        log_prob=lambda network, x: network.log_prob(x),
        standards=Standards(width=64, depth=2, steps=6_000, lr=2e-3),
    )

"""Generative adversarial networks: the plain one, and one whose game is stabilised."""

from typing import Annotated, Any, Literal

import jax
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.families.base import Family, PerPoint, Points, Size, Standards
from diffuse_cli.families.layers import Layers

_LATENTS = 8

Game = Literal["plain", "relativistic"]


class Players(nnx.Module):
    """A generator z [n, latents] -> x, and a discriminator x -> its logit [n]."""

    def __init__(self, size: Size, latents: int, rngs: nnx.Rngs) -> None:
        self.latents = latents
        of_layers: dict[str, Any] = {"width": size.width, "depth": size.depth, "rngs": rngs}
        leaky = jax.nn.leaky_relu
        self.generator = Layers(latents, size.dim, **of_layers, activation=leaky)
        self.discriminator = Layers(size.dim, 1, **of_layers, activation=leaky)

    def generate(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n draws of the generator."""
        return self.generator(jax.random.normal(key, (n, self.latents)))

    def logit(self, x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """The discriminator's logit that x is real."""
        return self.discriminator(x)[:, 0]


def gan(
    *,
    loss: Game = "plain",
    penalty: Annotated[float, Meta(ge=0, le=1000)] = 1.0,
    latents: Annotated[int, Meta(ge=1, le=256)] = _LATENTS,
) -> Family:
    """A generator against a discriminator, which are updated at once.

    loss: "plain" is the non-saturating game of Goodfellow et al. 2014. "relativistic" compares each real point with a
    generated one (Jolicoeur-Martineau 2019) and holds the discriminator's slope at real and at generated points down,
    penalty/2 ‖∇D‖² at both (Mescheder et al. 2018; together Huang et al. 2024, which converges locally). `penalty` is
    of the second only.

    Neither loss says how good the samples are: the held-out one is low where the generator loses.

    >>> family = gan()
    >>> network = family.network(Size(2, 16, 2), nnx.Rngs(0))
    >>> family.draw(network, jax.random.key(0), 3).shape, family.log_prob
    ((3, 2), None)
    """

    def losses(network: Players, x: Points, key: PRNGKeyArray, _progress: Float[Array, ""]) -> PerPoint:
        return player_losses(network, x, key, loss, penalty)

    return Family(
        title="a generative adversarial network (GAN)",
        network=lambda size, rngs: Players(size, latents, rngs),
        draw=lambda network, key, n: network.generate(key, n),
        losses=losses,
        no_density="a GAN draws samples, and no density of them is known; `diffuse evaluate` compares its samples with "
        "the data",
        standards=Standards(width=128, depth=3, batch_size=256, steps=24_000, lr=1e-3),
        comparable=False,
    )


def player_losses(network: Players, x: Points, key: PRNGKeyArray, game: Game, penalty: float) -> PerPoint:
    """The sum of both players' losses at each point, whose gradient is, for the Params of each, that of its own loss:
    each player sees the other's Params as constants.

    game, penalty: `loss` and `penalty` of `gan`.
    """
    structure, params = nnx.split(network, nnx.Param)
    frozen = nnx.merge(structure, jax.lax.stop_gradient(params))
    made = network.generate(key, len(x))
    seen = jax.lax.stop_gradient(made)
    if game == "plain":
        of_generator = jax.nn.softplus(-frozen.logit(made))
        return of_generator + jax.nn.softplus(-network.logit(x)) + jax.nn.softplus(network.logit(seen))
    of_generator = jax.nn.softplus(frozen.logit(x) - frozen.logit(made))
    of_discriminator = jax.nn.softplus(network.logit(seen) - network.logit(x))
    slopes = _squared_slope(network, x) + _squared_slope(network, seen)
    return of_generator + of_discriminator + penalty / 2 * slopes


def _squared_slope(network: Players, x: Points) -> PerPoint:
    """‖∇_x D‖² at each point."""
    slope = jax.grad(lambda x: network.logit(x).sum())(x)
    squares: Array = (slope**2).sum(axis=-1)
    return squares

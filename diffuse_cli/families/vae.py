"""The Gaussian variational autoencoder (Kingma & Welling 2014; Rezende et al. 2014).

p(z) = N(0, I), p(x | z) = N(decoder(z), s²), q(z | x) = N(mean(x), std(x)²). All losses are sums over columns and
latents: with means over columns in one term and sums in the other, β has another meaning, and latents collapse.
"""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.families.base import Family, PerPoint, Points, Size, Standards
from diffuse_cli.families.latent_integral import MOST_LATENTS, log_integral
from diffuse_cli.families.layers import Layers

_LEAST_NOISE = math.log(1e-3)  # log s: a column that is constant would have no least one
MOST_INTEGRALS = 1000  # points whose log p is computed where the user does not say how many
_TOLERATED = 0.01  # nats
_log = logging.getLogger(__name__)
_LOG_2PI = math.log(2 * math.pi)

Latent = Annotated[int, Meta(ge=1, le=256)]
Beta = Annotated[float, Meta(ge=0, le=1000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Noise = Annotated[float, Meta(ge=1e-3, le=10)] | Literal["learned", "columns"]
Decoder = Literal["mlp", "linear"]
LogPrior = Callable[[np.ndarray], np.ndarray]  # latents [m, k] -> log p(z) [m], nats


class Encoded(NamedTuple):
    """q(z | x) of n points: its mean and standard deviation in each latent."""

    mean: Float[Array, "n k"]
    std: Float[Array, "n k"]


class VAE(nnx.Module):
    """Encoder, decoder and the noise s of the decoder, for latents of `latent` columns.

    noise: "learned" (one s), "columns" (one for each column), or a number. With a `linear` decoder the encoder is
    linear too, with one std for all x, which is best there: the posterior of probabilistic PCA has this form.
    """

    def __init__(self, size: Size, latent: int, noise: Noise, *, linear: bool, rngs: nnx.Rngs) -> None:
        self.latent, self.linear = latent, linear
        self.encoder: Any
        self.decoder: Any
        if linear:
            self.encoder = nnx.Linear(size.dim, latent, rngs=rngs)
            self.log_std = nnx.Param(jnp.zeros(latent))
            self.decoder = nnx.Linear(latent, size.dim, rngs=rngs)
        else:
            self.encoder = Layers(size.dim, 2 * latent, width=size.width, depth=size.depth, rngs=rngs)
            self.decoder = Layers(latent, size.dim, width=size.width, depth=size.depth, rngs=rngs)
        self.fixed = None if isinstance(noise, str) else noise
        if self.fixed is None:
            self.log_noise = nnx.Param(jnp.full(size.dim if noise == "columns" else 1, math.log(0.5)))

    def encode(self, x: Float[Array, "n d"]) -> Encoded:
        """q(z | x)."""
        if self.linear:
            mean = self.encoder(x)
            return Encoded(mean, jnp.broadcast_to(jnp.exp(self.log_std[...]), mean.shape))
        mean, log_std = jnp.split(self.encoder(x), 2, axis=-1)
        return Encoded(mean, jnp.exp(log_std))

    def decode(self, z: Float[Array, "n k"]) -> Float[Array, "n d"]:
        """The mean of x given z."""
        mean: Float[Array, "n d"] = self.decoder(z)
        return mean

    @property
    def noise(self) -> Float[Array, " d"]:
        """s [d] or [1], the standard deviation of x given z."""
        if self.fixed is not None:
            return jnp.full(1, self.fixed)
        return jnp.exp(jnp.maximum(self.log_noise[...], _LEAST_NOISE))

    def draw(self, z: Float[Array, "n k"], key: PRNGKeyArray) -> Float[Array, "n d"]:
        """x drawn from p(x | z): the mean with the noise of the decoder, without which x would have no density."""
        mean = self.decode(z)
        return mean + self.noise * jax.random.normal(key, mean.shape)


class Terms(NamedTuple):
    """The two terms of −ELBO at n points, nats: −E log p(x | z) over q(z | x), and KL(q(z | x) ‖ N) of each latent."""

    reconstruction: Float[Array, " n"]
    kl: Float[Array, "n k"]


def elbo_terms(network: VAE, x: Float[Array, "n d"], key: PRNGKeyArray) -> Terms:
    """The Terms of −ELBO (Kingma & Welling 2014, eq. 3), with one z drawn for each x; for a linear decoder the exact
    expectation over z, E|x − W z|² = |x − W mean|² + Σ std² W²."""
    encoded = network.encode(x)
    if network.linear:
        spread = ((encoded.std[..., None] * network.decoder.kernel[...] / network.noise) ** 2).sum(axis=(-2, -1))
        return Terms(0.5 * spread - log_likelihood_given(network, x, encoded.mean), kl_to_prior(encoded))
    z = encoded.mean + encoded.std * jax.random.normal(key, encoded.mean.shape)
    return Terms(-log_likelihood_given(network, x, z), kl_to_prior(encoded))


def log_likelihood_given(network: VAE, x: Float[Array, "n d"], z: Float[Array, "n k"]) -> Float[Array, " n"]:
    """log p(x | z), the sum over the columns."""
    noise = network.noise
    each = -0.5 * ((x - network.decode(z)) / noise) ** 2 - jnp.log(noise) - 0.5 * _LOG_2PI
    return each.sum(axis=-1)


def kl_to_prior(encoded: Encoded) -> Float[Array, "n k"]:
    """KL(q(z | x) ‖ N(0, 1)) of each latent.

    >>> kl_to_prior(Encoded(jnp.ones((1, 1)), jnp.ones((1, 1)))).item()
    0.5
    """
    return 0.5 * (encoded.mean**2 + encoded.std**2 - 1) - jnp.log(encoded.std)


def vae(
    *,
    latent: Latent = 2,
    beta: Beta = 1.0,
    warmup: Share = 0.2,
    noise: Noise = "learned",
    decoder: Decoder = "mlp",
) -> Family:
    """The VAE whose loss is −E log p(x | z) + β KL(q(z | x) ‖ N) (Higgins et al. 2017; β = 1 is −ELBO).

    β rises from 0 over the first `warmup` of training, so that latents are used before they are paid for (Bowman et al.
    2016). noise: s, learned or given. decoder: "linear" makes it probabilistic PCA (Lucas et al. 2019). log p is by
    quadrature over one or two latents, and in closed form for a linear decoder.

    >>> family = vae(latent=1, decoder="linear")
    >>> network = family.network(Size(3, 8, 1), nnx.Rngs(0))
    >>> family.draw(network, jax.random.key(0), 5).shape, family.log_prob(network, np.zeros((4, 3))).shape
    ((5, 3), (4,))
    """
    linear = decoder == "linear"

    def network(size: Size, rngs: nnx.Rngs) -> VAE:
        return VAE(size, latent, noise, linear=linear, rngs=rngs)

    def losses(network: VAE, x: Points, key: PRNGKeyArray, progress: Float[Array, ""]) -> PerPoint:
        terms = elbo_terms(network, x, key)
        rise = 1.0 if warmup == 0 else jnp.minimum(1.0, progress / warmup)
        return terms.reconstruction + beta * rise * terms.kl.sum(axis=-1)

    def judged(network: VAE, x: Points, key: PRNGKeyArray) -> PerPoint:
        terms = elbo_terms(network, x, key)
        return terms.reconstruction + beta * terms.kl.sum(axis=-1)

    def draw(network: VAE, key: PRNGKeyArray, n: int) -> Points:
        of_latents, of_noise = jax.random.split(key)
        return network.draw(jax.random.normal(of_latents, (n, latent)), of_noise)

    log_prob: Callable[[VAE, Points], Any] | None = None
    if linear:
        log_prob = log_density_of_linear
    elif latent <= MOST_LATENTS:
        log_prob = partial(log_density, log_prior=log_normal)
    return Family(
        title="a variational autoencoder (VAE)",
        network=network,
        draw=draw,
        losses=losses,
        log_prob=log_prob,
        no_density=f"its density is an integral over {latent} latents, which is computed for {MOST_LATENTS} at most; "
        "`diffuse evaluate` prints the ELBO, a lower bound",
        judged=judged,
        standards=Standards(width=128, depth=2, lr=2e-3, steps=12_000, most_weight_decay=0.1),
        compiled=False,
        most=None if linear else MOST_INTEGRALS,
    )


def autoencoder(
    latent: int,
    *,
    beta: Beta = 1.0,
    warmup: Share = 0.2,
    noise: Noise = "learned",
    decoder: Decoder = "mlp",
) -> str:
    """The choice of family of the VAE that `--autoencoder vae:…` trains for `--latent`; options as those of `vae`.

    >>> autoencoder(2, beta=0.5)
    'vae:latent=2,beta=0.5'
    """
    values = {"beta": beta, "warmup": warmup, "noise": noise, "decoder": decoder}
    standard = {"beta": 1.0, "warmup": 0.2, "noise": "learned", "decoder": "mlp"}
    options = [f"latent={latent}", *(f"{key}={value}" for key, value in values.items() if value != standard[key])]
    return f"vae:{','.join(options)}"


class TrainedRun(NamedTuple):
    """The name of a run whose autoencoder is used, in place of one that is trained."""

    name: str


def trained(*, name: str) -> TrainedRun:
    """The autoencoder of a run of --family vae, or of a latent run, on the same data.

    >>> trained(name="curves-vae")
    TrainedRun(name='curves-vae')
    """
    return TrainedRun(name)


def log_normal(z: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
    """log N(z; 0, I), the prior of a VAE."""
    log_p: np.ndarray = -0.5 * (z**2).sum(axis=-1) - 0.5 * z.shape[-1] * _LOG_2PI
    return log_p


def log_density(network: VAE, x: Points, *, log_prior: LogPrior) -> Float[np.ndarray, " n"]:
    """log ∫ p(z) N(x; decoder(z), s²) dz by quadrature on a grid, for one or two latents and any prior p(z)."""
    encoded = jax.device_get(network.encode(jnp.asarray(x, jnp.float32)))
    integral = log_integral(network.decode, np.asarray(network.noise), log_prior, np.asarray(x), encoded)
    if integral.error > _TOLERATED:
        _log.warning(
            f"the decoder has detail finer than the grid of latents: log p is known to about {integral.error:.2g} nats"
        )
    return integral.log_p


def log_density_of_linear(network: VAE, x: Points) -> Float[np.ndarray, " n"]:
    """log p(x) of a linear VAE, N(b, W Wᵀ + s² I) (Tipping & Bishop 1999, eq. 6 f.)."""
    from scipy.stats import multivariate_normal

    weights = np.asarray(network.decoder.kernel[...], np.float64)
    noise = np.broadcast_to(np.asarray(network.noise, np.float64), weights.shape[1])
    covariance = weights.T @ weights + np.diag(noise**2)
    return np.asarray(multivariate_normal(np.asarray(network.decoder.bias[...]), covariance).logpdf(np.asarray(x)))

"""What is lost on the way to a latent space and back: −ELBO, the exact NLL of the VAE, and the hole in its prior."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli import catalog
from diffuse_cli.analysis.digits import with_spread
from diffuse_cli.analysis.quality import Solved, Solver, negative_log_likelihood
from diffuse_cli.analysis.schedule_check import Estimate
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion.exact import Law
from diffuse_cli.diffusion.likelihood import log_likelihood
from diffuse_cli.families.linear_vae import Collapse, predicted_collapse
from diffuse_cli.families.vae import elbo_terms
from diffuse_cli.models import build
from diffuse_cli.models.autoencoder import Autoencoder
from diffuse_cli.models.data import draw_data
from diffuse_cli.models.direct import direct_of_family
from diffuse_cli.models.latent import active_latents
from diffuse_cli.models.model import Model

_DRAWS = 16  # of z for each point, in the ELBO
_ENCODED = 1 << 17  # encodings whose mixture is q(z)
_JUDGED = 2000  # latents at which log q(z) is computed
_TOGETHER = 1 << 12  # encodings in one step of the sum
_EIGENVALUES = 20_000  # draws of the data for their covariance


class LatentQuality(NamedTuple):
    """What is known of an autoencoder, and of a diffusion in its latents. Nats, of the same held-out points.

    bound: −ELBO of each point [n], data units; its mean is above the NLL of the VAE. vae: that NLL; None where it is
    not known. hole: KL(q(z) ‖ N), how far the encodings of the data are from the prior. hole_left: KL(q(z) ‖ p(z)) of
    the diffusion, which takes the place of the prior; None of a VAE alone. active: which latents are. linear: what
    probabilistic PCA says of a linear VAE with the same β. noise: s of the decoder, the root mean square over columns,
    model space.
    """

    bound: np.ndarray
    vae: Solved | None
    hole: Estimate
    hole_left: Estimate | None
    active: np.ndarray
    linear: Collapse
    noise: float

    def rows(self) -> list[tuple[str, str]]:
        """Names and values, for a table."""
        rows = [("−ELBO of the VAE", with_spread(*Estimate.of(self.bound)) + " nats")]
        if self.vae is not None and self.vae.nll.value is not None:
            of_vae = Estimate.of(-self.vae.log_p)
            rows.append(("NLL of the VAE", f"{with_spread(*of_vae)} nats"))
        rows.append(("hole, KL(q(z) ‖ N)", f"{with_spread(*self.hole)} nats"))
        if self.hole_left is not None:
            rows.append(("left of it, KL(q(z) ‖ p(z))", f"{with_spread(*self.hole_left)} nats"))
        active, linear = int(self.active.sum()), self.linear
        rows.append(
            ("active latents", f"{active} of {linear.latents}; PCA says {linear.active} of {linear.latents} if linear")
        )
        rows.append(("noise of the decoder", f"{self.noise:.4g} (model space), which samples have"))
        return rows

    def document(self) -> dict[str, object]:
        """The same for --json."""
        bound = Estimate.of(self.bound)
        vae = None if self.vae is None else Estimate.of(-self.vae.log_p)
        return {
            "elbo_bound": {"value": bound.value, "stderr": bound.stderr},
            "vae_nll": vae and vae._asdict(),
            "hole": self.hole._asdict(),
            "hole_left": self.hole_left and self.hole_left._asdict(),
            "active": self.active.tolist(),
            "active_if_linear": self.linear.active,
            "noise": self.noise,
        }


def latent_quality(model: Model, dataset: Dataset, law: Law | None, x0: np.ndarray, seed: int) -> LatentQuality:
    """The LatentQuality of a VAE, or of a latent model that is decoded, at x0 [n, d], model space of the data.

    dataset: the data. law: that of x0, or None. Raises ValueError for any other model.
    """
    autoencoder, plane = model.autoencoder, model.plane
    if autoencoder is None:
        raise ValueError(f"{model.name} has no autoencoder")
    train = draw_data(autoencoder.config, dataset).train[:_ENCODED]
    encoded = autoencoder.encode(autoencoder.standard.to_data(np.asarray(train, np.float64)))
    return LatentQuality(
        bound=elbo_bound(autoencoder, x0, seed),
        vae=nll_of_vae(model, autoencoder, law, x0),
        hole=_hole(autoencoder, encoded, dataset, seed, None),
        hole_left=None if plane is None or not plane.has_flow else _hole(autoencoder, encoded, dataset, seed, plane),
        active=active_latents(autoencoder, dataset),
        linear=linear_prediction(autoencoder, dataset),
        noise=float(np.sqrt((autoencoder.noise**2).mean())),
    )


def elbo_bound(autoencoder: Autoencoder, x0: np.ndarray, seed: int) -> Float[np.ndarray, " n"]:
    """−ELBO of each of x0 [n, d], model space, with β = 1, in nats and data units: the mean over several z."""
    network, x = autoencoder.network, jnp.asarray(x0, jnp.float32)

    @jax.jit
    def bound(x: Array, keys: Array) -> Array:
        def one(key: Array) -> Array:
            terms = elbo_terms(network, x, key)
            return terms.reconstruction + terms.kl.sum(axis=-1)

        return jax.lax.map(one, keys).mean(axis=0)

    keys = jax.random.split(jax.random.key(seed), _DRAWS)
    return np.asarray(bound(x, keys), np.float64) + autoencoder.standard.log_volume


def nll_of_vae(model: Model, autoencoder: Autoencoder, law: Law | None, x0: np.ndarray) -> Solved | None:
    """The exact NLL of the VAE alone, with N as its prior; None where it is not known."""
    experiment = build.build_experiment(autoencoder.config, autoencoder.standard.dim)
    direct = direct_of_family(experiment, autoencoder.weights)
    if direct.log_prob is None:
        return None
    alone = model._replace(direct=direct, plane=None, standard=autoencoder.standard)
    return negative_log_likelihood(alone, law, x0, Solver())


def linear_prediction(autoencoder: Autoencoder, dataset: Dataset) -> Collapse:
    """What probabilistic PCA says of a linear VAE with the β, the latents and the noise of this one."""
    options = catalog.convert_options(catalog.parse("family", autoencoder.config.family))
    draws = dataset.draw(np.random.default_rng(0), _EIGENVALUES)
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.cov(autoencoder.standard.to_model(draws).T)))
    noise = options.get("noise")
    given = float(noise) if isinstance(noise, float) else None
    return predicted_collapse(np.maximum(eigenvalues, 0), autoencoder.latents, options.get("beta", 1.0), given)


def _hole(
    autoencoder: Autoencoder,
    encoded: tuple[np.ndarray, np.ndarray],
    dataset: Dataset,
    seed: int,
    plane: Model | None,
) -> Estimate:
    """KL(q(z) ‖ p(z)) for the p of a latent model, or for N where that is None; encoded: the components of q(z).

    It is the mean of log q(z) − log p(z) over z drawn from q(z | x) of data that are not among those of `encoded`, so
    that no z meets the component that it comes from.
    """
    rng = np.random.default_rng((seed, 3))
    fresh = draw_data(autoencoder.config, dataset).held_out[:_JUDGED]
    mean, std = autoencoder.encode(autoencoder.standard.to_data(np.asarray(fresh, np.float64)))
    z = mean + std * rng.standard_normal(mean.shape)
    log_q = aggregate_posterior(z, *encoded)
    if plane is None:
        log_p = -0.5 * (z**2).sum(axis=-1) - 0.5 * z.shape[1] * np.log(2 * np.pi)
    else:
        solved = log_likelihood(plane.predict, plane.process, plane.standard.to_model(z))
        log_p = np.asarray(solved.log_p, np.float64) - plane.standard.log_volume
    return Estimate.of(log_q - log_p)


def aggregate_posterior(
    z: Float[np.ndarray, "m k"], mean: Float[np.ndarray, "n k"], std: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, " m"]:
    """log q(z) [m] of the mixture of n Gaussians q(z | x), the encodings of n points; nats.

    >>> aggregate_posterior(np.zeros((1, 1)), np.zeros((3, 1)), np.ones((3, 1))).round(4)
    array([-0.9189], dtype=float32)
    """
    size = min(_TOGETHER, len(mean))
    missing = -len(mean) % size
    far = np.pad(mean, ((0, missing), (0, 0)), constant_values=1e6)  # no weight: exp of −∞
    wide = np.pad(std, ((0, missing), (0, 0)), constant_values=1.0)
    parts = (np.asarray(part, np.float32).reshape(-1, size, mean.shape[1]) for part in (far, wide))
    return np.asarray(_log_mixture(jnp.asarray(z, jnp.float32), *parts)) - np.float32(np.log(len(mean)))


@jax.jit
def _log_mixture(z: Array, means: Array, stds: Array) -> Array:
    """log Σ N(z; mean, std²) over all components, which come in parts [p, size, k]."""

    def add(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        mean, std = part
        each = jax.scipy.stats.norm.logpdf(z[:, None], mean, std).sum(axis=-1)
        return jnp.logaddexp(total, jax.nn.logsumexp(each, axis=-1)), None

    return jax.lax.scan(add, jnp.full(len(z), -jnp.inf), (means, stds))[0]

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
from diffuse_cli.families.vae import elbo_terms, log_normal
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
_KNOWN = 0.05  # nats
_EIGENVALUES = 20_000  # draws of the data for their covariance


class LatentQuality(NamedTuple):
    """What is known of an autoencoder, and of a diffusion in its latents. Nats, of the same held-out points.

    bound: −ELBO, which is above the NLL of the VAE. vae: that NLL; None where it is not known. gained: by how much the
    NLL of the diffusion is below that of the VAE; None where one of them is not known, and of a VAE alone. hole:
    KL(q(z) ‖ N), how far the encodings of the data are from the prior; None where they are too few or too narrow for
    q(z) to be known between them. filled: by how much KL(q(z) ‖ p(z)) of the diffusion, which takes the place of the
    prior, is smaller; None of a VAE alone. active: which latents are. linear: what probabilistic PCA says of a linear
    VAE with the same β. noise: s of the decoder, the root mean square over columns, model space.
    """

    bound: Estimate
    vae: Estimate | None
    gained: Estimate | None
    hole: Estimate | None
    filled: Estimate | None
    active: np.ndarray
    linear: Collapse
    noise: float

    def rows(self) -> list[tuple[str, str]]:
        """Names and values, for a table."""
        rows = [("−ELBO of the VAE", f"{with_spread(*self.bound)} nats")]
        if self.vae is not None:
            rows.append(("NLL of the VAE", f"{with_spread(*self.vae)} nats"))
        if self.gained is not None:
            rows.append(("diffusion gains", f"{with_spread(*self.gained)} nats on the same points"))
        if self.hole is not None:
            rows.append(("hole, KL(q(z) ‖ N)", f"{with_spread(*self.hole)} nats"))
        if self.filled is not None:
            rows.append(("filled by p(z) of the diffusion", f"{with_spread(*self.filled)} nats"))
        active, linear = int(self.active.sum()), self.linear
        rows.append(
            ("active latents", f"{active} of {linear.latents}; PCA says {linear.active} of {linear.latents} if linear")
        )
        rows.append(("noise of the decoder", f"{self.noise:.4g} (model space), which samples have"))
        return rows

    def document(self) -> dict[str, object]:
        """The same for --json."""
        return {
            "elbo_bound": self.bound._asdict(),
            "vae_nll": self.vae and self.vae._asdict(),
            "gained": self.gained and self.gained._asdict(),
            "hole": self.hole and self.hole._asdict(),
            "filled": self.filled and self.filled._asdict(),
            "active": self.active.tolist(),
            "active_if_linear": self.linear.active,
            "noise": self.noise,
        }


def latent_quality(
    model: Model, dataset: Dataset, law: Law | None, x0: np.ndarray, solved: Solved | None, seed: int
) -> LatentQuality:
    """The LatentQuality of a VAE, or of a latent model that is decoded, at x0 [n, d], model space of the data.

    dataset: the data. law: that of x0, or None. solved: the likelihood of x0 by the model; None where it is not known.
    All NLL are those of `solved` plus a difference on the same points, in which the sampling error cancels. Raises
    ValueError for a model without an autoencoder.
    """
    autoencoder, plane = model.autoencoder, model.plane
    if autoencoder is None:
        raise ValueError(f"{model.name} has no autoencoder")
    z = _fresh_latents(autoencoder, dataset, seed)
    alone = solved if plane is None else nll_of_vae(model, autoencoder, law, x0)
    bound, of_vae, gained = elbo_bound(autoencoder, x0, seed), None, None
    reported = Estimate.of(bound)
    if alone is not None and alone.nll.value is not None and alone.nll.stderr is not None:
        of_vae = Estimate(alone.nll.value, alone.nll.stderr)
        reported = Estimate(of_vae.value + float((bound + alone.log_p).mean()), of_vae.stderr)
        if plane is not None and solved is not None:
            gained = Estimate.of(solved.log_p - alone.log_p)
    return LatentQuality(
        bound=reported,
        vae=of_vae,
        gained=gained,
        hole=None if dataset.points is not None else _hole(autoencoder, dataset, z),
        filled=None if plane is None or not plane.has_flow else _filled(plane, z),
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


def _fresh_latents(autoencoder: Autoencoder, dataset: Dataset, seed: int) -> np.ndarray:
    """A latent z ~ q(z | x) [m, k] of each of some held-out points."""
    fresh = draw_data(autoencoder.config, dataset).held_out[:_JUDGED]
    mean, std = autoencoder.encode(autoencoder.standard.to_data(np.asarray(fresh, np.float64)))
    return mean + std * np.random.default_rng((seed, 3)).standard_normal(mean.shape)


def _hole(autoencoder: Autoencoder, dataset: Dataset, z: np.ndarray) -> Estimate | None:
    """KL(q(z) ‖ N), the mean of log q(z) − log N(z). The components of q(z) are the encodings of training points, so
    that none of the held-out z meets the one that it comes from. None where half of them give another answer: between
    encodings that are narrower than their distances q(z) is not known."""
    train = draw_data(autoencoder.config, dataset).train[:_ENCODED]
    encoded = autoencoder.encode(autoencoder.standard.to_data(np.asarray(train, np.float64)))
    hole, by_half = (
        Estimate.of(aggregate_posterior(z, *(part[::step] for part in encoded)) - log_normal(z)) for step in (1, 2)
    )
    return hole if abs(hole.value - by_half.value) < _KNOWN and hole.stderr < 2 * _KNOWN else None


def _filled(plane: Model, z: np.ndarray) -> Estimate:
    """KL(q(z) ‖ N) − KL(q(z) ‖ p(z)) of a diffusion, in which q(z) itself cancels: the mean of log p(z) − log N(z)."""
    solved = log_likelihood(plane.predict, plane.process, plane.standard.to_model(z))
    log_p = np.asarray(solved.log_p, np.float64) - plane.standard.log_volume
    return Estimate.of(log_p - log_normal(z))


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

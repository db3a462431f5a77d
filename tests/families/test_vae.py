"""The VAE: its exact density by quadrature, by PCA and by Monte Carlo; its bound; its collapse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.optimize import minimize
from scipy.stats import norm

from diffuse_cli.families import vae as module
from diffuse_cli.families.base import Size
from diffuse_cli.families.latent_integral import log_integral
from diffuse_cli.families.linear_vae import predicted_collapse
from diffuse_cli.families.vae import (
    VAE,
    Encoded,
    elbo_terms,
    kl_to_prior,
    log_density,
    log_density_of_linear,
    log_likelihood_given,
)

DIM = 3
X = np.random.default_rng(0).normal(size=(7, DIM))


def network_of(*, linear, latent=2, noise=0.5):
    return VAE(Size(DIM, 16, 1), latent, noise, linear=linear, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("latent", [1, 2])
def test_quadrature_gives_the_density_of_probabilistic_pca(latent):
    network = network_of(linear=True, latent=latent)
    by_formula = log_density_of_linear(network, X)
    assert log_density(network, jnp.asarray(X), log_prior=module.log_normal) == pytest.approx(by_formula, abs=2e-5)


def test_quadrature_agrees_with_monte_carlo():
    network, rng = network_of(linear=False), np.random.default_rng(1)
    z = rng.standard_normal((200_000, 2))
    log_p = norm.logpdf(X[:, None], np.asarray(network.decode(jnp.asarray(z))), 0.5).sum(axis=-1)
    by_draws = np.exp(log_p)
    error = by_draws.std(axis=1) / np.sqrt(len(z)) / by_draws.mean(axis=1)
    apart = log_density(network, jnp.asarray(X), log_prior=module.log_normal) - np.log(by_draws.mean(axis=1))
    assert (np.abs(apart) < 4 * error).all()
    assert error.max() < 0.02


def test_quadrature_misses_no_part_that_the_encoder_does_not_see():
    """Two latents decode to the same x, and the encoder names one of them."""
    decode, half = (lambda z: z**2), np.full((1, 1), 0.02)
    at_one = (np.full((1, 1), 1.0), half)
    found = log_integral(decode, np.full(1, 0.05), module.log_normal, np.ones((1, 1)), at_one)
    one = norm.pdf(1.0) * norm.pdf(0.0) / 0.05 * 0.05 * np.sqrt(2 * np.pi) / 2  # Laplace: dz = dx / 2 at each
    assert found.log_p[0] == pytest.approx(np.log(2 * one), abs=0.01)
    assert found.error < 1e-6


def test_a_coarse_grid_says_so(caplog):
    network = network_of(linear=True, noise=0.001)  # finer than two million nodes of the plane
    log_density(network, jnp.asarray(X), log_prior=module.log_normal)
    assert "finer than the grid" in caplog.text


def test_kl_is_that_of_two_gaussians():
    mean, std = np.array([[0.3, -2.0]]), np.array([[0.5, 3.0]])
    z = np.linspace(-40, 40, 200_001)[:, None]
    q = norm.pdf(z, mean, std)
    terms = np.where(q > 0, q * (norm.logpdf(z, mean, std) - norm.logpdf(z)), 0)
    numeric = np.trapezoid(terms, z[:, 0], axis=0)
    assert np.asarray(kl_to_prior(Encoded(jnp.asarray(mean), jnp.asarray(std))))[0] == pytest.approx(numeric, rel=1e-4)


@pytest.mark.parametrize("linear", [True, False])
def test_minus_elbo_is_above_the_nll(linear):
    network = network_of(linear=linear)
    terms = [elbo_terms(network, jnp.asarray(X, jnp.float32), key) for key in jax.random.split(jax.random.key(0), 200)]
    bounds = np.array([np.asarray(term.reconstruction + term.kl.sum(axis=1)) for term in terms])
    log_p = log_density(network, jnp.asarray(X), log_prior=module.log_normal)
    assert (bounds.mean(axis=0) + 3 * bounds.std(axis=0) / np.sqrt(len(bounds)) > -log_p).all()


def test_the_bound_is_tight_at_the_posterior_of_pca():
    """With q(z | x) equal to p(z | x), −ELBO is −log p(x)."""
    network = network_of(linear=True)
    weights = np.asarray(network.decoder.kernel[...], np.float64)  # x = z W, W [k, d]
    precision = np.eye(2) + weights @ weights.T / 0.25
    rotate = np.linalg.eigh(precision)[1]
    network.decoder.kernel[...] = jnp.asarray(rotate.T @ weights)  # a rotation of z, after which q is a product
    weights = rotate.T @ weights
    variance = 1 / np.diag(np.eye(2) + weights @ weights.T / 0.25)
    network.encoder.kernel[...] = jnp.asarray((weights.T / 0.25) * variance)
    network.log_std[...] = jnp.asarray(0.5 * np.log(variance))
    terms = elbo_terms(network, jnp.asarray(X, jnp.float32), jax.random.key(0))
    bound = np.asarray(terms.reconstruction + terms.kl.sum(axis=-1))
    assert bound == pytest.approx(-log_density_of_linear(network, X), abs=1e-4)


def test_the_expectation_of_a_linear_decoder_is_that_over_draws():
    network, x = network_of(linear=True), jnp.asarray(X, jnp.float32)
    network.log_std[...] = jnp.array([-0.5, 0.3])
    encoded, keys = network.encode(x), jax.random.split(jax.random.key(0), 20_000)
    draws = jax.vmap(lambda key: encoded.mean + encoded.std * jax.random.normal(key, encoded.mean.shape))(keys)
    each = np.asarray(jax.vmap(lambda z: -log_likelihood_given(network, x, z))(draws))
    found = np.asarray(elbo_terms(network, x, keys[0]).reconstruction)
    assert (np.abs(found - each.mean(axis=0)) < 4 * each.std(axis=0) / np.sqrt(len(keys))).all()


SETTINGS = [(beta, noise) for beta in (0.2, 0.5, 1.0, 2.0, 5.0) for noise in (0.4, None)]
EIGENVALUES = np.array([3.0, 1.2, 0.5, 0.2, 0.1, 0.1])


def exact_loss(parameters, beta, noise, latents):
    """The loss of a linear VAE whose latents lie along eigenvectors: weights w, encoder a, variances v, and s."""
    w, a, log_v = parameters[: 3 * latents].reshape(3, latents)
    square = noise**2 if noise is not None else np.exp(parameters[-1])
    kept = EIGENVALUES[:latents]
    left = (kept * (1 - w * a) ** 2 + w**2 * np.exp(log_v)).sum() + EIGENVALUES[latents:].sum()
    kl = 0.5 * (a**2 * kept + np.exp(log_v) - 1 - log_v).sum()
    return left / (2 * square) + len(EIGENVALUES) / 2 * np.log(square) + beta * kl


@pytest.mark.parametrize(("beta", "noise"), SETTINGS)
def test_the_collapse_of_a_linear_vae_is_predicted(beta, noise):
    """Against the least loss that an optimiser finds."""
    latents = 4
    found = predicted_collapse(EIGENVALUES, latents, beta, noise)
    starts = [np.random.default_rng(seed).normal(size=3 * latents + 1) * 0.5 for seed in range(6)]
    best = min((minimize(exact_loss, at, (beta, noise, latents), method="BFGS") for at in starts), key=lambda r: r.fun)
    w = best.x[:latents]
    assert (np.abs(w) > 0.05).sum() == found.active
    if noise is None:
        assert np.exp(best.x[-1] / 2) == pytest.approx(found.noise, rel=1e-2)
    square = found.noise**2
    expected = np.sqrt(np.maximum(EIGENVALUES[:latents] - beta * square, 0))
    assert np.abs(w) == pytest.approx(expected, abs=0.03)


def test_beta_rises_over_the_warm_up():
    family, network = module.vae(beta=2.0, warmup=0.5), network_of(linear=False, noise=1.0)
    x, key = jnp.asarray(X, jnp.float32), jax.random.key(0)
    terms = elbo_terms(network, x, key)
    for progress, weight in ((0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (1.0, 2.0)):
        loss = family.losses(network, x, key, jnp.float32(progress))
        assert np.asarray(loss) == pytest.approx(np.asarray(terms.reconstruction + weight * terms.kl.sum(-1)), rel=1e-5)


def test_the_noise_is_one_number_or_one_for_each_column_or_given():
    shapes = {
        name: VAE(Size(DIM, 4, 1), 1, name, linear=False, rngs=nnx.Rngs(0)).noise.shape
        for name in ("learned", "columns")
    }
    assert shapes == {"learned": (1,), "columns": (DIM,)}
    fixed = VAE(Size(DIM, 4, 1), 1, 0.3, linear=False, rngs=nnx.Rngs(0))
    assert fixed.noise.item() == pytest.approx(0.3)
    assert "log_noise" not in nnx.to_pure_dict(nnx.split(fixed, nnx.Param)[1])


def test_draws_have_the_noise_of_the_decoder():
    network = network_of(linear=True, noise=0.5)
    z = jnp.zeros((40_000, 2))
    draws = np.asarray(network.draw(z, jax.random.key(0)))
    assert draws.std(axis=0) == pytest.approx(np.full(DIM, 0.5), rel=0.02)

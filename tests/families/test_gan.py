"""The two players of a GAN, the penalties, and the score by which held-out points judge it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from diffuse_cli import catalog
from diffuse_cli.families.base import Size
from diffuse_cli.families.gan import Players, energy_score, gan, player_losses
from diffuse_cli.networks.denoiser import split

KEY = jax.random.key(3)
X = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)
softplus = jax.nn.softplus


def both_by_hand(loss, penalty):
    """(weights of G, weights of D) -> the losses of both, written without stopped gradients."""

    def of(structure, generator, discriminator):
        network = nnx.merge(structure, {"generator": generator, "discriminator": discriminator})
        fake = network.generator(jax.random.normal(KEY, (len(X), 3)))
        judge = lambda x: network.discriminator(x)[:, 0]  # noqa: E731
        slope = lambda x: jax.vmap(jax.grad(lambda x: judge(x[None])[0]))(x)  # noqa: E731
        squares = lambda x: (slope(x) ** 2).sum(axis=1)  # noqa: E731
        if loss == "plain":
            of_generator, of_discriminator = softplus(-judge(fake)), softplus(-judge(X)) + softplus(judge(fake))
        else:
            of_generator, of_discriminator = softplus(judge(X) - judge(fake)), softplus(judge(fake) - judge(X))
        return of_generator.mean(), (of_discriminator + penalty / 2 * (squares(X) + squares(fake))).mean()

    return of


@pytest.mark.parametrize(
    ("loss", "penalty"), [("plain", None), ("plain", 0.7), ("relativistic", None), ("relativistic", 0.0)]
)
def test_one_gradient_is_that_of_both_players(loss, penalty):
    family = gan(loss=loss, penalty=penalty, latents=3)
    structure, weights = split(family.network(Size(2, 8, 2), nnx.Rngs(params=jax.random.key(0))))
    standard = {"plain": 0.0, "relativistic": 0.1}[loss]
    by_hand = both_by_hand(loss, standard if penalty is None else penalty)

    @jax.jit
    def gradients(weights):
        generator, discriminator = weights["generator"], weights["discriminator"]
        together = jax.grad(lambda w: family.losses(nnx.merge(structure, w), X, KEY, jnp.float32(0)).mean())(weights)
        apart = {
            "generator": jax.grad(lambda g: by_hand(structure, g, discriminator)[0])(generator),
            "discriminator": jax.grad(lambda d: by_hand(structure, generator, d)[1])(discriminator),
        }
        both = family.losses(nnx.merge(structure, weights), X, KEY, jnp.float32(0)).mean()
        return together, apart, both, sum(by_hand(structure, generator, discriminator))

    together, apart, both, expected = gradients(weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), together, apart)
    np.testing.assert_allclose(both, expected, rtol=1e-5)


def test_the_penalty_of_a_plane_is_its_slope():
    network = Players(Size(2, 8, 0), 3, nnx.Rngs(0))
    with_penalty, without = (
        jax.jit(lambda network, penalty=penalty: player_losses(network, X, KEY, "relativistic", penalty))(network)
        for penalty in (2.0, 0.0)
    )
    slope = np.asarray(network.discriminator.last.kernel[...])[:, 0]
    np.testing.assert_allclose(with_penalty - without, np.full(6, 2 * (slope**2).sum()), rtol=1e-4)


def test_the_score_is_half_an_energy_distance():
    """Twice its mean, less the mean distance within the points, is the energy distance of samples and points."""
    network = Players(Size(2, 8, 2), 3, nnx.Rngs(0))
    samples = np.asarray(network.generate(KEY, 1024))
    points = np.random.default_rng(1).standard_normal((1024, 2))
    score = np.asarray(jax.jit(energy_score)(network, points.astype(np.float32), KEY), np.float64)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    within = apart.sum() / (1024 * 1023)
    energy = catalog.build("metric", "energy")(samples, points)
    assert 2 * score.mean() - within == pytest.approx(energy, abs=1e-4)
    by_hand = np.linalg.norm(points[:5, None] - samples[None], axis=-1).mean(axis=1)
    np.testing.assert_allclose(np.diff(score[:5]), np.diff(by_hand), atol=1e-5)

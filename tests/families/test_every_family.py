"""What holds for every family: densities that are those of the draws, losses per point, structures that are shared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.tree_util import tree_leaves_with_path as leaves_with_path

from diffuse_cli import catalog
from diffuse_cli.families.base import Size
from diffuse_cli.networks.denoiser import split
from tests.families.table import DRAW, FAMILIES, LOG_PROB, NAMES, TRAINED, network_of

SIDE = np.linspace(-12, 12, 401, dtype=np.float32)
CELL = float(SIDE[1] - SIDE[0]) ** 2
GRID = np.stack(np.meshgrid(SIDE, SIDE, indexing="ij"), -1).reshape(-1, 2)
DRAWS = 4000


def test_every_family_is_here():
    """A new one needs a name in the table; diffusion is tested by all the rest."""
    assert {name.partition(":")[0] for name in NAMES} == set(catalog.CATALOG["family"]) - {"diffusion"}


@pytest.mark.parametrize("name", LOG_PROB)
def test_the_density_is_that_of_the_draws(name):
    """It integrates to 1, and its mean, covariance and entropy on the grid are those of draws, within 5 errors."""
    network = network_of(name)
    log_p = np.asarray(LOG_PROB[name](network, GRID), np.float64)
    mass = np.exp(log_p) * CELL
    assert mass.sum() == pytest.approx(1, abs=2e-3)
    samples = np.asarray(DRAW[name](network, jax.random.key(1), DRAWS))
    at_samples = np.asarray(LOG_PROB[name](network, np.resize(samples, GRID.shape)), np.float64)[:DRAWS]
    values = np.column_stack([samples, samples**2, samples.prod(axis=1), at_samples])
    expected = mass @ np.column_stack([GRID, GRID**2, GRID.prod(axis=1), log_p])
    errors = np.abs(values.mean(axis=0) - expected) / (values.std(axis=0) / DRAWS**0.5)
    assert (errors < 5).all(), dict(zip(["x", "y", "xx", "yy", "xy", "log p"], errors, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_density_or_a_reason(name):
    assert FAMILIES[name].log_prob is not None or FAMILIES[name].no_density


@pytest.mark.parametrize("name", TRAINED)
def test_every_weight_is_trained(name):
    """Losses are finite, one for each point, and no array of weights is without a gradient."""
    family = FAMILIES[name]
    structure, weights = split(network_of(name))
    x, key = jax.random.normal(jax.random.key(1), (7, 2)), jax.random.key(2)

    @jax.jit
    def losses_and_slopes(weights):
        losses = lambda weights: family.losses(nnx.merge(structure, weights), x, key, jnp.float32(0.5))  # noqa: E731
        return losses(weights), jax.grad(lambda weights: losses(weights).mean())(weights)

    losses, slopes = losses_and_slopes(weights)
    assert losses.shape == (7,)
    assert np.isfinite(losses).all()
    named = {jax.tree_util.keystr(path, simple=True, separator="."): slope for path, slope in leaves_with_path(slopes)}
    # a relativistic game compares logits, so that a constant in all of them does nothing
    idle = {"discriminator.last.bias"} if "relativistic" in name else set()
    assert {name for name, slope in named.items() if np.abs(slope).max() < 1e-7} == idle


@pytest.mark.parametrize("name", NAMES)
def test_networks_of_one_size_share_compiled_code(name):
    """Their structures are equal and hashable, and all that differs is Params, which checkpoints hold."""
    (one, weights), (other, others) = split(network_of(name, seed=0)), split(network_of(name, seed=1))
    assert one == other
    assert hash(one) == hash(other)
    assert jax.tree.structure(weights) == jax.tree.structure(others)
    x = DRAW[name](nnx.merge(one, weights), jax.random.key(0), DRAWS)
    np.testing.assert_array_equal(x, DRAW[name](network_of(name), jax.random.key(0), DRAWS))
    assert not np.array_equal(x, DRAW[name](nnx.merge(other, others), jax.random.key(0), DRAWS))


@pytest.mark.parametrize("name", NAMES)
def test_the_structure_is_known_without_weights(name):
    family, size = FAMILIES[name], Size(5, 8, 2)
    abstract = split(nnx.eval_shape(lambda: family.network(size, nnx.Rngs(params=jax.random.key(0)))))[0]
    assert abstract == split(family.network(size, nnx.Rngs(params=jax.random.key(1))))[0]

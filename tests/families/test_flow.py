"""Coupling flows: inverses and determinants."""

import jax
import numpy as np
import paramax
import pytest
from flax import nnx

from diffuse_cli.errors import UsageError
from diffuse_cli.families.base import Size
from tests.families.table import FAMILIES

FLOWS = [name for name in FAMILIES if name.startswith(("realnvp", "flow"))]


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("dim", [2, 3, 5])
def test_there_and_back_with_the_determinant(name, dim, x64):
    """The inverse is the inverse, and log p is that of the noise with the Jacobian by automatic differentiation."""
    family = FAMILIES[name]
    structure, weights = nnx.split(family.network(Size(dim, 8, 1), nnx.Rngs(params=jax.random.key(0))))
    weights = jax.tree.map(lambda array: array.astype(np.float64), weights)
    x = 2 * np.random.default_rng(0).standard_normal((20, dim))

    @jax.jit
    def there_and_back(weights, x):
        network = nnx.merge(structure, weights)
        bijection = paramax.unwrap(network.distribution).bijection
        to_noise = bijection.inverse
        z = jax.vmap(to_noise)(x)
        return z, jax.vmap(bijection.transform)(z), jax.vmap(jax.jacfwd(to_noise))(x), family.log_prob(network, x)

    z, back, jacobians, log_p = there_and_back(weights, x)
    np.testing.assert_allclose(back, x, atol=1e-8)
    of_noise = -0.5 * (np.asarray(z) ** 2 + np.log(2 * np.pi)).sum(axis=1)
    np.testing.assert_allclose(log_p, of_noise + np.linalg.slogdet(jacobians)[1], atol=1e-8)
    assert (np.abs(np.sort(z, axis=1) - np.sort(x, axis=1)).max(axis=0) > 1e-3).all()


@pytest.mark.parametrize("name", FLOWS)
def test_one_column_is_refused(name):
    with pytest.raises(UsageError, match="one only"):
        FAMILIES[name].network(Size(1, 8, 2), nnx.Rngs(0))

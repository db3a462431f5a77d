"""Which columns each conditional of the autoregressive model sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from diffuse_cli.families.autoregressive import Autoregressive
from diffuse_cli.families.base import Size


@pytest.mark.parametrize("dim", [3, 9])  # with and without Fourier features
def test_a_column_depends_on_those_before_it_and_on_no_other(dim):
    network = Autoregressive(Size(dim, 8, 2), 3, rngs=nnx.Rngs(0))
    structure, weights = nnx.split(network)
    x = np.random.default_rng(0).standard_normal((4, dim)).astype(np.float32)

    @jax.jit
    def slopes(weights, x):
        outputs = lambda x: jnp.concatenate(nnx.merge(structure, weights).all(x[None]), axis=-1)[:, 0]  # noqa: E731
        return jax.vmap(jax.jacrev(outputs))(x)

    seen = np.abs(slopes(weights, x)).max(axis=(0, 2))  # [conditional, column]
    np.testing.assert_array_equal(seen != 0, np.tri(dim, k=-1, dtype=bool))


def test_one_conditional_is_that_of_all():
    network = Autoregressive(Size(4, 8, 2), 3, rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    together, alone = nnx.jit(lambda network: (network.all(x), jax.lax.map(lambda i: network.of(i, x), jnp.arange(4))))(
        network
    )
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)

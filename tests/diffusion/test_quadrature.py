"""Entropies by quadrature against those with a closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.diffusion import quadrature
from diffuse_cli.errors import DiffuseError


def normal(*stds):
    """log p of independent normals with these standard deviations, and its entropy 1/2 Σ log 2πe s²."""
    stds = np.array(stds)

    def log_p(x, chosen, counts):
        z = x / jnp.asarray(stds)[None]
        return -0.5 * jnp.sum(z**2, axis=1) - np.log(2 * np.pi) * len(stds) / 2 - np.log(stds).sum()

    return log_p, 0.5 * np.log(2 * np.pi * np.e * stds**2).sum()


@pytest.mark.parametrize("stds", [(0.3,), (2.0,), (0.1, 0.1), (1.0, 0.05)])
@pytest.mark.parametrize("at", [0.0, -13.7])
def test_a_gaussian_has_its_closed_form(stds, at):
    log_p, expected = normal(*stds)
    box = np.array([[-8 * s for s in stds]])
    found = quadrature.entropy(lambda x, *rest: log_p(x - at, *rest), at + box, at - box, 0.75 * min(stds))
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("dim", [1, 2])
def test_only_the_components_that_reach_a_tile_are_summed_there(dim):
    """Two Gaussians 10,000 standard deviations apart, of which the grid sees 1 in 100: the entropies and ln 2."""
    means = np.zeros((2, dim))
    means[1, 0] = 1e4

    def log_p(x, chosen, counts):
        assert chosen.shape == (1,)
        z = x[:, None] - jnp.asarray(means)[chosen][None]
        log_each = -0.5 * jnp.sum(z**2, axis=2) - 0.5 * dim * np.log(2 * np.pi) - np.log(2)
        return jax.nn.logsumexp(log_each, b=counts[None], axis=1)

    found = quadrature.entropy(log_p, means - 8, means + 8, 0.75)
    assert found == pytest.approx(0.5 * dim * np.log(2 * np.pi * np.e) + np.log(2), abs=1e-7)


def test_what_is_too_fine_is_refused_at_once():
    log_p, _ = normal(1.0, 1.0)
    box = np.array([[1.0, 1.0]])
    with pytest.raises(DiffuseError, match="out of reach here: steps of 1e-07 on a width of 2"):
        quadrature.entropy(log_p, -box, box, 1e-7)
    with pytest.raises(DiffuseError, match="for 100000 components"):
        quadrature.entropy(log_p, np.full((100_000, 2), -1.0), np.full((100_000, 2), 1.0), 0.01)

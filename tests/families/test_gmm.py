"""Mixtures of Gaussians, compared with scikit-learn and with the mixture that was drawn from."""

import numpy as np
import pytest

from diffuse_cli.families import gmm
from tests.families.table import LOG_PROB

NAME = "gmm:components=3"
MEANS = np.array([[-2.0, 0.0], [2.0, 1.0], [0.0, -3.0], [1.0, 5.0]])
COVARIANCES = np.array(
    [[[a, b], [b, c]] for a, b, c in [(0.3, 0.2, 0.4), (0.1, 0, 0.5), (0.2, -0.1, 0.2), (0.2, 0, 0.2)]]
)
WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])


def drawn(n, seed):
    rng = np.random.default_rng(seed)
    which = rng.choice(4, n, p=WEIGHTS)
    return MEANS[which] + np.einsum("nij,nj->ni", np.linalg.cholesky(COVARIANCES)[which], rng.normal(size=(n, 2)))


@pytest.fixture(scope="module")
def fitted():
    return gmm.gmm().fit(drawn(2000, 0), drawn(500, 1), 0, None)


def covariances_of(network):
    factors = np.asarray(network.factors[...], np.float64)
    return factors @ np.swapaxes(factors, 1, 2)


def test_it_finds_the_mixture_and_its_number(fitted):
    network = fitted.network
    assert fitted.options == {"components": "4"}
    order = np.argsort(-np.asarray(network.log_shares[...]))
    np.testing.assert_allclose(np.exp(network.log_shares[...])[order], WEIGHTS, atol=0.03)
    np.testing.assert_allclose(network.means[...][order], MEANS, atol=0.1)
    np.testing.assert_allclose(covariances_of(network)[order], COVARIANCES, atol=0.06)


def test_the_density_is_that_of_scikit_learn(fitted):
    from sklearn.mixture import GaussianMixture

    network = fitted.network
    peer = GaussianMixture(4)
    peer.weights_ = np.exp(np.asarray(network.log_shares[...], np.float64))
    peer.means_ = np.asarray(network.means[...], np.float64)
    peer.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(covariances_of(network)))
    x = drawn(200, 2).astype(np.float32)
    np.testing.assert_allclose(LOG_PROB[NAME](network, x), peer.score_samples(x), atol=1e-4)


def test_a_number_that_is_given_is_taken():
    fitted = gmm.gmm(components=3).fit(drawn(300, 0), drawn(50, 1), 0, None)
    assert fitted.options == {"components": "3"}
    assert fitted.network.means.shape == (3, 2)


def test_without_time_the_first_number_is_kept(slow_clock):
    assert gmm.gmm().fit(drawn(300, 0), drawn(50, 1), 0, 0.01).options == {"components": "1"}


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows_have_few_components(rows):
    network = gmm.gmm().fit(drawn(rows, 0), drawn(3, 1), 0, None).network
    assert len(network.means[...]) <= max(1, rows // 2)
    assert np.isfinite(LOG_PROB[NAME](network, np.zeros((3, 2), np.float32))).all()

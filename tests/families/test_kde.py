"""Kernel densities, compared with scikit-learn."""

import numpy as np
import pytest

from diffuse_cli.families import kde
from tests.families.table import DRAW, LOG_PROB

NAME = "kde:bandwidth=0.4,points=20"
RNG = np.random.default_rng(0)
POINTS, HELD_OUT = RNG.normal(size=(300, 2)), RNG.normal(size=(200, 2))


def peer(bandwidth, points):
    from sklearn.neighbors import KernelDensity

    return KernelDensity(bandwidth=bandwidth, rtol=0, atol=0).fit(points)


def test_the_density_is_that_of_scikit_learn():
    network = kde.kde(bandwidth=0.2, points=100).fit(POINTS, HELD_OUT, 0, None).network
    expected = peer(0.2, np.asarray(network.points[...])).score_samples(HELD_OUT)
    np.testing.assert_allclose(LOG_PROB[NAME](network, HELD_OUT.astype(np.float32)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_no_other_bandwidth_is_more_likely(spread):
    best = float(kde.kde().fit(spread * POINTS, spread * HELD_OUT, 0, None).options["bandwidth"])
    likelihood = [peer(best * factor, spread * POINTS).score(spread * HELD_OUT) for factor in (0.95, 1.0, 1.05)]
    assert np.argmax(likelihood) == 1


def test_what_the_fit_settles():
    fitted = kde.kde(points=100).fit(POINTS, HELD_OUT, 0, None)
    assert fitted.options["points"] == "100"
    assert float(fitted.options["bandwidth"]) == pytest.approx(np.exp(fitted.network.log_bandwidth[...]), rel=1e-3)
    assert {tuple(point) for point in fitted.network.points[...].tolist()} <= {
        tuple(point) for point in POINTS.astype(np.float32).tolist()
    }
    assert kde.kde().fit(POINTS, HELD_OUT, 0, None).options["points"] == "300"


def test_samples_are_as_far_from_their_points_as_the_bandwidth_says():
    import jax
    from scipy.spatial import cKDTree

    lattice = 10.0 * np.array([[i, j] for i in range(4) for j in range(5)])
    network = kde.kde(bandwidth=0.5, points=20).fit(lattice, lattice, 0, None).network
    distances, which = cKDTree(lattice).query(DRAW[NAME](network, jax.random.key(0), 4000))
    assert np.mean(distances**2) == pytest.approx(2 * 0.5**2, rel=0.1)
    assert np.bincount(which, minlength=20).min() > 4000 / 20 * 0.6

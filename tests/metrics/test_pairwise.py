"""Energy distance and MMD against closed forms for Gaussians, and against their definitions."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.stats import norm

from diffuse_cli.errors import DiffuseError
from diffuse_cli.metrics.base import measure
from diffuse_cli.metrics.pairwise import energy, mmd

H = 0.7


def mean_distance(mean, variance):
    """E|Z| for Z ~ N(mean, variance) on a line."""
    std = np.sqrt(variance)
    return std * np.sqrt(2 / np.pi) * np.exp(-(mean**2) / (2 * variance)) + mean * (1 - 2 * norm.cdf(-mean / std))


def mean_kernel(mean, variance, d):
    """E exp(-|Z|^2 / 2 H^2) for Z ~ N(mean, variance I) in d dimensions."""
    return (1 + variance / H**2) ** (-d / 2) * np.exp(-np.sum(mean**2) / (2 * (H**2 + variance)))


def averages(metrics, draw, repeats):
    """Mean and standard error of each metric over independent pairs of clouds."""
    values = np.array([list(measure(metrics, *draw(np.random.default_rng(i))).values()) for i in range(repeats)])
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(repeats)


def test_gaussians_on_a_line():
    def draw(rng):
        return 0.5 + 1.4 * rng.standard_normal((100, 1)), rng.standard_normal((100, 1))

    mean, stderr = averages({"energy": energy(), "mmd": mmd(bandwidth=H)}, draw, 200)
    variances = (1 + 1.4**2, 2 * 1.4**2, 2)
    known = (
        2 * mean_distance(0.5, variances[0]) - mean_distance(0, variances[1]) - mean_distance(0, variances[2]),
        mean_kernel(0, variances[1], 1) + mean_kernel(0, variances[2], 1) - 2 * mean_kernel(0.5, variances[0], 1),
    )
    assert np.all(np.abs(mean - known) < 4 * stderr)
    assert np.all(stderr < 0.05 * np.array(known))  # it could have been told


def test_mmd_of_gaussians_in_the_plane():
    shift = np.array([0.6, -0.3])
    mean, stderr = averages(
        {"mmd": mmd(bandwidth=H)},
        lambda rng: (shift + rng.standard_normal((100, 2)), rng.standard_normal((100, 2))),
        200,
    )
    known = 2 * mean_kernel(0, 2, 2) - 2 * mean_kernel(shift, 2, 2)
    assert abs(mean - known) < 4 * stderr
    assert stderr < 0.05 * known


def test_unbiased_for_equal_laws():
    metrics = {"energy": energy(), "mmd": mmd(bandwidth=H), "median": mmd()}
    mean, stderr = averages(metrics, lambda rng: rng.standard_normal((2, 20, 2)), 400)
    assert np.all(np.abs(mean) < 4 * stderr)
    assert np.all(stderr < 0.005)  # the biased forms are 2 E|X - X'| / n = 0.18 and 2 (1 - E k) / n = 0.08 off


@pytest.mark.parametrize(("n", "d"), [(2, 1), (300, 2), (2300, 2), (1200, 30)])
def test_as_defined_in_double_precision(n, d):
    x, y = np.random.default_rng(3).standard_normal((2, n, d)) + 20.0
    x *= 1.1
    distances = cdist(x, y).ravel(), pdist(x), pdist(y)
    h = np.median(pdist(y[:2000]))
    kernels = [np.exp(-(distance**2) / (2 * h**2)).mean() for distance in distances]
    values = measure({"energy": energy(), "mmd": mmd()}, x, y)
    assert values["energy"] == pytest.approx(
        2 * distances[0].mean() - distances[1].mean() - distances[2].mean(), abs=2e-6
    )
    assert values["mmd"] == pytest.approx(kernels[1] + kernels[2] - 2 * kernels[0], abs=2e-6)


def test_the_bandwidth_is_the_reference_s_own():
    reference = np.random.default_rng(0).standard_normal((100, 2))
    h = float(np.median(pdist(reference)))
    for scale in (0.5, 3.0):
        model = scale * reference[::-1]
        assert mmd()(model, reference) == mmd(bandwidth=h)(model, reference)


def test_a_reference_that_is_one_point_over_and_over():
    with pytest.raises(DiffuseError, match="bandwidth"):
        mmd()(np.random.default_rng(0).standard_normal((10, 2)), np.zeros((10, 2)))

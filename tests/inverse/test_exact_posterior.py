"""The exact posterior: each way to have it against each other, against formulas, and what is refused."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import Dataset, Standardiser
from diffuse_cli.diffusion import exact
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.inverse.exact_posterior import exact_posterior, exact_posteriors, free_directions, moments_of
from diffuse_cli.inverse.measurement import Measurement

RNG = np.random.default_rng(0)
STANDARD = Standardiser(np.array([0.4, -1.5]), np.array([2.0, 0.5]))
WEIGHTS = np.array([0.5, 0.3, 0.2])


def mixture(dim, standard=None):
    """Three Gaussians in model space, as a dataset in data units with a scale for each column."""
    rng = np.random.default_rng(dim)
    standard = standard or Standardiser(rng.normal(size=dim), rng.uniform(0.3, 3, size=dim))
    means = 0.8 * rng.normal(size=(3, dim))
    roots = rng.normal(size=(3, dim, dim)) * 0.5 / np.sqrt(dim) + 0.4 * np.eye(dim)
    law = exact.gaussians(means, roots @ roots.swapaxes(1, 2), WEIGHTS)

    def draw(rng, n):
        which = rng.choice(3, n, p=WEIGHTS)
        return standard.to_data(means[which] + np.einsum("nij,nj->ni", roots[which], rng.standard_normal((n, dim))))

    return Dataset(draw, dim, standard, exact=lambda: law)


def density_of_y(dataset, measurement):
    """log p(y) = log Σ w N(y; A μ, A S Aᵀ + R), all in data units; -inf never."""
    means, covariances, weights, _ = dataset.exact().gaussians()
    scale, a = dataset.standard.scale, measurement.matrix
    logs = [
        stats.multivariate_normal(
            a @ dataset.standard.to_data(mean),
            (a * scale) @ covariance @ (a * scale).T + np.diag(measurement.std**2),
            allow_singular=False,
        ).logpdf(measurement.values)
        for mean, covariance in zip(means, covariances, strict=True)
    ]
    return float(np.logaddexp.reduce(np.log(weights) + logs))


def without_gaussians(dataset):
    """The same law, of which it is not said that it is a mixture: then a grid is taken."""
    return dataset._replace(exact=lambda: dataset.exact()._replace(gaussians=None))


def of(matrix, std, values, words="y"):
    values = np.atleast_1d(np.asarray(values, float))
    return Measurement(
        words, np.atleast_2d(np.asarray(matrix, float)), np.broadcast_to(np.asarray(std, float), values.shape), values
    )


PLANE = mixture(2, STANDARD)
IN_THE_PLANE = {
    "a column": of([1.0, 0.0], 0.4, 1.2),
    "a mix": of([1.0, -2.0], 0.5, 3.0),
    "a mix, sharply": of([1.0, -2.0], 0.02, 3.0),
    "both": of(np.eye(2), [0.5, 0.1], [1.0, -1.4]),
    "three": of([[1.0, 0.0], [0.5, 0.5], [1.0, 3.0]], [0.5, 0.4, 1.0], [0.8, -0.3, -3.0]),
    "a line": of([1.0, 0.0], 0.0, 1.2),
    "a slanted line": of([1.0, -2.0], 0.0, 3.0),
    "a line, with noise across": of([[1.0, -2.0], [0.0, 1.0]], [0.0, 0.2], [3.0, -1.2]),
    "a line, sharply across": of([[1.0, -2.0], [0.0, 1.0]], [0.0, 1e-5], [3.0, -1.2]),
    "a point": of(np.eye(2), 0.0, [1.0, -1.4]),
    "a point, from two mixes": of([[1.0, 1.0], [1.0, -2.0]], 0.0, [-0.4, 3.8]),
}


def close_to(one, other):
    """Where two of them differ, in evidence (nats), mean and covariance."""
    off = {
        "log p(y)": abs(one.log_evidence - other.log_evidence),
        "mean": np.abs(one.mean - other.mean).max(),
        "covariance": np.abs(one.covariance - other.covariance).max(),
    }
    return {name: float(value) for name, value in off.items() if value > 1e-4}


def test_grids_and_lines_are_the_closed_form():
    """The same mixture, once by its formula and once by cells: evidence, moments, free directions; and p(y) itself."""
    wrong = {}
    for name, measurement in IN_THE_PLANE.items():
        closed, cells = exact_posterior(PLANE, measurement), exact_posterior(without_gaussians(PLANE), measurement)
        np.testing.assert_allclose(closed.free, cells.free, atol=1e-9, err_msg=name)
        assert closed.log_evidence == pytest.approx(density_of_y(PLANE, measurement), abs=1e-8), name
        if off := close_to(closed, cells):
            wrong[name] = off
    assert not wrong


def moments_within_errors(points, found):
    """Whether the mean and the variances of draws in model space are those of a posterior."""
    n = len(points)
    std = np.sqrt(found.covariance.diagonal())
    fourth = ((points - points.mean(axis=0)) ** 4).mean(axis=0)
    error = np.sqrt(np.maximum(fourth - std**4, 0) / n)
    return bool(
        (np.abs(points.mean(axis=0) - found.mean) <= 4.5 * std / np.sqrt(n) + 1e-9).all()
        and (np.abs(points.var(axis=0) - std**2) <= 4.5 * error + 1e-6).all()
    )


def test_draws_have_the_moments_and_the_density_and_what_is_certain():
    wrong = []
    for name, measurement in IN_THE_PLANE.items():
        for dataset in (PLANE, without_gaussians(PLANE)):
            found = exact_posterior(dataset, measurement)
            x = found.draw(np.random.default_rng(1), 20_000)
            certain = measurement.std == 0
            np.testing.assert_allclose(
                (measurement.predicted(x) - measurement.values)[:, certain], 0, atol=1e-8, err_msg=name
            )
            points = dataset.standard.to_model(x)
            if not moments_within_errors(points, found):
                wrong.append((name, "moments"))
            if len(found.free) and found.grid is not None:
                kl = found.grid().histogram_kl(points @ found.free.T, np.random.default_rng(2))
                if kl.kl > kl.floor + 5 * kl.floor_std:
                    wrong.append((name, kl))
    assert not wrong


@pytest.mark.parametrize("name", ["a column", "three"])
def test_rejection_is_the_closed_form(name):
    """Of a law whose density is not said, within the errors of its draws."""
    measurement = IN_THE_PLANE[name]
    closed, kept = exact_posterior(PLANE, measurement), exact_posterior(PLANE._replace(exact=None), measurement)
    assert kept.law is kept.grid is None
    likelihood = stats.norm.pdf(
        measurement.predicted(PLANE.draw(RNG, 1 << 16)), measurement.values, measurement.std
    ).prod(axis=1)
    error = likelihood.std() / likelihood.mean() / 256
    assert kept.log_evidence == pytest.approx(closed.log_evidence, abs=4.5 * error)
    assert moments_within_errors(PLANE.standard.to_model(kept.draw(np.random.default_rng(5), 20_000)), closed)
    np.testing.assert_allclose(kept.covariance, closed.covariance, atol=0.03)


@pytest.mark.parametrize("dim", [1, 2, 8, 64])
def test_in_any_number_of_columns(dim):
    """With one exact row and one noisy row (one of them in one column): p(y), moments of draws, what is free."""
    dataset, rng = mixture(dim), np.random.default_rng(1)
    rows = min(dim, 3)
    std = np.array([0.0, 0.3, 0.2])[-rows:]
    measurement = Measurement("y", rng.normal(size=(rows, dim)), std).of_signal(dataset.draw(rng, 1)[0], rng)
    found = exact_posterior(dataset, measurement)
    assert found.log_evidence == pytest.approx(density_of_y(dataset, measurement), abs=1e-7)
    assert found.free.shape == (dim - int((std == 0).sum()), dim)
    assert (found.grid is not None) == (len(found.free) <= 2)
    x = found.draw(np.random.default_rng(2), 20_000)
    points = dataset.standard.to_model(x)
    assert moments_within_errors(points, found)
    assert found.total_variance == pytest.approx(points.var(axis=0).sum(), rel=0.05)
    for one, other in zip(moments_of(found.law().gaussians()), (found.mean, found.covariance), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_free_directions_are_orthonormal_and_measure_nothing():
    rng, scale = np.random.default_rng(0), np.array([2.0, 0.5, 1.0, 3.0, 0.1])
    measurement = of(rng.normal(size=(4, 5)), [0.0, 0.0, 0.7, 0.0], np.zeros(4))
    free = free_directions(measurement, scale)
    np.testing.assert_allclose(free @ free.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose((measurement.matrix * scale)[measurement.std == 0] @ free.T, 0, atol=1e-12)
    np.testing.assert_array_equal(free_directions(of(np.eye(5), 0.1, np.zeros(5)), scale), np.eye(5))
    assert free_directions(of(np.eye(5), 0.0, np.zeros(5)), scale).shape == (0, 5)


def test_how_rare_a_measurement_is():
    """The chance of as low a density: of N(0, 1) that of as large a distance from 0."""
    dataset = catalog.build("dataset", "bimodal:distance=0,std=2")
    for y in (0.5, 2.0, 4.0, 20.0):
        chance = 2 * stats.norm.sf(y / 2)
        found = exact_posterior(dataset, of([1.0], 0.0, y)).as_rare
        assert abs(found - chance) <= 4 * np.sqrt(chance * (1 - chance) / 200) + 1e-9, y


@pytest.mark.parametrize("dataset", [PLANE, without_gaussians(PLANE)], ids=["closed form", "cells"])
def test_the_evidence_is_in_the_units_of_y(dataset):
    """y in other units has a density smaller by their logs; x in other units changes nothing."""
    units = np.array([1e3, 1e-2])
    wide = Standardiser(1e3 * STANDARD.mean, 1e3 * STANDARD.scale)
    other = dataset._replace(draw=lambda rng, n: 1e3 * dataset.draw(rng, n), standard=wide)
    for name in ("both", "a line, with noise across", "a point, from two mixes"):
        matrix, std, y = IN_THE_PLANE[name][1:4]
        plain = exact_posterior(dataset, IN_THE_PLANE[name])
        scaled = exact_posterior(dataset, of(matrix * units[:, None], std * units, y * units))
        assert scaled.log_evidence == pytest.approx(plain.log_evidence - np.log(units).sum(), abs=1e-4), name
        np.testing.assert_allclose(scaled.mean, plain.mean, atol=1e-5, err_msg=name)
        in_other = exact_posterior(other, of(matrix / 1e3, std, y))
        assert in_other.log_evidence == pytest.approx(plain.log_evidence, abs=1e-4), name
        np.testing.assert_allclose(in_other.mean, plain.mean, atol=1e-5, err_msg=name)


def test_squares_have_formulas():
    """A checkerboard of 8 dark squares of side 1: along a line, across it, at a point and with noise."""
    board = catalog.build("dataset", "checkerboard")
    corners = np.array([(x, y) for x in range(-2, 2) for y in range(-2, 2) if (x + y) % 2 == 0])
    column = exact_posterior(board, of([1.0, 0.0], 0.0, 0.5))  # y lies between -2 and -1, or 0 and 1
    assert column.log_evidence == pytest.approx(np.log(2 / 8), abs=2e-3)
    x = board.standard.to_data(column.mean)
    np.testing.assert_allclose(x, [0.5, -0.5], atol=2e-3)
    assert column.total_variance * board.standard.scale[1] ** 2 == pytest.approx(1 + 1 / 12, abs=5e-3)
    drawn = column.draw(np.random.default_rng(0), 1000)
    assert np.abs(np.abs(drawn[:, 1] + 0.5) - 1).max() < 0.5 + 2e-3
    slanted = exact_posterior(
        board, of([1.0, 1.0], 0.0, 0.3)
    )  # a sum of two uniform numbers has a triangle for density
    triangle = np.maximum(1 - np.abs(0.3 - corners.sum(axis=1) - 1), 0).mean()
    assert slanted.log_evidence == pytest.approx(np.log(triangle), abs=2e-3)
    point = exact_posterior(board, of(np.eye(2), 0.0, [0.5, 0.5]))
    assert point.log_evidence == pytest.approx(np.log(1 / 8), abs=1e-6)
    assert len(point.free) == 0
    np.testing.assert_allclose(point.draw(np.random.default_rng(0), 3), [[0.5, 0.5]] * 3)
    noisy = exact_posterior(board, of([1.0, 0.0], 0.3, 0.1))
    mass = stats.norm.cdf((corners[:, 0] + 1 - 0.1) / 0.3) - stats.norm.cdf((corners[:, 0] - 0.1) / 0.3)
    assert noisy.log_evidence == pytest.approx(np.log(mass.mean()), abs=2e-3)


def squared_length(points):
    return jnp.sum(points**2, axis=1, keepdims=True)


@pytest.mark.parametrize("dim", [2, 3])
def test_of_a_function_the_evidence_is_an_integral(dim):
    """|x|² of N(0, 4 I) has the law 4 χ²; in the plane on a grid, in space by rejection."""
    law = exact.gaussian(np.zeros(dim), np.eye(dim))
    standard = Standardiser(np.zeros(dim), np.full(dim, 2.0))
    normal = Dataset(lambda rng, n: 2 * rng.standard_normal((n, dim)), dim, standard, exact=lambda: law)
    measurement = Measurement("|x|^2", None, np.array([0.5]), np.array([6.0]), squared_length)
    r = np.linspace(0, 12, 100_001)
    weights = stats.chi2.pdf(r / 4, dim) / 4 * stats.norm.pdf(6.0, r, 0.5)
    found = exact_posterior(normal, measurement)
    assert found.log_evidence == pytest.approx(np.log(weights.sum() * (r[1] - r[0])), abs=1e-3 if dim == 2 else 0.03)
    np.testing.assert_allclose(found.mean, 0, atol=1e-3 if dim == 2 else 0.03)
    length = (r @ weights) / weights.sum() / 4  # model space
    assert found.total_variance == pytest.approx(length, rel=1e-3 if dim == 2 else 0.02)
    drawn = squared_length(found.draw(np.random.default_rng(0), 4000))
    assert float(jnp.mean(drawn)) == pytest.approx(4 * length, abs=4 * 0.5 / np.sqrt(4000) + 0.01)


def test_many_values_at_once_are_each_by_itself():
    values = np.array([[1.0, -1.4], [0.2, -1.9], [2.0, -1.0]])
    measurement = IN_THE_PLANE["both"]
    for dataset, atol in ((PLANE, 1e-9), (without_gaussians(PLANE), 1e-6)):
        points, means, variances = exact_posteriors(dataset, measurement, values, 4000, np.random.default_rng(0))
        for i, y in enumerate(values):
            one = exact_posterior(dataset, measurement._replace(values=y))
            np.testing.assert_allclose(means[i], one.mean, atol=atol)
            assert variances[i] == pytest.approx(one.total_variance, abs=atol)
            assert moments_within_errors(points[i], one)
    file = PLANE._replace(exact=None, points=np.zeros((3, 2)))
    assert exact_posteriors(file, measurement, values, 10, np.random.default_rng(0)) is None


def test_where_nothing_is_known():
    """The points of a file have no law, and what is measured exactly of an unknown law is met by no draw."""
    assert exact_posterior(PLANE._replace(exact=None, points=np.zeros((3, 2))), IN_THE_PLANE["both"]) is None
    assert exact_posterior(PLANE._replace(exact=None), IN_THE_PLANE["a line"]) is None


def test_points_keep_their_places():
    """Of separate points, with noise: their weights are in proportion to the likelihood."""
    points, y = RNG.normal(size=(20, 2)), 0.2
    law = exact.mixture(points, 0.0)
    plain = Standardiser(np.zeros(2), np.ones(2))
    dataset = Dataset(lambda rng, n: points[rng.integers(20, size=n)], 2, plain, exact=lambda: law)
    found = exact_posterior(dataset, of([1.0, 0.0], 0.3, y))
    likelihood = stats.norm.pdf(points[:, 0], y, 0.3)
    assert found.log_evidence == pytest.approx(np.log(likelihood.mean()))
    np.testing.assert_allclose(found.mean, likelihood @ points / likelihood.sum(), atol=1e-9)
    drawn = found.draw(np.random.default_rng(0), 50)
    assert np.abs(drawn[:, None] - points).sum(axis=2).min(axis=1).max() < 1e-9
    with pytest.raises(DiffuseError, match="without noise of what has no variance"):
        exact_posterior(dataset, of([1.0, 0.0], 0.0, y))


@pytest.mark.parametrize("kind", ["closed form", "cells"])
def test_what_the_data_cannot_give_is_refused_with_its_evidence(kind):
    dataset = PLANE if kind == "closed form" else without_gaussians(PLANE)
    for measurement in (of([1.0, 0.0], 0.4, 1000.0, "x"), of(np.eye(2), 0.0, [1000.0, 0.0], "x and y")):
        with pytest.raises(DiffuseError, match=r"the data cannot give .* = 1000.*points of the data give") as refused:
            exact_posterior(dataset, measurement)
        told = float(re.search(r"log p\(y\) = (\S+) nats", str(refused.value))[1])
        expected = density_of_y(dataset, measurement) if kind == "closed form" else told
        assert told == pytest.approx(expected, rel=1e-3)
        assert told < -1000
    exact_posterior(dataset, of([1.0, 0.0], 0.4, 8.0))  # rare, and possible


def test_beside_the_squares_there_is_nothing():
    board = catalog.build("dataset", "checkerboard")
    for measurement in (of([1.0, 0.0], 0.0, 5.0), of(np.eye(2), 0.0, [0.5, -0.5]), of([1.0, 0.0], 0.01, 9.0)):
        with pytest.raises(DiffuseError, match="the data cannot give y = "):
            exact_posterior(board, measurement)


def test_a_function_without_noise_is_refused():
    measurement = Measurement("|x|^2", None, np.array([0.0]), np.array([6.0]), squared_length)
    with pytest.raises(UsageError, match="is a function, and needs noise in each value"):
        exact_posterior(PLANE, measurement)


def test_too_few_draws_that_fit_are_told_and_not_waited_for():
    measurement = of(np.eye(2), 1e-4, [1.0, -1.4])
    with pytest.raises(DiffuseError, match="too few for the exact posterior; give more --noise"):
        exact_posterior(PLANE._replace(exact=None), measurement)


def test_many_values_with_noise_are_no_reason_to_refuse():
    """Their density is small because they are many, beside what has no noise too."""
    rows = RNG.normal(size=(300, 2))
    for first in ([[1.0, 0.0]], np.eye(2)):
        matrix = np.vstack([first, rows])
        std = np.append(np.zeros(len(first)), np.full(300, 5.0))
        asked = Measurement("y", matrix, std).of_signal(np.array([0.5, -1.4]), np.random.default_rng(0))
        found = exact_posterior(without_gaussians(PLANE), asked)
        assert found.log_evidence == pytest.approx(exact_posterior(PLANE, asked).log_evidence, abs=1e-4)
        assert found.log_evidence < -500

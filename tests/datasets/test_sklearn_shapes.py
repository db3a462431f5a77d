import numpy as np
import pytest

from diffuse_cli.datasets.sklearn_shapes import circles, moons, s_curve, swiss_roll

N = 20_000


def bare(dataset, n=N, seed=0):
    return dataset.draw(np.random.default_rng(seed), n)


def upper(points):
    """Which noise-free moon a point is on; the two do not meet."""
    return np.abs(np.hypot(*points.T) - 1) < 1e-7


def test_moons_lie_on_their_two_half_circles():
    points = bare(moons(noise=0))
    first, second = points[upper(points)], points[~upper(points)]
    assert np.all(first[:, 1] >= -1e-7)
    np.testing.assert_allclose(np.hypot(second[:, 0] - 1, second[:, 1] - 0.5), 1, atol=2e-8)
    assert np.all(second[:, 1] <= 0.5 + 1e-7)


def test_circles_have_their_two_radii():
    radius = np.hypot(*bare(circles(noise=0, factor=0.3)).T)
    np.testing.assert_allclose(np.where(radius > 0.65, radius, radius / 0.3), 1, atol=2e-8)
    assert abs(np.mean(radius > 0.65) - 0.5) < 5 * 0.5 / np.sqrt(N)


def test_the_swiss_roll_is_a_spiral():
    x, y, z = bare(swiss_roll(noise=0, dim=3)).T
    t = np.hypot(x, z)
    assert t.min() >= 1.5 * np.pi
    assert t.max() <= 4.5 * np.pi
    np.testing.assert_allclose([t * np.cos(t), t * np.sin(t)], [x, z], atol=1e-12)
    assert y.min() >= 0
    assert y.max() <= 21


def test_the_s_curve_is_two_arcs():
    x, y, z = bare(s_curve(noise=0, dim=3)).T
    np.testing.assert_allclose(x**2 + (np.abs(z) - 1) ** 2, 1, atol=1e-12)
    assert np.all(x[(np.abs(z) < 1)] * z[(np.abs(z) < 1)] <= 0)  # each arc starts from the middle on its own side
    assert y.min() >= 0
    assert y.max() <= 2


@pytest.mark.parametrize("shape", [swiss_roll, s_curve])
def test_seen_from_the_side_the_law_is_that_of_two_coordinates(shape):
    whole, side = (bare(shape(noise=0.1, dim=dim), 50) for dim in (3, 2))
    np.testing.assert_array_equal(side, whole[:, [0, 2]])


def test_moons_are_drawn_independently_and_not_from_a_grid():
    """Gaps between independent places are exponential, with variance mean²; those of a grid are all equal."""
    points = bare(moons(noise=0))
    first = points[upper(points)]
    gaps = np.diff(np.sort(np.arctan2(first[:, 1], first[:, 0])))
    assert np.all(gaps > 0)  # no place twice
    assert abs(gaps.var() / gaps.mean() ** 2 - 1) < 5 * np.sqrt(8 / len(gaps))


@pytest.mark.parametrize("shape", [moons, circles])
def test_how_many_fall_on_each_piece_is_binomial(shape):
    dataset, rng, n, repeats = shape(noise=0), np.random.default_rng(2), 100, 400
    on_first = [int(upper(dataset.draw(rng, n)).sum()) for _ in range(repeats)]
    assert abs(np.mean(on_first) - n / 2) < 5 * np.sqrt(n / 4 / repeats)
    assert abs(np.var(on_first) / (n / 4) - 1) < 5 * np.sqrt(2 / repeats)


def spiral(u):
    t = 1.5 * np.pi * (1 + 2 * u)
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1)


def letter(u):
    t = 1.5 * np.pi * (2 * u - 1)
    return np.stack([np.sin(t), np.sign(t) * (np.cos(t) - 1)], axis=1)


@pytest.mark.parametrize(("shape", "curve"), [(swiss_roll, spiral), (s_curve, letter)])
def test_places_on_the_sheet_are_lengths_along_it(shape, curve):
    """The length of a polygon with many vertices is that of the curve; `scale` multiplies lengths too."""
    outline = 3 * curve(np.linspace(0, 1, 20_001))
    length = np.append(0, np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1)))
    height = np.linspace(0, 5, len(outline))
    flat = shape(scale=3.0).inner(outline)
    sheet = shape(scale=3.0, dim=3).inner(np.insert(outline, 1, height, axis=1))
    np.testing.assert_allclose(flat, length[:, None], atol=1e-5)
    np.testing.assert_allclose(sheet, np.stack([length, height], axis=1), atol=1e-5)


@pytest.mark.parametrize(("shape", "noise"), [(swiss_roll, 0.5), (s_curve, 0.05)])
def test_noise_moves_a_place_on_the_sheet_as_little_as_the_point(shape, noise):
    """Along the sheet and across its height, by the standard deviation of the noise; no turn is mistaken."""
    dataset = shape(noise=0, dim=3)
    points = bare(dataset)
    moved = points + noise * np.random.default_rng(1).standard_normal(points.shape)
    change = dataset.inner(moved) - dataset.inner(points)
    assert np.abs(change).max() < 6 * noise
    np.testing.assert_allclose(change.std(axis=0), noise, rtol=0.05)

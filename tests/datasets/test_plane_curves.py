"""Points without noise satisfy the equation of their curve."""

import numpy as np
import pytest
from numpy.polynomial import Chebyshev

from diffuse_cli.datasets.plane_curves import heart, line, lissajous, rings, rose, sine, trefoil


def bare(dataset):
    return dataset.draw(np.random.default_rng(0), 5000).T


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0])
def test_line(angle):
    x, y = bare(line(noise=0, angle=angle))
    phi = np.radians(angle)
    along, across = x * np.cos(phi) + y * np.sin(phi), y * np.cos(phi) - x * np.sin(phi)
    np.testing.assert_allclose(across, 0, atol=1e-15)
    assert along.min() == pytest.approx(-1, abs=0.01)
    assert along.max() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("waves", [1.0, 2.5])
def test_sine(waves):
    x, y = bare(sine(noise=0, waves=waves))
    np.testing.assert_allclose(y, np.sin(waves * x), atol=1e-12)
    assert np.abs(x).max() == pytest.approx(np.pi, abs=0.02)


@pytest.mark.parametrize(("a", "b", "phase"), [(3, 2, 90.0), (1, 1, 45.0), (5, 4, 10.0)])
def test_lissajous(a, b, phase):
    """X = T_b(x) and Y = T_a(y) are cosines of a b u, apart by a constant Δ: X² + Y² − 2 X Y cos Δ = sin² Δ."""
    x, y = bare(lissajous(noise=0, a=a, b=b, phase=phase))
    first, second = Chebyshev.basis(b)(x), Chebyshev.basis(a)(y)
    apart = b * (np.radians(phase) - np.pi / 2) + a * np.pi / 2
    np.testing.assert_allclose(
        first**2 + second**2 - 2 * first * second * np.cos(apart), np.sin(apart) ** 2, atol=1e-12
    )


@pytest.mark.parametrize("petals", [1, 2, 3, 4, 5, 6])
def test_rose(petals):
    """r² = (1 + cos(petals · θ)) / 2, which reaches 1 once on each petal."""
    x, y = bare(rose(noise=0, petals=petals))
    radius, theta = np.hypot(x, y), np.arctan2(y, x)
    np.testing.assert_allclose(radius**2, (1 + np.cos(petals * theta)) / 2, atol=1e-12)
    tips = np.round(theta[radius > 0.99] * petals / (2 * np.pi)).astype(int) % petals
    assert set(tips) == set(range(petals))


@pytest.mark.parametrize("petals", [2, 5])
def test_the_petals_of_a_rose_are_its_classes_and_the_last_one_points_to_the_right(petals):
    (x, y), label = (part.T for part in rose(noise=0, petals=petals).classes.draw(np.random.default_rng(0), 5000))
    nearest = np.round(np.arctan2(y, x) * petals / (2 * np.pi)).astype(int) % petals
    np.testing.assert_array_equal((label + 1) % petals, nearest)


def test_rings_have_four_radii():
    points, label = rings(noise=0).classes.draw(np.random.default_rng(0), 5000)
    np.testing.assert_allclose(np.hypot(*points.T), (label + 1) / 4, atol=1e-12)
    angle = np.sort(np.arctan2(points[:, 1], points[:, 0])) / (2 * np.pi) + 0.5
    assert np.abs(angle - (np.arange(5000) + 0.5) / 5000).max() < 2.5 / np.sqrt(5000)  # Kolmogorov and Smirnov


def test_heart():
    """With c² = 1 − x^(2/3): (y − 4 + 2 c² + 8 c⁴)² = c² (19 − 8 c²)², all in the heart's units of 1/16."""
    x, y = bare(heart(noise=0))
    c2 = 1 - np.cbrt(x) ** 2
    np.testing.assert_allclose((16 * y - 4 + 2 * c2 + 8 * c2**2) ** 2, c2 * (19 - 8 * c2) ** 2, atol=1e-10)
    assert abs(x.mean()) < 0.05
    assert (x.min(), x.max()) == pytest.approx((-1, 1), abs=1e-3)


def test_trefoil():
    """r² = 5 − 4C and Im (x + iy)³ = 16 C² − 13 C − 2, where C = cos 3u."""
    x, y = bare(trefoil(noise=0))
    cos3u = (5 - x**2 - y**2) / 4
    np.testing.assert_allclose(3 * x**2 * y - y**3, 16 * cos3u**2 - 13 * cos3u - 2, atol=1e-10)
    assert np.hypot(x, y).max() == pytest.approx(3, abs=1e-3)

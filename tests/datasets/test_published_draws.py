"""Draws against the published way to draw the same set, written out here: scikit-learn's, and FFJORD's toy data
(Grathwohl et al. 2019) with angles drawn at random where those stand on a grid."""

import numpy as np
import pytest
from sklearn.datasets import make_circles, make_moons, make_s_curve, make_swiss_roll

from diffuse_cli import catalog

N = 20_000
RNG = np.random.default_rng(1)


def on_circle(angle):
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def rings():
    radius = 3 * RNG.choice([0.25, 0.5, 0.75, 1.0], N)
    return radius[:, None] * on_circle(RNG.uniform(0, 2 * np.pi, N)) + 0.08 * RNG.normal(size=(N, 2))


def eight_gaussians():
    modes = 4 * on_circle(np.pi / 4 * RNG.integers(8, size=N))
    return (modes + 0.5 * RNG.normal(size=(N, 2))) / 1.414


def pinwheel():
    """Row vectors times the matrix of a turn by theta against the clock: each is turned with the clock."""
    a, b = 1 + 0.3 * RNG.normal(size=N), 0.1 * RNG.normal(size=N)
    theta = 2 * np.pi / 5 * RNG.integers(5, size=N) + 0.25 * np.exp(a)
    turned = (a + 1j * b) * np.exp(-1j * theta)
    return 2 * np.stack([turned.real, turned.imag], axis=1)


def two_spirals():
    n = np.sqrt(RNG.random(N)) * 540 * 2 * np.pi / 360
    arm = np.stack([-np.cos(n) * n + 0.5 * RNG.random(N), np.sin(n) * n + 0.5 * RNG.random(N)], axis=1)
    return RNG.choice([-1, 1], (N, 1)) * arm / 3 + 0.1 * RNG.normal(size=(N, 2))


def checkerboard():
    x = RNG.uniform(-2, 2, N)
    y = RNG.random(N) - RNG.choice([0, 2], N) + np.floor(x) % 2
    return 2 * np.stack([x, y], axis=1)


PUBLISHED = {
    "moons:noise=0.1": lambda: make_moons(N, noise=0.1, random_state=1)[0],
    "circles:noise=0.1,factor=0.4": lambda: make_circles(N, noise=0.1, factor=0.4, random_state=1)[0],
    "swiss_roll:noise=0.2,dim=3": lambda: make_swiss_roll(N, noise=0.2, random_state=1)[0],
    "s_curve:noise=0.2,dim=3": lambda: make_s_curve(N, noise=0.2, random_state=1)[0],
    "moons:variant=ffjord": lambda: make_moons(N, noise=0.1, random_state=1)[0] * 2 + [-1, -0.2],
    "circles:variant=ffjord": lambda: make_circles(N, factor=0.5, noise=0.08, random_state=1)[0] * 3,
    "swiss_roll:variant=ffjord": lambda: make_swiss_roll(N, noise=1.0, random_state=1)[0][:, [0, 2]] / 5,
    "rings:variant=ffjord": rings,
    "eight_gaussians:variant=ffjord": eight_gaussians,
    "pinwheel:variant=ffjord": pinwheel,
    "two_spirals:variant=ffjord": two_spirals,
    "checkerboard:variant=ffjord": checkerboard,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_distribution_is_the_published_one(name):
    """All moments to the fourth order, one column and two, and sixth ones that see a turn of 45 degrees or a mirror,
    within 5 standard errors; in data units."""
    x, y = catalog.build("dataset", name).draw(np.random.default_rng(0), N), PUBLISHED[name]()
    for i in range(x.shape[1]):
        for j in range(x.shape[1]):
            for p, q in [(1, 0), (2, 0), (3, 0), (4, 0), (1, 1), (2, 1), (2, 2), (3, 1), (5, 1), (4, 2)]:
                a, b = x[:, i] ** p * x[:, j] ** q, y[:, i] ** p * y[:, j] ** q
                assert abs(a.mean() - b.mean()) < 5 * np.hypot(a.std(), b.std()) / np.sqrt(N), (i, j, p, q)


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_many_draws_lie_in_any_cell(name):
    """Counts on a coarse grid against those of the published draws: chi-squared, within 5 standard deviations."""
    x, y = catalog.build("dataset", name).draw(np.random.default_rng(0), N)[:, -2:], PUBLISHED[name]()[:, -2:]
    edges = [np.linspace(low, high, 21) for low, high in zip(y.min(axis=0), y.max(axis=0), strict=True)]
    ours, theirs = (np.histogram2d(*points.T, bins=edges)[0] for points in (x, y))
    both = ours + theirs
    often = both > 10
    chi_squared = ((ours - theirs)[often] ** 2 / both[often]).sum()
    assert (chi_squared - often.sum()) / np.sqrt(2 * often.sum()) < 5

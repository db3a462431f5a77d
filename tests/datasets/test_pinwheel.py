"""The pinwheel's law, which is made of small Gaussians, against the exact change of variables."""

import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.datasets.pinwheel import pinwheel
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level


def exact_density(x, arms, radial_std, tangential_std, rate):
    """p(x) = sum over preimages of N(a; 1, radial_std²) N(b; 0, tangential_std²) / arms |1 + rate eᵃ b|.

    (a, b) = r (cos φ, sin φ) with r = |x|, turned by −θ(a), is x where φ − θ(a) is the angle of x: the roots φ of one
    equation on a circle, for each arm. The determinant: the turn adds −θ'(a) (−b, a) to d/da, so that
    |∂x/∂(a, b)| = |det [[1 + θ' b, 0], [−θ' a, 1]]|, θ' = rate eᵃ.
    """
    r, angle = np.hypot(*x), np.arctan2(x[1], x[0])
    grid = np.linspace(-np.pi, np.pi, 2001)
    density = 0.0
    for arm in 2 * np.pi * np.arange(arms) / arms:

        def off(phi, arm=arm):
            return np.sin((phi - arm - rate * np.exp(r * np.cos(phi)) - angle) / 2)

        values = off(grid)
        crossings = np.flatnonzero(values[:-1] * values[1:] <= 0)
        low, high = grid[crossings], grid[crossings + 1]
        for _ in range(50):
            middle = (low + high) / 2
            left = off(low) * off(middle) <= 0
            low, high = np.where(left, low, middle), np.where(left, middle, high)
        a, b = r * np.cos(low), r * np.sin(low)
        normal = np.exp(-0.5 * ((a - 1) / radial_std) ** 2 - 0.5 * (b / tangential_std) ** 2)
        determinant = np.abs(1 + rate * np.exp(a) * b)
        density += np.sum(normal / determinant) / (2 * np.pi * radial_std * tangential_std * arms)
    return density


@pytest.mark.parametrize(
    "options",
    [
        {"arms": 5, "radial_std": 0.3, "tangential_std": 0.1, "rate": 0.25},
        {"arms": 3, "radial_std": 0.2, "tangential_std": 0.1, "rate": 0.4},
        {"arms": 7, "radial_std": 0.3, "tangential_std": 0.05, "rate": 0.0},
    ],
)
def test_the_law_is_the_change_of_variables(options, x64):
    """KL(exact ‖ law) is half the variance of the difference of the log-densities where that is small."""
    dataset = pinwheel(**options, scale=2.0)
    x = dataset.draw(np.random.default_rng(0), 200)
    level = Level(jnp.inf, jnp.float64(1), jnp.float64(0))
    log_p = exact.log_prob(dataset.exact(), dataset.standard.to_model(x), level) - np.log(dataset.standard.scale).sum()
    expected = np.log([exact_density(point / 2, **options) / 4 for point in x])
    difference = np.asarray(log_p) - expected
    assert np.abs(difference).max() < 0.1
    assert np.mean(difference**2) / 2 < 1e-5


def test_without_a_twist_it_is_straight():
    x, arm = pinwheel(rate=0, tangential_std=0.02).classes.draw(np.random.default_rng(0), 1000)
    straight = (x @ [1, 1j]) * np.exp(2j * np.pi * arm / 5)
    assert np.abs(straight.imag).max() < 6 * 0.02
    assert abs(straight.real.mean() - 1) < 5 * 0.3 / np.sqrt(1000)

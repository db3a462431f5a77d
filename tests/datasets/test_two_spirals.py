import numpy as np
import pytest

from diffuse_cli.datasets.two_spirals import two_spirals

N = 20_000


@pytest.mark.parametrize("turns", [0.5, 1.5, 3.0])
def test_the_arms_are_spirals_evenly_filled(turns):
    """On either arm r = t / 3, and (t / 2π turns)² is uniform."""
    x, arm = two_spirals(noise=0, turns=turns).classes.draw(np.random.default_rng(0), N)
    t = 3 * np.hypot(*x.T)
    sign = 1 - 2 * arm
    np.testing.assert_allclose(
        sign[:, None] * x, t[:, None] * np.stack([-np.cos(t), np.sin(t)], axis=1) / 3, atol=1e-12
    )
    u = np.sort((t / (2 * np.pi * turns)) ** 2)
    assert np.abs(u - (np.arange(N) + 0.5) / N).max() < 2.5 / np.sqrt(N)  # Kolmogorov and Smirnov


@pytest.mark.parametrize("variant", ["plain", "ffjord"])
def test_the_constants_are_exact(variant):
    """E x² + E y² = E t² / 9 + 2 s², E t² = (2π turns)² / 2; a jitter j U moves it by j / 2 and spreads by j² / 12."""
    dataset = two_spirals(noise=0.2, turns=2, variant=variant)
    square = (4 * np.pi) ** 2 / 18 + 2 * 0.04
    if variant == "ffjord":
        j, end = 0.5 / 3, 4 * np.pi
        # E of −t cos t and of t sin t over the density 2 t / end²
        of_cos = 2 / end**2 * (end**2 * np.sin(end) + 2 * end * np.cos(end) - 2 * np.sin(end))
        of_sin = 2 / end**2 * (-(end**2) * np.cos(end) + 2 * end * np.sin(end) + 2 * np.cos(end) - 2)
        square += 2 * (j**2 / 4 + j**2 / 12) + j * (of_sin - of_cos) / 3
    np.testing.assert_allclose(dataset.standard.mean, 0, atol=1e-12)
    np.testing.assert_allclose(dataset.standard.scale**2, square / 2, rtol=1e-9)

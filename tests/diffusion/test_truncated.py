"""The normal between two ends, against quadrature where its density lives."""

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli.diffusion import truncated

MIDDLES = np.array([-60.0, -25.0, -6.0, -2.5, -1.0, -0.3, 0.0, 0.01, 0.7, 2.0, 4.9, 5.1, 12.0, 40.0])
Z, WEIGHTS = np.polynomial.legendre.leggauss(300)
HALVES = np.array([1e-6, 1e-3, 0.03, 0.3, 0.99, 1.01, 2.5, 6.0, 40.0, 1000.0])


def expected(m, h):
    """log mass, mean, place and spread; to the right of 0 the interval is looked at in a mirror."""
    a, b = m - h, m + h
    top = np.clip(0.0, a, b)
    low, high = max(a, top - 12), min(b, top + 12)
    n = (low + high) / 2 + (high - low) / 2 * Z
    density = np.exp((top - n) * (top + n) / 2) * WEIGHTS * (high - low) / 2
    mass = density.sum()
    t = (n - m) / h if h > 1 else Z  # as long as they are not the same
    place = density @ t / mass
    log_mass = np.log(mass) - (top**2 + np.log(2 * np.pi)) / 2
    return log_mass, density @ n / mass, place, density @ (t - place) ** 2 / mass


def test_mass_mean_and_spread_at_every_middle_and_width(x64):
    cells = np.stack(np.meshgrid(MIDDLES, HALVES, indexing="ij"), axis=-1).reshape(-1, 2)
    got = jax.jit(truncated.normal)(*cells.T)
    got = np.stack([got.log_mass, got.mean, got.place, got.spread], axis=1)
    wanted = np.array([expected(m, h) for m, h in cells])
    off = np.abs(got - wanted) > 1e-6 * np.abs(wanted) + np.array([1e-6, 1e-9, 1e-6, 1e-6])
    named = np.array(["log mass", "mean", "place", "spread"])
    assert {(*cells[i], named[j], got[i, j], wanted[i, j]) for i, j in np.argwhere(off)} == set()


def test_its_derivatives_are_its_moments(x64):
    """d log mass / d m = -E n and d E n / d m = 1 - Var n, whichever formula an interval has."""
    cells = np.stack(np.meshgrid(MIDDLES, HALVES, indexing="ij"), axis=-1).reshape(-1, 2)
    m, h = cells.T

    @jax.jit
    def slopes(m):
        ask = lambda m: truncated.normal(m, jnp.asarray(h))[:2]  # noqa: E731
        return jax.jvp(ask, (m,), (jnp.ones_like(m),))[1]

    of_mass, of_mean = jax.device_get(slopes(m))
    found = jax.device_get(jax.jit(truncated.normal)(m, h))
    off = np.abs(of_mass + found.mean) > 1e-6 * (1 + np.abs(found.mean))
    off |= np.abs(of_mean - (1 - h**2 * found.spread)) > 1e-5
    assert {tuple(cell) for cell in cells[off]} == set()

"""The true loss of a flow map: how far its average velocity is from the exact one, at jumps that were solved for.

The losses that train flow maps are not it. Those with a noisy velocity have a part that no network can remove, those
of the network's own making are small for any map that agrees with itself, and a normalised one is always about 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.flow_maps import AverageVelocity, flow_level, solve_in_double

CLEANEST, NOISIEST = 1e-4, 1 - 1e-5  # of t and r, between which the flow is solved
_LEAST = 1e-3  # of t - r: of a shorter jump the average velocity loses its digits


class SolvedJumps(NamedTuple):
    """Jumps of the exact flow on the straight path: x [n, d] at times t [n, 1], and u [n, d], the average velocity on
    the way to r [n, 1]. Rows where the solver failed are left out."""

    x: Float[np.ndarray, "n d"]
    t: Float[np.ndarray, "n 1"]
    r: Float[np.ndarray, "n 1"]
    u: Float[np.ndarray, "n d"]


def spread_times(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Times t and r [n, 1], uniform among those with r < t, spread evenly by a Latin square."""
    from scipy.stats import qmc

    drawn = qmc.LatinHypercube(2, rng=seed).random(n)
    t, r = drawn.max(axis=1, keepdims=True), drawn.min(axis=1, keepdims=True)
    return np.maximum(t, r + _LEAST), r


def solved_jumps(predict: Predict, x0: np.ndarray, t: np.ndarray, r: np.ndarray, seed: int) -> SolvedJumps:
    """The exact jumps from data x0 [n, d], model space, with noise at times t [n, 1], to times r [n, 1].

    predict: the exact denoiser of the data, a pytree. The flow is solved in double precision, to 1e-8.
    """
    eps = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(5,))).standard_normal(x0.shape)
    t, r = np.clip(t, CLEANEST + _LEAST, NOISIEST), np.clip(r, CLEANEST, NOISIEST)
    x = (1 - t) * x0 + t * eps
    with jax.enable_x64(True):
        now, nxt = (flow_level(jnp.asarray(each, jnp.float64)) for each in (t, r))
    ends = solve_in_double(predict, x, now, nxt)
    kept = np.isfinite(ends).all(axis=1)
    jumps = SolvedJumps(x, t, r, (x - ends) / (t - r))
    return SolvedJumps(*(np.asarray(field[kept], np.float32) for field in jumps))


def true_losses(velocity: AverageVelocity, jumps: SolvedJumps) -> Float[Array, " n"]:
    """|| u - u_exact ||^2 / d of each jump."""
    x, t, r, exact = map(jnp.asarray, jumps)
    return jnp.mean((velocity(x, t, r) - exact) ** 2, axis=-1)

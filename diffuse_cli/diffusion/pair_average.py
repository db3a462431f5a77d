"""Flow matching with less noise: the velocity of a point, averaged over the clean points that it may come from."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_LEAST_TIME = 0.03  # below it x is so near to its own clean point that there is nothing to average
_TOGETHER = 256  # clean points over which is averaged, at most: the cost grows with their square


def averaged_velocity(
    x: Float[Array, "n d"],
    t: Float[Array, "n 1"],
    x0: Float[Array, "n d"],
    velocity: Float[Array, "n d"],
    alike: Bool[Array, "n n"] | None = None,
) -> Float[Array, "n d"]:
    """E[eps - x0 | x, the set of clean points] for points x = (1 - t) x0 + t eps of the straight path.

    velocity: eps - x0 of each. alike [i, j]: whether the j-th point may stand for the i-th, as one with the same label
    may; by default any. The clean points are independent draws, so that each of the set is as likely to be the one
    behind x but for its distance: the weights are N(x; (1 - t) x0_j, t^2 I), and eps - x0 = (x - x0) / t. By the tower
    rule the mean over sets is that of `velocity`, with the same or less variance (Rao-Blackwell).

    >>> x0, eps = jnp.array([[1.0], [-1.0]]), jnp.array([[-1.0], [1.0]])
    >>> x, t = (x0 + eps) / 2, jnp.full((2, 1), 0.5)  # both at 0: each may come from either point
    >>> averaged_velocity(x, t, x0, eps - x0)[:, 0].tolist()
    [0.0, 0.0]
    """
    parts = []
    for first in range(0, len(x), _TOGETHER):
        rows = slice(first, first + _TOGETHER)
        here = None if alike is None else alike[rows, rows]
        parts.append(_averaged(x[rows], t[rows], x0[rows], velocity[rows], here))
    return jnp.concatenate(parts)


def _averaged(
    x: Float[Array, "n d"],
    t: Float[Array, "n 1"],
    x0: Float[Array, "n d"],
    velocity: Float[Array, "n d"],
    alike: Bool[Array, "n n"] | None,
) -> Float[Array, "n d"]:
    late = jnp.maximum(t, _LEAST_TIME)
    squares = jnp.sum(x**2, axis=1)[:, None] + (1 - t) ** 2 * jnp.sum(x0**2, axis=1)[None]
    log_weights = (2 * (1 - t) * (x @ x0.T) - squares) / (2 * late**2)
    if alike is not None:
        log_weights = jnp.where(alike, log_weights, -jnp.inf)
    mean = jax.nn.softmax(log_weights, axis=1) @ x0
    return jnp.where(t < _LEAST_TIME, velocity, (x - mean) / late)

"""Drifting: a generator of one jump, whose points move towards the data and away from each other while it is trained.

There is no flow and no path from noise to data here. In every step the generated points of a batch move by a field that
is zero where they have the law of the data, and the network learns to generate the points that were moved.

    V(x) = the mean shift from x towards the data - the mean shift from x towards the other generated points

Deng et al. 2026 (arXiv 2602.04770), Generative Modeling via Drifting.
"""

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.flow_maps import AverageVelocity
from diffuse_cli.diffusion.map_losses import Lesson, MapLoss, Span

_X = Float[Array, "n d"]
_Time = Float[Array, "n 1"]
_TINY = 1e-12  # where a field is zero
_APART = 1e6  # the distance of a point from itself, so that it does not push itself


def drift_field(
    x: _X, data: Float[Array, "m d"], tau: float | Float[Array, ""], *, others: Float[Array, "k d"] | None = None
) -> Float[Array, "n d"]:
    """V at the points x: towards `data`, and away from `others`; by default these are x, each but for itself.

    With the kernel k = exp(-|x - y| / tau), A is the root of its softmax over the rows times that over the columns, the
    columns being data and others together. Deng et al. 2026, algorithm 2:

        V_i = Σ_jk A_ij A_ik (data_j - others_k)

    >>> towards = drift_field(jnp.zeros((1, 1)), jnp.array([[0.1]]), 1.0, others=jnp.array([[-0.1]]))
    >>> bool(towards[0, 0] > 0)
    True
    """
    from_data = _distances(x, data)
    from_others = _distances(x, x if others is None else others)
    if others is None:
        others, from_others = x, jnp.where(jnp.eye(len(x), dtype=bool), _APART, from_others)
    logits = -jnp.concatenate([from_data, from_others], axis=1) / tau
    near = jnp.sqrt(jax.nn.softmax(logits, axis=0) * jax.nn.softmax(logits, axis=1))
    to_data, to_others = near[:, : len(data)], near[:, len(data) :]
    pull = jnp.sum(to_others, axis=1, keepdims=True) * (to_data @ data)
    push = jnp.sum(to_data, axis=1, keepdims=True) * (to_others @ others)
    return pull - push


def _distances(x: _X, y: Float[Array, "m d"]) -> Float[Array, "n m"]:
    distances: Array = jnp.linalg.norm(x[:, None] - y, axis=-1)
    return distances


def drift(
    *,
    tau: Annotated[float, Meta(gt=0)] = 0.1,
    together: Annotated[int, Meta(ge=2)] = 256,
    diagonal: Annotated[float, Meta(ge=0, lt=1)] = 0.25,
) -> MapLoss:
    """Drifting, || gen - (gen + V) ||^2 with the gradient through the first gen only; gen = eps - u(eps, 1, 0).

    tau: the width of the kernel of V (`drift_field`), in standard deviations of the data. together: how many generated
    points push each other; a batch with more is divided, for their distances are their number squared.

    The weight is 1 / rms(V), so that the field has the same share in the gradient whatever its length, beside the flow
    matching of the diagonal. What is left at the end is mostly the chance of a batch. Only the jump from 1 to 0 is
    learned, and it is not that of the flow. The paper's noise has 32 dimensions, and here it has those of the data.
    Deng et al. 2026 (arXiv 2602.04770), algorithms 1 and 2, and appendix A.6.

    >>> drift().follows_flow, drift().mixes_rows
    (False, True)
    """

    def residual(u: AverageVelocity, span: Span, lesson: Lesson) -> _X:
        if span.x0 is None:
            raise ValueError("drifting needs the clean points of a batch")
        gen = span.x - span.t * u(span.x, span.t, span.r)
        return gen - jax.lax.stop_gradient(gen + _field_in_parts(gen, span.x0, tau, together))

    return MapLoss(residual, _whole_spans, diagonal, _by_length, follows_flow=False, jumps="whole", mixes_rows=True)


def _whole_spans(key: PRNGKeyArray, n: int, progress: Float[Array, ""]) -> tuple[_Time, _Time]:
    return jnp.ones((n, 1)), jnp.zeros((n, 1))


def _by_length(residual: _X, span: Span, lesson: Lesson) -> Float[Array, " n"]:
    return jnp.full(len(residual), jax.lax.rsqrt(jnp.mean(residual**2) + _TINY))


def _field_in_parts(gen: _X, data: _X, tau: float, together: int) -> _X:
    """V at the generated points, which push each other in equal parts of at most `together`."""
    n = len(gen)
    parts = -(-n // together)
    size = -(-n // parts)
    rows = (np.arange(parts * size) % n).reshape(parts, size)  # the first ones once more, where the last part is short
    # half of the data, since a batch has each point twice, and the same point twice says nothing new
    field: Array = jax.lax.map(lambda rows: drift_field(gen[rows], data[rows[: (size + 1) // 2]], tau), rows)
    return field.reshape(parts * size, -1)[:n]

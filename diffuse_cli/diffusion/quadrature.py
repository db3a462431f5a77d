"""Entropies of smooth densities by the trapezoid rule, and those of blocks in closed form.

For a smooth density that is 0 at the ends it converges faster than any power of the spacing (Trefethen & Weideman
2014).
"""

import itertools
from collections import defaultdict
from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from diffuse_cli.errors import DiffuseError

_POINTS = 256  # in a tile
_MOST = 1 << 24  # tiles times components: a minute or so, and 200 MB
_MOST_BLOCKS = 1 << 22
_BLOCK = 1 << 20  # points times components that are evaluated together


def entropy(
    log_p: Callable[[Float[Array, "n d"], Int[Array, " m"], Bool[Array, " m"]], Float[Array, " n"]],
    low: Float[np.ndarray, "k d"],
    high: Float[np.ndarray, "k d"],
    spacing: float,
) -> float:
    """-∫ p log p of a mixture, in nats; always in double precision.

    log_p: (x, chosen, counts) -> log p(x) of the mixture of those components in `chosen` whose `counts` is true.
    low, high: boxes outside of which each component is negligible. The grid is divided into square tiles. Only tiles
        that a box touches are evaluated, and there only the components of these boxes.
    spacing: that of the grid; with 3/4 of the smallest standard deviation in p the error is some 1e-6.

    Raises DiffuseError if the spacing is so small, for the width of p, that the grid would have too many points.
    """
    dim = low.shape[1]
    per_side = round(_POINTS ** (1 / dim))
    side = per_side * spacing
    first, last = np.floor(low / side), np.floor(high / side)
    if np.prod(last - first + 1, axis=1).sum() > _MOST:
        raise DiffuseError(_too_fine(low, high, spacing))
    touching = defaultdict(list)
    for component, ends in enumerate(zip(first.astype(int), last.astype(int) + 1, strict=True)):
        for tile in itertools.product(*(range(*pair) for pair in zip(*ends, strict=True))):
            touching[tile].append(component)
    most = max(map(len, touching.values()))
    if len(touching) * most > _MOST:
        raise DiffuseError(_too_fine(low, high, spacing))
    chosen = np.zeros((len(touching), most), np.int32)
    counts = np.zeros((len(touching), most), bool)
    for row, components in enumerate(touching.values()):
        chosen[row, : len(components)], counts[row, : len(components)] = components, True

    within = np.stack(np.meshgrid(*[spacing * np.arange(per_side)] * dim), axis=-1).reshape(-1, dim)

    def tile_entropy(inputs: tuple[Float[Array, " d"], Int[Array, " m"], Bool[Array, " m"]]) -> Float[Array, ""]:
        corner, *components = inputs
        value = log_p(corner[None] + within, *components)
        return -jnp.sum(jnp.exp(value) * value)

    with jax.enable_x64(True):
        corners = side * np.array(list(touching))
        block = max(1, _BLOCK // (_POINTS * most))
        total = jax.jit(lambda tiles: jax.lax.map(tile_entropy, tiles, batch_size=block).sum())(
            (corners, chosen, counts)
        )
        return float(total) * float(spacing**dim)


def entropy_of_blocks(
    low: Float[np.ndarray, "k d"], high: Float[np.ndarray, "k d"], shares: Float[np.ndarray, " k"]
) -> float:
    """The entropy of boxes with these shares, in nats. They may overlap: p is constant between neighbouring edges.

    Raises DiffuseError if they have too many different edges.
    """
    edges = [np.unique(np.concatenate([low[:, i], high[:, i]])) for i in range(low.shape[1])]
    if np.prod([len(edge) for edge in edges]) > _MOST_BLOCKS:
        raise DiffuseError(f"the entropy of {len(low)} boxes without noise is out of reach; take a noisier level")
    middles = np.stack(np.meshgrid(*[(edge[1:] + edge[:-1]) / 2 for edge in edges], indexing="ij"), axis=-1)
    volumes = reduce(np.multiply.outer, [np.diff(edge) for edge in edges])
    density = np.zeros(volumes.shape)
    for a, b, share in zip(low, high, shares, strict=True):
        density += share / np.prod(b - a) * np.all((middles > a) & (middles < b), axis=-1)
    inside = density > 0
    return float(-np.sum((volumes * density)[inside] * np.log(density[inside])))


def _too_fine(low: np.ndarray, high: np.ndarray, spacing: float) -> str:
    width = (high.max(axis=0) - low.min(axis=0)).max()
    return (
        f"an entropy by quadrature is out of reach here: steps of {spacing:.2g} on a width of {width:.2g} for "
        f"{len(low)} components; take a noisier level, or give the dataset more noise"
    )

"""Families and small networks of each."""

import jax
import numpy as np
from flax import nnx

from diffuse_cli import catalog
from diffuse_cli.families.base import Size

NAMES = [
    "gmm:components=3", "kde:bandwidth=0.4,points=20", "realnvp:layers=4", "flow:layers=3,knots=4", "vae",
    "autoregressive:components=3", "gan:loss=plain,latents=3", "gan:loss=relativistic,latents=3", "vae:decoder=linear",
]  # fmt: skip
FAMILIES = {name: catalog.build("family", name) for name in NAMES}
TRAINED = [name for name, family in FAMILIES.items() if family.fit is None]
WITH_DENSITY = [name for name, family in FAMILIES.items() if family.log_prob is not None]
LOG_PROB = {name: jax.jit(FAMILIES[name].log_prob) for name in WITH_DENSITY if FAMILIES[name].compiled}
DRAW = {name: jax.jit(family.draw, static_argnums=2) for name, family in FAMILIES.items()}


def network_of(name, dim=2, seed=0):
    """A network of `dim` columns: fitted to a few points, or of random weights."""
    family = FAMILIES[name]
    if family.fit is not None:
        points = np.random.default_rng(seed).normal(size=(40, dim)) @ np.tri(dim)
        return family.fit(points, points[:5], seed, None).network
    return family.network(Size(dim, width=8, depth=2), nnx.Rngs(params=jax.random.key(seed)))

"""Samplers, denoisers and levels that the tests of sampling share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.schedules import linear

ANNEALED = "langevin:step_size=0.15,inner=15"
SAMPLERS = [
    "ddpm", "ddpm:large", "ddim", "ddim:eta=0.5", "ddim:eta=1", "euler", "euler:churn=0.02", "heun", "heun:churn=0.2",
    "midpoint", "rk4", "dpm_1", "dpm_2", "dpm_3", "dpmpp_2s", "dpmpp_2m", "dpmpp_3m", "dpmpp_2m_sde", "unipc",
    "unipc:order=1", "deis", "deis:order=1", "deis:order=2", "reverse_sde", "pc", ANNEALED, "particles",
    "twisted", "jump", "renoise", "ode",
]  # fmt: skip
JUMPING = [name for name in SAMPLERS if catalog.build("sampler", name).needs_jump]  # these are given a Jump
STEPPING = [name for name in SAMPLERS if name not in ("ode", *JUMPING)]
DETERMINISTIC = [name for name in STEPPING if catalog.build("sampler", name).order]
SCHEDULES = [name for name in catalog.CATALOG["schedule"] if name != "table"]
GRIDS = [name for name in catalog.CATALOG["grid"] if name != "fixed"]
SCALINGS = [p.variance_preserving, p.variance_exploding, p.straight_flow]
MEAN = np.array([0.6, -0.4])
COVARIANCE = np.array([[0.9, 0.5], [0.5, 0.7]])
PARTS, STD = np.array([[0.8, 0.5], [-0.7, -0.2], [0.1, -0.9]]), 0.3
KEY = jax.random.key(0)


def slow_but(quick, names):
    """The names as parameters: all but the quick ones are slow."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def _of_gaussian(x, level):
    mean, values, basis = (part.astype(x.dtype) for part in (MEAN, *np.linalg.eigh(COVARIANCE)))
    z = (x - level.alpha * mean[None]) @ basis / (level.alpha**2 * values[None] + level.sigma**2)
    return Prediction(mean[None] + (level.alpha * values[None] * z) @ basis.T, (level.sigma * z) @ basis.T)


def _of_parts(x, level):
    means = jnp.asarray(PARTS, x.dtype)
    variance = level.alpha**2 * STD**2 + level.sigma**2
    near = -jnp.sum((x[:, None] - jnp.reshape(level.alpha, (-1, 1, 1)) * means[None]) ** 2, axis=2) / (2 * variance)
    mean = jax.nn.softmax(near, axis=1) @ means
    z = (x - level.alpha * mean) / variance
    return Prediction(mean + level.alpha * STD**2 * z, level.sigma * z)


def _jump_of_gaussian(x, now, nxt):
    values, basis = (part.astype(x.dtype) for part in np.linalg.eigh(COVARIANCE))
    spread = lambda level: jnp.sqrt(level.alpha**2 * values[None] + level.sigma**2)  # noqa: E731
    mean = MEAN.astype(x.dtype)[None]
    turned = (x - now.alpha * mean) @ basis * (spread(nxt) / spread(now))
    return nxt.alpha * mean + turned @ basis.T


# Exact denoisers, written out: much smaller programs than those of `exact`, with which test_samplers compares them.
# One object each, so that what is compiled for it in one test serves them all.
gaussian = jax.tree_util.Partial(_of_gaussian)
parts = jax.tree_util.Partial(_of_parts)
gaussian_jump = jax.tree_util.Partial(_jump_of_gaussian)


def exactly(name):
    """What a sampler is given on Gaussian data: the exact denoiser, or the exact flow map."""
    return gaussian_jump if name in JUMPING else gaussian


def levels_of(grid="uniform", steps=20, scaling=p.variance_preserving, schedule=None):
    return catalog.build("grid", grid)(p.Process(schedule or linear(1000), 1000, scaling), steps)


def noisy(levels):
    return jax.tree.map(lambda a: a[:-1], levels)


def first_of(levels):
    return jax.tree.map(lambda a: a[0], levels)


def start_at(levels, n=64):
    return p.prior(jax.random.key(1), (n, 2), first_of(levels))

"""Direct: how a model draws, and what density it has, that is no denoiser: another family, or a decoded latent one."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.errors import UsageError
from diffuse_cli.families.base import Family
from diffuse_cli.models.build import Experiment
from diffuse_cli.networks.denoiser import Structure, Weights

_TOGETHER = 4096  # points whose density is computed in one compiled call


class DirectlyDrawn(NamedTuple):
    """Samples [n, d] in model space, and the passes through a network that each took."""

    points: np.ndarray
    evals: int


class Direct(NamedTuple):
    """How samples are drawn without noise levels, and their density. All points are in model space.

    title: what the model is, for messages. draw: (count, seed, method) -> DirectlyDrawn; the method is that of a
    sampler inside, which families ignore. log_prob: points [n, d] -> log p [n], nats; None where it is not known.
    no_density: why not, as a clause. most: the number of points at most whose density is computed where the user does
    not say how many; None for no limit.
    """

    title: str
    draw: Callable[[int, int, Any], DirectlyDrawn]
    log_prob: Callable[[np.ndarray], np.ndarray] | None
    no_density: str = ""
    most: int | None = None

    def density(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        """log_prob. Raises UsageError, with the reason, for a model that has none."""
        if self.log_prob is None:
            raise UsageError(f"{name} has no likelihood: {self.no_density}")
        return self.log_prob


def direct_of_family(experiment: Experiment, weights: Weights) -> Direct:
    """The Direct of a family with these weights. Raises ValueError for an experiment of diffusion."""
    family = experiment.family
    if family is None:
        raise ValueError("diffusion is not a Family")
    evals = experiment.dim if family.by_column else 1

    def draw(count: int, seed: int, _method: Any = None) -> DirectlyDrawn:
        drawn = _draw(family, experiment.structure, count, weights, np.uint32(seed))
        return DirectlyDrawn(np.asarray(drawn), evals)

    log_prob = None if family.log_prob is None else partial(_log_prob, family, experiment.structure, weights)
    return Direct(family.title, draw, log_prob, family.no_density, family.most)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _draw(family: Family, structure: Structure, count: int, weights: Weights, seed: jax.Array) -> jax.Array:
    return family.draw(nnx.merge(structure, weights), jax.random.key(seed), count)


@partial(jax.jit, static_argnums=(0, 1))
def _compiled_log_prob(family: Family, structure: Structure, weights: Weights, x: Array) -> jax.Array:
    if family.log_prob is None:
        raise ValueError("this family has no density")
    return family.log_prob(nnx.merge(structure, weights), x)


def _log_prob(family: Family, structure: Structure, weights: Weights, x: np.ndarray) -> np.ndarray:
    """log p [n] at x [n, d]; in parts of equal size, so that one program is compiled."""
    if not family.compiled and family.log_prob is not None:
        return np.asarray(family.log_prob(nnx.merge(structure, weights), jnp.asarray(x, jnp.float32)), np.float64)
    size = min(_TOGETHER, len(x))
    parts = []
    for first in range(0, len(x), size):
        part = np.asarray(x[first : first + size], np.float32)
        filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        parts.append(
            np.asarray(_compiled_log_prob(family, structure, weights, jnp.asarray(filled)), np.float64)[: len(part)]
        )
    return np.concatenate(parts)


def no_denoiser(title: str, name: str) -> Predict:
    """What stands in place of the denoiser of a model that has none: whatever calls it says why."""

    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        raise has_no_denoiser(title, name)

    return jax.tree_util.Partial(refuse)


def has_no_denoiser(title: str, name: str) -> UsageError:
    """That a model has no denoiser, and what it can be asked for.

    >>> str(has_no_denoiser("a GAN", "mine"))[:50]
    'mine is a GAN and has no denoiser, so no noise lev'
    """
    return UsageError(
        f"{name} is {title} and has no denoiser, so no noise levels, paths or fields; ask for sample, plot-samples, "
        "evaluate, report, and where it has a density likelihood and plot-density"
    )

"""From a network to a denoiser, a flow map or a classifier: weights, parameterization and input scaling together."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from diffuse_cli.diffusion.conditions import Condition, Given
from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.flow_maps import AverageVelocity, Jump, flow_time, jump_by
from diffuse_cli.diffusion.losses import Answer
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.diffusion.process import Level

Structure = nnx.GraphDef[Any]  # a network without its weights: hashable, static in compiled code
LogProbabilities = Callable[[Float[Array, "n d"], Level], Float[Array, "n k"]]  # of k labels, in nats
Weights = dict[str, Any]  # nested dicts of arrays: the Param state of nnx.split as a plain pytree


def split(network: nnx.Module) -> tuple[Structure, Weights]:
    """A network as its structure, which is static in compiled code, and its weights, which are data."""
    structure, state = nnx.split(network, nnx.Param)
    return structure, nnx.to_pure_dict(state)


def answer(structure: Structure, weights: Weights, condition: Condition | None = None) -> Answer:
    """The raw output of a network as a function of x [n, d] and a level whose fields are scalars or [n, 1].

    Its input is scaled to unit variance: c_in of Karras et al. 2022, eq. 7, for data of unit variance. With variance
    preservation this changes nothing. Of a network of jumps it is the velocity, the diagonal of `average_velocity`.

    condition: what a conditional network is told, for all rows or for each; None for an unconditional answer. Calling
    it raises ValueError where there are not as many conditions as rows.
    """

    def call(x: Float[Array, "n d"], level: Level) -> Float[Array, "n outputs"]:
        network = nnx.merge(structure, weights)
        if network.jumps:
            t = jnp.broadcast_to(flow_time(level), (len(x), 1))
            return _average(network, condition, x / (level.alpha + level.sigma), t, t)
        log_snr = jnp.broadcast_to(level.log_snr, (len(x), 1))
        output: Array = network(x / jnp.hypot(level.alpha, level.sigma), log_snr, condition)
        return output

    return call


def average_velocity(structure: Structure, weights: Weights, condition: Condition | None = None) -> AverageVelocity:
    """The average velocity u(x, t, r) of a network of jumps, on the straight path; condition: as of `answer`."""
    return lambda x, t, r: _average(nnx.merge(structure, weights), condition, x, t, r)


def _average(
    network: Any, condition: Condition | None, x: Float[Array, "n d"], t: Float[Array, "n 1"], r: Float[Array, "n 1"]
) -> Float[Array, "n d"]:
    output: Array = network(x, jnp.concatenate([t, r], axis=-1), condition)
    return output


def jumper(structure: Structure, weights: Weights) -> Jump:
    """The Jump of a network of jumps: a pytree whose leaves are the weights. It can be called with a `condition`."""
    return jax.tree_util.Partial(_jump_with(structure), weights)


def conditional_jumper(structure: Structure, weights: Weights) -> Callable[[Condition], Jump]:
    """The jumps of a conditional network of jumps: a condition -> its Jump, whose leaves are the weights and it."""
    jump = _jump_with(structure)
    return lambda condition: jax.tree_util.Partial(jump, weights, condition=jnp.asarray(condition))


@cache
def _jump_with(structure: Structure) -> Callable[..., Float[Array, "n d"]]:
    return partial(_jump, structure)


def _jump(
    structure: Structure,
    weights: Weights,
    x: Float[Array, "n d"],
    now: Level,
    nxt: Level,
    condition: Condition | None = None,
) -> Float[Array, "n d"]:
    return jump_by(average_velocity(structure, weights, condition), x, now, nxt)


def predictor(structure: Structure, weights: Weights, parameterization: Parameterization) -> Predict:
    """The denoiser of a network: a pytree whose leaves are the weights. That of a conditional network is unconditional.

    A compiled function that takes it as an argument compiles once for all weights of one structure. Of a conditional
    network it can be called with a `condition` too, as where each point has its own.
    """
    return jax.tree_util.Partial(_predict_with(structure, parameterization), weights)


def conditional_predictor(structure: Structure, weights: Weights, parameterization: Parameterization) -> Given:
    """The denoisers of a conditional network: a condition -> its denoiser, whose leaves are the weights and it."""
    predict = _predict_with(structure, parameterization)
    return lambda condition: jax.tree_util.Partial(predict, weights, condition=jnp.asarray(condition))


@cache  # jit recognises compiled code by the function object, so there must be one object for one structure
def _predict_with(structure: Structure, parameterization: Parameterization) -> Callable[..., Prediction]:
    return partial(_predict, structure, parameterization)


def _predict(
    structure: Structure,
    parameterization: Parameterization,
    weights: Weights,
    x: Float[Array, "n d"],
    level: Level,
    condition: Condition | None = None,
) -> Prediction:
    return parameterization.decode(answer(structure, weights, condition)(x, level), x, level)


def classifier_logits(structure: Structure, weights: Weights, log_shares: Float[Array, " k"]) -> Answer:
    """The logits of a classifier, log shares + α / √(α² + σ²) times the output of a network.

    The more noise, the less x tells of its label: log p(label | x) tends to log share, and its slope falls like α. This
    factor gives a network the same limit. Guidance divides the slope by α, which is tiny at the first steps of a
    sampler; without the factor it would multiply the errors of the network there as much.
    """
    outputs = answer(structure, weights)

    def logits(x: Float[Array, "n d"], level: Level) -> Float[Array, "n k"]:
        signal = jnp.broadcast_to(level.alpha / jnp.hypot(level.alpha, level.sigma), (len(x), 1))
        return jnp.asarray(log_shares, x.dtype) + signal * outputs(x, level)

    return logits


def label_log_probabilities(structure: Structure, weights: Weights, log_shares: np.ndarray) -> LogProbabilities:
    """The log-probabilities of `classifier_logits`: a pytree whose leaves are the weights and the log shares."""
    return jax.tree_util.Partial(_classify_with(structure), weights, jnp.asarray(log_shares))


@cache
def _classify_with(structure: Structure) -> Callable[..., Float[Array, "n k"]]:
    return partial(_classify, structure)


def _classify(
    structure: Structure, weights: Weights, log_shares: Float[Array, " k"], x: Float[Array, "n d"], level: Level
) -> Float[Array, "n k"]:
    return jax.nn.log_softmax(classifier_logits(structure, weights, log_shares)(x, level))

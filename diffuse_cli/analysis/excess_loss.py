"""The excess loss of a denoiser over the exact one, at each noise level."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Process, add_noise

_LEVELS = 48
_NOISIEST = -10.0  # log-SNR: at noisier levels x contains almost nothing of the data, and the excess loss vanishes


class ExcessLoss(NamedTuple):
    """The losses of eps at each level, of a model and of the exact denoiser.

    log_snr, model, irreducible: [k]; model is E |eps − eps_model|², irreducible E |eps − eps_exact|².
    total: ½ ∫ (model − irreducible) d log_snr in nats. Together with the KL at the end of the forward process it bounds
        KL(data ‖ samples of the reverse SDE): Song, Durkan, Murray & Ermon 2021, theorem 1.
    """

    log_snr: Array
    model: Array
    irreducible: Array
    total: Array


@partial(jax.jit, static_argnames="process")
def excess_loss(predict: Predict, truth: Predict, process: Process, x0: Array, seed: Array) -> ExcessLoss:
    """The ExcessLoss of `predict` over the levels of `process`, each estimated with all of the data x0 [n, d].

    truth: the exact denoiser of x0. Both may have been told what is true of each row.

    The difference model − irreducible is estimated as E |eps_model − eps_exact|², which has the same expectation and a
    far smaller variance.
    """
    ends = process.schedule(jnp.array([1.0, 1 / process.timesteps]))
    log_snr = jnp.linspace(jnp.maximum(ends[0], _NOISIEST), ends[1], _LEVELS)

    def at(inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        log_snr, key = inputs
        level = process.at(log_snr)
        eps = jax.random.normal(key, x0.shape)
        x = add_noise(x0, eps, level)
        best = truth(x, level).eps
        squares = ((best - predict(x, level).eps) ** 2, (eps - best) ** 2)
        return tuple(jnp.mean(jnp.sum(square, axis=-1)) for square in squares)

    beyond, irreducible = jax.lax.map(at, (log_snr, jax.random.split(jax.random.key(seed), _LEVELS)))
    return ExcessLoss(log_snr, irreducible + beyond, irreducible, 0.5 * jnp.trapezoid(beyond, log_snr))

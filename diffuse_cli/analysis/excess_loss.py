"""How far a denoiser is from the exact one, noise level by noise level."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Process, add_noise

_LEVELS = 48
_NOISIEST = -10.0  # log-SNR below which the data are forgotten: nothing is left to be wrong about


class ExcessLoss(NamedTuple):
    """The losses of eps at each level, and what of the model's learning could still remove.

    log_snr, model, irreducible: [k]; model is E |eps − eps_model|², irreducible E |eps − eps_exact|².
    total: ½ ∫ (model − irreducible) d log_snr in nats, a bound on KL(data ‖ samples of the reverse SDE), but for the
        prior's part of it. Song, Durkan, Murray & Ermon 2021, theorem 1.
    """

    log_snr: Array
    model: Array
    irreducible: Array
    total: Array


@partial(jax.jit, static_argnames=("law", "process"))
def excess_loss(predict: Predict, law: exact.Law, process: Process, x0: Array, seed: Array) -> ExcessLoss:
    """The Excess of `predict` over the levels of `process`, each judged on all of x0 [n, d], draws of `law`.

    What the model loses beyond the irreducible is measured as E |eps_model − eps_exact|², which is the same and has
    far less chance in it.
    """
    truth = exact.denoiser(law)
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

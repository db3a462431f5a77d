"""The optimiser: AdamW on clipped gradients, its learning rate warmed up and then let down to zero along a cosine."""

import jax.numpy as jnp
import optax
from jax import Array


def adamw(*, clip: float, weight_decay: float) -> optax.GradientTransformation:
    """Updates of AdamW (Loshchilov & Hutter 2019) for a learning rate of 1; the caller scales them by `learning_rate`.

    The rate stays outside because the number of steps may be settled only while training runs.
    """
    steps = optax.chain(
        optax.clip_by_global_norm(clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(weight_decay),
    )
    return optax.flatten(steps)  # on one long vector: a small network's many small arrays cost more than their contents


def learning_rate(step: Array, total: Array, *, peak: float, warmup: int) -> Array:
    """The rate at `step` of `total`: up linearly over `warmup` steps, times a half cosine over all of `total`."""
    rise = jnp.minimum(1.0, (step + 1) / (warmup + 1))
    return peak * rise * optax.cosine_decay_schedule(1.0, decay_steps=1)(step / total)


def ema_decay(step: Array, decay: float) -> Array:
    """The decay of the weights' average after `step` steps: `decay`, but less at first, to forget the start."""
    return jnp.minimum(decay, (1.0 + step) / (10.0 + step))

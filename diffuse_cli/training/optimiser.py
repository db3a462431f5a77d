"""The optimiser: AdamW on clipped gradients, with a learning rate that warms up and falls to zero like a cosine."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


def adamw(*, clip: float, weight_decay: float) -> optax.GradientTransformation:
    """Updates of AdamW (Loshchilov & Hutter 2019) for a learning rate of 1; the caller scales them by `learning_rate`.

    The rate is not part of it because the number of steps may be decided only while training runs.
    """
    steps = optax.chain(
        optax.clip_by_global_norm(clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(weight_decay),
    )
    return optax.flatten(steps)  # on one long vector: a small network's many small arrays cost more than their contents


def learning_rate(step: Int[Array, ""], total: Int[Array, ""], *, peak: float, warmup: int) -> Float[Array, ""]:
    """The rate at `step` of `total`: linear over the first `warmup` steps, times half a cosine over all of `total`.

    >>> rates = [learning_rate(jnp.int32(step), jnp.int32(100), peak=0.1, warmup=9) for step in (0, 50, 100)]
    >>> [round(float(rate), 3) for rate in rates]
    [0.01, 0.05, 0.0]
    """
    rise = jnp.minimum(1.0, (step + 1) / (warmup + 1))
    return peak * rise * optax.cosine_decay_schedule(1.0, decay_steps=1)(step / total)


def ema_decay(step: Int[Array, ""], decay: float) -> Float[Array, ""]:
    """The decay of the average of the weights after `step` steps: `decay`, but less at first, to forget the start."""
    return jnp.minimum(decay, (1.0 + step) / (10.0 + step))

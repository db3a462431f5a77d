"""Guidance by the gradient of a classifier that works at every noise level."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.exact import Law
from diffuse_cli.diffusion.process import Level
from diffuse_cli.guidance.base import Guidance, LogProb, Scale, denoiser_of


def classifier(*, w: Scale, run: str | None = None) -> Guidance:
    """The score s + w ∇ log p(c | x), with a classifier p(c | x) of noisy x. Dhariwal & Nichol 2021, algorithm 2.

    w: 1 is the conditional score if the classifier is exact, 0 the unconditional one. An exact classifier gives what
    `cfg` gives. run: the name of a run of `train --classifier`; without it the classifier is the exact one of the data.

    >>> classifier(w=2).needs, classifier(w=2, run="moons-classifier").guide
    ('classifier', 'moons-classifier')
    """
    return Guidance("classifier", partial(denoiser_of, _pulled, (w,)), w, needs="classifier", guide=run)


def exact_classifier(conditional: Law, whole: Law, share: float) -> LogProb:
    """log p(c | x) = log share + log p(x | c) − log p(x) at every noise level, for a mixture of known laws.

    conditional: the law of one class; whole: that of all classes; share: the probability of the class.

    >>> import numpy as np
    >>> from diffuse_cli.datasets.gaussians import bimodal
    >>> from diffuse_cli.diffusion.process import unscaled
    >>> sides = bimodal(distance=4, std=0.5)
    >>> log_p = exact_classifier(sides.classes.exact(1), sides.exact(), 0.5)
    >>> print(np.exp(log_p(jnp.array([[0.0], [0.1]]), unscaled(2.0))).round(2))
    [0.5  0.73]
    """

    def log_p(x: Float[Array, "n d"], level: Level) -> Float[Array, " n"]:
        return jnp.log(share) + exact.log_prob(conditional, x, level) - exact.log_prob(whole, x, level)

    return jax.tree_util.Partial(log_p)


def _pulled(w: Any, u: Predict, log_p: LogProb, x: Float[Array, "n d"], level: Level) -> Prediction:
    plain = u(x, level)
    pull = w * level.sigma * jax.grad(lambda x: jnp.sum(log_p(x, level)))(x)
    return Prediction(plain.x0 + level.sigma / level.alpha * pull, plain.eps - pull)

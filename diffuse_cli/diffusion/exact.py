"""Denoisers in closed form: what a perfect network would answer."""

import jax
import jax.numpy as jnp
from jax import Array

from diffuse_cli.diffusion.predictions import Predict, Prediction
from diffuse_cli.diffusion.process import Level


def from_x0(x0: Array, x: Array, level: Level) -> Prediction:
    """The Prediction at x whose clean sample is x0."""
    return Prediction(x0, (x - level.alpha * x0) / level.sigma)


def gaussian(mean: Array, covariance: Array) -> Predict:
    """E[x0 | x] for data N(mean [d], covariance [d, d]): mean + alpha S (alpha^2 S + sigma^2 I)^-1 (x - alpha mean)."""

    mean = mean[None]

    def predict(x: Array, level: Level) -> Prediction:
        noisy = level.alpha**2 * covariance + level.sigma**2 * jnp.eye(len(covariance))
        gain = level.alpha * jnp.linalg.solve(noisy, covariance)  # both symmetric and commuting: S (…)^-1 = (…)^-1 S
        return from_x0(mean + (x - level.alpha * mean) @ gain, x, level)

    return predict


def mixture(means: Array, std: float, weights: Array | None = None) -> Predict:
    """E[x0 | x] for a mixture of round Gaussians: means [k, d], one std, weights [k] (equal unless given).

    With std = 0 and the training points as means this is the optimum that has memorised them.
    """
    log_weights = jnp.zeros(len(means)) if weights is None else jnp.log(weights)

    def predict(x: Array, level: Level) -> Prediction:
        variance = level.alpha**2 * std**2 + level.sigma**2
        squared = jnp.sum((x[:, None] - level.alpha * means[None]) ** 2, axis=-1)
        share = jax.nn.softmax(log_weights[None] - squared / (2 * variance), axis=-1) @ means
        gain = level.alpha * std**2 / variance
        return from_x0(share + gain * (x - level.alpha * share), x, level)

    return predict

"""Runge-Kutta methods on the probability-flow ODE with alpha = 1, where its solutions are closest to straight lines.

With x = x0 + sigma eps, alpha = 1, the flow is dx/dsigma = eps(x, sigma): Song, Meng & Ermon 2021, eq. 14; Karras et
al. 2022, eq. 3 with sigma(t) = t. A method is its table of weights (Butcher 1964). All take `churn`: before a step
noise is added, and the step starts from the noisier level, which corrects earlier errors (Karras et al. 2022,
algorithm 2).
"""

from typing import Annotated

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.process import Level, unscaled
from diffuse_cli.samplers.base import Sampler, State, standard_normal, without_scale

_Churn = Annotated[float, Meta(ge=0, le=1)]
_CHURNED = (0.05, 50.0)  # noise is added between these sigmas: Karras et al. 2022, table 5, ImageNet


def euler(*, churn: _Churn = 0.0) -> Sampler:
    """Euler's method in sigma. Without churn each step is exactly DDIM's.

    >>> euler().order, euler(churn=0.1).order
    (1, None)
    """
    return _runge_kutta([[]], [1.0], order=1, churn=churn)


def heun(*, churn: _Churn = 0.0) -> Sampler:
    """Heun's method in sigma, the sampler of EDM. Karras et al. 2022, algorithms 1 and 2.

    churn: gamma = S_churn / N of the article, the relative increase of sigma before a step, for sigma from 0.05 to 50.
    The article's bound is sqrt(2) - 1; S_noise is 1.

    >>> heun().order, heun().cost(10)
    (2, 20)
    """
    return _runge_kutta([[], [1.0]], [0.5, 0.5], order=2, churn=churn)


def midpoint(*, churn: _Churn = 0.0) -> Sampler:
    """The midpoint method in sigma: the slope is taken half way.

    >>> midpoint().order, midpoint().cost(10)
    (2, 20)
    """
    return _runge_kutta([[], [0.5]], [0.0, 1.0], order=2, churn=churn)


def rk4(*, churn: _Churn = 0.0) -> Sampler:
    """The classical method of Kutta 1901 in sigma: four evaluations a step, fourth order.

    >>> rk4().order, rk4().cost(10)
    (4, 40)
    """
    return _runge_kutta([[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], order=4, churn=churn)


def _runge_kutta(matrix: list[list[float]], weights: list[float], *, order: int, churn: float) -> Sampler:
    """The explicit method with this Butcher table: `matrix` is strictly lower triangular, one row for each stage.

    The sums are of the changes of eps from the first stage to the others. A change is computed as a difference of x0
    over sigma, since x and eps have no digits for it where sigma is large.
    """

    def step(predict: Predict, state: State, now: Level, nxt: Level, key: PRNGKeyArray) -> State:
        x, sigma = state.x, now.sigma
        if churn:
            gamma = jnp.where((sigma >= _CHURNED[0]) & (sigma <= _CHURNED[1]), churn, 0.0)
            x += sigma * jnp.sqrt((1 + gamma) ** 2 - 1) * standard_normal(key, x)
            sigma *= 1 + gamma
        width, p = nxt.sigma - sigma, predict(x, unscaled(-2 * jnp.log(sigma)))
        changes = [jnp.zeros_like(x)]  # of eps, from the first stage to each
        for row in matrix[1:]:
            there = sigma + sum(row) * width
            bent = width * sum(a * change for a, change in zip(row, changes, strict=True))
            ahead = predict(p.x0 + there * p.eps + bent, unscaled(-2 * jnp.log(there)))
            changes.append((p.x0 - ahead.x0 + bent) / there)
        bent = width * sum(b * change for b, change in zip(weights, changes, strict=True))
        return State(p.x0 + nxt.sigma * p.eps + bent, p.x0)

    return Sampler(without_scale(step), evals=len(weights), grid="karras", order=None if churn else order)

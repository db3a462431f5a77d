"""One clean point and one draw of noise: the answers of a denoiser at several levels, and the exact posterior."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.diffusion.process import Level, Process, add_noise


class Explanation(NamedTuple):
    """The noised points x = alpha x0 + sigma eps at k times, and the answers of a denoiser. All in model space.

    x0, eps [d]; t [k]; level, with fields [k]. x [k, d]: the network's input. target [k, d]: the regression target.
    answer [k, d]: the network's output, computed from x0_hat and eps_hat [k, d], its estimates of x0 and eps; for an
    exact denoiser, the output that a network with these estimates would have. mean [k, d] and covariance [k, d, d]:
    those of the exact posterior of x0 given x.
    """

    x0: np.ndarray
    eps: np.ndarray
    t: np.ndarray
    level: Level
    x: np.ndarray
    target: np.ndarray
    answer: np.ndarray
    x0_hat: np.ndarray
    eps_hat: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @property
    def std(self) -> np.ndarray:
        """The standard deviations of x0 given x along the axes of its covariance, the widest first. [k, d]"""
        return np.sqrt(np.maximum(np.linalg.eigvalsh(self.covariance)[:, ::-1], 0))

    @property
    def irreducible(self) -> np.ndarray:
        """E |x0 - E[x0 | x]|^2 given x, the trace of the covariance: a lower bound on any denoiser's mean error. [k]"""
        return np.trace(self.covariance, axis1=1, axis2=2)

    @property
    def model_error(self) -> np.ndarray:
        """|x0_hat - E[x0 | x]|^2: the part of the error that is the denoiser's. [k]"""
        return np.sum((self.x0_hat - self.mean) ** 2, axis=1)

    @property
    def squared_error(self) -> np.ndarray:
        """|x0 - x0_hat|^2. Its expectation over the posterior of x0 given x is irreducible + model_error. [k]"""
        return np.sum((self.x0 - self.x0_hat) ** 2, axis=1)


def explain_point(
    predict: Predict,
    parameterization: Parameterization,
    law: exact.Law,
    process: Process,
    x0: np.ndarray,
    eps: np.ndarray,
    t: np.ndarray,
) -> Explanation:
    """The Explanation of a denoiser for x0 [d] with the noise eps [d] at times t [k], computed in double precision."""

    @jax.jit
    def ask(x0: jax.Array, eps: jax.Array, t: jax.Array) -> dict[str, jax.Array]:
        level = process.level(t)
        each = Level(*(field[:, None] for field in level))
        clean, noise = (jnp.broadcast_to(part, (len(t), len(part))) for part in (x0, eps))
        x = add_noise(clean, noise, each)
        guess = predict(x, each)
        mean, covariance = _posterior(law, x, level)
        return {
            "level": level,
            "x": x,
            "target": parameterization.target(clean, noise, each),
            "answer": parameterization.target(guess.x0, guess.eps, each),
            "x0_hat": guess.x0,
            "eps_hat": guess.eps,
            "mean": mean,
            "covariance": covariance,
        }

    with jax.enable_x64(True):
        answers = jax.device_get(ask(*(jnp.asarray(part, float) for part in (x0, eps, t))))
    return Explanation(np.asarray(x0), np.asarray(eps), np.asarray(t), **answers)


def _posterior(law: exact.Law, x: jax.Array, level: Level) -> tuple[jax.Array, jax.Array]:
    """The mean [k, d] and covariance [k, d, d] of x0 given x, one level at a time to save memory."""
    at = exact.posterior(law)

    def one(row: tuple[jax.Array, Level]) -> tuple[jax.Array, jax.Array]:
        return jax.tree.map(lambda part: part[0], at(row[0][None], row[1]))

    return jax.lax.map(one, (x, level))


def on_a_line(
    law: exact.Law, process: Process, explanation: Explanation, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For data of one value: the density of x0 [m], and of x0 given x [k, m], at equally spaced places [m].

    p(x0 | x) is p(x0) N(x; alpha x0, sigma^2), normalised over the places. p(x0) is taken at the process's finest
    level, t = 1/T, where a law of single points has a density too.
    """
    with jax.enable_x64(True):
        finest = process.level(jnp.float64(1 / process.timesteps))
        at = jnp.asarray(places, float)[:, None]
        data = np.asarray(jax.jit(lambda x: exact.log_prob(law, x, finest))(finest.alpha * at))
    alpha, sigma = explanation.level.alpha[:, None], explanation.level.sigma[:, None]
    posterior = data - 0.5 * ((explanation.x - alpha * places) / sigma) ** 2
    step = places[1] - places[0]
    densities = (np.exp(log_p - log_p.max(axis=-1, keepdims=True)) for log_p in (data, posterior))
    return tuple(p / (p.sum(axis=-1, keepdims=True) * step) for p in densities)

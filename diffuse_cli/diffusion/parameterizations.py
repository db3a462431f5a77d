"""What a network is asked for, and how its answer is read.

Whatever the network regresses on, every method reads the same Prediction; score = -eps / sigma. All targets are the
same under every scaling: where they speak of alpha, sigma and x, those of variance preservation are meant.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax.numpy as jnp
from jax import Array
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.process import Level, Process, preserved, transition


class Parameterization(NamedTuple):
    """target(x0, eps, level): what the network should answer. decode(answer, x, level): what it stands for.

    outputs: numbers that the network answers for each column; a second one is the log-variance of `with_variance`.
    """

    target: Callable[[Array, Array, Level], Array]
    decode: Callable[[Array, Array, Level], Prediction]
    outputs: int = 1


def with_variance(mean: Parameterization) -> Parameterization:
    """The same for an answer [batch, 2 d], whose second half says how uncertain the clean sample is.

    It is read as log(x0_var / sigma^2): at the noisy end x0_var comes to the data's own variance of about 1, and at the
    clean end it cannot be much more than sigma^2.
    """

    def decode(answer: Array, x: Array, level: Level) -> Prediction:
        seen, log_var = jnp.split(answer, 2, axis=-1)
        return mean.decode(seen, x, level)._replace(x0_var=preserved(level).sigma ** 2 * jnp.exp(log_var))

    return Parameterization(mean.target, decode, outputs=2)


def eps() -> Parameterization:
    """The noise. Ho et al. 2020, eq. 12.

    An error of the answer, be it only of rounding, is sigma / alpha times as large in x0: at log-SNR −20, in single
    precision, some 1e-3. No formula can help it; `v` has no such end.
    """
    return Parameterization(
        target=lambda x0, eps, level: eps,
        decode=lambda eps, x, level: Prediction((x - level.sigma * eps) / level.alpha, eps),
    )


def x0() -> Parameterization:
    """The clean sample. An error of the answer, be it only of rounding, is alpha / sigma times as large in eps."""
    return Parameterization(
        target=lambda x0, eps, level: x0,
        decode=lambda x0, x, level: Prediction(x0, (x - level.alpha * x0) / level.sigma),
    )


def score() -> Parameterization:
    """The score, -eps / sigma: large where noise is fine. Hyvärinen 2005; Song & Ermon 2019, eq. 5.

    In x0 an error of the answer is sigma^2 / alpha times as large: `eps` again, where there is much noise.
    """

    def decode(score: Array, x: Array, level: Level) -> Prediction:
        eps = -preserved(level).sigma * score
        return Prediction((x - level.sigma * eps) / level.alpha, eps)

    return Parameterization(lambda x0, eps, level: -eps / preserved(level).sigma, decode)


def v() -> Parameterization:
    """v = alpha eps - sigma x0, well scaled at both ends. Salimans & Ho 2022, section 4 and appendix D."""

    def target(x0: Array, eps: Array, level: Level) -> Array:
        level = preserved(level)
        return level.alpha * eps - level.sigma * x0

    def decode(v: Array, x: Array, level: Level) -> Prediction:
        own = preserved(level)
        x = x / jnp.hypot(level.alpha, level.sigma)
        return Prediction(own.alpha * x - own.sigma * v, own.sigma * x + own.alpha * v)

    return Parameterization(target, decode)


def preconditioned(*, sigma_data: Annotated[float, Meta(gt=0, le=100)] = 1.0) -> Parameterization:
    """The F of D = c_skip x + c_out F, of unit variance at every level. Karras et al. 2022, eq. 7 and table 1.

    sigma_data is the data's standard deviation; 1, that of model space, makes F the same as -v.
    """

    # That is -v of x0 / sigma_data: with unit variance for x too nothing is divided by what may be small.
    def target(x0: Array, eps: Array, level: Level) -> Array:
        _, clean, noise = parts(level)
        return noise * x0 / sigma_data - clean * eps

    def decode(answer: Array, x: Array, level: Level) -> Prediction:
        norm, clean, noise = parts(level)
        x = x / jnp.hypot(level.alpha, level.sigma) / norm
        return Prediction(sigma_data * (clean * x + noise * answer), noise * x - clean * answer)

    def parts(level: Level) -> tuple[Array, Array, Array]:
        own = preserved(level)
        norm = jnp.hypot(own.sigma, sigma_data * own.alpha)
        return norm, sigma_data * own.alpha / norm, own.sigma / norm

    return Parameterization(target, decode)


def velocity() -> Parameterization:
    """eps - x0, the velocity dx/dt of the straight path x = (1 - t) x0 + t eps. Lipman et al. 2023, section 4.1."""

    def decode(velocity: Array, x: Array, level: Level) -> Prediction:
        total = level.alpha + level.sigma
        return Prediction((x - level.sigma * velocity) / total, (x + level.alpha * velocity) / total)

    return Parameterization(lambda x0, eps, level: eps - x0, decode)


def previous_sample(process: Process) -> Parameterization:
    """x_(t-1), one step of the chain before x_t: the most naive of regressions, and Ho et al. 2020's first, eq. 8.

    With x_t = a x_(t-1) + b noise, the mean of x_(t-1) given x_t and x0 is (x_t - b^2 eps / sigma_t) / a. Nearly all of
    it is x_t, which the network has to pass on to many digits: what remains of eps in it is as small as b^2, and so eps
    has 1e-7 sigma / b^2 of rounding in it, single precision, and x0 sigma / alpha times that.
    """

    def parts(level: Level) -> tuple[Level, Array, Array]:
        level = preserved(level)
        return level, *transition(process.earlier(level), level)

    def target(x0: Array, eps: Array, level: Level) -> Array:
        level, a, b = parts(level)
        return (level.alpha * x0 + level.sigma * eps - b**2 / level.sigma * eps) / a

    def decode(answer: Array, x: Array, level: Level) -> Prediction:
        own, a, b = parts(level)
        x = x / jnp.hypot(level.alpha, level.sigma)
        eps = own.sigma / b**2 * (x - a * answer)
        return Prediction((x - own.sigma * eps) / own.alpha, eps)

    return Parameterization(target, decode)

"""What a network regresses on, and how its output becomes a Prediction.

Whatever the network regresses on, samplers and losses only see a Prediction; the score is -eps / sigma. A target does
not depend on the scaling: alpha, sigma and x in its definition are those of variance preservation.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float
from msgspec import Meta

from diffuse_cli.diffusion.denoisers import Prediction
from diffuse_cli.diffusion.process import Level, Process, preserved, transition

_X = Float[Array, "n d"]
_Field = Float[Array, "*level"]


class Parameterization(NamedTuple):
    """What a network regresses on.

    target: (x0 [n, d], eps [n, d], level) -> what the network should return, [n, d].
    decode: (answer, x [n, d], level) -> the Prediction that an answer [n, outputs d] of the network stands for.
    outputs: the numbers that the network returns for each column; a second one is the log-variance of `with_variance`.
    """

    target: Callable[[_X, _X, Level], _X]
    decode: Callable[[Float[Array, "n outputs"], _X, Level], Prediction]
    outputs: int = 1


def with_variance(mean: Parameterization) -> Parameterization:
    """The same for an answer [n, 2 d], whose second half is log(x0_var / sigma^2).

    At the noisy end x0_var tends to the variance of the data, about 1, and at the clean end it cannot be much more than
    sigma^2, so the network has moderate numbers to learn at both.

    >>> with_variance(eps()).outputs
    2
    """

    def decode(answer: Float[Array, "n outputs"], x: _X, level: Level) -> Prediction:
        answered_mean, log_var = jnp.split(answer, 2, axis=-1)
        return mean.decode(answered_mean, x, level)._replace(x0_var=preserved(level).sigma ** 2 * jnp.exp(log_var))

    return Parameterization(mean.target, decode, outputs=2)


def eps() -> Parameterization:
    """The noise. Ho et al. 2020, eq. 12.

    An error of the answer, even one of rounding, is sigma / alpha times as large in x0: in single precision some 1e-3
    at log-SNR −20. No formula avoids this; `v` has no such end.

    >>> from diffuse_cli.diffusion.process import unscaled
    >>> float(eps().target(jnp.array([[3.0]]), jnp.array([[1.0]]), unscaled(jnp.array(0.0)))[0, 0])
    1.0
    """
    return Parameterization(
        target=lambda x0, eps, level: eps,
        decode=lambda eps, x, level: Prediction((x - level.sigma * eps) / level.alpha, eps),
    )


def x0() -> Parameterization:
    """The clean sample. An error of the answer, even one of rounding, is alpha / sigma times as large in eps.

    >>> from diffuse_cli.diffusion.process import unscaled
    >>> float(x0().target(jnp.array([[3.0]]), jnp.array([[1.0]]), unscaled(jnp.array(0.0)))[0, 0])
    3.0
    """
    return Parameterization(
        target=lambda x0, eps, level: x0,
        decode=lambda x0, x, level: Prediction(x0, (x - level.alpha * x0) / level.sigma),
    )


def score() -> Parameterization:
    """The score, -eps / sigma: large where there is little noise. Hyvärinen 2005; Song & Ermon 2019, eq. 5.

    An error of the answer is sigma^2 / alpha times as large in x0: as for `eps`, where there is much noise.

    >>> from diffuse_cli.diffusion.process import unscaled
    >>> round(float(score().target(jnp.array([[3.0]]), jnp.array([[1.0]]), unscaled(jnp.array(0.0)))[0, 0]), 3)
    -1.414
    """

    def decode(score: _X, x: _X, level: Level) -> Prediction:
        eps = -preserved(level).sigma * score
        return Prediction((x - level.sigma * eps) / level.alpha, eps)

    return Parameterization(lambda x0, eps, level: -eps / preserved(level).sigma, decode)


def v() -> Parameterization:
    """v = alpha eps - sigma x0, well scaled at both ends. Salimans & Ho 2022, section 4 and appendix D.

    >>> from diffuse_cli.diffusion.process import unscaled
    >>> round(float(v().target(jnp.array([[3.0]]), jnp.array([[1.0]]), unscaled(jnp.array(0.0)))[0, 0]), 3)
    -1.414
    """

    def target(x0: _X, eps: _X, level: Level) -> _X:
        vp = preserved(level)
        return vp.alpha * eps - vp.sigma * x0

    def decode(v: _X, x: _X, level: Level) -> Prediction:
        vp = preserved(level)
        x = x / jnp.hypot(level.alpha, level.sigma)
        return Prediction(vp.alpha * x - vp.sigma * v, vp.sigma * x + vp.alpha * v)

    return Parameterization(target, decode)


def preconditioned(*, sigma_data: Annotated[float, Meta(gt=0, le=100)] = 1.0) -> Parameterization:
    """The F of D = c_skip x + c_out F, of unit variance at every level. Karras et al. 2022, eq. 7 and table 1.

    sigma_data: the standard deviation of the data; with 1, that of model space, F is -v.

    >>> from diffuse_cli.diffusion.process import unscaled
    >>> level = unscaled(jnp.array(0.0))
    >>> round(float(preconditioned().target(jnp.array([[3.0]]), jnp.array([[1.0]]), level)[0, 0]), 3)
    1.414
    """

    # F is -v of x0 / sigma_data. With x scaled to unit variance too, nothing is divided by a small number.
    def target(x0: _X, eps: _X, level: Level) -> _X:
        _, clean, noise = parts(level)
        return noise * x0 / sigma_data - clean * eps

    def decode(answer: _X, x: _X, level: Level) -> Prediction:
        norm, clean, noise = parts(level)
        x = x / jnp.hypot(level.alpha, level.sigma) / norm
        return Prediction(sigma_data * (clean * x + noise * answer), noise * x - clean * answer)

    def parts(level: Level) -> tuple[_Field, _Field, _Field]:
        vp = preserved(level)
        norm = jnp.hypot(vp.sigma, sigma_data * vp.alpha)
        return norm, sigma_data * vp.alpha / norm, vp.sigma / norm

    return Parameterization(target, decode)


def velocity() -> Parameterization:
    """eps - x0, the velocity dx/dt of the straight path x = (1 - t) x0 + t eps. Lipman et al. 2023, section 4.1.

    >>> from diffuse_cli.diffusion.process import unscaled
    >>> float(velocity().target(jnp.array([[3.0]]), jnp.array([[1.0]]), unscaled(jnp.array(0.0)))[0, 0])
    -2.0
    """

    def decode(velocity: _X, x: _X, level: Level) -> Prediction:
        total = level.alpha + level.sigma
        return Prediction((x - level.sigma * velocity) / total, (x + level.alpha * velocity) / total)

    return Parameterization(lambda x0, eps, level: eps - x0, decode)


def previous_sample(process: Process) -> Parameterization:
    """x_(t-1), one step of the chain before x_t: the most direct regression. Ho et al. 2020, eq. 8.

    With x_t = a x_(t-1) + b noise, the target is the mean of x_(t-1) given x_t and x0, (x_t - b^2 eps / sigma_t) / a.
    Nearly all of it is x_t, which the network has to pass on to many digits; the part of eps is as small as b^2. So in
    single precision eps has a rounding error of 1e-7 sigma / b^2, and x0 one that is sigma / alpha times as large.

    >>> from diffuse_cli.diffusion.schedules import cosine
    >>> process = Process(cosine(50), 50)
    >>> round(float(previous_sample(process).target(jnp.ones((1, 1)), jnp.zeros((1, 1)), process.level(0.5))[0, 0]), 2)
    0.72
    """

    def parts(level: Level) -> tuple[Level, _Field, _Field]:
        vp = preserved(level)
        return vp, *transition(process.earlier(vp), vp)

    def target(x0: _X, eps: _X, level: Level) -> _X:
        vp, a, b = parts(level)
        return (vp.alpha * x0 + vp.sigma * eps - b**2 / vp.sigma * eps) / a

    def decode(answer: _X, x: _X, level: Level) -> Prediction:
        vp, a, b = parts(level)
        x = x / jnp.hypot(level.alpha, level.sigma)
        eps = vp.sigma / b**2 * (x - a * answer)
        return Prediction((x - vp.sigma * eps) / vp.alpha, eps)

    return Parameterization(target, decode)

"""What training minimises: the mean over a batch of a loss for each sample. Each factory returns a `Loss`."""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray
from msgspec import Meta

from diffuse_cli.diffusion import bound
from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.diffusion.process import Level, Process, add_noise, preserved, transition

_PAIRED = 512  # points in a block of an optimal assignment, whose time grows with their cube
Kind = Literal["denoiser", "flow"]
_X = Float[Array, "n d"]
_PerPoint = Float[Array, " n"]
Answer = Callable[[_X, Level], Float[Array, "n outputs"]]  # the raw output of a network for x at a level


class Loss(NamedTuple):
    """A loss, and what a caller has to know to use it.

    of: (answer, parameterization, x0 [n, d], eps [n, d], level, key) -> the loss of each point, [n].
    levels: the choice of training noise levels that suits it.
    requires_levels: the loss is only right with exactly these levels.
    learns_variance: the network also learns the variance of the clean sample.
    bounds: it is the variational bound, so that a schedule can be learned with it.
    kind: what the network becomes, a "denoiser" (a posterior mean, which random samplers and the bound need) or only
        the velocity of a "flow".
    """

    of: Callable[[Answer, Parameterization, _X, _X, Level, PRNGKeyArray], _PerPoint]
    levels: str = "normal"
    requires_levels: bool = False
    learns_variance: bool = False
    bounds: bool = False
    kind: Kind = "denoiser"


def answer_of(predict: Predict, parameterization: Parameterization) -> Answer:
    """The output of a network that predicts the same as `predict`.

    Targets are linear in x0 and eps, so for an exact denoiser this is the posterior mean of the target, which has the
    least expected loss of all functions of x. Where the parameterization has a second output for the variance,
    `predict` must give the variance too.
    """

    def answer(x: Float[Array, "n d"], level: Level) -> Float[Array, "n outputs"]:
        p = predict(x, level)
        mean = parameterization.target(p.x0, p.eps, level)
        if parameterization.outputs == 1:
            return mean
        return jnp.concatenate([mean, jnp.log(p.variance / preserved(level).sigma ** 2)], axis=-1)

    return answer


def simple() -> Loss:
    """|| target - answer ||^2 / d, with the same weight at every t. Ho et al. 2020, eq. 14, for any parameterization.

    >>> simple().levels, simple().kind
    ('normal', 'denoiser')
    """
    return Loss(_regress)


def _regress(
    answer: Answer, parameterization: Parameterization, x0: _X, eps: _X, level: Level, key: PRNGKeyArray
) -> _PerPoint:
    mean = answer(add_noise(x0, eps, level), level)[:, : x0.shape[1]]
    return jnp.mean((mean - parameterization.target(x0, eps, level)) ** 2, axis=-1)


def dsm(
    *,
    weighting: Literal["noise", "likelihood", "min_snr", "edm"] = "noise",
    gamma: Annotated[float, Meta(gt=0)] = 5.0,
) -> Loss:
    """Denoising score matching, w || sigma score + eps ||^2 / d. Vincent 2011, eq. 11; Song & Ermon 2019, eq. 5.

    The weightings, with the noise levels that each is meant for:
    noise: w = 1 (Song & Ermon 2019, section 4.2), at the times of the discrete chain;
    likelihood: w = 1 with levels uniform in log-SNR, which is g^2 over time (Song et al. 2021b, eqs. 7 and 8), in nats;
    min_snr: w = min(SNR, gamma) / SNR (Hang et al. 2023, eq. 5), at the times of the discrete chain;
    edm: w = 1 + sigma^2 / alpha^2 (Karras et al. 2022, table 1, sigma_data 1), with log-SNR normal about 2.4.

    >>> dsm().levels, dsm(weighting="likelihood").levels
    ('discrete', 'log_snr')
    """
    levels = {"likelihood": "log_snr", "edm": "normal:mean=2.4,std=2.4"}.get(weighting, "discrete")

    def of(
        answer: Answer, parameterization: Parameterization, x0: _X, eps: _X, level: Level, key: PRNGKeyArray
    ) -> _PerPoint:
        p = _decoded(answer, parameterization, add_noise(x0, eps, level), level)
        snr = jnp.exp(level.log_snr[:, 0])
        weights = {"min_snr": jnp.minimum(1.0, gamma / snr), "edm": 1 + 1 / snr}
        return weights.get(weighting, 1.0) * jnp.mean((p.eps - eps) ** 2, axis=-1)

    return Loss(of, levels, requires_levels=weighting == "likelihood")


def vlb(process: Process, *, variance: Literal["small", "large"] = "small") -> Loss:
    """The variational bound, in nats: T times one random term of it, with a fixed variance. Ho et al. 2020, eq. 5.

    variance: that of the reverse steps, as for the sampler `ddpm`. The term that compares x_T with the prior is left
    out, since it has no parameters.

    >>> from diffuse_cli.diffusion.schedules import cosine
    >>> vlb(Process(cosine(50), 50)).bounds
    True
    """
    return Loss(_bound(process, variance), "discrete", requires_levels=True, bounds=True)


def kl(process: Process) -> Loss:
    """The bound as KL divergences of Gaussians with learned mean and variance. Sohl-Dickstein et al. 2015, eq. 14.

    Departure: the entropies, which have no parameters, are left out.

    >>> from diffuse_cli.diffusion.schedules import cosine
    >>> kl(Process(cosine(50), 50)).learns_variance
    True
    """
    return Loss(_bound(process, "learned"), "discrete", requires_levels=True, learns_variance=True, bounds=True)


def hybrid(process: Process, *, weight: Annotated[float, Meta(gt=0)] = 0.001) -> Loss:
    """`simple`, which learns the mean, plus `weight` times `kl`, which learns the variance.

    Nichol & Dhariwal 2021, eq. 16.

    >>> from diffuse_cli.diffusion.schedules import cosine
    >>> loss = hybrid(Process(cosine(50), 50))
    >>> loss.learns_variance, loss.bounds
    (True, False)
    """
    bounded = _bound(process, "learned")

    def of(
        answer: Answer, parameterization: Parameterization, x0: _X, eps: _X, level: Level, key: PRNGKeyArray
    ) -> _PerPoint:
        def fixed_mean(x: _X, level: Level) -> Float[Array, "n outputs"]:
            mean, variance = jnp.split(answer(x, level), 2, axis=-1)
            return jnp.concatenate([jax.lax.stop_gradient(mean), variance], axis=-1)

        return _regress(answer, parameterization, x0, eps, level, key) + weight * bounded(
            fixed_mean, parameterization, x0, eps, level, key
        )

    return Loss(of, "discrete", requires_levels=True, learns_variance=True)


def _bound(
    process: Process, variance: str
) -> Callable[[Answer, Parameterization, _X, _X, Level, PRNGKeyArray], _PerPoint]:
    def of(
        answer: Answer, parameterization: Parameterization, x0: _X, eps: _X, level: Level, key: PRNGKeyArray
    ) -> _PerPoint:
        p = _decoded(answer, parameterization, add_noise(x0, eps, level), level)
        return process.timesteps * bound.step_term(p, x0, eps, process.earlier(level), level, variance)

    return of


def previous_sample_loss(process: Process, *, noises: Literal["merged", "path"] = "merged") -> Loss:
    """|| x_(t-1) - its prediction ||^2 / d, over (b / a)^2: the error of the noise in one step of the chain.

    x_t = a x_(t-1) + b noise. `merged` draws the noise up to t-1 at once, `path` step by step from x0; both have the
    same distribution, so the loss and its variance are the same, and a path costs T times as much. `simple` with
    --prediction previous regresses on the mean of x_(t-1) given x_t and x0 instead, which has less variance.

    >>> from diffuse_cli.diffusion.schedules import cosine
    >>> previous_sample_loss(Process(cosine(50), 50)).levels
    'discrete'
    """

    def of(
        answer: Answer, parameterization: Parameterization, x0: _X, eps: _X, level: Level, key: PRNGKeyArray
    ) -> _PerPoint:
        earlier, later = process.earlier(level), preserved(level)
        a, b = transition(earlier, later)
        last = jax.random.normal(key, x0.shape, x0.dtype)
        before = (
            _walked(process, x0, earlier, jax.random.fold_in(key, 1))
            if noises == "path"
            else add_noise(x0, eps, earlier)
        )
        x = a * before + b * last
        p = _decoded(answer, parameterization, x * (level.alpha / later.alpha), level)
        return jnp.mean((b / later.sigma * p.eps - last) ** 2, axis=-1)

    return Loss(of, "discrete", requires_levels=True)


_STEPS = (slice(-1), slice(1, None))  # of a chain: all knots but the last, and the next knot of each


def _walked(process: Process, x0: _X, level: Level, key: PRNGKeyArray) -> _X:
    """x at `level` (fields [n, 1], knots of the chain), reached from x0 in single steps of the chain."""
    knots = preserved(process.knots())
    from_knots, to_knots = (jax.tree.map(lambda field, part=part: field[part], knots) for part in _STEPS)

    def step(carried: tuple[_X, _X], number: Int[Array, ""]) -> tuple[tuple[_X, _X], None]:
        x, at_level = carried
        now, nxt = jax.tree.map(lambda field: field[number], (from_knots, to_knots))
        scale, std = transition(now, nxt)
        x = scale * x + std * jax.random.normal(jax.random.fold_in(key, number), x.shape, x.dtype)
        return (x, jnp.where(nxt.log_snr >= level.log_snr - 1e-4, x, at_level)), None

    (_, at_level), _ = jax.lax.scan(step, (x0, x0), jnp.arange(process.timesteps))
    return at_level


def flow_matching(*, pairing: Literal["independent", "ot"] = "independent") -> Loss:
    """|| velocity - (eps - x0) ||^2 / d, conditional flow matching. Lipman et al. 2023, eq. 23.

    pairing: which noise goes with which point of the batch. `ot` minimises the sum of squared distances in the batch
    (Tong et al. 2024, section 3.2.5; Pooladian et al. 2023): the paths become straighter, and the network is no longer
    a denoiser.

    >>> flow_matching().kind, flow_matching(pairing="ot").kind
    ('denoiser', 'flow')
    """

    def of(
        answer: Answer, parameterization: Parameterization, x0: _X, eps: _X, level: Level, key: PRNGKeyArray
    ) -> _PerPoint:
        if pairing == "ot":
            eps = eps[jax.pure_callback(_nearest, jax.ShapeDtypeStruct((len(x0),), jnp.int32), x0, eps)]
        p = _decoded(answer, parameterization, add_noise(x0, eps, level), level)
        return jnp.mean((p.eps - p.x0 - (eps - x0)) ** 2, axis=-1)

    return Loss(of, "continuous", kind="flow" if pairing == "ot" else "denoiser")


def _nearest(x0: ArrayLike, eps: ArrayLike) -> np.ndarray:
    """The permutation of eps [n, d] with the least sum of squared distances to x0 [n, d], within blocks of rows."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    points, noise = np.asarray(x0), np.asarray(eps)
    chosen = np.arange(len(points), dtype=np.int32)
    for rows in np.array_split(chosen, -(-len(points) // _PAIRED)):
        matched = linear_sum_assignment(-points[rows] @ noise[rows].T)[1]
        chosen[rows] = rows[matched]
    return chosen


def cross_entropy(logits: Answer, x0: _X, eps: _X, level: Level, labels: Int[Array, " n"]) -> _PerPoint:
    """−log p(label | x) of noised x, in nats, which a classifier is trained by. Dhariwal & Nichol 2021, section 4.

    logits: (x, level) -> [n, k], each label's log p(label | x) but for a constant of each row. labels: numbers below k.

    >>> from diffuse_cli.diffusion.process import unscaled
    >>> point, even = jnp.zeros((1, 1)), lambda x, level: jnp.zeros((len(x), 2))
    >>> print(cross_entropy(even, point, point, unscaled(0.0), jnp.array([1])).round(4))  # log 2
    [0.6931]
    """
    log_p = jax.nn.log_softmax(logits(add_noise(x0, eps, level), level))
    return -jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]


def _decoded(answer: Answer, parameterization: Parameterization, x: _X, level: Level) -> Prediction:
    return parameterization.decode(answer(x, level), x, level)

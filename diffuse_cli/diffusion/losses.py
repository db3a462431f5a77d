"""What training minimises: the mean over batch of a loss per sample."""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from msgspec import Meta

from diffuse_cli.diffusion import bound
from diffuse_cli.diffusion.denoisers import Predict, Prediction
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.diffusion.process import Level, Process, add_noise, preserved, transition

_PAIRED = 512  # points: the time of an assignment grows with their cube
Kind = Literal["denoiser", "flow"]
Answer = Callable[[Array, Level], Array]  # the raw network: x [batch, d] at a level -> its answer [batch, outputs d]


class Loss(NamedTuple):
    """of(answer, parameterization, x0, eps, level, key) -> [batch]: the loss of each of x0, eps [batch, d].

    levels: the choice of training noise levels that suits it. requires_levels: it has no meaning with any other.
    learns_variance: it also learns how uncertain the clean sample is. bounds: it is the variational bound, by which
    noise levels can be judged too, so that a schedule can be learned. kind: what it leads to, a "denoiser" (the
    posterior mean, which random samplers and the bound need) or only the velocity of a "flow".
    """

    of: Callable[[Answer, Parameterization, Array, Array, Level, Array], Array]
    levels: str = "normal"
    requires_levels: bool = False
    learns_variance: bool = False
    bounds: bool = False
    kind: Kind = "denoiser"


def answer_of(predict: Predict, parameterization: Parameterization) -> Answer:
    """What a network would have to answer to see what `predict` sees.

    Targets are linear in x0 and eps, so that of an exact denoiser is the posterior mean of the target: the answer with
    the least expected loss. That loss is what no network can go below. Of a `predict` that knows how uncertain the
    clean sample is, the answer says so too.
    """

    def answer(x: Array, level: Level) -> Array:
        p = predict(x, level)
        seen = parameterization.target(p.x0, p.eps, level)
        if parameterization.outputs == 1:
            return seen
        return jnp.concatenate([seen, jnp.log(p.x0_var / preserved(level).sigma ** 2)], axis=-1)

    return answer


def simple() -> Loss:
    """|| target - answer ||^2 / d, the same weight at every t. Ho et al. 2020, eq. 14, for any prediction."""
    return Loss(_regress)


def _regress(answer: Answer, made: Parameterization, x0: Array, eps: Array, level: Level, key: Array) -> Array:
    seen = answer(add_noise(x0, eps, level), level)[:, : x0.shape[1]]
    return jnp.mean((seen - made.target(x0, eps, level)) ** 2, axis=-1)


def dsm(
    *,
    weighting: Literal["noise", "likelihood", "min_snr", "edm"] = "noise",
    gamma: Annotated[float, Meta(gt=0)] = 5.0,
) -> Loss:
    """Denoising score matching, w || sigma score + eps ||^2 / d. Vincent 2011, eq. 11; Song & Ermon 2019, eq. 5.

    The weightings, with the noise levels each is meant for:
    noise: w = 1 (Song & Ermon 2019, section 4.2), the chain's own times;
    likelihood: w = 1 over log-SNR, where it is g^2 over time (Song et al. 2021b, eqs. 7 and 8), in nats;
    min_snr: w = min(SNR, gamma) / SNR (Hang et al. 2023, eq. 5), the chain's own times;
    edm: w = 1 + sigma^2 / alpha^2 (Karras et al. 2022, table 1, sigma_data 1), log-SNR normal about 2.4.
    """
    levels = {"likelihood": "log_snr", "edm": "normal:mean=2.4,std=2.4"}.get(weighting, "discrete")

    def of(answer: Answer, made: Parameterization, x0: Array, eps: Array, level: Level, key: Array) -> Array:
        p = _seen(answer, made, add_noise(x0, eps, level), level)
        snr = jnp.exp(level.log_snr[:, 0])
        weight = {"min_snr": jnp.minimum(1.0, gamma / snr), "edm": 1 + 1 / snr}.get(weighting, 1.0)
        return weight * jnp.mean((p.eps - eps) ** 2, axis=-1)

    return Loss(of, levels, requires_levels=weighting == "likelihood")


def vlb(process: Process, *, variance: Literal["small", "large"] = "small") -> Loss:
    """The variational bound, nats: T times a term picked at random, variance fixed. Ho et al. 2020, eq. 5.

    The term that compares x_T with the prior is left out: nothing of it can be learned.
    """
    return Loss(_bound(process, variance), "discrete", requires_levels=True, bounds=True)


def kl(process: Process) -> Loss:
    """The bound as KL divergences of Gaussians, mean and variance both learned. Sohl-Dickstein et al. 2015, eq. 14.

    Departure: the entropies, which nothing learned enters, are left out.
    """
    return Loss(_bound(process, "learned"), "discrete", requires_levels=True, learns_variance=True, bounds=True)


def hybrid(process: Process, *, weight: Annotated[float, Meta(gt=0)] = 0.001) -> Loss:
    """`simple` for the mean, and for the variance a little of `kl`. Nichol & Dhariwal 2021, eq. 16."""
    bounded = _bound(process, "learned")

    def of(answer: Answer, made: Parameterization, x0: Array, eps: Array, level: Level, key: Array) -> Array:
        def held(x: Array, level: Level) -> Array:
            mean, variance = jnp.split(answer(x, level), 2, axis=-1)
            return jnp.concatenate([jax.lax.stop_gradient(mean), variance], axis=-1)

        return _regress(answer, made, x0, eps, level, key) + weight * bounded(held, made, x0, eps, level, key)

    return Loss(of, "discrete", requires_levels=True, learns_variance=True)


def _bound(process: Process, variance: str) -> Callable[..., Array]:
    def of(answer: Answer, made: Parameterization, x0: Array, eps: Array, level: Level, key: Array) -> Array:
        p = _seen(answer, made, add_noise(x0, eps, level), level)
        return process.timesteps * bound.step_term(p, x0, eps, process.earlier(level), level, variance)

    return of


def previous_sample_loss(process: Process, *, noises: Literal["merged", "path"] = "merged") -> Loss:
    """|| x_(t-1) - what the network takes for it ||^2 / d, over (b / a)^2: the error of the chain's last noise.

    x_t = a x_(t-1) + b noise. `merged` draws the noise before t-1 at once, `path` every single one on the way from x0;
    the two have one law, so the loss and its variance are the same, and a path costs T times as much. `simple` with
    --prediction previous has the mean of x_(t-1) given x_t and x0 in its place, whose variance is less.
    """

    def of(answer: Answer, made: Parameterization, x0: Array, eps: Array, level: Level, key: Array) -> Array:
        earlier, own = process.earlier(level), preserved(level)
        a, b = transition(earlier, own)
        last = jax.random.normal(key, x0.shape, x0.dtype)
        before = (
            _walked(process, x0, earlier, jax.random.fold_in(key, 1))
            if noises == "path"
            else add_noise(x0, eps, earlier)
        )
        x = a * before + b * last
        p = _seen(answer, made, x * (level.alpha / own.alpha), level)
        return jnp.mean((b / own.sigma * p.eps - last) ** 2, axis=-1)

    return Loss(of, "discrete", requires_levels=True)


_STEPS = (slice(-1), slice(1, None))  # of a chain: from each knot, to the next


def _walked(process: Process, x0: Array, level: Level, key: Array) -> Array:
    """x [batch, d] at `level` (fields [batch, 1], of the chain's knots), one step of the chain after another."""
    knots = preserved(process.knots())
    from_knots, to_knots = (jax.tree.map(lambda field, part=part: field[part], knots) for part in _STEPS)

    def step(carried: tuple[Array, Array], number: Array) -> tuple[tuple[Array, Array], None]:
        x, kept = carried
        now, nxt = jax.tree.map(lambda field: field[number], (from_knots, to_knots))
        scale, std = transition(now, nxt)
        x = scale * x + std * jax.random.normal(jax.random.fold_in(key, number), x.shape, x.dtype)
        return (x, jnp.where(nxt.log_snr >= level.log_snr - 1e-4, x, kept)), None

    (_, kept), _ = jax.lax.scan(step, (x0, x0), jnp.arange(process.timesteps))
    return kept


def flow_matching(*, pairing: Literal["independent", "ot"] = "independent") -> Loss:
    """|| velocity - (eps - x0) ||^2 / d, conditional flow matching. Lipman et al. 2023, eq. 23.

    pairing: which noise goes with which point of the batch. `ot` takes the pairs that lie nearest to each other on the
    whole (Tong et al. 2024, section 3.2.5; Pooladian et al. 2023): straighter paths, and no denoiser any more.
    """

    def of(answer: Answer, made: Parameterization, x0: Array, eps: Array, level: Level, key: Array) -> Array:
        if pairing == "ot":
            eps = eps[jax.pure_callback(_nearest, jax.ShapeDtypeStruct((len(x0),), jnp.int32), x0, eps)]
        p = _seen(answer, made, add_noise(x0, eps, level), level)
        return jnp.mean((p.eps - p.x0 - (eps - x0)) ** 2, axis=-1)

    return Loss(of, "continuous", kind="flow" if pairing == "ot" else "denoiser")


def _nearest(x0: np.ndarray, eps: np.ndarray) -> np.ndarray:
    """The permutation of eps [n, d] with the least sum of squared distances to x0 [n, d], within blocks of rows."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    chosen = np.arange(len(x0), dtype=np.int32)
    for rows in np.array_split(chosen, -(-len(x0) // _PAIRED)):
        matched = linear_sum_assignment(-np.asarray(x0)[rows] @ np.asarray(eps)[rows].T)[1]
        chosen[rows] = rows[matched]
    return chosen


def _seen(answer: Answer, made: Parameterization, x: Array, level: Level) -> Prediction:
    return made.decode(answer(x, level), x, level)

"""Whether a schedule is right for its data: its noisy end, its clean end, and the levels between them.

**The noisy end.** Sampling starts from the prior, not from q(x_T). For any network their KL is added to the error of
the scores: KL(q_0 || samples) <= error of the scores + KL(q(x_T) || prior) (Song et al. 2021, 'Maximum likelihood
training of score-based diffusion models', theorem 1).

**Between.** For x = alpha x0 + sigma eps let eps* and D be the exact conditional means of eps and x0. Their gains over
the best constant estimate,

    of the noise:    1 - E |eps - eps*|^2 / d      =  E |eps*|^2 / d,
    of the signal:   1 - E |x0 - D|^2 / Var(x0)    =  Var(D) / Var(x0)    (Var summed over columns),

measure what a denoiser can achieve at a level. Both follow from eps* = -sigma score, and so from E |score|^2 alone; the
right-hand sides hold because conditional means are orthogonal projections, and they are accurate for small gains too.

**The clean end.** The last step of sampling, from t = 1/T to the data, replaces a draw from the posterior by its mean.
If the noise at t = 1/T can still be estimated from x, this removes detail that the data have.

Arrays of x0 are [n, d] in model space. Gains depend on the log-SNR alone, not on the scaling. All is computed in double
precision.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level, Process

TOO_EARLY = 0.01  # nats: the KL that the error of a good small network costs too
_USELESS = 0.01  # a level at which the gain is smaller is not worth a step
TOO_COARSE = 0.1  # gain; in the plane about 0.01 nats: in one of two directions the last step cuts the variance by 1/5
_WASTEFUL = 0.5  # the share of useless steps from which on there is a problem

DRAWS = 2048  # enough for two digits of all results
_MOST_POINTS = 1024  # of a finite set: more of them hardly change the results
_MOST_WORK = 1 << 25  # points times draws times columns; with many columns fewer points are used
_MOST_VALUES = 1 << 18  # draws times columns
_SMALL = 0.15  # nats
_NEGLIGIBLE = 1e-3
LOG_SNR_GRID = np.linspace(-16.0, 20.0, 33)  # log-SNR

PROBLEMS = EARLY, COARSE, WASTED = "ends_too_early", "starts_too_coarse", "wastes_steps"  # the worst first


class Estimate(NamedTuple):
    """A mean over draws and its standard error."""

    value: float
    stderr: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Estimate":
        """The estimate from independent draws [n]."""
        return cls(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


class Gains(NamedTuple):
    """The gains of the exact denoiser over a constant, for noise [k] and signal [k], at rising log_snr [k]."""

    log_snr: np.ndarray
    noise: np.ndarray
    signal: np.ndarray


class DataStudy(NamedTuple):
    """The properties of the data on which the check of any schedule is based.

    kl: level -> KL(q(x) || prior), nats. gains: at log-SNR LOG_SNR_GRID. mean [d]; variance [d]: along the principal
    axes, falling. finite: whether the law is a finite set of points, which has detail at every scale; then
    `gains.noise` is estimated with one half of the points for the other half.
    """

    kl: Callable[[Level], Estimate]
    gains: Gains
    mean: np.ndarray
    variance: np.ndarray
    finite: bool


class Diagnosis(NamedTuple):
    """The result of the check of a schedule.

    first, last: the levels at t = 1/T and t = 1. kl: KL(q(x_T) || prior), nats. mean: the largest absolute mean of a
    column of x_T; std: of x_T, along its narrowest and widest axis; both in units of the prior's standard deviation.
    useless_clean, useless_noisy: the share of the T levels at which the gain of the noise, or of the signal, is too
    small for a step; the first is None for a finite set. noise_gain: the gain of the noise at t = 1/T.
    detail_at_all_scales: the data have detail at every scale, so that no first level would be fine enough.
    problems: those of PROBLEMS that were found, the worst first.
    """

    first: Level
    last: Level
    kl: Estimate
    mean: float
    std: tuple[float, float]
    useless_clean: float | None
    useless_noisy: float
    noise_gain: float
    detail_at_all_scales: bool
    problems: tuple[str, ...]

    @property
    def alpha_bar(self) -> float:
        """The share of the variance of x_T that is signal."""
        return self.last.alpha**2 / (self.last.alpha**2 + self.last.sigma**2)


def kl_to_prior(process: Process, law: "exact.Law", x0: np.ndarray, *, seed: int = 0) -> Estimate:
    """KL(q(x_T) || prior) in nats from draws x0 [n, d] of the law; some hundred show whether it is above TOO_EARLY."""
    return kl_at(law, x0, seed)(end_levels(process)[1])


def kl_bound(process: Process) -> float:
    """A bound on KL(q(x_T) || prior) in nats a column, for any data of unit variance: the mean over x0 of
    KL(q(x_T | x0) || prior), which a mixture of these laws cannot exceed."""
    last = end_levels(process)[1]
    alpha, sigma = (field / np.hypot(last.alpha, last.sigma) for field in last[1:])
    return float(0.5 * (alpha**2 + sigma**2 - 1) - np.log(sigma))


def study_law(law: "exact.Law", x0: np.ndarray, *, seed: int = 0) -> DataStudy:
    """The DataStudy of a law, by draws x0 [n, d] of it; DRAWS of them are enough."""
    x0 = np.asarray(x0, np.float64)
    some = x0[: max(256, _MOST_VALUES // x0.shape[1])]
    eps = _noise(seed, some.shape)
    return DataStudy(kl_at(law, some, seed), Gains(LOG_SNR_GRID, *_gains(law, some, eps)), *_moments(x0), finite=False)


def study_points(points: np.ndarray, *, seed: int = 0) -> DataStudy:
    """The DataStudy of a finite set of points [n, d], or of a random part of a large set.

    Its law is the mixture on its points, for which small noise can always be estimated, since it has memorised the
    points. So the gain of the noise is computed with the mixture on one half of the points for the other half: a lower
    bound on the gain of their unknown law.
    """
    some, most = _some(points, seed)
    law, halves = exact.mixture(some, 0.0), (some[::2], some[1::2])
    draws, others = _as_many(some, most), _as_many(halves[1], most)
    signal = _gains(law, draws, _noise(seed, draws.shape))[1]
    noise = _held_out(exact.mixture(halves[0], 0.0), others, _noise(seed, others.shape))
    kl = kl_at(law, draws, seed)
    return DataStudy(kl, Gains(LOG_SNR_GRID, noise, signal), *_moments(np.asarray(points, np.float64)), finite=True)


def kl_of_points(points: np.ndarray, *, seed: int = 0) -> Callable[[Level], Estimate]:
    """A function that gives KL(q(x) || prior) at a level for a finite set of points [n, d], as in `study_points`."""
    some, most = _some(points, seed)
    return kl_at(exact.mixture(some, 0.0), _as_many(some, most), seed)


def _some(points: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
    """The points, or a random part of a large set; and the largest number of points that is allowed."""
    points = np.asarray(points, np.float64)
    most = min(_MOST_POINTS, int(np.sqrt(_MOST_WORK / points.shape[1])))
    return np.random.default_rng(seed).permutation(points)[:most], most


def _as_many(points: np.ndarray, most: int) -> np.ndarray:
    """The points of a small set repeated, so that each is combined with several draws of noise."""
    return np.resize(points, (max(len(points), most // 2), points.shape[1]))


def diagnose(study: DataStudy, process: Process) -> Diagnosis:
    """The Diagnosis of the schedule of a process for the data of a study."""
    first, last = end_levels(process)
    gains = study.gains
    with jax.enable_x64(True):
        log_snr = process.levels_at(np.arange(1, process.timesteps + 1) / process.timesteps).log_snr
    clean = float(np.mean(_between(gains, gains.noise, log_snr) < _USELESS))
    noisy = float(np.mean(_between(gains, gains.signal, log_snr) < _USELESS))
    noise_gain = float(_between(gains, gains.noise, first.log_snr))
    detail_at_all_scales = bool(finest_needed(study) == np.inf)
    kl = study.kl(last)
    spread = np.sqrt(last.alpha**2 * study.variance + last.sigma**2) / np.hypot(last.alpha, last.sigma)
    checks = (
        (EARLY, kl.value > TOO_EARLY),
        (COARSE, noise_gain > TOO_COARSE and not detail_at_all_scales),
        (WASTED, noisy + (0.0 if study.finite else clean) > _WASTEFUL),
    )
    return Diagnosis(
        first=first,
        last=last,
        kl=kl,
        mean=float(np.abs(study.mean).max() * last.alpha / np.hypot(last.alpha, last.sigma)),
        std=(float(spread.min()), float(spread.max())),
        useless_clean=None if study.finite else clean,
        useless_noisy=noisy,
        noise_gain=noise_gain,
        detail_at_all_scales=detail_at_all_scales,
        problems=tuple(name for name, is_problem in checks if is_problem),
    )


def end_levels(process: Process) -> tuple[Level, Level]:
    """The levels at t = 1/T and t = 1, as plain numbers."""
    with jax.enable_x64(True):
        levels = process.levels_at([1 / process.timesteps, 1.0])
        return tuple(Level(*(float(field[i]) for field in levels)) for i in range(2))


def finest_needed(study: DataStudy) -> float:
    """The log-SNR from which on the gain of the noise is too small to remove detail; inf if there is no such level."""
    log_snr, noise = study.gains.log_snr, _floored(study.gains.noise)
    coarse = np.flatnonzero(noise > TOO_COARSE)
    if not len(coarse):
        return -np.inf
    if coarse[-1] == len(log_snr) - 1:
        return np.inf
    across = slice(coarse[-1], coarse[-1] + 2)
    return float(np.interp(-np.log(TOO_COARSE), -np.log(noise[across]), log_snr[across]))


def kl_at(law: "exact.Law", x0: np.ndarray, seed: int) -> Callable[[Level], Estimate]:
    """The mean of s = log q(x) - log prior(x) over x ~ q, in double precision.

    The prior is that of `process.prior`. Where the KL is small, the mean of s is a small difference of large values;
    then E [prior / q - 1] = 0 is added, and s + exp(-s) - 1, about s^2 / 2, is never negative (Schulman 2020,
    'Approximating KL divergence', k3). Where the KL is large, exp(-s) is dominated by rare draws, and s is used. The
    share of what is added goes from 1 to 0 gradually, so that the KL is a smooth function of the level.
    """
    eps = _noise(seed, x0.shape)
    evaluate = jax.jit(lambda x, level: exact.log_prob(law, x, level))

    def at(level: Level) -> Estimate:
        x = level.alpha * np.asarray(x0, np.float64) + level.sigma * eps
        scale = np.hypot(level.alpha, level.sigma)
        prior = -0.5 * np.sum((x / scale) ** 2 + np.log(2 * np.pi * scale**2), axis=1)
        with jax.enable_x64(True):
            surplus = np.asarray(evaluate(jnp.asarray(x), Level(*map(jnp.float64, level)))) - prior
        share = 1 / (1 + (surplus.mean() / _SMALL) ** 2)
        if share > _NEGLIGIBLE:  # beyond, exp(-s) may overflow
            surplus = surplus + share * np.expm1(-surplus)
        return Estimate(float(surplus.mean()), float(surplus.std(ddof=1) / np.sqrt(len(surplus))))

    return at


def _answers(law: "exact.Law", x0: np.ndarray, eps: np.ndarray) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
    """A function that gives the exact denoiser's x0 and eps, both [n, d], at a log-SNR."""

    @jax.jit
    def at(x0, eps, log_snr):
        level = Process(None, 1).at(log_snr)
        x = level.alpha * x0 + level.sigma * eps
        p = exact.denoiser(law)(x, level)
        return p.x0, p.eps

    def answer(log_snr: float) -> tuple[np.ndarray, np.ndarray]:
        with jax.enable_x64(True):
            return jax.device_get(at(jnp.asarray(x0), jnp.asarray(eps), jnp.float64(log_snr)))

    return answer


def _gains(law: "exact.Law", x0: np.ndarray, eps: np.ndarray) -> np.ndarray:
    """The gains [2, k] of the noise and of the signal, for draws x0 of the law."""
    answers = map(_answers(law, x0, eps), LOG_SNR_GRID)
    spread = x0.var(axis=0).sum()
    return np.array([(np.mean(noise**2), clean.var(axis=0).sum() / spread) for clean, noise in answers]).T


def _held_out(law: "exact.Law", x0: np.ndarray, eps: np.ndarray) -> np.ndarray:
    """The gain [k] of the noise, for x0 not drawn from the law: 1 - E |eps - eps*|^2 / E |eps|^2; may be negative."""
    answers = map(_answers(law, x0, eps), LOG_SNR_GRID)
    return np.array([1 - np.mean((eps - noise) ** 2) / np.mean(eps**2) for _, noise in answers])


def _noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """eps ~ N(0, I), from another random stream than `np.random.default_rng(seed)`, which may have drawn x0."""
    return np.random.default_rng((seed, 1)).standard_normal(shape)


def _moments(x0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    covariance = np.atleast_2d(np.cov(x0, rowvar=False, bias=True))
    return x0.mean(axis=0), np.linalg.eigvalsh(covariance)[::-1]


def _between(gains: Gains, values: np.ndarray, log_snr: np.ndarray) -> np.ndarray:
    """The gain at any log-SNR, by linear interpolation of its logarithm; constant outside the grid."""
    return np.exp(np.interp(log_snr, gains.log_snr, np.log(_floored(values))))


def _floored(gain: np.ndarray) -> np.ndarray:
    return np.maximum(gain, 1e-12)

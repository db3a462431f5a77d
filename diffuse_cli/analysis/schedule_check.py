"""Whether a schedule is right for its data: where it ends, where it begins, and what lies between.

**The end.** Sampling starts from the prior, not from q(x_T). However good the network, their KL is added to its own
error: KL(q_0 || samples) <= error of the scores + KL(q(x_T) || prior) (Song et al. 2021, 'Maximum likelihood
training of score-based diffusion models', theorem 1).

**Between.** For x = alpha x0 + sigma eps let eps* and D be the exact answers for eps and x0. By how much they are
better than the best guess that does not look at x,

    of the noise:    1 - E |eps - eps*|^2 / d      =  E |eps*|^2 / d,
    of the signal:   1 - E |x0 - D|^2 / Var(x0)    =  Var(D) / Var(x0)    (Var summed over columns),

says what a denoiser can do there. Both follow from eps* = -sigma score, so from E |score|^2 alone; the right-hand forms
hold because conditional means are orthogonal projections, and keep their digits where the gain is small.

**The beginning.** The last step of sampling, from t = 1/T to the data, puts the mean of what is possible in place of a
draw. Where the noise can still be told at t = 1/T, that takes away detail which the data have.

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

TOO_EARLY = 0.01  # nats: as much as the error of a good small network costs
USELESS = 0.01  # an exact answer less than this much better than a guess is not worth a step
TOO_COARSE = 0.1  # in the plane about 0.01 nats: one direction of two, whose variance the last step cuts by a fifth
WASTEFUL = 0.5  # of the steps

DRAWS = 2048  # enough for two digits of everything here
MOST_POINTS = 1024  # of a finite set: more say hardly more about a schedule
MOST_WORK = 1 << 25  # points times draws times columns, which leaves fewer of wide ones
MOST_VALUES = 1 << 18  # draws times columns
SMALL = 0.05  # nats
GRID = np.linspace(-16.0, 20.0, 33)  # log-SNR

PROBLEMS = EARLY, COARSE, WASTED = "ends_too_early", "starts_too_coarse", "wastes_steps"  # the worst first


class Estimate(NamedTuple):
    """A mean over draws and its standard error."""

    value: float
    stderr: float


class Gains(NamedTuple):
    """How much better exact answers are than guesses, of the noise and of the signal, at log_snr [k], which rises."""

    log_snr: np.ndarray
    noise: np.ndarray
    signal: np.ndarray


class DataStudy(NamedTuple):
    """What there is to know about the data, whatever the schedule.

    kl: KL(q(x) || prior) at a level. mean [d]; variance [d] along the principal axes, falling; finite: whether the law
    is one of finitely many points, which is sharp at every scale; `gains.noise` is then what half of the points tell
    of the others.
    """

    kl: Callable[[Level], Estimate]
    gains: Gains
    mean: np.ndarray
    variance: np.ndarray
    finite: bool


class Diagnosis(NamedTuple):
    """What a schedule does to its data.

    first, last: the levels at t = 1/T and t = 1. kl: KL(q(x_T) || prior), nats. mean: of x_T, the largest of any
    column; std: of x_T, along its narrowest and widest axis; both in units of the prior's std. useless_clean,
    useless_noisy: the share of the T levels at which an exact denoiser does hardly better than a guess; the first is
    None for finitely many points. noise_gain: how much better than by a guess the noise at t = 1/T is known. problems:
    which of PROBLEMS there are, the worst first. detail_at_all_scales: the data have detail at every scale, so that
    no first level would be fine enough.
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
    """KL(q(x_T) || prior) in nats from draws x0 [n, d] of the law; a few hundred tell whether it is above TOO_EARLY."""
    return kl_at(law, x0, seed)(end_levels(process)[1])


def kl_bound(process: Process) -> float:
    """A bound on KL(q(x_T) || prior) in nats a column, for any data of unit variance: the mean over x0 of
    KL(q(x_T | x0) || prior), which a mixture of these laws cannot exceed."""
    last = end_levels(process)[1]
    alpha, sigma = (field / np.hypot(last.alpha, last.sigma) for field in last[1:])
    return float(0.5 * (alpha**2 + sigma**2 - 1) - np.log(sigma))


def study_law(law: "exact.Law", x0: np.ndarray, *, seed: int = 0) -> DataStudy:
    """Study a law by draws x0 [n, d] of it, of which DRAWS are enough."""
    x0 = np.asarray(x0, np.float64)
    some = x0[: max(256, MOST_VALUES // x0.shape[1])]
    eps = _noise(seed, some.shape)
    return DataStudy(kl_at(law, some, seed), Gains(GRID, *_gains(law, some, eps)), *_moments(x0), finite=False)


def study_points(points: np.ndarray, *, seed: int = 0) -> DataStudy:
    """Study a finite set [n, d], or a random part of it if it is large: the mixture on its points.

    With hardly any noise that law knows each point by heart. What can be learnt of fine noise is what one half of the
    points tells of the other: a lower bound on what their unknown law would.
    """
    some, most = _some(points, seed)
    law, halves = exact.mixture(some, 0.0), (some[::2], some[1::2])
    draws, others = _as_many(some, most), _as_many(halves[1], most)
    signal = _gains(law, draws, _noise(seed, draws.shape))[1]
    noise = _held_out(exact.mixture(halves[0], 0.0), others, _noise(seed, others.shape))
    kl = kl_at(law, draws, seed)
    return DataStudy(kl, Gains(GRID, noise, signal), *_moments(np.asarray(points, np.float64)), finite=True)


def kl_of_points(points: np.ndarray, *, seed: int = 0) -> Callable[[Level], Estimate]:
    """KL(q(x) || prior) at a level for a finite set [n, d], as `study_points` has it, without the rest."""
    some, most = _some(points, seed)
    return kl_at(exact.mixture(some, 0.0), _as_many(some, most), seed)


def _some(points: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
    """The points themselves, or a random part of a large set; and the most that were allowed."""
    points = np.asarray(points, np.float64)
    most = min(MOST_POINTS, int(np.sqrt(MOST_WORK / points.shape[1])))
    return np.random.default_rng(seed).permutation(points)[:most], most


def _as_many(points: np.ndarray, most: int) -> np.ndarray:
    """A small set several times, for the sake of its noises."""
    return np.resize(points, (max(len(points), most // 2), points.shape[1]))


def diagnose(subject: DataStudy, process: Process) -> Diagnosis:
    """Judge the schedule of a process for the data of a subject."""
    first, last = end_levels(process)
    gains = subject.gains
    with jax.enable_x64(True):
        log_snr = process.levels_at(np.arange(1, process.timesteps + 1) / process.timesteps).log_snr
    clean = float(np.mean(_between(gains, gains.noise, log_snr) < USELESS))
    noisy = float(np.mean(_between(gains, gains.signal, log_snr) < USELESS))
    noise_gain = float(_between(gains, gains.noise, first.log_snr))
    detail_at_all_scales = bool(finest_needed(subject) == np.inf)
    kl = subject.kl(last)
    spread = np.sqrt(last.alpha**2 * subject.variance + last.sigma**2) / np.hypot(last.alpha, last.sigma)
    found = (
        (EARLY, kl.value > TOO_EARLY),
        (COARSE, noise_gain > TOO_COARSE and not detail_at_all_scales),
        (WASTED, noisy + (0.0 if subject.finite else clean) > WASTEFUL),
    )
    return Diagnosis(
        first=first,
        last=last,
        kl=kl,
        mean=float(np.abs(subject.mean).max() * last.alpha / np.hypot(last.alpha, last.sigma)),
        std=(float(spread.min()), float(spread.max())),
        useless_clean=None if subject.finite else clean,
        useless_noisy=noisy,
        noise_gain=noise_gain,
        detail_at_all_scales=detail_at_all_scales,
        problems=tuple(name for name, there in found if there),
    )


def end_levels(process: Process) -> tuple[Level, Level]:
    """The levels at t = 1/T and t = 1, as plain numbers."""
    with jax.enable_x64(True):
        levels = process.levels_at([1 / process.timesteps, 1.0])
        return tuple(Level(*(float(field[i]) for field in levels)) for i in range(2))


def finest_needed(subject: DataStudy) -> float:
    """The log-SNR from which on the noise is no longer known well enough to take detail away; inf if there is none."""
    log_snr, noise = subject.gains.log_snr, _floored(subject.gains.noise)
    coarse = np.flatnonzero(noise > TOO_COARSE)
    if not len(coarse):
        return -np.inf
    if coarse[-1] == len(log_snr) - 1:
        return np.inf
    across = slice(coarse[-1], coarse[-1] + 2)
    return float(np.interp(-np.log(TOO_COARSE), -np.log(noise[across]), log_snr[across]))


def kl_at(law: "exact.Law", x0: np.ndarray, seed: int) -> Callable[[Level], Estimate]:
    """The mean of s = log q(x) - log prior(x) over x ~ q, in double precision.

    The prior is that of `process.prior`. Where the KL is small, the mean of s is a small difference of large parts; but
    E [prior / q - 1] = 0 may be added, and s + exp(-s) - 1, about s^2 / 2, is never negative (Schulman 2020,
    'Approximating KL divergence', k3). Where the KL is large, the rare draws are missing that exp(-s) lives on.
    """
    eps = _noise(seed, x0.shape)
    evaluate = jax.jit(lambda x, level: exact.log_prob(law, x, level))

    def at(level: Level) -> Estimate:
        x = level.alpha * np.asarray(x0, np.float64) + level.sigma * eps
        scale = np.hypot(level.alpha, level.sigma)
        prior = -0.5 * np.sum((x / scale) ** 2 + np.log(2 * np.pi * scale**2), axis=1)
        with jax.enable_x64(True):
            surplus = np.asarray(evaluate(jnp.asarray(x), Level(*map(jnp.float64, level)))) - prior
        if surplus.mean() < SMALL:
            surplus = surplus + np.expm1(-surplus)
        return Estimate(float(surplus.mean()), float(surplus.std(ddof=1) / np.sqrt(len(surplus))))

    return at


def _answers(law: "exact.Law", x0: np.ndarray, eps: np.ndarray) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
    """The exact answers x0 and eps, both [n, d], at a log-SNR."""

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
    """[2, k]: of the noise and of the signal, for draws x0 of the law itself."""
    answers = map(_answers(law, x0, eps), GRID)
    spread = x0.var(axis=0).sum()
    return np.array([(np.mean(noise**2), clean.var(axis=0).sum() / spread) for clean, noise in answers]).T


def _held_out(law: "exact.Law", x0: np.ndarray, eps: np.ndarray) -> np.ndarray:
    """[k]: of the noise, for x0 unknown to the law: 1 - E |eps - answer|^2 / E |eps|^2, which may be negative."""
    answers = map(_answers(law, x0, eps), GRID)
    return np.array([1 - np.mean((eps - noise) ** 2) / np.mean(eps**2) for _, noise in answers])


def _noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """eps ~ N(0, I), of another stream than the draws of x0 that somebody may have made with the same seed."""
    return np.random.default_rng((seed, 1)).standard_normal(shape)


def _moments(x0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    covariance = np.atleast_2d(np.cov(x0, rowvar=False, bias=True))
    return x0.mean(axis=0), np.linalg.eigvalsh(covariance)[::-1]


def _between(gains: Gains, values: np.ndarray, log_snr: np.ndarray) -> np.ndarray:
    """The gain at any log-SNR. Its logarithm is nearly linear where it is small; beyond the grid it stays."""
    return np.exp(np.interp(log_snr, gains.log_snr, np.log(_floored(values))))


def _floored(gain: np.ndarray) -> np.ndarray:
    return np.maximum(gain, 1e-12)

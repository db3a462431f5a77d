"""Claims about the likelihood and the score."""

import time
from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.claims.claim import Claim, Figure, Figures, Size, column, graded, largest, over
from benchmarks.claims.work import dataset_of, exactly, known_sets, runs
from diffuse_cli.analysis import quality
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.bound import bound_terms
from diffuse_cli.diffusion.likelihood import log_likelihood
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.models.data import truth_of

SETS = ("moons", "eight_gaussians", "checkerboard")
CHAINS = (10, 50, 100, 1000)
FORWARD, ODE, BOUND = "one evaluation", "log p by the ODE", "the bound, T = 1000"


@cache
def cost(size: Size) -> Figures:
    """Seconds for 1,000 points of a network with default settings, and how many evaluations they are worth."""
    (model, *_) = runs("moons", size)
    n = min(1000, size.points)
    x0 = quality.held_out(model, model.dataset(), n, 0).astype(np.float32)
    level = jax.tree.map(jnp.float32, model.process.levels_at(0.5))
    forward = jax.jit(lambda predict, x: predict(x, level))
    terms = lambda: bound_terms(model.predict, model.process, x0, jax.random.key(0), variance="small")  # noqa: E731
    seconds = {
        FORWARD: _seconds(lambda: forward(model.predict, x0), 20),
        ODE: _seconds(lambda: log_likelihood(model.predict, model.process, x0).log_p, 3),
        BOUND: _seconds(lambda: terms().total, 3),
    }
    evals = {FORWARD: 1, ODE: log_likelihood(model.predict, model.process, x0).evals, BOUND: model.process.timesteps}
    figures = {}
    for name, taken in seconds.items():
        figures[f"{name} / ms for {n:,} points"] = taken.times(1000)
        figures[f"{name} / times one evaluation"] = Figure(taken.value / seconds[FORWARD].value)
        figures[f"{name} / evaluations"] = Figure(evals[name])
    return figures


def _seconds(call: Callable[[], object], repeats: int) -> Figure:
    taken = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - began)
    return over(taken[1:])


def judge_cheap(figures: Figures) -> str:
    times = column(figures, "times one evaluation")
    return graded(times[ODE].value <= 10, times[BOUND].value <= 10)


def judge_dear(figures: Figures) -> str:
    times = figures[f"{ODE} / times one evaluation"].value
    return graded(times >= 100, times >= 10)


def solved(size: Size) -> Figures:
    """The error of log p by the probability flow of the exact denoiser, and the integral of its p over a grid."""
    figures = {}
    for name in SETS:
        model, dataset = exactly(name), dataset_of(name)
        x0 = quality.held_out(model, dataset, size.points, 0).astype(np.float32)
        found = np.asarray(log_likelihood(model.predict, model.process, x0).log_p, np.float64)
        law = dataset.exact()
        truth = np.asarray(jax.jit(lambda x, law=law: exact.log_prob(law, x, CLEAN))(x0), np.float64)
        figures[f"{name} / rms error of log p, nats"] = Figure(float(np.sqrt(np.mean((found - truth) ** 2))))
        figures[f"{name} / mean error, nats"] = over(found - truth)
        if size.points >= 1000:
            figures[f"{name} / integral of p"] = Figure(quality.mass_on_grid(model).value)
    return figures


def judge_solved(figures: Figures) -> str:
    mean = all(abs(each.value) <= 0.01 for each in column(figures, "mean error, nats").values())
    each_point = all(each.value <= 0.01 for each in column(figures, "rms error of log p, nats").values())
    mass = all(abs(each.value - 1) <= 0.01 for each in column(figures, "integral of p").values())
    return graded(mean and each_point and mass, mean)


def bounds(size: Size) -> Figures:
    """The bound (variance `small`) above the entropy of the data, by T; exact denoiser, nats."""
    figures = {}
    for name in SETS:
        for timesteps in CHAINS:
            model = exactly(name, {"timesteps": min(timesteps, 2 * size.chain)})
            x0 = quality.held_out(model, dataset_of(name), min(size.points, 2000), 0)
            truth = np.asarray(exact.log_prob(truth_of(dataset_of(name)), x0.astype(np.float32), CLEAN), np.float64)
            truth -= float(np.log(model.standard.scale).sum())
            value = quality.variational_bounds(model, x0, 0)["small"].value
            figures[f"{name} / above, T = {timesteps}"] = over(value + truth)
    return figures


def judge_bounds(figures: Figures) -> str:
    above = [each.value > -2 * (each.error or 0.0) for each in figures.values()]
    tight = all(each.value < 0.1 for each in column(figures, "above, T = 1000").values())
    return graded(all(above), tight)


def score_identity(size: Size) -> Figures:
    """The largest relative error of −eps/sigma as the gradient of log p(x_t) by differentiation, exact laws."""
    figures = {}
    process = exactly("moons").process
    for name in known_sets(size, 2):
        law, dataset = dataset_of(name).exact(), dataset_of(name)
        x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), 200))
        errors = []
        with jax.enable_x64(True):
            for t in (0.1, 0.5, 0.9):
                level = jax.tree.map(np.float64, process.levels_at(t))
                x = level.alpha * x0 + level.sigma * np.random.default_rng(1).standard_normal(x0.shape)
                score = jax.jit(jax.vmap(jax.grad(lambda x, level=level, law=law: law.log_density(x, level))))(x)
                eps = jax.jit(lambda x, level=level, law=law: exact.denoiser(law)(x, level).eps)(x)
                errors.append(float(jnp.abs(score + eps / level.sigma).max() / jnp.abs(score).max()))
        figures[f"{name} / largest relative error"] = Figure(max(errors))
    return figures


def judge_score(figures: Figures) -> str:
    return graded(all(each.value < 1e-3 for each in figures.values()))


CLAIMS = [
    Claim(
        "likelihood_is_cheap",
        "The log-likelihood, and the probability of single states, are cheaply evaluated.",
        ("Introduction",),
        "*holds*: log p of 1,000 points by the probability flow takes at most 10 times as long as one evaluation of "
        "the network for them; *in part*: the bound does.",
        cost,
        judge_cheap,
        lambda f: (
            f"{ODE}: {f[ODE + ' / times one evaluation']} times, {BOUND}: "
            f"{f[BOUND + ' / times one evaluation']} times one evaluation"
        ),
        "diffuse likelihood",
        {
            "does not hold here": "The bound has a term for each of T steps, and the flow is solved with a few hundred "
            "evaluations, each with a derivative for each column.",
        },
    ),
    Claim(
        "likelihood_is_dear",
        "The exact likelihood by the probability flow costs much.",
        ("Theory",),
        "*holds*: it takes at least 100 times as long as one evaluation of the network; *in part*: 10 times.",
        cost,
        judge_dear,
        lambda f: next(
            f"{e} ms for 1,000 points, {f[f'{ODE} / evaluations']} evaluations each"
            for k, e in f.items()
            if k.startswith(f"{ODE} / ms")
        ),
        "diffuse likelihood",
    ),
    Claim(
        "likelihood_is_exact",
        "The probability flow gives the exact likelihood.",
        ("Theory",),
        "*holds*: with exact denoisers the error of log p is at most 0.01 nats, in the mean and in the root mean "
        "square, and p integrates to 1 within 0.01, on three sets; *in part*: in the mean.",
        solved,
        judge_solved,
        lambda f: (
            f"rms error: {largest(column(f, 'rms error of log p, nats'))}; mean error: "
            f"{largest(column(f, 'mean error, nats'))} nats"
        ),
        "diffuse likelihood --exact --dataset moons",
        {
            "holds in part": "The flow ends at t = 1/T, and the score is held fixed below. Where data are finer than "
            "the noise there, as at the edges of checkerboard, this smoothes them.",
        },
    ),
    Claim(
        "bound_is_above",
        "The evidence bound is an upper bound on −log p.",
        ("Theory",),
        "*holds*: with exact denoisers the mean bound is above the entropy of the data (but for two standard errors) "
        "for every T on three sets; *in part*: with T = 1000 it is within 0.1 nats of it.",
        bounds,
        judge_bounds,
        lambda f: "moons, above the entropy: " + ", ".join(f"T = {t}: {f[f'moons / above, T = {t}']}" for t in CHAINS),
        "diffuse likelihood --exact --dataset moons --bound",
    ),
    Claim(
        "noise_is_score",
        "To predict the noise is to know the score: s = −ε / √(1 − ᾱ).",
        ("Theory",),
        "*holds*: −ε/σ of every exact denoiser in the plane is the gradient of log p(x_t), by "
        "differentiation, to 0.1 %.",
        score_identity,
        judge_score,
        lambda f: f"relative error at most {largest(column(f, 'largest relative error'))}",
        "diffuse plot-field --exact --dataset moons --field score",
    ),
]

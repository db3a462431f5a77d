"""Claims about the forward process: where it ends, what its closed form gives, entropy and information."""

import time
from collections.abc import Callable
from functools import cache, partial

import jax
import numpy as np

from benchmarks.claims.claim import Claim, Figure, Figures, Size, column, graded, largest
from benchmarks.claims.work import dataset_of, edge, exactly, in_floors, known_sets
from diffuse_cli import catalog, config
from diffuse_cli.analysis.schedule_check import DRAWS, diagnose, kl_to_prior, study_law
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level, Process, add_noise, forward_chain
from diffuse_cli.metrics.noise_floors import fresh_floor
from diffuse_cli.models import build
from diffuse_cli.models.draw import Method

TINY = 1e-3  # nats: what an entropy by quadrature may be wrong by
TIMES = np.linspace(0, 1, 11)
WIDE = 3.0  # times the width of data of unit variance
LATER = ("t = 0.75", "t = 0.5", "t = 0.25")
LINEAR, COSINE, EASY = "linear, T = 1000", "cosine, T = 1000", "Made easy, T = 100"


def process_of(schedule: str, timesteps: int) -> Process:
    """The forward process of a schedule."""
    return build.build_process(config.make({"schedule": schedule, "timesteps": timesteps}))


def levels_of(process: Process) -> list[Level]:
    """The levels at TIMES as plain numbers, without the clean one."""
    found = process.levels_at(TIMES[1:])
    return [Level(*(float(field[i]) for field in found)) for i in range(len(TIMES) - 1)]


@cache
def terminal(size: Size) -> Figures:
    """KL(q(x_T) ‖ N(0, I)) in nats, of each set and three chains."""
    chains = {LINEAR: process_of("linear", 1000), COSINE: process_of("cosine", 1000)}
    chains[EASY] = process_of("sigmoid:start=1e-5,end=5e-3", 100)
    figures = {}
    for name in known_sets(size):
        dataset = dataset_of(name)
        x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), DRAWS if dataset.dim < 4 else 512))
        for chain, process in chains.items():
            figures[f"{name} / {chain}"] = Figure(*kl_to_prior(process, dataset.exact(), x0))
    return figures


def _below(figures: Figures, limit: float) -> bool:
    return all(each.value + 2 * (each.error or 0.0) < limit for each in figures.values())


def judge_terminal(figures: Figures) -> str:
    near = [_below(column(figures, name), 0.01) for name in (LINEAR, COSINE)]
    return graded(all(near), any(near))


def judge_easy(figures: Figures) -> str:
    near = [_below({name: each}, 0.01) for name, each in column(figures, EASY).items()]
    return graded(all(near), any(near))


def closed_form(size: Size) -> Figures:
    """Sliced W2, in floors, between x_t drawn by the steps of the chain and x_t drawn at once; and their times."""
    process, figures = process_of("linear", size.chain), {}
    knots = Level(*map(np.asarray, jax.jit(process.knots)()))
    metric = {"sliced_w2": catalog.build("metric", "sliced_w2")}
    for name in ("moons", "checkerboard"):
        x0 = _data(name, np.random.default_rng(3), size.samples)
        for t in (0.1, 0.3, 0.6):
            upto = round(t * size.chain)
            level = Level(*(field[upto] for field in knots))
            judge = fresh_floor(metric, size.samples, partial(_at_once, name, level), seed=0, repeats=20)
            walk = jax.jit(lambda x, upto=upto: forward_chain(jax.random.key(7), x, _part(knots, upto))[-1])
            middle = judge.figures["sliced_w2"].mean()
            value = judge.scores(np.asarray(walk(x0), np.float64))["sliced_w2"].value
            figures[f"{name}, t = {t:g} / in floors"] = Figure(value / middle)
            figures[f"{name}, t = {t:g} / limit"] = Figure(judge.interval("sliced_w2")[1] / middle)
    x0, last = _data("moons", np.random.default_rng(3), 256), Level(*(field[-1] for field in knots))
    walk = jax.jit(lambda x: forward_chain(jax.random.key(7), x, knots)[-1])
    jump = jax.jit(lambda x: add_noise(x, jax.random.normal(jax.random.key(7), x.shape), last))
    figures["256 points to t = 1 / times as long"] = Figure(_seconds(walk, x0) / _seconds(jump, x0))
    return figures


def _part(knots: Level, upto: int) -> Level:
    return Level(*(field[: upto + 1] for field in knots))


def _data(name: str, rng: np.random.Generator, n: int) -> np.ndarray:
    return dataset_of(name).standard.to_model(dataset_of(name).draw(rng, n)).astype(np.float32)


def _at_once(name: str, level: Level, rng: np.random.Generator, n: int) -> np.ndarray:
    return np.asarray(add_noise(_data(name, rng, n), rng.standard_normal((n, 2)), level), np.float64)


def _seconds(call: Callable, x0: np.ndarray) -> float:
    """The median of some calls, after compiling."""
    taken = []
    for _ in range(12):
        began = time.perf_counter()
        jax.block_until_ready(call(x0))
        taken.append(time.perf_counter() - began)
    return float(np.median(taken[1:]))


def judge_closed_form(figures: Figures) -> str:
    inside = column(figures, "in floors")
    limit = column(figures, "limit")
    return graded(all(each.value <= limit[name].value for name, each in inside.items()))


@cache
def entropies(size: Size) -> Figures:
    """How entropy and information change along the linear chain: the least and the greatest step between levels.

    Entropies in nats, model space. I(x_0; x_t) = h(x_t) − h(sigma eps). Wide: the set WIDE times as large.
    """
    process, figures = process_of("linear", 1000), {}
    for name in known_sets(size):
        law, dim = dataset_of(name).exact(), dataset_of(name).dim
        found = np.array([law.entropy(level) for level in levels_of(process)])
        noise = np.array([0.5 * dim * np.log(2 * np.pi * np.e * level.sigma**2) for level in levels_of(process)])
        figures[f"{name} / least rise of h(x_t)"] = Figure(np.diff(found).min())
        figures[f"{name} / least fall of I(x_0; x_t)"] = Figure(-np.diff(found - noise).max())
        figures[f"{name} / I(x_0; x_1)"] = Figure(found[-1] - noise[-1])
        if law.gaussians is not None and dim <= 2:
            parts = law.gaussians()
            wide = exact.gaussians(WIDE * parts.means, WIDE**2 * parts.covariances, parts.weights)
            stretched = np.array([wide.entropy(level) for level in levels_of(process)])
            figures[f"{name} / least rise of h, three times as wide"] = Figure(np.diff(stretched).min())
    return figures


def judge_entropy(figures: Figures) -> str:
    rises = [each.value > -TINY for each in column(figures, "least rise of h(x_t)").values()]
    wide = [each.value > -TINY for each in column(figures, "least rise of h, three times as wide").values()]
    return graded(all(rises) and all(wide), sum(rises) > len(rises) / 2)


def judge_information(figures: Figures) -> str:
    falls = [each.value > -TINY for each in column(figures, "least fall of I(x_0; x_t)").values()]
    return graded(all(falls), sum(falls) > len(falls) / 2)


def certainty(size: Size) -> Figures:
    """The share of the variance of x_0 that x_t leaves open, on the cosine chain at four times."""
    process, figures = process_of("cosine", 1000), {}
    for name in known_sets(size, 2):
        dataset = dataset_of(name)
        x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), DRAWS))
        study = study_law(dataset.exact(), x0)
        for t in (1.0, 0.75, 0.5, 0.25):
            log_snr = float(process.levels_at(t).log_snr)
            known = float(np.interp(log_snr, study.gains.log_snr, study.gains.signal))
            figures[f"{name} / t = {t:g}"] = Figure(1 - known)
    return figures


def judge_certainty(figures: Figures) -> str:
    shares = [column(figures, t) for t in ("t = 1", *LATER)]
    names = shares[0]
    falls = all(shares[i][name].value > shares[i + 1][name].value for name in names for i in range(3))
    return graded(falls and all(each.value < 0.1 for each in shares[3].values()), falls)


def smoothness(size: Size) -> Figures:
    """The largest fall of alpha-bar in a step, times T; the share of useless levels; and samples in few DDIM steps."""
    figures = {}
    for name in ("linear", "cosine"):
        process = process_of(name, 1000)
        kept = np.asarray(jax.jit(process.knots)().alpha, np.float64) ** 2
        figures[f"alpha-bar / {name}"] = Figure(float(-np.diff(kept).min()) * 1000)
        for data in known_sets(size, 2)[:6]:
            dataset = dataset_of(data)
            x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), DRAWS))
            found = diagnose(study_law(dataset.exact(), x0), process)
            useless = (found.useless_clean or 0.0) + found.useless_noisy
            figures[f"useless levels, {data} / {name}"] = Figure(100 * useless)
            for steps in (10, 20):
                floors = in_floors(exactly(data, {"schedule": name}), size, Method("ddim", "uniform", steps))
                figures[f"DDIM in {steps}, {data} / {name}"] = Figure(floors)
    return figures


def judge_smoothness(figures: Figures) -> str:
    linear, cosine = column(figures, "linear"), column(figures, "cosine")
    better = {name: cosine[name].value < linear[name].value for name in linear}
    smoother = better.pop("alpha-bar")
    useless = [each for name, each in better.items() if name.startswith("useless")]
    return graded(smoother and all(better.values()), smoother or all(useless))


def ends_restored(size: Size) -> Figures:
    """What comes back: the law of the samples, in floors; and the share of a point's variance that x_T tells."""
    figures = {}
    for name in ("moons", "eight_gaussians", "checkerboard"):
        figures[f"{name} / law, in floors"] = Figure(in_floors(exactly(name), size, Method("ode", "log_snr", 2)))
        figures[f"{name} / limit"] = edge(name, size)
        dataset = dataset_of(name)
        x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), DRAWS))
        gains = study_law(dataset.exact(), x0).gains
        last = float(process_of("linear", 1000).levels_at(1.0).log_snr)
        figures[f"{name} / point open, %"] = Figure(100 * (1 - float(np.interp(last, gains.log_snr, gains.signal))))
    return figures


def judge_restored(figures: Figures) -> str:
    law, limit, lost = (column(figures, name) for name in ("law, in floors", "limit", "point open, %"))
    law_lost = any(each.value > limit[name].value for name, each in law.items())
    return graded(law_lost, all(each.value > 99 for each in lost.values()))


CLAIMS = [
    Claim(
        "terminal_normal",
        "With T large and a suitable schedule, x_T is nearly N(0, I), whatever the data; so are the values of a curve.",
        ("Introduction", "DDPM", "Theory"),
        "*holds*: KL(q(x_T) ‖ N(0, I)) is below 0.01 nats (with two standard errors) for every built-in set, "
        "by the linear and by the cosine chain of 1,000 steps; *in part*: by one of the two.",
        terminal,
        judge_terminal,
        lambda f: f"largest KL: linear {largest(column(f, LINEAR))}, cosine {largest(column(f, COSINE))} nats",
        "diffuse doctor --dataset moons --schedule linear --timesteps 1000",
    ),
    Claim(
        "hundred_steps_to_noise",
        "Noise is added in T = 100 steps until the data are noise alone (with the betas that the article's code has).",
        ("Made easy",),
        "*holds*: KL(q(x_100) ‖ N(0, I)) is below 0.01 nats for every set; *in part*: for some sets.",
        terminal,
        judge_easy,
        lambda f: f"largest KL {largest(column(f, EASY))} nats",
        "diffuse doctor --config made_easy",
        {
            "does not hold here": "These betas are too small for 100 steps: most of the data "
            "is still there at the end. `diffuse doctor` proposes schedules that mend it.",
        },
    ),
    Claim(
        "closed_form",
        "x_t can be drawn from x_0 in one step, which makes training efficient.",
        ("DDPM", "Theory", "Made easy"),
        "*holds*: x_t by all steps of the chain has, at three times of two sets, a sliced W2 from x_t in one step that "
        "draws of one law have too; else it does not.",
        closed_form,
        judge_closed_form,
        lambda f: (
            f"at most {largest(column(f, 'in floors'))} floors; the chain takes "
            f"{f['256 points to t = 1 / times as long']} times as long"
        ),
        "diffuse plot-forward",
    ),
    Claim(
        "entropy_rises",
        "The forward process is one in which entropy rises.",
        ("Introduction", "DDPM", "Made easy"),
        f"*holds*: the exact entropy h(x_t) falls between none of ten levels (by more than {TINY} nats), for every set "
        "as it is and for the Gaussian ones made three times as wide; *in part*: for most sets as they are.",
        entropies,
        judge_entropy,
        lambda f: (
            "least rise between two levels "
            f"{min(e.value for e in column(f, 'least rise of h(x_t)').values()):.2g}; three times as wide "
            f"{min(e.value for e in column(f, 'least rise of h, three times as wide').values()):.2g} nats"
        ),
        "python docs/redraw.py claims entropy_rises",
        {
            "holds in part": "What always falls is KL(q(x_t) ‖ N(0, I)). Entropy rises with it as long as the mean "
            "square of the data is that of the noise, as in standardised data; data wider than the noise are drawn "
            "together by alpha < 1, and lose entropy on their way.",
        },
    ),
    Claim(
        "information_is_lost",
        "Noise takes information away step by step.",
        ("DDPM", "Made easy"),
        f"*holds*: the exact I(x_0; x_t) rises between none of ten levels (by more than {TINY} nats), for every set; "
        "*in part*: for most sets.",
        entropies,
        judge_information,
        lambda f: (
            f"least fall {min(e.value for e in column(f, 'least fall of I(x_0; x_t)').values()):.2g} nats; left at "
            f"t = 1 at most {largest(column(f, 'I(x_0; x_1)'))}"
        ),
        "python docs/redraw.py claims information_is_lost",
    ),
    Claim(
        "certainty_returns",
        "On the way back the state holds more and more information, and the randomness of the rest falls markedly.",
        ("DDPM",),
        "*holds*: the share of the variance of x_0 that x_t leaves open (exact denoiser) falls from t = 1 over 3/4 and "
        "1/2 to 1/4 for every set in the plane, and is below 10 % there; *in part*: it only falls.",
        certainty,
        judge_certainty,
        lambda f: (
            "open, at most: "
            + ", ".join(f"{100 * max(e.value for e in column(f, t).values()):.0f} % at {t}" for t in LATER)
        ),
        "diffuse explain --exact --dataset moons",
        {
            "holds in part": "A quarter of the chain before the data the noise is still as wide as the finer parts of "
            "some sets; it is in this last quarter that these are decided.",
        },
    ),
    Claim(
        "not_perfectly_reversed",
        "Without other knowledge the way back cannot be perfect, since information is lost.",
        ("DDPM",),
        "*holds*: samples of the exact denoiser by the probability flow differ from the truth on one of three sets; "
        "*in part*: they do not, but x_T leaves more than 99 % of the variance of a single point open.",
        ends_restored,
        judge_restored,
        lambda f: (
            f"law: {largest(column(f, 'law, in floors'))} floors; point: "
            f"{min(e.value for e in column(f, 'point open, %').values()):.2f} % open"
        ),
        "diffuse evaluate --exact --dataset moons --sampler ode",
        {"holds in part": "A point cannot be had back from its noise. The law of all points can, exactly."},
    ),
    Claim(
        "cosine_is_smoother",
        "The cosine schedule adds noise more smoothly than the linear one.",
        ("Theory",),
        "*holds*: its largest fall of alpha-bar in a step is smaller, and so are, on each of six sets, the share of "
        "levels that are of no use (`doctor`) and the distance of samples in 10 and in 20 DDIM steps of the exact "
        "denoiser; *in part*: the first, or the second on all sets.",
        smoothness,
        judge_smoothness,
        lambda f: (
            f"largest fall × T: cosine {f['alpha-bar / cosine']}, linear {f['alpha-bar / linear']}; useless "
            f"levels on moons: {f['useless levels, moons / cosine']} % against {f['useless levels, moons / linear']} %"
        ),
        "diffuse plot-schedule --schedule linear --schedule cosine",
    ),
]

"""Claims about sampling: steps, solvers, randomness, modes, one step."""

from functools import cache

import numpy as np

from benchmarks.claims.claim import Claim, Figure, Figures, Size, column, graded, largest, over, row
from benchmarks.claims.work import (
    dataset_of,
    edge,
    exactly,
    in_floors,
    nearest_modes,
    points_of,
    runs,
    seconds_of,
    trained,
)
from diffuse_cli.analysis.sampler_comparison import compare_samplers, plan_comparison
from diffuse_cli.models.draw import Method

SETS = ("moons", "eight_gaussians", "checkerboard")
FEW, MANY = (10, 20, 50), (10, 50, 100, 250, 1000)
MODES = ("eight_gaussians", "grid_gaussians")
SOLVERS = ("ddim", "dpm_2", "dpm_3", "dpmpp_2m")


@cache
def chains(size: Size) -> Figures:
    """Sliced W2 in floors of DDIM and DDPM by steps, for the exact denoiser and a network with default settings."""
    figures = {}
    for name in SETS:
        models = {"exact": [exactly(name)], "trained": runs(name, size)}
        for kind, several in models.items():
            for steps in FEW:
                found = [in_floors(each, size, Method("ddim", "uniform", steps)) for each in several]
                figures[f"{name}, {kind} / DDIM in {steps}"] = over(found)
            for steps in MANY:
                found = [in_floors(each, size, Method("ddpm", "uniform", min(steps, size.chain))) for each in several]
                figures[f"{name}, {kind} / DDPM in {steps}"] = over(found)
            figures[f"{name}, {kind} / limit"] = edge(name, size)
    return figures


def judge_chains(figures: Figures) -> str:
    limit = column(figures, "limit")

    def fits(name: str) -> bool:
        return all(each.value <= limit[of].value for of, each in column(figures, name).items())

    ddim, needs_many = fits("DDIM in 50"), not any(fits(f"DDPM in {steps}") for steps in MANY if steps <= 250)
    return graded(ddim and needs_many, ddim)


def judge_beta(figures: Figures) -> str:
    limit = column(figures, "limit")
    fits = {n: all(e.value <= limit[r].value for r, e in column(figures, n).items()) for n in ("in 1000", "in 100")}
    return graded(all(fits.values()), fits["in 1000"])


def beta(size: Size) -> Figures:
    """Sliced W2 in floors of DDPM with the variance beta (`large`)."""
    figures = {}
    for name in SETS:
        models = {"exact": [exactly(name)], "trained": runs(name, size)}
        for kind, several in models.items():
            for steps in (100, 1000):
                method = Method("ddpm:variance=large", "uniform", min(steps, size.chain))
                figures[f"{name}, {kind} / in {steps}"] = over(in_floors(each, size, method) for each in several)
            figures[f"{name}, {kind} / limit"] = edge(name, size)
    return figures


def solvers(size: Size) -> Figures:
    """The median distance of samples from the ends of the exact flow from the same noise, model space."""
    figures = {}
    for name in SETS:
        tasks, _ = plan_comparison(SOLVERS, FEW)
        found = compare_samplers(exactly(name), dataset_of(name), tasks, "sliced_w2", n=size.samples, seed=0, repeats=3)
        for cell in found.cells:
            figures[f"{name}, {cell.method.sampler} / {cell.budget} evaluations"] = Figure(cell.median)
    return figures


def judge_solvers(figures: Figures) -> str:
    better = []
    for evals in FEW:
        gap = column(figures, f"{evals} evaluations")
        better += [gap[f"{name}, {each}"].value < gap[f"{name}, ddim"].value for name in SETS for each in SOLVERS[1:]]
    return graded(all(better), sum(better) > len(better) / 2)


def marginals(size: Size) -> Figures:
    """Sliced W2 in floors of samples by the probability flow and by the reversed SDE, exact denoiser."""
    figures = {}
    for name in SETS:
        sde = Method("reverse_sde", "uniform", min(500, size.chain))
        for way, method in (("flow (ode)", Method("ode", "log_snr", 2)), ("SDE", sde)):
            figures[f"{name} / {way}"] = Figure(in_floors(exactly(name), size, method))
        figures[f"{name} / limit"] = edge(name, size)
    return figures


def judge_marginals(figures: Figures) -> str:
    limit = column(figures, "limit")
    fits = [e.value <= limit[n].value for way in ("flow (ode)", "SDE") for n, e in column(figures, way).items()]
    return graded(all(fits), any(fits))


def langevin(size: Size) -> Figures:
    """Sliced W2 in floors after 2,000 steps of Langevin dynamics at one small noise level, exact denoiser."""
    figures = {}
    for name in (*SETS, "grid_gaussians"):
        method = Method("langevin:step_size=0.1", "fixed", 2 * size.chain)
        figures[f"{name} / Langevin"] = Figure(in_floors(exactly(name), size, method))
        figures[f"{name} / limit"] = edge(name, size)
    return figures


def judge_langevin(figures: Figures) -> str:
    limit = column(figures, "limit")
    fits = [each.value <= limit[name].value for name, each in column(figures, "Langevin").items()]
    return graded(all(fits), any(fits))


def chi2(counts: np.ndarray) -> float:
    """Pearson's chi² of counts [k] against equal shares, over its k − 1 degrees of freedom: 1 for the truth.

    >>> chi2(np.array([50, 50])), chi2(np.array([100, 0]))
    (0.0, 100.0)
    """
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum() / (len(counts) - 1))


@cache
def modes(size: Size) -> Figures:
    """The least share of a mode, of what it should be, and chi² of all; by a deterministic and by a random sampler."""
    figures = {}
    for name in MODES:
        several = size.seeds if name == MODES[0] else max(size.few, size.seeds // 4)
        changes = {"steps": size.steps} if size.steps else {}
        found = [trained(name, {"seed": seed, **changes}) for seed in range(several)]
        models = [each[0] for each in found if each is not None]
        for way, method in (("flow", Method("dpmpp_2m", "log_snr", 50)), ("DDPM", Method("ddpm", "uniform", 100))):
            drawn = [points_of(each, method, size.samples, seed) for seed, each in enumerate(models)]
            counts = [nearest_modes(name, points) for points in drawn]
            figures |= _of_counts(f"{name}, {way}", counts)
        rng, set_ = np.random.default_rng(0), dataset_of(name)
        truth = [nearest_modes(name, set_.standard.to_model(set_.draw(rng, size.samples))) for _ in range(200)]
        figures |= _of_counts(f"{name}, truth", truth)
    return figures


def _of_counts(name: str, counts: list[np.ndarray]) -> Figures:
    least = min(each.min() * len(each) / each.sum() for each in counts)
    surplus = [chi2(each) for each in counts]
    return {
        f"{name} / least share, % of what is due": Figure(100 * least),
        f"{name} / chi² per degree": over(surplus),
        f"{name} / largest chi²": Figure(max(surplus)),
        f"{name} / runs": Figure(len(counts)),
    }


def judge_modes(figures: Figures) -> str:
    least, most = column(figures, "least share, % of what is due"), column(figures, "largest chi²")
    all_there = all(least[f"{name}, flow"].value >= 50 for name in MODES)
    equal = all(most[f"{name}, flow"].value <= most[f"{name}, truth"].value for name in MODES)
    return graded(all_there and equal, all_there)


def judge_randomness(figures: Figures) -> str:
    least = column(figures, "least share, % of what is due")
    covers = {way: all(least[f"{name}, {way}"].value >= 50 for name in MODES) for way in ("flow", "DDPM")}
    return graded(covers["DDPM"] and not covers["flow"], covers["DDPM"])


def cost(size: Size) -> Figures:
    """Seconds of 10,000 samples after compiling, of a network with default settings, by number of evaluations."""
    (model, *_) = runs("moons", size)
    figures = {}
    for name, method in (
        ("default, 50", Method("dpmpp_2m", "log_snr", 50)),
        ("DDIM, 10", Method("ddim", "uniform", 10)),
        ("DDPM, 1000", Method("ddpm", "uniform", size.chain)),
    ):
        figures[f"{name} / s for 10,000"] = seconds_of(model, method, size)
    figures["one evaluation / s for 10,000"] = seconds_of(model, Method("ddim", "uniform", 1), size)
    once = figures["one evaluation / s for 10,000"].value
    taken = column(figures, "s for 10,000")
    return figures | {f"{name} / times one evaluation": Figure(each.value / once) for name, each in taken.items()}


def judge_cost(figures: Figures) -> str:
    times = figures["default, 50 / times one evaluation"].value
    return graded(times > 10, times > 2)


def student(size: Size) -> Figures:
    """Samples of a consistency model in one evaluation, sliced W2 in floors, beside solvers of the exact denoiser."""
    figures = {}
    steps = {} if size.steps is None else {"steps": size.steps}
    for name in ("moons", "eight_gaussians"):
        found = [trained(name, {"loss": "consistency", "seed": seed, **steps}) for seed in range(min(2, size.few))]
        models = [each[0] for each in found if each is not None]
        once = Method("jump", "flow_time", 1)
        figures[f"{name} / consistency in 1"] = over(in_floors(each, size, once) for each in models)
        for evals in FEW:
            figures[f"{name} / DDIM, exact, in {evals}"] = Figure(
                in_floors(exactly(name), size, Method("ddim", "uniform", evals))
            )
        figures[f"{name} / limit"] = edge(name, size)
        figures[f"{name} / seconds of training"] = over(each[1] for each in found if each is not None)
    return figures


def judge_student(figures: Figures) -> str:
    one, limit, ddim = (column(figures, name) for name in ("consistency in 1", "limit", "DDIM, exact, in 10"))
    return graded(
        all(each.value <= limit[name].value for name, each in one.items()),
        all(each.value <= ddim[name].value for name, each in one.items()),
    )


CLAIMS = [
    Claim(
        "ddim_in_few_steps",
        "DDIM draws good samples in 10 to 50 steps, where DDPM usually needs 1,000.",
        ("Theory",),
        "*holds*: in 50 steps DDIM is, with the exact denoiser and with networks on three sets, as near to the truth "
        "as perfect models may be, and DDPM is not (on all of them) in 250 or fewer; *in part*: the first.",
        chains,
        judge_chains,
        lambda f: "moons, trained, floors: " + ", ".join(f"{n} {e}" for n, e in row(f, "moons, trained").items()),
        "diffuse compare --exact --dataset moons --sampler ddim --sampler ddpm --evals 10,50,100,1000",
    ),
    Claim(
        "variance_beta",
        "The fixed variance sigma² = beta is good enough for the reverse steps.",
        ("Theory", "Made easy"),
        "*holds*: samples of DDPM with it, in 1,000 and in 100 steps, are as near to the truth as perfect models may "
        "be, with the exact denoiser and with networks on three sets; *in part*: in 1,000.",
        beta,
        judge_beta,
        lambda f: (
            f"in 1,000 steps at most {largest(column(f, 'in 1000'))}, in 100 {largest(column(f, 'in 100'))} floors"
        ),
        "diffuse sample --sampler ddpm:variance=large --steps 1000",
    ),
    Claim(
        "high_order_solvers",
        "Solvers of high order (DPM-Solver) speed up the solution of the ODE.",
        ("Theory",),
        "*holds*: with 10, 20 and 50 evaluations, on three sets, the median distance from the ends of the exact flow "
        "is smaller for dpm_2, dpm_3 and dpmpp_2m than for ddim; *in part*: in more than half of these comparisons.",
        solvers,
        judge_solvers,
        lambda f: (
            f"moons, 20 evaluations: dpm_3 {f['moons, dpm_3 / 20 evaluations']}, dpmpp_2m "
            f"{f['moons, dpmpp_2m / 20 evaluations']}, ddim {f['moons, ddim / 20 evaluations']}"
        ),
        "diffuse compare --exact --dataset moons --sampler ddim --sampler dpm_3",
        {
            "holds in part": "dpm_2 and dpm_3 take two and three evaluations for a step, so that few evaluations are "
            "very few steps. A multistep solver, dpmpp_2m, takes one.",
        },
    ),
    Claim(
        "flow_and_sde_agree",
        "The probability flow has the same marginals as the SDE, and both lead back to the data.",
        ("Theory",),
        "*holds*: samples of both with the exact denoiser are as near to the truth as perfect models may be, on three "
        "sets; *in part*: some of them.",
        marginals,
        judge_marginals,
        lambda f: f"flow at most {largest(column(f, 'flow (ode)'))}, SDE {largest(column(f, 'SDE'))} floors",
        "diffuse evaluate --exact --dataset moons --sampler reverse_sde --steps 500",
    ),
    Claim(
        "langevin_samples",
        "With the score alone one can sample by Langevin dynamics.",
        ("Theory", "Made easy"),
        "*holds*: after 2,000 steps at log-SNR 4 with the exact score, from N(0, I), samples are as near to the truth "
        "as perfect models may be, on four sets; *in part*: on some.",
        langevin,
        judge_langevin,
        lambda f: "; ".join(f"{name} {each}" for name, each in column(f, "Langevin").items()) + " floors",
        "diffuse evaluate --exact --dataset moons --sampler langevin:step_size=0.1 --grid fixed --steps 2000",
    ),
    Claim(
        "all_modes",
        "Diffusion models cover all modes of the data, and avoid mode collapse.",
        ("DDPM", "Theory"),
        "*holds*: no mode of eight_gaussians (20 runs) or grid_gaussians (5 runs) has less than half of its share in "
        "any run, and chi² of the shares is never above the largest of 200 draws of the truth; *in part*: the first.",
        modes,
        judge_modes,
        lambda f: (
            "least share "
            + ", ".join(f"{name}: {f[f'{name}, flow / least share, % of what is due']} %" for name in MODES)
            + "; chi² per degree "
            + ", ".join(f"{f[f'{name}, flow / chi² per degree']}" for name in MODES)
        ),
        "diffuse train --dataset grid_gaussians && diffuse evaluate --metric recall --metric coverage",
        {"holds in part": "No mode is lost, but their shares are more unequal than by chance."},
    ),
    Claim(
        "diverse_by_randomness",
        "Samples are diverse because sampling is random.",
        ("Theory",),
        "*holds*: with the random sampler (DDPM) no mode has less than half of its share in any run, and with the "
        "deterministic one some mode has; *in part*: both cover all modes.",
        modes,
        judge_randomness,
        lambda f: (
            "chi² per degree on eight_gaussians: "
            + ", ".join(f"{way} {f[f'eight_gaussians, {way} / chi² per degree']}" for way in ("DDPM", "flow"))
        ),
        "diffuse compare --run eight_gaussians --sampler ddpm --sampler dpmpp_2m --evals 50",
        {"holds in part": "The first noise is enough: a flow without any later randomness covers all modes too."},
    ),
    Claim(
        "sampling_is_slow",
        "Sampling is slow: a sample needs many iterations, where a GAN needs one evaluation of a network.",
        ("Theory",),
        "*holds*: 10,000 samples in the default 50 steps take more than 10 times as long as one evaluation of the same "
        "network; *in part*: more than twice as long.",
        cost,
        judge_cost,
        lambda f: (
            f"{f['default, 50 / s for 10,000']} s for 10,000 samples, {f['default, 50 / times one evaluation']} "
            f"times one evaluation; DDPM in 1,000 steps {f['DDPM, 1000 / s for 10,000']} s"
        ),
        "diffuse sample -n 10000",
    ),
    Claim(
        "one_step_by_consistency",
        "Consistency models generate in a single step.",
        ("Theory",),
        "*holds*: samples of consistency models in one evaluation are, on two sets, as near to the truth as perfect "
        "models may be; *in part*: as near as DDIM of the exact denoiser in 10.",
        student,
        judge_student,
        lambda f: "; ".join(
            f"{name}: {each} floors, DDIM in 10 {f[f'{name} / DDIM, exact, in 10']}"
            for name, each in column(f, "consistency in 1").items()
        ),
        "diffuse train --dataset moons --loss consistency && diffuse evaluate",
    ),
]

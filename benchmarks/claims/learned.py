"""Claims about what networks can be taught, or told, besides a mean: noise levels, variances, the time."""

from functools import cache

from benchmarks.claims.claim import Claim, Figure, Figures, Size, column, graded, lower, over, row
from benchmarks.claims.work import edge, exactly, gaps, in_floors, runs
from diffuse_cli.analysis import quality
from diffuse_cli.models.model import Model

SETS = ("moons", "eight_gaussians")
SHORT_CHAIN = 50


def bounds_of(models: list[Model], size: Size) -> dict[str, Figure]:
    """The bound on −log p in nats, for each variance that the chain can have: mean over seeds."""
    found = []
    for model in models:
        x0 = quality.held_out(model, model.dataset(), size.points, 0)
        found.append(
            {name: float(each.value.mean()) for name, each in quality.variational_bounds(model, x0, 0).items()}
        )
    return {name: over(each[name] for each in found) for name in found[0]}


def schedules(size: Size) -> Figures:
    """The bound of chains of 50 steps trained by it, by schedule."""
    figures = {}
    for name in SETS:
        for schedule in ("linear", "cosine", "learned"):
            models = runs(name, size, {"loss": "vlb", "schedule": schedule, "timesteps": SHORT_CHAIN})
            for variance, found in bounds_of(models, size).items():
                figures[f"{name}, {schedule} / bound, {variance}"] = found
    return figures


def judge_schedules(figures: Figures) -> str:
    bound = column(figures, "bound, small")
    better = [
        lower(bound[f"{name}, learned"], bound[f"{name}, {fixed}"]) for name in SETS for fixed in ("linear", "cosine")
    ]
    return graded(all(better), any(better))


def variances(size: Size) -> Figures:
    """The bound of chains of 50 steps with fixed and with learned variances; that of the exact denoiser beside it."""
    figures = {}
    for name in SETS:
        shared = {"timesteps": SHORT_CHAIN, "levels": "discrete"}
        fixed = bounds_of(runs(name, size, shared), size)
        learned = bounds_of(runs(name, size, shared | {"variance": "learned", "loss": "hybrid"}), size)
        figures[f"{name}, mean only / small"] = fixed["small"]
        figures[f"{name}, mean only / large"] = fixed["large"]
        figures |= {f"{name}, mean and variance / {each}": learned[each] for each in ("small", "large", "learned")}
        best = bounds_of([exactly(name, {"timesteps": SHORT_CHAIN})], size)
        figures |= {f"{name}, exact / {each}": best[each] for each in ("small", "large", "learned")}
    return figures


def judge_variances(figures: Figures) -> str:
    def better(name: str) -> bool:
        learned = figures[f"{name}, mean and variance / learned"]
        return all(lower(learned, figures[f"{name}, mean only / {each}"]) for each in ("small", "large"))

    return graded(all(map(better, SETS)), any(map(better, SETS)))


@cache
def told(size: Size) -> Figures:
    """Networks that are told the noise level, and networks that are not; they predict the noise."""
    figures = {}
    for name in (*SETS, "checkerboard"):
        for kind, conditioned in (("told", True), ("not told", False)):
            models = runs(name, size, {"prediction": "eps", "noise_conditioning": conditioned})
            figures[f"{name}, {kind} / gap, nats"] = gaps(models, size)
            figures[f"{name}, {kind} / sliced W2, floors"] = over(in_floors(each, size) for each in models)
        figures[f"{name}, limit / sliced W2, floors"] = edge(name, size)
    return figures


def judge_told(figures: Figures) -> str:
    gap = column(figures, "gap, nats")
    better = [lower(gap[f"{name}, told"], gap[f"{name}, not told"]) for name in (*SETS, "checkerboard")]
    return graded(all(better), any(better))


def judge_not_told(figures: Figures) -> str:
    distance = column(figures, "sliced W2, floors")
    names = (*SETS, "checkerboard")
    fits = [distance[f"{name}, not told"].value <= distance[f"{name}, limit"].value for name in names]
    near = [distance[f"{name}, not told"].value <= 3 for name in names]
    return graded(all(fits), all(near))


CLAIMS = [
    Claim(
        "learned_schedule",
        "The noise levels can be parameters that are learned, in place of a linear or a cosine schedule.",
        ("Theory",),
        "*holds*: the bound (variance `small`) of chains of 50 steps that are trained by it is lower with learned "
        "levels than with the linear and with the cosine schedule, on two sets, by more than two standard errors over "
        "seeds; *in part*: in one of these comparisons.",
        schedules,
        judge_schedules,
        lambda f: (
            f"moons: {f['moons, learned / bound, small']} nats; cosine {f['moons, cosine / bound, small']}, linear "
            f"{f['moons, linear / bound, small']}"
        ),
        "diffuse train --config learned_schedule && diffuse likelihood --bound",
    ),
    Claim(
        "learned_variance",
        "The network gives the mean and the covariance of a reverse step (two outputs).",
        ("Theory", "Made easy"),
        "*holds*: the bound of chains of 50 steps is lower with learned variances than with either fixed one, on two "
        "sets, by more than two standard errors over seeds; *in part*: on one.",
        variances,
        judge_variances,
        lambda f: (
            f"moons: learned {f['moons, mean and variance / learned']} nats; fixed, the better one "
            f"{min(row(f, 'moons, mean only').values())}; exact {f['moons, exact / learned']}"
        ),
        "diffuse train --variance learned --loss hybrid --timesteps 50 && diffuse likelihood --bound",
    ),
    Claim(
        "told_the_time",
        "A network that is told the time step works better.",
        ("DDPM",),
        "*holds*: the NLL gap of networks that are told the noise level is smaller than that of networks that are not, "
        "on three sets, by more than two standard errors over seeds; *in part*: on some.",
        told,
        judge_told,
        lambda f: (
            f"gap on moons {f['moons, told / gap, nats']} told, {f['moons, not told / gap, nats']} not told; "
            f"checkerboard {f['checkerboard, told / gap, nats']}, {f['checkerboard, not told / gap, nats']} nats"
        ),
        "diffuse train --no-noise-conditioning --prediction eps",
    ),
    Claim(
        "noise_level_not_needed",
        "A study has found that the noising may not be necessary. (The study we know of is of networks that are not "
        "told the noise level; this is what is measured.)",
        ("DDPM",),
        "*holds*: samples of networks that are not told the level are, on three sets, as near to the truth as perfect "
        "models may be; *in part*: within three noise floors.",
        told,
        judge_not_told,
        lambda f: (
            f"sliced W2 on moons {f['moons, not told / sliced W2, floors']} floors, eight_gaussians "
            f"{f['eight_gaussians, not told / sliced W2, floors']}, checkerboard "
            f"{f['checkerboard, not told / sliced W2, floors']}"
        ),
        "diffuse train --no-noise-conditioning --prediction eps && diffuse evaluate",
    ),
]

"""Claims about training: what is predicted, by which loss, and whether it is stable."""

from functools import cache

import numpy as np

from benchmarks.claims.claim import Claim, Figure, Figures, Size, column, graded, lower, over
from benchmarks.claims.work import edge, gap, gaps, in_floors, runs, trained
from benchmarks.estimators import BLOCKS, EVERY, MERGED, estimates
from diffuse_cli.models.draw import Method

SETS = ("moons", "eight_gaussians")
EASY_SETS = ("swiss_roll", "moons", "s_curve")


def noises(size: Size) -> Figures:
    """The losses of one sample of the regression of x_(t-1), estimated in three ways; exact denoiser of moons."""
    blocks = BLOCKS if size.chain >= 1000 else 3
    figures = {}
    for name, found in estimates("moons", 100 if size.chain >= 1000 else size.chain, blocks):
        figures[f"{name} / mean"] = Figure(found.mean, found.mean_stderr)
        figures[f"{name} / variance"] = Figure(found.variance, found.variance_stderr)
        figures[f"{name} / ms of 4,096"] = Figure(1000 * found.seconds)
    return figures


def judge_noises(figures: Figures) -> str:
    variance, seconds = column(figures, "variance"), column(figures, "ms of 4,096")
    more = lower(variance[MERGED].times(1.05), variance[EVERY])
    return graded(more, seconds[EVERY].value > 1.1 * seconds[MERGED].value)


@cache
def predictions(size: Size) -> Figures:
    """NLL gap and samples of networks that predict different things; all else by default."""
    figures = {}
    kinds = {"eps": {"prediction": "eps"}, "x0": {"prediction": "x0"}, "v": {"prediction": "v"}}
    kinds["x_(t-1), naive"] = {"prediction": "previous", "loss": "previous", "schedule": "linear", "timesteps": 100}
    chain = {"schedule": "linear", "timesteps": 100, "levels": "discrete"}
    kinds |= {f"{each}, the same chain": {"prediction": each, **chain} for each in ("eps", "x0", "v")}
    for name in SETS:
        for kind, changes in kinds.items():
            models = runs(name, size, changes)
            figures[f"{name}, {kind} / gap, nats"] = gaps(models, size)
            figures[f"{name}, {kind} / sliced W2, floors"] = over(in_floors(each, size) for each in models)
    return figures


def judge_eps(figures: Figures) -> str:
    gap = column(figures, "gap, nats")
    best = [not lower(gap[f"{name}, {other}"], gap[f"{name}, eps"]) for name in SETS for other in ("x0", "v")]
    return graded(all(best), any(best))


def judge_naive(figures: Figures) -> str:
    gap = column(figures, "gap, nats")
    names = ("x_(t-1), naive", "eps, the same chain")
    worse = [lower(gap[f"{name}, {names[1]}"], gap[f"{name}, {names[0]}"]) for name in SETS]
    return graded(not any(worse), not all(worse))


def simple(size: Size) -> Figures:
    """L_simple against the whole bound, for networks that predict the noise on a chain of 1,000 steps."""
    figures = {}
    for name in SETS:
        for loss in ("simple", "vlb"):
            models = runs(name, size, {"prediction": "eps", "loss": loss, "levels": "discrete", "schedule": "linear"})
            figures[f"{name}, {loss} / sliced W2, floors"] = over(in_floors(each, size) for each in models)
            figures[f"{name}, {loss} / gap, nats"] = gaps(models, size)
    return figures


def judge_simple(figures: Figures) -> str:
    distance = column(figures, "sliced W2, floors")
    better = [lower(distance[f"{name}, simple"], distance[f"{name}, vlb"]) for name in SETS]
    worse = [lower(distance[f"{name}, vlb"], distance[f"{name}, simple"]) for name in SETS]
    return graded(all(better), any(better) and not any(worse))


def seeds(size: Size) -> Figures:
    """Runs with other seeds, of the default settings: how many diverged, and the NLL gap of each."""
    name = "eight_gaussians"
    found = [
        trained(name, {"seed": seed, **({"steps": size.steps} if size.steps else {})}) for seed in range(size.seeds)
    ]
    kept = [each[0] for each in found if each is not None]
    values = np.array([gap(each, size) for each in kept])
    return {
        "all runs / diverged": Figure(len(found) - len(kept)),
        "all runs / number": Figure(len(found)),
        "gap, nats / median": Figure(float(np.median(values))),
        "gap, nats / least": Figure(float(values.min())),
        "gap, nats / largest": Figure(float(values.max())),
        "gap, nats / mean": over(values),
        "gap, nats / standard deviation": Figure(float(values.std(ddof=1))),
    }


def judge_seeds(figures: Figures) -> str:
    no_loss = figures["all runs / diverged"].value == 0
    narrow = figures["gap, nats / largest"].value <= 2 * figures["gap, nats / median"].value
    return graded(no_loss and narrow, no_loss)


def lengths(size: Size) -> Figures:
    """The NLL gap after 1/16, 1/4 and the whole of a training, each with its own cosine of the learning rate."""
    steps = [max(size.short // 16, 20), max(size.short // 4, 30), size.short]
    names = ("1/16", "1/4", "whole")
    return {
        f"{data}, {name} / gap, nats": gaps(runs(data, size, {"steps": each}), size)
        for data in SETS
        for name, each in zip(names, steps, strict=True)
    }


def judge_lengths(figures: Figures) -> str:
    gap = column(figures, "gap, nats")
    pairs = (("1/4", "1/16"), ("whole", "1/4"))
    better = [lower(gap[f"{name}, {more}"], gap[f"{name}, {less}"]) for name in SETS for more, less in pairs]
    return graded(all(better), any(better))


def easy(size: Size) -> Figures:
    """The settings of the article, and the same with a schedule that ends in noise, on its three sets; sliced W2."""
    published = {"prediction": "eps", "levels": "discrete", "timesteps": 100, "weight_decay": 0.0}
    method = Method("ddpm:variance=large", "uniform", 100)
    figures = {}
    for name in EASY_SETS:
        for kind, schedule in (("as published", "sigmoid:start=1e-5,end=5e-3"), ("linear", "linear")):
            models = runs(name, size, published | {"schedule": schedule})
            figures[f"{name} / {kind}"] = over(in_floors(each, size, method) for each in models)
        figures[f"{name} / limit"] = edge(name, size)
    return figures


def judge_easy(figures: Figures) -> str:
    limit = column(figures, "limit")
    fits = [
        all(each.value <= limit[name].value for name, each in column(figures, kind).items())
        for kind in ("as published", "linear")
    ]
    return graded(fits[0], fits[1])


CLAIMS = [
    Claim(
        "merged_noises",
        "An estimate of the loss with all noises of the path has too much variance; merging the noises before the last "
        "one lowers it.",
        ("DDPM",),
        "*holds*: the variance of the loss with all noises is more than 5 % above that with two merged ones, and by "
        "more than two standard errors; *in part*: not so, but merging saves a tenth of the time.",
        noises,
        judge_noises,
        lambda f: (
            f"variance {f[EVERY + ' / variance']} with all, {f[MERGED + ' / variance']} with merged noises; "
            f"{f[EVERY + ' / ms of 4,096']} against {f[MERGED + ' / ms of 4,096']} ms"
        ),
        "python benchmarks/estimators.py",
        {
            "holds in part": "The loss depends on a path only through x_t and the last noise, whose joint law is the "
            "same for both ways to draw the earlier noises. Merging saves time, and no variance. What lowers the "
            "variance is to replace the last noise by its mean given x_t and x_0.",
        },
    ),
    Claim(
        "predict_the_noise",
        "To predict the noise is the key reparameterisation.",
        ("DDPM", "Theory"),
        "*holds*: on two sets the NLL gap of no other prediction (x0, v) is below that of eps by more than two "
        "standard errors over seeds; *in part*: in some of the comparisons.",
        predictions,
        judge_eps,
        lambda f: (
            "gap on moons: "
            + ", ".join(
                f"{kind[7:]} {each}" for kind, each in column(f, "gap, nats").items() if kind.startswith("moons")
            )
            + " nats"
        ),
        "diffuse train --prediction eps",
        {
            "does not hold here": "At the end of the cosine schedule, the default, sigma is 20,000 times alpha, and by "
            "so much x_0 = (x − sigma eps) / alpha multiplies an error of eps. With v there is no such factor. On the "
            "linear chain of 100 steps, which ends in less noise, a network that predicts the noise is much "
            "better.",
        },
    ),
    Claim(
        "naive_regression",
        "The plain regression of x_(t-1) on x_t trains a diffusion model.",
        ("DDPM",),
        "*holds*: its NLL gap is not above that of a network that predicts the noise on the same chain (linear, T = "
        "100) by more than two standard errors over seeds, on two sets; *in part*: on one.",
        predictions,
        judge_naive,
        lambda f: (
            f"gap on moons {f['moons, x_(t-1), naive / gap, nats']} against "
            f"{f['moons, eps, the same chain / gap, nats']} nats"
        ),
        "diffuse train --config naive_regression",
        {
            "does not hold here": "x_(t-1) is nearly x_t, and the noise is what is left of a difference of the two, "
            "divided by a small number: an error of the network is multiplied. A gap of ∞ means that the "
            "solver gave up on the flow.",
        },
    ),
    Claim(
        "simple_loss",
        "The simplified objective works better in practice than the bound.",
        ("Theory",),
        "*holds*: on two sets samples are nearer to the truth (sliced W2) with L_simple than with the bound, by more "
        "than two standard errors over seeds; *in part*: on one, and on none farther.",
        simple,
        judge_simple,
        lambda f: (
            f"moons {f['moons, simple / sliced W2, floors']} against {f['moons, vlb / sliced W2, floors']} floors; "
            f"gap {f['moons, simple / gap, nats']} against {f['moons, vlb / gap, nats']} nats"
        ),
        "diffuse train --loss simple --prediction eps --levels discrete; diffuse train --loss vlb --prediction eps",
    ),
    Claim(
        "stable_training",
        "Training is very stable.",
        ("Theory",),
        "*holds*: none of 20 runs of 8,000 steps with other seeds diverges, and the largest NLL gap is at most twice "
        "the median; *in part*: none diverges.",
        seeds,
        judge_seeds,
        lambda f: (
            f"{f['all runs / diverged']} of {f['all runs / number']} diverged; gap {f['gap, nats / least']} to "
            f"{f['gap, nats / largest']} nats, standard deviation {f['gap, nats / standard deviation']}"
        ),
        "diffuse train --dataset eight_gaussians --seed 1 && diffuse likelihood",
    ),
    Claim(
        "longer_is_better",
        "The quality of the result depends on the number of training epochs.",
        ("Made easy",),
        "*holds*: four times as many steps lower the NLL gap by more than two standard errors over seeds, twice, on "
        "two sets; *in part*: in some of these four comparisons.",
        lengths,
        judge_lengths,
        lambda f: (
            "moons: " + ", ".join(str(f[f"moons, {name} / gap, nats"]) for name in ("1/16", "1/4", "whole")) + " nats"
        ),
        "diffuse train --steps 2000",
    ),
    Claim(
        "three_sets",
        "A chain of 100 steps and a small network reproduce a roll, moons and an S-curve.",
        ("Made easy",),
        "*holds*: with the settings of the article samples are, on its three sets, as near to the truth (sliced W2) as "
        "perfect models may be; *in part*: they are with the linear schedule, which ends in noise.",
        easy,
        judge_easy,
        lambda f: "; ".join(
            f"{name}: {f[f'{name} / as published']} floors, linear {f[f'{name} / linear']}" for name in EASY_SETS
        ),
        "diffuse train --config made_easy && diffuse evaluate",
    ),
]

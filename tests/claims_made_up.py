"""Made-up figures for the rule of each claim, on both sides of it: name -> [(figures, verdict), …]."""

from itertools import product

from benchmarks.claims.claim import FAILS, HOLDS, PARTLY, UNKNOWN, Figure
from benchmarks.estimators import EVERY, MERGED

TWO, THREE = ("moons", "eight_gaussians"), ("moons", "eight_gaussians", "checkerboard")


def made(rows, columns):
    """The same figures (value, or value and error) in each row: {"row / column": Figure}."""
    figures = {}
    for row, (name, value) in product(rows, columns.items()):
        figures[f"{row} / {name}"] = Figure(*value) if isinstance(value, tuple) else Figure(value)
    return figures


def of_sets(column, kinds, sets=TWO):
    """Figures of one column for rows "set, kind", the same for every set."""
    return {
        key: each
        for kind, value in kinds.items()
        for key, each in made([f"{s}, {kind}" for s in sets], {column: value}).items()
    }


def mixed(one, other):
    """Figures of moons from one, and of all other sets from the other."""
    return other | {key: each for key, each in one.items() if key.startswith("moons")}


LINEAR, COSINE, EASY = "linear, T = 1000", "cosine, T = 1000", "Made easy, T = 100"
NEAR, OFF = (0.001, 0.001), (0.009, 0.001)
GAP, SW2 = "gap, nats", "sliced W2, floors"
FLOORS = {"limit": 1.5}
RISE, WIDE, FALL = "least rise of h(x_t)", "least rise of h, three times as wide", "least fall of I(x_0; x_t)"
FORWARD = {
    "terminal_normal": [
        (made(["moons"], {LINEAR: NEAR, COSINE: NEAR}), HOLDS),
        (made(["moons"], {LINEAR: OFF, COSINE: NEAR}), PARTLY),
        (made(["moons"], {LINEAR: OFF, COSINE: OFF}), FAILS),
    ],
    "hundred_steps_to_noise": [
        (made(TWO, {EASY: NEAR}), HOLDS),
        (mixed(made(TWO, {EASY: NEAR}), made(TWO, {EASY: OFF})), PARTLY),
        (made(TWO, {EASY: OFF}), FAILS),
    ],
    "closed_form": [
        (made(["a"], {"in floors": 1.4} | FLOORS), HOLDS),
        (made(["a"], {"in floors": 1.6} | FLOORS), FAILS),
    ],
    "entropy_rises": [
        (made(TWO, {RISE: 0.1, WIDE: 0.1}), HOLDS),
        (made(TWO, {RISE: -1e-6, WIDE: -0.1}), PARTLY),
        (made(TWO, {RISE: -0.1, WIDE: 0.1}), FAILS),
    ],
    "information_is_lost": [
        (made(THREE, {FALL: 1e-4}), HOLDS),
        (made(THREE, {FALL: 1e-4}) | made(["moons"], {FALL: -0.1}), PARTLY),
        (made(THREE, {FALL: -0.1}), FAILS),
    ],
    "certainty_returns": [
        (made(TWO, {"t = 1": 1, "t = 0.75": 0.8, "t = 0.5": 0.4, "t = 0.25": 0.05}), HOLDS),
        (made(TWO, {"t = 1": 1, "t = 0.75": 0.8, "t = 0.5": 0.4, "t = 0.25": 0.2}), PARTLY),
        (made(TWO, {"t = 1": 1, "t = 0.75": 0.8, "t = 0.5": 0.9, "t = 0.25": 0.05}), FAILS),
    ],
    "not_perfectly_reversed": [
        (made(["a"], {"law, in floors": 2, "point open, %": 100} | FLOORS), HOLDS),
        (made(["a"], {"law, in floors": 1, "point open, %": 99.9} | FLOORS), PARTLY),
        (made(["a"], {"law, in floors": 1, "point open, %": 90} | FLOORS), FAILS),
    ],
    "cosine_is_smoother": [
        (made(["alpha-bar", "useless levels, moons", "DDIM in 10, moons"], {"linear": 2, "cosine": 1}), HOLDS),
        (
            made(["alpha-bar", "useless levels, moons"], {"linear": 2, "cosine": 1})
            | made(["DDIM in 10, moons"], {"linear": 1, "cosine": 2}),
            PARTLY,
        ),
        (made(["alpha-bar", "useless levels, moons"], {"linear": 1, "cosine": 2}), FAILS),
    ],
}
EPS = {"eps": (1, 0.1), "x0": (2, 0.1), "v": (0.9, 0.1)}
CHAIN = {"eps, the same chain": (1, 0.1)}
TRAINING = {
    "merged_noises": [
        (
            made([EVERY], {"variance": (2, 0.01), "ms of 4,096": 1})
            | made([MERGED], {"variance": (1, 0.01), "ms of 4,096": 1}),
            HOLDS,
        ),
        (
            made([EVERY], {"variance": (1, 0.01), "ms of 4,096": 2})
            | made([MERGED], {"variance": (1, 0.01), "ms of 4,096": 1}),
            PARTLY,
        ),
        (
            made([EVERY], {"variance": (1, 0.01), "ms of 4,096": 1})
            | made([MERGED], {"variance": (1, 0.01), "ms of 4,096": 1}),
            FAILS,
        ),
    ],
    "predict_the_noise": [
        (of_sets(GAP, EPS), HOLDS),
        (of_sets(GAP, EPS | {"v": (0.1, 0.1)}), PARTLY),
        (of_sets(GAP, {"eps": (3, 0.1), "x0": (2, 0.1), "v": (1, 0.1)}), FAILS),
    ],
    "naive_regression": [
        (of_sets(GAP, CHAIN | {"x_(t-1), naive": (1.1, 0.1)}), HOLDS),
        (
            mixed(
                of_sets(GAP, CHAIN | {"x_(t-1), naive": (1.1, 0.1)}), of_sets(GAP, CHAIN | {"x_(t-1), naive": (9, 0.1)})
            ),
            PARTLY,
        ),
        (of_sets(GAP, CHAIN | {"x_(t-1), naive": float("inf")}), FAILS),
    ],
    "simple_loss": [
        (of_sets(SW2, {"simple": (1, 0.1), "vlb": (2, 0.1)}), HOLDS),
        (
            mixed(
                of_sets(SW2, {"simple": (1, 0.1), "vlb": (2, 0.1)}), of_sets(SW2, {"simple": (1, 0.1), "vlb": (1, 0.1)})
            ),
            PARTLY,
        ),
        (of_sets(SW2, {"simple": (1, 0.1), "vlb": (1.1, 0.1)}), FAILS),
    ],
    "stable_training": [
        (made(["all runs"], {"diverged": 0}) | made([GAP], {"largest": 1.9, "median": 1}), HOLDS),
        (made(["all runs"], {"diverged": 0}) | made([GAP], {"largest": 2.1, "median": 1}), PARTLY),
        (made(["all runs"], {"diverged": 1}) | made([GAP], {"largest": 1, "median": 1}), FAILS),
    ],
    "longer_is_better": [
        (of_sets(GAP, {"1/16": (3, 0.1), "1/4": (2, 0.1), "whole": (1, 0.1)}), HOLDS),
        (of_sets(GAP, {"1/16": (3, 0.1), "1/4": (2, 0.1), "whole": (2, 0.1)}), PARTLY),
        (of_sets(GAP, {"1/16": (1, 0.1), "1/4": (1, 0.1), "whole": (1, 0.1)}), FAILS),
    ],
    "three_sets": [
        (made(["a"], {"as published": 1, "linear": 9} | FLOORS), HOLDS),
        (made(["a"], {"as published": 9, "linear": 1} | FLOORS), PARTLY),
        (made(["a"], {"as published": 9, "linear": 9} | FLOORS), FAILS),
    ],
    "learned_schedule": [
        (of_sets("bound, small", {"learned": (1, 0.1), "cosine": (2, 0.1), "linear": (3, 0.1)}), HOLDS),
        (of_sets("bound, small", {"learned": (2, 0.1), "cosine": (2, 0.1), "linear": (3, 0.1)}), PARTLY),
        (of_sets("bound, small", {"learned": (3, 0.1), "cosine": (2, 0.1), "linear": (3, 0.1)}), FAILS),
    ],
    "told_the_time": [
        (of_sets(GAP, {"told": (1, 0.1), "not told": (2, 0.1)}, THREE), HOLDS),
        (
            mixed(
                of_sets(GAP, {"told": (1, 0.1), "not told": (2, 0.1)}, THREE),
                of_sets(GAP, {"told": 1, "not told": 1}, THREE),
            ),
            PARTLY,
        ),
        (of_sets(GAP, {"told": (1, 0.1), "not told": (1.1, 0.1)}, THREE), FAILS),
    ],
    "noise_level_not_needed": [
        (of_sets(SW2, {"not told": 1.4, "limit": 1.5}, THREE), HOLDS),
        (of_sets(SW2, {"not told": 2.9, "limit": 1.5}, THREE), PARTLY),
        (of_sets(SW2, {"not told": 3.1, "limit": 1.5}, THREE), FAILS),
    ],
}


def variances(learned):
    """Bounds with a fixed variance of 1 and 2, and with a learned one."""
    fixed = made([f"{name}, mean only" for name in TWO], {"small": (2, 0.1), "large": (1, 0.1)})
    return fixed | made([f"{name}, mean and variance" for name in TWO], {"learned": (learned, 0.1)})


TRAINING["learned_variance"] = [
    (variances(0.5), HOLDS),
    (mixed(variances(0.5), variances(0.9)), PARTLY),
    (variances(0.9), FAILS),
]


def chains(ddim, ddpm):
    """DDIM in 50 steps, and DDPM in 50, 100 and 250."""
    steps = {f"DDPM in {steps}": ddpm for steps in (10, 50, 100, 250)}
    return made(["moons, exact"], {"DDIM in 50": ddim, "DDPM in 1000": 1} | steps | FLOORS)


def solvers(*others):
    """The gaps of three solvers beside that of ddim, 1, for all budgets."""
    names = ("dpm_2", "dpm_3", "dpmpp_2m")
    budgets = [f"{evals} evaluations" for evals in (10, 20, 50)]
    figures = made([f"{name}, ddim" for name in THREE], dict.fromkeys(budgets, 1))
    for name, value in zip(names, others, strict=True):
        figures |= made([f"{each}, {name}" for each in THREE], dict.fromkeys(budgets, value))
    return figures


def modes(flow, random, chi2=1):
    """The least shares by the flow and by DDPM, and the largest chi² by the flow beside 2 of the truth."""
    sets = ("eight_gaussians", "grid_gaussians")
    share, most = "least share, % of what is due", "largest chi²"
    rows = {"flow": {share: flow, most: chi2}, "DDPM": {share: random}, "truth": {most: 2}}
    return {k: v for way, columns in rows.items() for k, v in made([f"{s}, {way}" for s in sets], columns).items()}


TIMES = "times one evaluation"
ODE, BOUND = "log p by the ODE", "the bound, T = 1000"
SAMPLING = {
    "ddim_in_few_steps": [(chains(1, 2), HOLDS), (chains(1, 1), PARTLY), (chains(2, 2), FAILS)],
    "variance_beta": [
        (made(["a"], {"in 1000": 1, "in 100": 1} | FLOORS), HOLDS),
        (made(["a"], {"in 1000": 1, "in 100": 2} | FLOORS), PARTLY),
        (made(["a"], {"in 1000": 2, "in 100": 1} | FLOORS), FAILS),
    ],
    "high_order_solvers": [
        (solvers(0.5, 0.5, 0.5), HOLDS),
        (solvers(0.5, 0.5, 2), PARTLY),
        (solvers(2, 2, 0.5), FAILS),
    ],
    "flow_and_sde_agree": [
        (made(["a"], {"flow (ode)": 1, "SDE": 1} | FLOORS), HOLDS),
        (made(["a"], {"flow (ode)": 1, "SDE": 2} | FLOORS), PARTLY),
        (made(["a"], {"flow (ode)": 2, "SDE": 2} | FLOORS), FAILS),
    ],
    "langevin_samples": [
        (made(TWO, {"Langevin": 1} | FLOORS), HOLDS),
        (mixed(made(TWO, {"Langevin": 1} | FLOORS), made(TWO, {"Langevin": 2} | FLOORS)), PARTLY),
        (made(TWO, {"Langevin": 2} | FLOORS), FAILS),
    ],
    "all_modes": [(modes(90, 90), HOLDS), (modes(90, 90, chi2=3), PARTLY), (modes(40, 90), FAILS)],
    "diverse_by_randomness": [(modes(40, 90), HOLDS), (modes(90, 90), PARTLY), (modes(90, 40), FAILS)],
    "sampling_is_slow": [
        (made(["default, 50"], {TIMES: 50}), HOLDS),
        (made(["default, 50"], {TIMES: 5}), PARTLY),
        (made(["default, 50"], {TIMES: 1}), FAILS),
    ],
    "one_step_by_consistency": [
        (made(TWO, {"consistency in 1": 1, "DDIM, exact, in 10": 3} | FLOORS), HOLDS),
        (made(TWO, {"consistency in 1": 2, "DDIM, exact, in 10": 3} | FLOORS), PARTLY),
        (made(TWO, {"consistency in 1": 4, "DDIM, exact, in 10": 3} | FLOORS), FAILS),
    ],
    "likelihood_is_cheap": [
        (made([ODE], {TIMES: 9}) | made([BOUND], {TIMES: 900}), HOLDS),
        (made([ODE], {TIMES: 90}) | made([BOUND], {TIMES: 9}), PARTLY),
        (made([ODE], {TIMES: 90}) | made([BOUND], {TIMES: 90}), FAILS),
    ],
    "likelihood_is_dear": [
        (made([ODE], {TIMES: 200}), HOLDS),
        (made([ODE], {TIMES: 20}), PARTLY),
        (made([ODE], {TIMES: 2}), FAILS),
    ],
    "likelihood_is_exact": [
        (made(["a"], {"rms error of log p, nats": 0.001, "mean error, nats": -0.001, "integral of p": 1.001}), HOLDS),
        (made(["a"], {"rms error of log p, nats": 0.1, "mean error, nats": -0.001, "integral of p": 1.001}), PARTLY),
        (made(["a"], {"rms error of log p, nats": 0.1, "mean error, nats": -0.1, "integral of p": 1.001}), FAILS),
    ],
    "bound_is_above": [
        (made(["a"], {"above, T = 10": (1, 0.1), "above, T = 1000": (-0.001, 0.01)}), HOLDS),
        (made(["a"], {"above, T = 10": (-1, 0.1), "above, T = 1000": (0.01, 0.01)}), PARTLY),
        (made(["a"], {"above, T = 10": (-1, 0.1), "above, T = 1000": (1, 0.01)}), FAILS),
    ],
    "noise_is_score": [(made(["a"], {"error": 1e-6}), HOLDS), (made(["a"], {"error": 0.1}), FAILS)],
}


def products(changed, weighted):
    """Whether the three ways that change a denoiser differ from the product, and whether weighted particles do."""
    ways = {f"{way} differs": changed for way in ("reconstruct", "clean", "smoothed")}
    return made(["a", "b"], ways | {"twisted differs": weighted})


def posteriors(methods, particles):
    """KL of methods and of weighted particles, beside 0.01 ± 0.01 of exact draws."""
    figures = {}
    for name in ("moons, x", "eight_gaussians, x + y"):
        for method in ("replacement", "repaint", "dps", "pigdm", "mmps", "tds"):
            kl = particles if method == "tds" else methods
            figures |= made([f"{name}, {method}"], {"KL, nats": kl, "KL of exact draws": (0.01, 0.01), "differs": 0})
    return figures


DIFFER = ("differ, exact", "differ, trained")
ADVANTAGES = {
    "any_structure": [({}, UNKNOWN)],
    "exact_sampling": [
        (made(["a"], dict(zip(DIFFER, (0, 0), strict=True))), HOLDS),
        (made(["a"], dict(zip(DIFFER, (0, 1), strict=True))), PARTLY),
        (made(["a"], dict(zip(DIFFER, (1, 0), strict=True))), FAILS),
    ],
    "easy_products": [(products(0, 1), HOLDS), (products(1, 0), PARTLY), (products(1, 1), FAILS)],
    "inverse_problems": [(posteriors(0.04, 1), HOLDS), (posteriors(1, 0.04), PARTLY), (posteriors(1, 1), FAILS)],
    "easy_conditions": [
        (made(TWO, {"gap, told the label": 1.9, "gap, without labels": 1}), HOLDS),
        (
            mixed(
                made(TWO, {"gap, told the label": 1.9, "gap, without labels": 1}),
                made(TWO, {"gap, told the label": 2.1, "gap, without labels": 1}),
            ),
            PARTLY,
        ),
        (made(TWO, {"gap, told the label": 2.1, "gap, without labels": 1}), FAILS),
    ],
    "cola": [
        (made(["cola"], {"nothing foreign, %": 99.5}), HOLDS),
        (made(["cola"], {"nothing foreign, %": 95}), PARTLY),
        (made(["cola"], {"nothing foreign, %": 80}), FAILS),
    ],
}


def of_families(column, diffusion, rival, sets=("eight_gaussians", "checkerboard", "moons"), family="gan"):
    """One column of the table of families, for diffusion and a rival."""
    return of_sets(column, {"diffusion": diffusion, family: rival}, sets)


def spreads(diffusion, rival):
    """The largest distances, beside medians of 1."""
    return of_families("largest sW2", diffusion, rival) | of_families("sW2, floors", 1, 1)


def three(column, family):
    """Claims that hold where diffusion is lower, in part where it is so on one set."""
    lower, higher = (of_families(column, 1, each, family=family) for each in (2, 0.5))
    return [(lower, HOLDS), (mixed(lower, higher), PARTLY), (higher, FAILS)]


OTHERS = {
    "gan_loses_modes": [
        (of_families("fewest modes", 8, 7), HOLDS),
        (of_families("fewest modes", 8, 8), PARTLY),
        (of_families("fewest modes", 7, 6), FAILS),
    ],
    "gan_is_less_stable": [
        (spreads(1.1, 2), HOLDS),
        (mixed(spreads(1.1, 2), spreads(2, 1.1)), PARTLY),
        (spreads(2, 1.1), FAILS),
    ],
    "better_than_gan": three("sW2, floors", "gan"),
    "better_than_vae": three("sW2, floors", "vae"),
    "likelihood_dearer_than_vae": [
        (of_families("log p, s", 1, value, family="vae"), verdict)
        for value, verdict in ((0.01, HOLDS), (0.5, PARTLY), (2, FAILS))
    ],
    "slower_than_gan": [
        (of_families("sample, s", 1, value), verdict) for value, verdict in ((0.01, HOLDS), (0.5, PARTLY), (2, FAILS))
    ],
    "dearer_than_others": [
        (of_families("sample, s", 2, 1), HOLDS),
        (mixed(of_families("sample, s", 2, 1), of_families("sample, s", 1, 2)), PARTLY),
        (of_families("sample, s", 1, 2), FAILS),
    ],
    "latent_is_cheaper": [
        (made(["plain"], {"train, s": 4, "sample, s": 4}) | made(["latent"], {"train, s": 1, "sample, s": 1}), HOLDS),
        (made(["plain"], {"train, s": 4, "sample, s": 4}) | made(["latent"], {"train, s": 5, "sample, s": 1}), PARTLY),
        (made(["plain"], {"train, s": 4, "sample, s": 4}) | made(["latent"], {"train, s": 5, "sample, s": 3}), FAILS),
    ],
    "noise_is_a_latent_space": [
        (made(TWO, {"KL of the latents": 0.001, "KL of x_T": 0.001}), HOLDS),
        (made(TWO, {"KL of the latents": 0.1, "KL of x_T": 0.001}), PARTLY),
        (made(TWO, {"KL of the latents": 0.1, "KL of x_T": 0.1}), FAILS),
    ],
}
MADE_UP = FORWARD | TRAINING | SAMPLING | ADVANTAGES | OTHERS

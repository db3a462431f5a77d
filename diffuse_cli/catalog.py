"""Everything that a user can choose, by name, and the grammar of a choice.

A choice is `name` or `name:key=value,key=value`, the same in flags, TOML and sweeps: `ddim:eta=0.5`, `moons:noise=0.1`.
The key of the main option may be left out: `file:points.csv`, `ddim:0.5`. `-` and `_` are the same in a name.
A value that holds a comma, or `=` where its key is left out, stands in double quotes: `file:"a, b.csv",delimiter=","`.
A name with a dot in it is the user's own code: `mypackage.mymodule:my_sampler`, with options after another colon.

The tables below hold text only. The module of a factory is imported when the choice is built, so the command line can
complete, list and check names without importing jax. A factory takes its context by position (a schedule takes the
number of timesteps) and the user's options by keyword only, with annotations that give their types and bounds.
"""

import functools
import importlib
import inspect
import math
import re
import sys
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from diffuse_cli.errors import UsageError, unknown


class Entry(NamedTuple):
    """The factory of a choice (`module:function`), a summary in one line, and the main option, if it has one."""

    factory: str
    summary: str
    main: str | None = None


_SHAPES, _CURVES = "diffuse_cli.datasets.sklearn_shapes", "diffuse_cli.datasets.plane_curves"
_GAUSSIANS = "diffuse_cli.datasets.gaussians"
_SCHEDULES = "diffuse_cli.diffusion.schedules"
_SCALINGS, _LEVELS = "diffuse_cli.diffusion.scalings", "diffuse_cli.diffusion.training_levels"
_SAMPLERS, _GRIDS = "diffuse_cli.samplers", "diffuse_cli.samplers.grids"
_RUNGE_KUTTA, _DPM_SOLVER = f"{_SAMPLERS}.runge_kutta", f"{_SAMPLERS}.dpm_solver"
_MULTISTEP, _LANGEVIN = f"{_SAMPLERS}.multistep", f"{_SAMPLERS}.langevin"
_METRICS, _FACTORS = "diffuse_cli.metrics", "diffuse_cli.guidance.factors"
_GUIDANCE, _FREE = "diffuse_cli.guidance", "diffuse_cli.guidance.classifier_free"
_MAPS, _INVERSE = "diffuse_cli.diffusion.map_losses", "diffuse_cli.inverse"
_FAMILIES = "diffuse_cli.families"
_PREDICTIONS, _LOSSES = "diffuse_cli.diffusion.parameterizations", "diffuse_cli.diffusion.losses"

CATALOG: dict[str, dict[str, Entry]] = {
    "dataset": {
        "moons": Entry(f"{_SHAPES}:moons", "two interleaved half circles", "noise"),
        "swiss_roll": Entry(f"{_SHAPES}:swiss_roll", "a rolled-up strip seen from its side; dim=3 for the whole roll"),
        "s_curve": Entry(f"{_SHAPES}:s_curve", "a strip bent like an S seen from its side; dim=3 for the whole"),
        "circles": Entry(f"{_SHAPES}:circles", "a circle inside a circle"),
        "rings": Entry(f"{_CURVES}:rings", "four circles about one centre"),
        "two_spirals": Entry("diffuse_cli.datasets.two_spirals:two_spirals", "two spirals, one inside the other"),
        "pinwheel": Entry("diffuse_cli.datasets.pinwheel:pinwheel", "five bent blades"),
        "checkerboard": Entry("diffuse_cli.datasets.checkerboard:checkerboard", "the dark squares of a checkerboard"),
        "eight_gaussians": Entry(f"{_GAUSSIANS}:eight_gaussians", "eight Gaussians on a circle"),
        "grid_gaussians": Entry(f"{_GAUSSIANS}:grid_gaussians", "25 Gaussians on a square grid; dim=8 repeats it"),
        "overlap": Entry(f"{_GAUSSIANS}:overlap", "six Gaussians along a zigzag, two classes that overlap"),
        "tree": Entry("diffuse_cli.datasets.tree:tree", "a fractal tree, its left and right halves two classes"),
        "shapes": Entry(
            "diffuse_cli.datasets.shapes:shapes", "other sets side by side: shapes:moons+swiss_roll+heart", "sets"
        ),
        "text": Entry("diffuse_cli.datasets.text:text", "letters, filled with points: text:HELLO", "letters"),
        "line": Entry(f"{_CURVES}:line", "a straight segment"),
        "sine": Entry(f"{_CURVES}:sine", "a sine wave"),
        "lissajous": Entry(f"{_CURVES}:lissajous", "a Lissajous figure"),
        "rose": Entry(f"{_CURVES}:rose", "a rose with any number of petals", "petals"),
        "heart": Entry(f"{_CURVES}:heart", "a heart"),
        "trefoil": Entry(f"{_CURVES}:trefoil", "the shadow of a trefoil knot"),
        "drinks": Entry("diffuse_cli.datasets.drinks:drinks", "cola, sprite and fanta: amounts of 14 ingredients"),
        "curves": Entry(
            "diffuse_cli.datasets.random_curves:curves", "whole random curves, each one a vector of 64 values"
        ),
        "bimodal": Entry(f"{_GAUSSIANS}:bimodal", "two Gaussians on a line"),
        "image": Entry(
            "diffuse_cli.datasets.image:image", "the dark of a picture as a density: image:photo.png", "path"
        ),
        "two_moons": Entry(
            "diffuse_cli.datasets.two_moons:two_moons",
            "parameters given a simulation; their posterior is two crescents",
        ),
        "scenes": Entry("diffuse_cli.datasets.scenes:scenes", "shapes at places, with words for each", "noise"),
        "file": Entry(
            "diffuse_cli.datasets.files.points:file", "your own points: file:points.csv, .npy, .npz, .xlsx, …", "path"
        ),
    },
    "family": {
        "diffusion": Entry(f"{_FAMILIES}.base:diffusion", "a denoiser at all noise levels, the subject of all else"),
        "vae": Entry(f"{_FAMILIES}.vae:vae", "a Gaussian variational autoencoder (Kingma & Welling 2014)", "latent"),
        "gan": Entry(f"{_FAMILIES}.gan:gan", "a generative adversarial network (Goodfellow et al. 2014)", "loss"),
        "realnvp": Entry(f"{_FAMILIES}.flow:realnvp", "a flow of affine coupling layers (Dinh et al. 2017)", "layers"),
        "flow": Entry(f"{_FAMILIES}.flow:flow", "a flow of spline coupling layers (Durkan et al. 2019)", "layers"),
        "autoregressive": Entry(
            f"{_FAMILIES}.autoregressive:autoregressive", "each column given those before it (Germain et al. 2015)"
        ),
        "gmm": Entry(f"{_FAMILIES}.gmm:gmm", "a mixture of Gaussians, by expectation maximisation", "components"),
        "kde": Entry(f"{_FAMILIES}.kde:kde", "a Gaussian kernel at each training point", "bandwidth"),
    },
    "autoencoder": {
        "vae": Entry(f"{_FAMILIES}.vae:autoencoder", "a Gaussian VAE, trained before the diffusion", "beta"),
        "run": Entry(f"{_FAMILIES}.vae:trained", "that of a run of --family vae, or of a latent run", "name"),
    },
    "schedule": {
        "linear": Entry(f"{_SCHEDULES}:linear", "beta grows linearly (Ho et al. 2020)"),
        "quadratic": Entry(f"{_SCHEDULES}:quadratic_betas", "the square root of beta grows linearly"),
        "cosine": Entry(f"{_SCHEDULES}:cosine", "alpha_bar falls as a squared cosine (Nichol & Dhariwal 2021)", "s"),
        "sigmoid": Entry(f"{_SCHEDULES}:sigmoid", "beta rises along a sigmoid"),
        "tanh": Entry(f"{_SCHEDULES}:tanh", "beta rises along a hyperbolic tangent"),
        "constant": Entry(f"{_SCHEDULES}:constant", "the same beta at every step", "beta"),
        "table": Entry(f"{_SCHEDULES}:table", "your own betas: table:path=betas.csv", "betas"),
        "sub_vp": Entry(f"{_SCHEDULES}:sub_vp", "linear, with less noise: sigma = 1 - alpha_bar (Song et al. 2021)"),
        "edm": Entry(f"{_SCHEDULES}:edm", "sigma^(1/7) grows linearly, variance exploding (Karras et al. 2022)"),
        "log_linear": Entry(
            f"{_SCHEDULES}:log_linear", "log sigma grows linearly, variance exploding (Song et al. 2021)"
        ),
        "flow": Entry(f"{_SCHEDULES}:flow", "the straight path from data to noise (Lipman et al. 2023)"),
        "learned": Entry(f"{_SCHEDULES}:learned", "found in training, by the bound: --loss vlb (Kingma et al. 2021)"),
    },
    "scaling": {
        "variance_preserving": Entry(f"{_SCALINGS}:preserving", "alpha^2 + sigma^2 = 1 (Ho et al. 2020)"),
        "variance_exploding": Entry(f"{_SCALINGS}:exploding", "alpha = 1 (Song & Ermon 2019; Karras et al. 2022)"),
        "straight_flow": Entry(f"{_SCALINGS}:straight", "alpha + sigma = 1 (Lipman et al. 2023)"),
        "sub_variance_preserving": Entry(f"{_SCALINGS}:sub_preserving", "sigma = 1 - alpha^2 (Song et al. 2021)"),
    },
    "prediction": {
        "eps": Entry(f"{_PREDICTIONS}:eps", "the noise (Ho et al. 2020)"),
        "x0": Entry(f"{_PREDICTIONS}:x0", "the clean sample"),
        "v": Entry(f"{_PREDICTIONS}:v", "v = alpha eps - sigma x0 (Salimans & Ho 2022)"),
        "score": Entry(f"{_PREDICTIONS}:score", "the score, -eps / sigma (Song & Ermon 2019)"),
        "velocity": Entry(f"{_PREDICTIONS}:velocity", "eps - x0, of the straight path (Lipman et al. 2023)"),
        "edm": Entry(
            f"{_PREDICTIONS}:preconditioned", "the preconditioned network of EDM (Karras et al. 2022)", "sigma_data"
        ),
        "previous": Entry(
            f"{_PREDICTIONS}:previous_sample", "x_(t-1), one step of the chain before: the naive regression"
        ),
    },
    "loss": {
        "simple": Entry(
            f"{_LOSSES}:simple", "mean squared error of what the network predicts, the same weight at every t"
        ),
        "dsm": Entry(f"{_LOSSES}:dsm", "denoising score matching, in the weightings of the literature", "weighting"),
        "vlb": Entry(f"{_LOSSES}:vlb", "the variational bound in nats, fixed variance (Ho et al. 2020)", "variance"),
        "kl": Entry(f"{_LOSSES}:kl", "the bound with mean and variance learned (Sohl-Dickstein et al. 2015)"),
        "hybrid": Entry(f"{_LOSSES}:hybrid", "simple, and a little of kl (Nichol & Dhariwal 2021)", "weight"),
        "previous": Entry(f"{_LOSSES}:previous_sample_loss", "x_(t-1) regressed on the chain's own noises", "noises"),
        "flow": Entry(f"{_LOSSES}:flow_matching", "flow matching (Lipman et al. 2023; Tong et al. 2024)", "pairing"),
        "lsd": Entry(f"{_MAPS}:lsd", "a flow map that moves as its own velocity says (Boffi et al. 2025)"),
        "meanflow": Entry(f"{_MAPS}:meanflow", "a flow map by its derivative along the data (Geng et al. 2025)", "p"),
        "imf": Entry(f"{_MAPS}:imf", "a flow map by its derivative along the predicted velocity (Geng et al. 2025)"),
        "psd": Entry(f"{_MAPS}:psd", "a flow map of which one jump equals two (Frans et al. 2024; Boffi et al. 2025)"),
        "consistency": Entry(
            f"{_MAPS}:consistency", "jumps to clean data, alike from neighbouring noise (Song et al. 2023)"
        ),
        "drift": Entry(
            "diffuse_cli.diffusion.drift:drift", "one jump, whose points drift to the data (Deng et al. 2026)", "tau"
        ),
        "lmd": Entry(f"{_MAPS}:lmd", "lsd with the velocity of a teacher (Boffi et al. 2024)"),
        "reflow": Entry(f"{_MAPS}:reflow", "straight lines between the ends of a teacher's flow (Liu et al. 2023)"),
        "paths": Entry(f"{_MAPS}:paths", "a flow map regressed on paths that a teacher has solved"),
        "progressive": Entry(f"{_MAPS}:progressive", "half as many steps in each stage (Salimans & Ho 2022)", "steps"),
    },
    "levels": {
        "discrete": Entry(f"{_LEVELS}:discrete_levels", "the chain's own times i/T, all alike (Ho et al. 2020)"),
        "continuous": Entry(f"{_LEVELS}:continuous_levels", "any time, all alike"),
        "log_snr": Entry(f"{_LEVELS}:log_snr_levels", "any log-SNR of the schedule's range, all alike"),
        "flow_time": Entry(f"{_LEVELS}:flow_time_levels", "any time of the straight path, more of them near the data"),
        "normal": Entry(f"{_LEVELS}:normal_levels", "log-SNR normal, cut to the schedule's range (Karras et al. 2022)"),
    },
    "sampler": {
        "ddpm": Entry(f"{_SAMPLERS}.ddim:ddpm", "the ancestral chain (Ho et al. 2020)", "variance"),
        "ddim": Entry(f"{_SAMPLERS}.ddim:ddim", "deterministic at eta=0, ancestral at eta=1 (Song et al. 2021)", "eta"),
        "euler": Entry(f"{_RUNGE_KUTTA}:euler", "Euler in sigma, with or without churn (Karras et al. 2022)", "churn"),
        "heun": Entry(f"{_RUNGE_KUTTA}:heun", "Heun in sigma, the sampler of EDM (Karras et al. 2022)", "churn"),
        "midpoint": Entry(f"{_RUNGE_KUTTA}:midpoint", "the midpoint method in sigma, second order", "churn"),
        "rk4": Entry(f"{_RUNGE_KUTTA}:rk4", "the classical Runge-Kutta method in sigma, fourth order", "churn"),
        "dpm_1": Entry(f"{_SAMPLERS}.ddim:dpm_1", "DPM-Solver-1: DDIM on equal steps in log-SNR (Lu et al. 2022)"),
        "dpm_2": Entry(f"{_DPM_SOLVER}:dpm_2", "DPM-Solver-2, two evaluations a step (Lu et al. 2022)"),
        "dpm_3": Entry(f"{_DPM_SOLVER}:dpm_3", "DPM-Solver-3, three evaluations a step (Lu et al. 2022)"),
        "dpmpp_2s": Entry(f"{_DPM_SOLVER}:dpmpp_2s", "DPM-Solver++(2S), two evaluations a step (Lu et al. 2022)"),
        "dpmpp_2m": Entry(
            f"{_MULTISTEP}:dpmpp_2m", "DPM-Solver++(2M), second order at one evaluation (Lu et al. 2022)"
        ),
        "dpmpp_3m": Entry(f"{_MULTISTEP}:dpmpp_3m", "DPM-Solver++(3M), third order at one evaluation (Lu et al. 2022)"),
        "dpmpp_2m_sde": Entry(f"{_MULTISTEP}:dpmpp_2m_sde", "DPM-Solver++(2M) on the reverse SDE (Lu et al. 2022)"),
        "unipc": Entry(
            f"{_MULTISTEP}:unipc", "each step corrected by what the next one sees (Zhao et al. 2023)", "order"
        ),
        "deis": Entry(f"{_MULTISTEP}:deis", "the noise extrapolated in sigma (Zhang & Chen 2023)", "order"),
        "reverse_sde": Entry(f"{_LANGEVIN}:reverse_sde", "the reverse SDE by Euler-Maruyama (Song et al. 2021)"),
        "pc": Entry(f"{_LANGEVIN}:pc", "ancestral steps corrected by Langevin ones (Song et al. 2021)", "snr"),
        "langevin": Entry(
            f"{_LANGEVIN}:langevin",
            "annealed Langevin dynamics, or plain on a fixed grid (Song & Ermon 2019)",
            "step_size",
        ),
        "particles": Entry(
            f"{_SAMPLERS}.particles:particles", "weighted ancestral steps, for guidance with weights", "size"
        ),
        "twisted": Entry(
            f"{_SAMPLERS}.twisted:twisted", "particles led by a factor, with weights (Wu et al. 2023)", "size"
        ),
        "jump": Entry(f"{_SAMPLERS}.jumps:jump", "jumps of a flow map, in as many steps as asked, even one"),
        "renoise": Entry(
            f"{_SAMPLERS}.jumps:renoise", "jumps to clean data, with new noise in between (Song et al. 2023)"
        ),
        "ode": Entry(f"{_SAMPLERS}.adaptive:ode", "the flow by a solver that chooses its steps (Tsit5)", "tolerance"),
    },
    "grid": {
        "uniform": Entry(f"{_GRIDS}:uniform_grid", "equal steps in t"),
        "quadratic": Entry(f"{_GRIDS}:quadratic_grid", "steps that shrink towards the data as t squared"),
        "log_snr": Entry(f"{_GRIDS}:log_snr_grid", "equal steps in log-SNR, longer ones where nothing is left to see"),
        "karras": Entry(f"{_GRIDS}:karras_grid", "equal steps in sigma^(1/rho) (Karras et al. 2022)", "rho"),
        "flow_time": Entry(f"{_GRIDS}:flow_time_grid", "equal steps in sigma / (alpha + sigma), for jumps"),
        "fixed": Entry(f"{_GRIDS}:fixed_grid", "one level all the way, for Langevin dynamics", "log_snr"),
    },
    "factor": {
        "gaussian": Entry(f"{_FACTORS}:gaussian", "a Gaussian in the columns that are given, 1 at its mean"),
        "halfplane": Entry(f"{_FACTORS}:halfplane", "1 on one side of a straight line, else 0"),
        "box": Entry(f"{_FACTORS}:box", "1 between given sides, else 0"),
    },
    "guidance": {
        "cfg": Entry(f"{_FREE}:cfg", "u + w (c - u); w = 1 is conditional (Ho & Salimans 2022, w - 1 there)", "w"),
        "interval": Entry(f"{_FREE}:interval", "cfg where low < sigma / alpha <= high (Kynkäänniemi et al. 2024)", "w"),
        "auto": Entry(f"{_FREE}:auto", "away from a weaker run (Karras et al. 2024)", "run"),
        "classifier": Entry(
            f"{_GUIDANCE}.classifier:classifier", "the gradient of a classifier (Dhariwal & Nichol 2021)", "w"
        ),
        "apg": Entry(f"{_FREE}:apg", "cfg with the part along c left out (Sadat et al. 2024)", "w"),
        "cfgpp": Entry(f"{_FREE}:cfgpp", "guided x0 with unconditional noise (Chung et al. 2024)", "lam"),
        "fkc": Entry(
            f"{_GUIDANCE}.corrected:fkc", "weighted particles that sample p(x|c)^w p(x)^(1-w) (Skreta et al. 2025)", "w"
        ),
    },
    "posterior": {
        "replacement": Entry(
            f"{_INVERSE}.replacing:replacement", "what was measured is overwritten (Song et al. 2021)"
        ),
        "repaint": Entry(
            f"{_INVERSE}.replacing:repaint", "each such step several times (Lugmayr et al. 2022)", "rounds"
        ),
        "dps": Entry(f"{_INVERSE}.descent:dps", "down the distance from what was measured (Chung et al. 2023)", "zeta"),
        "pigdm": Entry(f"{_INVERSE}.gaussian:pigdm", "x0 given x taken for N(D(x), r^2 I) (Song et al. 2023)"),
        "mmps": Entry(f"{_INVERSE}.gaussian:mmps", "the same with the covariance by the Jacobian (Rozet et al. 2024)"),
        "tds": Entry(
            f"{_INVERSE}.gaussian:tds", "these moves for particles with weights (Wu et al. 2023)", "particles"
        ),
    },
    "metric": {
        "w2": Entry(f"{_METRICS}.transport:w2", "2-Wasserstein distance by exact assignment, in blocks of points"),
        "sliced_w2": Entry(f"{_METRICS}.transport:sliced_w2", "W2 along many directions (Rabin et al. 2012)"),
        "sliced_w1": Entry(f"{_METRICS}.transport:sliced_w1", "W1 along many directions"),
        "energy": Entry(f"{_METRICS}.pairwise:energy", "energy distance, unbiased (Székely & Rizzo 2013)"),
        "mmd": Entry(f"{_METRICS}.pairwise:mmd", "squared MMD, Gaussian kernel, unbiased (Gretton et al. 2012)"),
        "precision": Entry(f"{_METRICS}.neighbours:precision", "samples near data (Kynkäänniemi et al. 2019)"),
        "recall": Entry(f"{_METRICS}.neighbours:recall", "data near samples (Kynkäänniemi et al. 2019)"),
        "density": Entry(f"{_METRICS}.neighbours:density", "how thick the data are at samples (Naeem et al. 2020)"),
        "coverage": Entry(f"{_METRICS}.neighbours:coverage", "share of data with a sample near (Naeem et al. 2020)"),
        "c2st": Entry(f"{_METRICS}.classifier:c2st", "accuracy of a classifier, .5 best (Lopez-Paz & Oquab 2017)"),
        "c2st_auc": Entry(f"{_METRICS}.classifier:c2st_auc", "the area under that classifier's ROC curve, .5 best"),
    },
}


_LONG = 60
POINT_FILES = (".csv", ".tsv", ".txt", ".dat", ".tab", ".npy", ".npz", ".xlsx", ".parquet")  # that `file:` reads
IMAGE_FILES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")  # some of those that `image:` reads
_OPTION = re.compile(r"\s*(?P<key>[A-Za-z_][\w-]*)\s*=(?P<value>.*)", re.DOTALL)
_PART = re.compile(r'\s*(?:[A-Za-z_][\w-]*\s*=\s*)?"(?:[^"]|"")*"\s*(?=,|$)|[^,]*')  # up to a comma outside of quotes


# Kinds whose objects depend on their text alone. There is one object for each text, because jit recognises compiled
# code by the function objects in it.
_PURE = {"scaling", "family", "prediction", "loss", "levels", "sampler", "grid", "posterior"}


class Choice(NamedTuple):
    """A choice that has been read: its canonical name, and its options as text. `own` marks a user's own code.

    >>> parse("sampler", "ddim:0.5").options
    {'eta': '0.5'}
    """

    kind: str
    name: str
    options: dict[str, str]
    own: bool = False

    def __str__(self) -> str:
        if not self.options:
            return self.name
        main = None if self.own else CATALOG[self.kind][self.name].main
        return f"{self.name}:" + ",".join(
            f"{key}={_quote_if_needed(value, main=key == main)}" for key, value in self.options.items()
        )


def parse(kind: str, text: str) -> Choice:
    """Read `name:key=value,…`. Checks the name and the grammar; options are checked when the choice is built.

    Raises UsageError for an unknown name (the message has the nearest known one), a repeated key or a missing key.
    """
    name, _, rest = text.strip().partition(":")
    if own := "." in name:
        attribute, _, rest = rest.partition(":")
        ending = f".{name.rpartition('.')[2].lower()}" if kind == "dataset" and not attribute else ""
        if ending in POINT_FILES:
            raise UsageError(f"{kind} {text!r}: points of your own are written file:{text}")
        if ending in IMAGE_FILES:
            raise UsageError(f"{kind} {text!r}: a picture of your own is written image:{text}")
        if not attribute:
            raise UsageError(f"{kind} {text!r}: own code is written module.path:factory, like mypackage.{kind}s:mine")
        name, main = f"{name}:{attribute}", None
    else:
        name = name.strip().replace("-", "_")
        if name not in CATALOG[kind]:
            raise unknown(kind, name, CATALOG[kind])
        main = CATALOG[kind][name].main
    return Choice(kind, name, _read_options(kind, name, rest, main), own)


def short_name(text: str) -> str:
    """The text of a choice for a title or a file name; its name alone if the text is long."""
    return text if len(text) <= _LONG else text.partition(":")[0]


def _read_options(kind: str, name: str, text: str, main: str | None) -> dict[str, str]:
    options: dict[str, str] = {}
    last = main  # text before the first key belongs to the main option
    for part in _parts(text):
        option = _OPTION.fullmatch(part)
        if option is None and main is not None and last == main:  # the main value may hold commas
            options[main] = f"{options[main]},{part}" if main in options else _unquote(part)
            continue
        if option is None or not option["value"].strip():
            raise UsageError(
                f"{kind} {name}: {part.strip()!r} is not key=value (the grammar is {name}:key=value,key=value; a value "
                "with a comma in it stands in double quotes)"
            )
        last = option["key"].replace("-", "_")
        if last in options:
            raise UsageError(f"{kind} {name}: {last} is given twice")
        options[last] = _unquote(option["value"])
    return options


def _parts(text: str) -> Iterator[str]:
    """What stands between the commas outside of quotes."""
    position = 0
    while text:
        part = typing.cast("re.Match[str]", _PART.match(text, position))  # it matches everywhere, if only emptily
        yield part[0]
        if part.end() == len(text):
            return
        position = part.end() + 1


def quote(value: str) -> str:
    """A value in double quotes, in which commas and `=` have no meaning.

    >>> quote("a, b.csv")
    '"a, b.csv"'
    """
    doubled = value.replace('"', '""')
    return f'"{doubled}"'


def _unquote(value: str) -> str:
    value = value.strip()
    return value[1:-1].replace('""', '"') if len(value) > 1 and value[0] == value[-1] == '"' else value


def _quote_if_needed(value: str, *, main: bool) -> str:
    """The value as it stands in a choice; a main one may hold commas, if nothing after them looks like an option."""
    _, *rest = value.split(",")
    needed = any(map(_OPTION.fullmatch, rest)) if main else bool(rest)
    return quote(value) if needed or value != value.strip() or value.startswith('"') else value


def build(kind: str, text: str, *context: Any, trust: bool = True) -> Any:
    """Build the object that `text` names: import the factory, check its options, call it with `context` and them.

    A factory is given as much of the context as it has positional parameters. `trust=False` refuses code outside of
    `diffuse`, so that a checkpoint from another person cannot choose what is imported.
    Raises UsageError for an unknown name or option, for a value of the wrong type or out of bounds, and like the
    factory; DiffuseError where the factory reads a file that it cannot read.

    >>> build("sampler", "ddim").order
    1
    """
    choice = parse(kind, text)
    if choice.own and not trust:
        raise UsageError(
            f"this run names its own code for {kind}, {choice.name!r}; if you trust who made it, add --trust"
        )
    make = factory(choice)
    context = context[: positional(make)]
    if kind in _PURE and not context:
        return _build_once(kind, str(choice))
    return make(*context, **convert_options(choice))


def positional(make: Any) -> int:
    """How many parameters of a factory may be given by position: what it takes of the context."""
    parameters = inspect.signature(make).parameters.values()
    return sum(parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)


@functools.cache
def _build_once(kind: str, text: str) -> Any:
    choice = parse(kind, text)
    return factory(choice)(**convert_options(choice))


def factory(choice: Choice) -> Any:
    """The factory of a choice. Raises UsageError where a user's own module or function does not exist."""
    module, _, attribute = (choice.name if choice.own else CATALOG[choice.kind][choice.name].factory).partition(":")
    if not choice.own:
        return getattr(importlib.import_module(module), attribute)
    if "" not in sys.path:  # own code is in the current folder, where a console script does not search by itself
        sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{choice.kind} {choice.name!r}: {error}") from error


def options_of(make: Any) -> dict[str, inspect.Parameter]:
    """The options of a factory: its keyword-only parameters, with resolved annotations."""
    hints = typing.get_type_hints(make, include_extras=True)
    return {
        name: parameter.replace(annotation=hints.get(name, str))
        for name, parameter in inspect.signature(make).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def convert_options(choice: Choice) -> dict[str, Any]:
    """The options of a choice in the types of its factory. Raises UsageError, which says what would be right."""
    import msgspec

    known = options_of(factory(choice))
    values = {}
    for key, value in choice.options.items():
        if key not in known:
            raise unknown(f"option of {choice.kind} {choice.name}", key, known)
        try:
            values[key] = msgspec.convert(value, known[key].annotation, strict=False)
        except msgspec.ValidationError as error:
            rule = _rule(known[key].annotation, str(error))
            raise UsageError(f"{choice.kind} {choice.name}: {key}={value}: {rule}") from error
        if isinstance(values[key], float) and not math.isfinite(values[key]):
            raise UsageError(f"{choice.kind} {choice.name}: {key}={value} is not a finite number")
    for key, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and key not in values:
            raise UsageError(f"{choice.kind} {choice.name} needs {key}: {choice.name}:{key}=…")
    return values


def _rule(annotation: Any, message: str) -> str:
    """The rule for a value in plain words, in place of a message of msgspec that speaks of Python types."""
    if typing.get_origin(annotation) is typing.Literal:
        return f"choose one of {', '.join(map(str, typing.get_args(annotation)))}"
    for kind, words in (("int", "not a whole number"), ("float", "not a number")):
        if f"Expected `{kind}" in message and "got `str`" in message:
            return words
    return message

"""Claims that compare diffusion with other families, from the runs that benchmarks/families.py has left."""

import statistics
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.claims.claim import UNKNOWN, Claim, Figure, Figures, Size, column, diffuse, graded, over, row
from benchmarks.claims.work import dataset_of, exactly, runs
from benchmarks.families import COLUMNS, RESULTS, SETS, finished
from diffuse_cli.analysis import quality
from diffuse_cli.analysis.latent_quality import latent_quality
from diffuse_cli.analysis.schedule_check import kl_to_prior
from diffuse_cli.models.data import truth_of

RIVALS = ("gan", "vae")
COMMAND = "python benchmarks/families.py && python docs/redraw.py claims "
WAITS = "Needs the runs of `python benchmarks/families.py`, which has not left enough of them."
DISTANCE, LIKELIHOOD, SAMPLING = COLUMNS["sliced_w2"], COLUMNS["log_p"], COLUMNS["sample"]


@cache
def families(size: Size) -> Figures:
    """The medians over seeds of what families.py has measured, with the ends of the distances and the fewest modes.

    size: not used, since nothing is run. Nothing where a family or a set is missing, or has a single seed.
    """
    lines, figures = finished(RESULTS), {}
    for name in SETS:
        for family in dict.fromkeys(("diffusion", *RIVALS, *(line["family"] for line in lines))):
            found = [line for line in lines if (line["family"], line["dataset"]) == (family, name)]
            if len(found) < 2:
                return {}
            here = f"{name}, {family}"
            figures[f"{here} / runs"] = Figure(len(found))
            for field, title in COLUMNS.items():
                values = [line[field] for line in found if line[field] is not None]
                if values:
                    figures[f"{here} / {title}"] = Figure(statistics.median(values))
            figures[f"{here} / largest sW2"] = Figure(max(line["sliced_w2"] for line in found))
            if name == SETS[0]:
                figures[f"{here} / fewest modes"] = Figure(min(line["modes"] for line in found))
    return figures


def judge_collapse(figures: Figures) -> str:
    fewest = column(figures, "fewest modes")
    kept, lost = (fewest[f"{SETS[0]}, {family}"].value for family in ("diffusion", "gan"))
    return graded(kept == 8 and lost < 8, kept == 8)


def judge_stability(figures: Figures) -> str:
    def spread(family: str, name: str) -> float:
        return figures[f"{name}, {family} / largest sW2"].value / figures[f"{name}, {family} / {DISTANCE}"].value

    steadier = [spread("diffusion", name) < spread("gan", name) for name in SETS]
    return graded(all(steadier), any(steadier))


def _nearer(figures: Figures, rival: str) -> list[bool]:
    distance = column(figures, DISTANCE)
    return [distance[f"{name}, diffusion"].value < distance[f"{name}, {rival}"].value for name in SETS]


def judge_quality(figures: Figures) -> str:
    nearer = _nearer(figures, "gan")
    return graded(all(nearer), any(nearer))


def judge_vae(figures: Figures) -> str:
    nearer = _nearer(figures, "vae")
    return graded(all(nearer), any(nearer))


def _dearer(figures: Figures, title: str, rival: str) -> str:
    cost = column(figures, title)
    factors = [cost[f"{name}, diffusion"].value / cost[f"{name}, {rival}"].value for name in SETS]
    return graded(min(factors) > 10, min(factors) > 1)


def judge_likelihood(figures: Figures) -> str:
    return _dearer(figures, LIKELIHOOD, "vae")


def judge_speed(figures: Figures) -> str:
    return _dearer(figures, SAMPLING, "gan")


def judge_expense(figures: Figures) -> str:
    cost = column(figures, SAMPLING)
    dearest = [max(cost, key=lambda each: cost[each].value if each.startswith(name) else -1.0) for name in SETS]
    right = [each.endswith(", diffusion") for each in dearest]
    return graded(all(right), any(right))


def latent_cost(size: Size) -> Figures:
    """Seconds of diffusion on whole curves, and in a latent plane of them; and the distance of the samples."""
    figures = {}
    for kind, words in (("plain", []), ("latent", ["--latent", "2"])):
        found = [_latent_run(words, size, seed) for seed in range(min(2, size.few))]
        figures |= {f"{kind} / {name}": over(each[name] for each in found) for name in found[0]}
    return figures


def _latent_run(words: list[str], size: Size, seed: int) -> dict[str, float]:
    """What the commands say of one run on curves: the second of two draws has nothing to compile."""
    count = str(max(size.samples // 5, 100))
    with tempfile.TemporaryDirectory() as folder:
        outputs, steps = (
            Path(folder),
            ["--steps", str(size.short), "--seed", str(seed), "--no-figures", "--name", "run"],
        )
        train = diffuse(outputs, "train", "--dataset", "curves", *words, *steps)
        draw = ["sample", "--run", "run", "-n", "10000", "--out", f"{folder}/samples.npy"]
        sample = [diffuse(outputs, *draw) for _ in range(2)][1]
        judged = diffuse(outputs, "evaluate", "--run", "run", "-n", count, "--metric", "sliced_w2")["metrics"][
            "sliced_w2"
        ]
    distance = judged["value"] / judged["floor"]
    return {"train, s": train["seconds"], "sample, s": sample["seconds"], "sliced W2, floors": distance}


def judge_latent_cost(figures: Figures) -> str:
    less = [
        figures[f"latent / {each}"].value < figures[f"plain / {each}"].value / 2 for each in ("train, s", "sample, s")
    ]
    return graded(all(less), any(less))


def latent_law(size: Size) -> Figures:
    """KL(q(z) ‖ N(0, I)) of the latents of VAEs, and KL(q(x_T) ‖ N(0, I)) of the default schedule, in nats."""
    figures = {}
    for name in ("moons", "eight_gaussians"):
        dataset, holes = dataset_of(name), []
        for model in runs(name, size, {"family": "vae"}):
            x0 = quality.held_out(model, dataset, size.points, 0)
            holes.append(latent_quality(model, dataset, truth_of(dataset), x0, 0).hole.value)
        figures[f"{name} / KL of the latents"] = over(holes)
        x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), size.points))
        figures[f"{name} / KL of x_T"] = Figure(*kl_to_prior(exactly(name).process, dataset.exact(), x0))
    return figures


def judge_latent_law(figures: Figures) -> str:
    normal = [all(e.value < 0.01 for e in column(figures, f"KL of {what}").values()) for what in ("the latents", "x_T")]
    return graded(all(normal), any(normal))


def told(title: str, *rivals: str):
    """The figure of diffusion and of its rivals on the three sets, for the summary."""
    return lambda figures: "; ".join(
        f"{name}: " + ", ".join(f"{each} {figures[f'{name}, {each} / {title}']}" for each in ("diffusion", *rivals))
        for name in SETS
        if f"{name}, diffusion / {title}" in figures
    )


def claim(name: str, words: str, articles: tuple[str, ...], rule: str, judge, short) -> Claim:
    """A claim that is judged by the runs of families.py."""
    return Claim(name, words, articles, rule, families, judge, short, COMMAND + name, {UNKNOWN: WAITS})


CLAIMS = [
    claim(
        "gan_loses_modes",
        "GANs lose modes of the data (mode collapse), diffusion models do not.",
        ("DDPM", "Theory", "Made easy"),
        "*holds*: in no run on eight_gaussians has diffusion fewer than 8 modes, and in some run the GAN has; *in "
        "part*: neither has fewer.",
        judge_collapse,
        told("fewest modes", "gan"),
    ),
    claim(
        "gan_is_less_stable",
        "GANs are hard to train, diffusion models are not.",
        ("Theory", "Made easy"),
        "*holds*: on three sets the largest sliced W2 over seeds is a smaller multiple of the median with diffusion "
        "than with a GAN; *in part*: on some.",
        judge_stability,
        told("largest sW2", "gan"),
    ),
    claim(
        "better_than_gan",
        "Samples are as good as those of GANs, or better.",
        ("Theory", "Made easy"),
        "*holds*: for the same seconds of training, the median sliced W2 of diffusion is below that of the GAN on "
        "three sets; *in part*: on some.",
        judge_quality,
        told(DISTANCE, "gan"),
    ),
    claim(
        "better_than_vae",
        "The output of VAEs is not the best possible.",
        ("Made easy",),
        "*holds*: for the same seconds of training, the median sliced W2 of diffusion is below that of the VAE on "
        "three sets; *in part*: on some.",
        judge_vae,
        told(DISTANCE, "vae"),
    ),
    claim(
        "likelihood_dearer_than_vae",
        "The likelihood of a diffusion model costs more than that of a VAE.",
        ("Theory",),
        "*holds*: log p of 1,000 points takes more than 10 times as long as with the VAE (by quadrature), on three "
        "sets; *in part*: longer.",
        judge_likelihood,
        told(LIKELIHOOD, "vae"),
    ),
    claim(
        "slower_than_gan",
        "Sampling is much slower than with GANs.",
        ("Theory",),
        "*holds*: 10,000 samples in the default 50 steps take more than 10 times as long as with the GAN, on three "
        "sets; *in part*: longer.",
        judge_speed,
        told(SAMPLING, "gan"),
    ),
    claim(
        "dearer_than_others",
        "Diffusion models need more computation than other networks.",
        ("Theory", "Made easy"),
        "*holds*: of all families diffusion takes longest for 10,000 samples, on three sets; *in part*: on some.",
        judge_expense,
        told(SAMPLING, "gan", "vae"),
    ),
    Claim(
        "latent_is_cheaper",
        "Diffusion in the latent space of a VAE lowers the cost of computation greatly.",
        ("Theory",),
        "*holds*: for `curves`, as many steps of training (with the autoencoder) and 10,000 samples both take less "
        "than half as long with `--latent 2` as without; *in part*: one of the two.",
        latent_cost,
        judge_latent_cost,
        lambda f: "; ".join(
            f"{name}: {row(f, 'latent')[name]} against {row(f, 'plain')[name]}" for name in row(f, "latent")
        ),
        "diffuse train --latent 2 --dataset curves",
    ),
    Claim(
        "noise_is_a_latent_space",
        "Adding noise is to diffusion what the encoder is to a VAE; the noise space corresponds to the latent space.",
        ("Background", "Made easy"),
        "*holds*: the law of the latents of a VAE and that of x_T are both N(0, I), to a KL below 0.01 nats, on two "
        "sets; *in part*: one of them.",
        latent_law,
        judge_latent_law,
        lambda f: "; ".join(
            f"{name}: latents {e}, x_T {f[f'{name} / KL of x_T']} nats"
            for name, e in column(f, "KL of the latents").items()
        ),
        "diffuse train --family vae && diffuse evaluate",
        {
            "holds in part": "Diffusion ends in N(0, I) by construction. A VAE pays for it in its loss, and what it "
            "does not pay is a hole in its prior."
        },
    ),
]

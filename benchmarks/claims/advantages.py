"""Claims about uses of diffusion models: exact samples, products with other laws, conditions, measurements."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.claims.claim import UNKNOWN, Claim, Figure, Figures, Size, column, diffuse, graded, largest, over
from benchmarks.claims.work import DEFAULT, dataset_of, exactly, gap, gaps, runs
from diffuse_cli.analysis import quality
from diffuse_cli.datasets.drinks import DRINKS, ingredients_of, only_own
from diffuse_cli.models.draw import Method, draw_samples

SETS = ("moons", "eight_gaussians", "checkerboard")
LABELLED = ("moons", "overlap")
METRICS = ("sliced_w2", "energy", "mmd", "precision", "recall", "coverage")
PRODUCTS = {
    "moons × half-plane": ("moons", "halfplane:x=1,at=0.5"),
    "moons × Gaussian": ("moons", "gaussian:x=1,y=0,std=0.3"),
    "eight_gaussians × half-plane": ("eight_gaussians", "halfplane:x=1,y=0.3,at=0.6"),
}
MEASURED = {
    "moons, x": ("moons", "--observe", "x=0.5", "--noise", "0.1"),
    "eight_gaussians, x + y": ("eight_gaussians", "--project", "1,1=0.3", "--noise", "0.1"),
}
WAYS, WEIGHTED = ("reconstruct", "clean", "smoothed"), "twisted"
METHODS, PARTICLES = ("replacement", "repaint", "dps", "pigdm", "mmps"), "tds"


def distances(size: Size) -> Figures:
    """By how many distances of six samples differ from the truth: of the exact denoiser, and of trained networks."""
    figures = {}
    for name in SETS:
        cases = {"exact": ([exactly(name)], Method("ode", "log_snr", 2)), "trained": (runs(name, size), DEFAULT)}
        for kind, (models, method) in cases.items():
            found = []
            for model in models:
                judged = quality.evaluate_model(
                    model, dataset_of(name), method, METRICS, n=size.samples, seed=0, repeats=20
                )
                found.append(sum(each.indistinguishable is False for each in judged.scores.values()))
            figures[f"{name} / differ, {kind}"] = over(found)
        figures[f"{name} / of"] = Figure(len(METRICS))
    return figures


def judge_distances(figures: Figures) -> str:
    exact, trained = (all(e.value == 0 for e in column(figures, f"differ, {k}").values()) for k in ("exact", "trained"))
    return graded(exact and trained, exact)


def products(size: Size) -> Figures:
    """Sliced W2 in floors between samples of a denoiser times a factor and the exact product; exact denoisers."""
    figures = {}
    with tempfile.TemporaryDirectory() as outputs:
        for name, (data, factor) in PRODUCTS.items():
            for way in (*WAYS, WEIGHTED):
                words = ["evaluate", "--exact", "--dataset", data, "--times", factor, "--times-by", way]
                words += ["-n", str(max(size.particles, 100)), "--metric", "sliced_w2", "--steps", "100"]
                found = diffuse(Path(outputs), *words)["metrics"]["sliced_w2"]
                figures[f"{name} / {way}"] = Figure(found["value"] / found["floor"])
                figures[f"{name} / {way} differs"] = Figure(float(found["indistinguishable"] is False))
    return figures


def judge_products(figures: Figures) -> str:
    def right(way: str) -> bool:
        return all(each.value == 0 for each in column(figures, f"{way} differs").values())

    return graded(any(map(right, WAYS)), right(WEIGHTED))


def measurements(size: Size) -> Figures:
    """KL and sliced W2 between samples given a measurement and the exact posterior; exact denoisers."""
    figures = {}
    with tempfile.TemporaryDirectory() as outputs:
        for name, (data, *measured) in MEASURED.items():
            methods = [word for method in (*METHODS, PARTICLES) for word in ("--method", method)]
            words = [
                "solve",
                "--exact",
                "--dataset",
                data,
                *measured,
                *methods,
                "-n",
                str(max(2 * size.particles, 100)),
            ]
            for found in diffuse(Path(outputs), *words, "--out", str(Path(outputs) / "samples.csv"))["methods"]:
                distance, kl = found["metrics"]["sliced_w2"], found["kl"]
                row = f"{name}, {found['method'].partition(':')[0]}"
                figures[f"{row} / sliced W2, floors"] = Figure(distance["value"] / distance["floor"])
                figures[f"{row} / differs"] = Figure(float(distance["indistinguishable"] is False))
                figures[f"{row} / KL, nats"] = Figure(kl["kl"])
                figures[f"{row} / KL of exact draws"] = Figure(kl["floor"], kl["floor_std"])
    return figures


def judge_measurements(figures: Figures) -> str:
    def right(method: str) -> bool:
        rows = [f"{name}, {method}" for name in MEASURED]
        near = all(figures[f"{row} / differs"].value == 0 for row in rows)
        limits = [figures[f"{row} / KL of exact draws"] for row in rows]
        pairs = zip(rows, limits, strict=True)
        return near and all(figures[f"{row} / KL, nats"].value <= at.value + 4 * (at.error or 0) for row, at in pairs)

    return graded(any(map(right, METHODS)), right(PARTICLES))


def labels(size: Size) -> Figures:
    """The NLL gap of networks that are told a label, over its law; and of networks that know no labels."""
    figures = {}
    for name in LABELLED:
        conditional = runs(name, size, {"conditional": True})
        classes = dataset_of(name).classes
        told = [
            sum(
                share * gap(model.with_label(label), size)
                for label, share in zip(classes.label_names, classes.shares, strict=True)
            )
            for model in conditional
        ]
        figures[f"{name} / gap, told the label"] = over(told)
        figures[f"{name} / gap, without labels"] = gaps(runs(name, size), size)
    return figures


def judge_labels(figures: Figures) -> str:
    told, plain = (column(figures, f"gap, {kind}") for kind in ("told the label", "without labels"))
    near = [told[name].value <= 2 * plain[name].value for name in told]
    return graded(all(near), any(near))


def drinks(size: Size) -> Figures:
    """The share of samples of each drink that have all of its ingredients, and none of another drink."""
    (model, *_) = runs("drinks", size._replace(few=1), {"conditional": True})
    figures = {}
    columns = dataset_of("drinks").column_names
    for number, name in enumerate(DRINKS):
        samples = draw_samples(model.with_label(name), DEFAULT, size.samples, 0).samples
        alone = only_own(samples, np.full(len(samples), number))
        own = [columns.index(each) for each in ingredients_of(name)]
        whole = (samples[:, own] > 0.5).all(axis=1)
        for what, right in (("nothing foreign, %", alone), ("all of its own, %", whole)):
            share = right.mean()
            figures[f"{name} / {what}"] = Figure(100 * share, 100 * float(np.sqrt(share * (1 - share) / len(right))))
    return figures


def judge_drinks(figures: Figures) -> str:
    return graded(*(all(each.value >= least for each in figures.values()) for least in (99, 90)))


CLAIMS = [
    Claim(
        "any_structure",
        "The structure of the model is extremely flexible.",
        ("Introduction",),
        "to be written with the networks: so far there are multilayer perceptrons only.",
        None,
        lambda figures: UNKNOWN,
        lambda figures: "–",
        "diffuse train --width 128 --depth 4",
        {UNKNOWN: "Other networks are a later part of this laboratory."},
    ),
    Claim(
        "exact_sampling",
        "Sampling is exact.",
        ("Introduction",),
        "*holds*: by six distances, 10,000 samples of the exact denoiser (by the probability flow) and of networks "
        "(4,000 steps of training, default sampler) differ from the truth in none, on three sets; *in part*: those of "
        "the exact denoiser.",
        distances,
        judge_distances,
        lambda f: (
            f"of {len(METRICS)} distances differ at most: exact {largest(column(f, 'differ, exact'))}, trained "
            f"{largest(column(f, 'differ, trained'))}"
        ),
        "diffuse evaluate --exact --dataset moons --sampler ode",
    ),
    Claim(
        "easy_products",
        "The law is easily multiplied with another, as for a posterior.",
        ("Introduction",),
        "*holds*: one of the three ways that only change the denoiser (`reconstruct`, `clean`, `smoothed`) samples "
        "three exact products so that sliced W2 cannot tell; *in part*: weighted particles (`twisted`) do.",
        products,
        judge_products,
        lambda f: "floors at most: " + ", ".join(f"{way} {largest(column(f, way))}" for way in (*WAYS, WEIGHTED)),
        "diffuse evaluate --exact --dataset moons --times halfplane:x=1,at=0.5 --times-by smoothed",
        {
            "holds in part": "At a noisy level the product of the laws is not the product of the noised laws. "
            "Particles with weights correct for it; a changed denoiser alone does not.",
        },
    ),
    Claim(
        "inverse_problems",
        "The denoising can be used to solve inverse problems.",
        ("Theory",),
        "*holds*: one of five methods without weights (`replacement`, `repaint`, `dps`, `pigdm`, `mmps`) samples two "
        "exact posteriors: sliced W2 cannot tell, and the KL of a histogram is within four standard deviations of that "
        "of exact draws; *in part*: weighted particles (`tds`) do.",
        measurements,
        judge_measurements,
        lambda f: (
            "KL on moons: "
            + ", ".join(
                f"{name.rpartition(', ')[2]} {each}"
                for name, each in column(f, "KL, nats").items()
                if name.startswith("moons")
            )
            + " nats"
        ),
        "diffuse solve --exact --dataset moons --observe x=0.5 --noise 0.1",
    ),
    Claim(
        "easy_conditions",
        "The model is easily extended to conditions.",
        ("Introduction", "Theory"),
        "*holds*: on two sets with labels, the NLL gap of a network that is told the label (mean over the labels) is "
        "at most twice that of a network without labels, trained equally long; *in part*: on one.",
        labels,
        judge_labels,
        lambda f: "; ".join(
            f"{name} {each}, without labels {f[f'{name} / gap, without labels']} nats"
            for name, each in column(f, "gap, told the label").items()
        ),
        "diffuse train --dataset overlap --conditional && diffuse evaluate --label all",
    ),
    Claim(
        "cola",
        "With the condition 'cola', denoising removes what cola does not contain.",
        ("Background",),
        "*holds*: of 10,000 samples of each of three drinks 99 % have none of the ingredients of other drinks, and 99 "
        "% all of their own; *in part*: 90 %.",
        drinks,
        judge_drinks,
        lambda f: (
            "at least "
            + ", ".join(
                f"{min(column(f, what).values())} % {what[:-3]}" for what in ("nothing foreign, %", "all of its own, %")
            )
        ),
        "diffuse train --dataset drinks --conditional && diffuse sample --label cola",
    ),
]

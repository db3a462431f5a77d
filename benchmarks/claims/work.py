"""What several claims need: exact and trained models, their distances in noise floors, and the gap of their NLL."""

import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.claims.claim import Figure, Size, over
from benchmarks.students import train
from diffuse_cli import catalog, config
from diffuse_cli.analysis import quality
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.errors import DivergedError, UsageError
from diffuse_cli.metrics.noise_floors import Floor, Score, fresh_floor
from diffuse_cli.models import build
from diffuse_cli.models.data import truth_of
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.model import Model

Changes = tuple[tuple[str, object], ...]
DEFAULT = Method("dpmpp_2m", "log_snr", 50)
REPEATS = 20  # pairs of draws behind a noise floor


@cache
def dataset_of(name: str) -> Dataset:
    """A built-in set, built once."""
    return catalog.build("dataset", name)


@cache
def known_sets(size: Size, dim: int | None = None) -> tuple[str, ...]:
    """The built-in sets that need no option and whose law is known; dim: those with so many columns only."""
    names = []
    for name in catalog.CATALOG["dataset"]:
        try:
            dataset = dataset_of(name)
        except UsageError:  # a file, or a picture
            continue
        if dataset.exact is not None and dim in (None, dataset.dim):
            names.append(name)
    return tuple(names[: size.sets])


@cache
def _exactly(name: str, changes: Changes) -> Model:
    settings = config.make({"dataset": name, **dict(changes)})
    return exact_model(settings, dataset_of(name), Path(), process=build.build_process(settings))


def exactly(name: str, changes: Mapping[str, object] = {}) -> Model:
    """The exact denoiser of a set; changes: settings other than the default ones."""
    return _exactly(name, tuple(sorted(changes.items())))


@cache
def _trained(name: str, changes: Changes) -> tuple[Model, float] | None:
    try:
        model, seconds, _ = train(config.make({"dataset": name, **dict(changes)}), dataset_of(name), None)
    except DivergedError:
        return None
    return model, seconds


def trained(name: str, changes: Mapping[str, object]) -> tuple[Model, float] | None:
    """A network trained as `diffuse train` does, kept for other claims, and its seconds; None if it diverged."""
    return _trained(name, tuple(sorted(changes.items())))


def runs(name: str, size: Size, changes: Mapping[str, object] = {}) -> list[Model]:
    """The networks of a comparison, one for each of a few seeds; those that diverged are missing."""
    found = [trained(name, {"steps": size.short, "seed": seed, **changes}) for seed in range(size.few)]
    return [each[0] for each in found if each is not None]


def gap(model: Model, size: Size) -> float:
    """KL(truth ‖ model) = NLL − entropy in nats, at fresh points; infinite where the solver of the flow gave up."""
    dataset = model.dataset()
    x0 = quality.held_out(model, dataset, size.points, 0)
    found = quality.negative_log_likelihood(model, truth_of(dataset), x0).nll.gap
    return np.inf if found is None else found


def gaps(models: list[Model], size: Size) -> Figure:
    """The mean gap of a few runs, and its standard error over seeds."""
    return over(gap(model, size) for model in models)


@cache
def floor(name: str, metric: str, samples: int) -> Floor:
    """The noise floor of a metric for so many points of a set, model space."""
    dataset = dataset_of(name)
    fresh = lambda rng, n: dataset.standard.to_model(dataset.draw(rng, n))  # noqa: E731
    return fresh_floor({metric: catalog.build("metric", metric)}, samples, fresh, seed=0, repeats=REPEATS)


def points_of(model: Model, method: Method, n: int, seed: int = 0) -> np.ndarray:
    """Samples in model space."""
    return model.standard.to_model(draw_samples(model, method, n, seed).samples)


def score(model: Model, size: Size, method: Method = DEFAULT, metric: str = "sliced_w2", seed: int = 0) -> Score:
    """A metric of samples of a model, beside its noise floor."""
    found = floor(model.config.dataset, metric, size.samples).scores(points_of(model, method, size.samples, seed))
    return found[metric]


def in_floors(model: Model, size: Size, method: Method = DEFAULT, seed: int = 0) -> float:
    """The sliced W2 of samples over its noise floor: 1 is what a perfect model has."""
    found = score(model, size, method, seed=seed)
    return found.value / found.floor


def edge(name: str, size: Size) -> Figure:
    """The largest sliced W2, in floors, that a perfect model may have (`metrics.noise_floors`)."""
    of_set = floor(name, "sliced_w2", size.samples)
    return Figure(of_set.interval("sliced_w2")[1] / float(of_set.figures["sliced_w2"].mean()))


def nearest_modes(name: str, points: np.ndarray) -> np.ndarray:
    """The number of points [n, d], model space, of which each Gaussian of the set is the nearest: [k]."""
    means = dataset_of(name).exact().gaussians().means
    nearest = np.argmin(((points[:, None] - means) ** 2).sum(axis=2), axis=1)
    return np.bincount(nearest, minlength=len(means))


def seconds_of(model: Model, method: Method, size: Size) -> Figure:
    """The seconds of drawing samples, after compiling."""
    taken = []
    for _ in range(4):
        began = time.perf_counter()
        draw_samples(model, method, size.samples, 0)
        taken.append(time.perf_counter() - began)
    return over(taken[1:])

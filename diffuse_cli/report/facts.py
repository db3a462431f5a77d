"""What the page says in words, tables and curves: loss, quality, settings, versions, and how to make it all again."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from diffuse_cli import catalog, config
from diffuse_cli.analysis import quality, quality_tables
from diffuse_cli.analysis.quality import Quality
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.figures.losses import losses_of_log
from diffuse_cli.metrics.noise_floors import Score
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.loss import decades, smoothed_loss

JUDGED = 2000  # samples of each method
_REPEATS = 20  # of each noise floor
_PROCESS = ("dataset", "schedule", "timesteps", "scaling", "zero_terminal_snr")
_MOST_LOSSES = 600  # of a line: as many as its picture has pixels


class Judged(NamedTuple):
    """The quality of a model by the first of its methods, and the distances of them all, beside the same floors."""

    quality: Quality
    scores: list[dict[str, Score]]


def judged(model: Model, dataset: Dataset, methods: list[Method], seed: int) -> Judged:
    """Judge JUDGED samples of each method. Raises like `quality.evaluate`."""
    found = quality.evaluate_model(model, dataset, methods[0], n=JUDGED, seed=seed, repeats=_REPEATS)
    others = [
        {} if found.floor is None else found.floor.scores(model.standard.to_model(drawn.samples))
        for drawn in (draw_samples(model, method, JUDGED, seed) for method in methods[1:])
    ]
    return Judged(found, [found.scores, *others])


def metric_facts(found: Judged, methods: list[Method]) -> dict[str, Any]:
    """The tables of `diffuse evaluate`, with a column for each method."""
    rows = []
    for name in found.quality.scores:
        own = [quality_tables.distance_row(name, scores[name]) for scores in found.scores]
        _, _, floor, n, _ = own[0]
        cells = [[row[1], scores[name].indistinguishable] for row, scores in zip(own, found.scores, strict=True)]
        rows.append({"name": name, "floor": floor, "n": n, "cells": cells})
    excess = found.quality.excess
    return {
        "samples": JUDGED,
        "columns": [method.sampler for method in methods],
        "rows": rows,
        "others": [*quality_tables.nll_rows(found.quality.nll), *quality_tables.other_rows(found.quality)],
        "left_out": quality_tables.metrics_left_out(found.quality),
        "excess": excess and [_rounded(each) for each in excess[:3]],
    }


def loss_facts(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The lines of `loss.png`; None where a log has no finite loss."""
    found = losses_of_log(records)
    finite = np.isfinite(found.train)
    steps, train = found.steps[finite], found.train[finite]
    if not len(steps):
        return None
    mean = smoothed_loss(steps, train)
    kept = _kept(len(steps), logarithmic=decades(steps))
    held = _kept(len(found.held_out), logarithmic=decades(steps))
    return {
        "decades": decades(steps),
        "train": [steps[kept].tolist(), _rounded(train[kept])],
        "mean": [steps[kept].tolist(), _rounded(mean[kept])],
        "held_out": [found.held_out_steps[held].tolist(), _rounded(found.held_out[held])],
        "irreducible": found.irreducible,
    }


def summary(settings: Config, *, trained: bool) -> str:
    """What is sampled from, in a line."""
    parts = (settings.dataset, f"{settings.schedule} schedule", f"T = {settings.timesteps:,}")
    return "  ·  ".join([*parts, *([f"predicts {settings.prediction}"] if trained else [])])


def settings_table(settings: Config, *, trained: bool) -> list[list[str]]:
    """Each setting that is set: name, value as in the config file, and what it means. Without training, those of the
    data and the process."""
    values = msgspec.structs.asdict(settings)
    return [
        [name, str(value).lower() if isinstance(value, bool) else str(value), _meaning(name)]
        for name, value in values.items()
        if value is not None and (trained or name in _PROCESS)
    ]


def sampler_lines(methods: Iterable[Method]) -> list[list[str]]:
    """Each method by name with what the catalogue says of it; of a user's own code, that it is."""
    names = [(method.sampler, catalog.parse("sampler", method.sampler).name) for method in methods]
    known = catalog.CATALOG["sampler"]
    return [[written, known[name].summary if name in known else "own code"] for written, name in names]


def _meaning(name: str) -> str:
    return config.field_parts(name)[1]["description"].partition("  [")[0]


def _kept(count: int, *, logarithmic: bool) -> np.ndarray:
    """The indices of at most _MOST_LOSSES of `count` records, evenly spaced on the axis that they are drawn on."""
    if count <= _MOST_LOSSES:
        return np.arange(count)
    spaced = np.geomspace(1, count, _MOST_LOSSES) if logarithmic else np.linspace(1, count, _MOST_LOSSES)
    return np.unique(spaced.astype(int) - 1)


def _rounded(values: Any) -> list[float]:
    """Six digits, which no picture has."""
    return [float(f"{value:.6g}") for value in np.asarray(values, np.float64).tolist()]

"""The words, tables and curves of the page: loss, quality, settings and samplers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from diffuse_cli import catalog, config
from diffuse_cli.analysis import caveats, quality, quality_tables
from diffuse_cli.analysis.quality import Quality
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.figures.losses import losses_of_log
from diffuse_cli.metrics.noise_floors import Score
from diffuse_cli.models import build
from diffuse_cli.models.data import draw_data
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.plots.loss import decades, smoothed_loss
from diffuse_cli.training.trainer import OVERFIT

JUDGED = 2000  # samples of each method that are evaluated
_REPEATS = 20  # of each noise floor
_PROCESS = ("dataset", "schedule", "timesteps", "scaling", "zero_terminal_snr")
_MOST_LOSSES = 600  # points of a line: as many as its chart has pixels


class Judged(NamedTuple):
    """The quality of a model by the first of its methods, and the scores of all methods, by the same noise floors.

    scores: one dict for each method, from the name of a metric to its Score; empty without floors.
    """

    quality: Quality
    scores: list[dict[str, Score]]


def judged(model: Model, dataset: Dataset, methods: list[Method], seed: int) -> Judged:
    """Evaluate JUDGED samples of each method. Raises UsageError and DiffuseError like `quality.evaluate_model`."""
    first = quality.evaluate_model(model, dataset, methods[0], n=JUDGED, seed=seed, repeats=_REPEATS)
    others = [
        {} if first.floor is None else first.floor.scores(model.standard.to_model(drawn.samples))
        for drawn in (draw_samples(model, method, JUDGED, seed) for method in methods[1:])
    ]
    return Judged(first, [first.scores, *others])


def metric_facts(results: Judged, methods: list[Method]) -> dict[str, Any]:
    """The tables of `diffuse evaluate`, with a column for each method."""
    rows, steps = [], {method.steps for method in methods}
    for name in results.quality.scores:
        distances = [quality_tables.distance_row(name, scores[name]) for scores in results.scores]
        _, _, floor, n, _ = distances[0]
        verdicts = [scores[name].indistinguishable for scores in results.scores]
        cells = [[row[1], verdict] for row, verdict in zip(distances, verdicts, strict=True)]
        rows.append({"name": name, "floor": floor, "n": n, "cells": cells})
    excess = results.quality.excess
    return {
        "samples": JUDGED,
        "columns": [method.sampler if len(steps) == 1 else method.title for method in methods],
        "rows": rows,
        "others": [
            *([] if results.quality.nll is None else quality_tables.nll_rows(results.quality.nll)),
            *quality_tables.other_rows(results.quality),
        ],
        "excess": excess and [_rounded(each) for each in excess[:3]],
    }


def caveats_of(model: Model, dataset: Dataset, log: list[dict[str, Any]] | None, results: Judged | None) -> list[str]:
    """What a reader has to know of a model and its results: what the terminal says of them too, for a user's file more.

    log: the records of the training; None without one.
    """
    lines: list[str | None] = []
    held_out = losses_of_log(log).held_out if log else np.zeros(0)
    if len(held_out) and held_out[-1] > OVERFIT * np.nanmin(held_out):
        worse = caveats.overfitting(np.nanmin(held_out))
        lines.append(f"{worse[0].upper()}{worse[1:]}")
    if dataset.points is not None:
        rows = len(draw_data(model.config, dataset).held_out)
        if not model.trained:
            lines.append(caveats.MEMORISED)
        compared = rows if results is None else results.quality.compared
        lines.append(caveats.of_file(rows, compared))
        lines.append("So there is no exact field, entropy or irreducible loss, and the density is an estimate")
    if results is not None:
        lines.append(quality_tables.metrics_left_out(results.quality))
    return [f"{line.removesuffix('.')}." for line in lines if line is not None]


def loss_facts(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The lines of `loss.png`; None where a log has no finite loss."""
    losses = losses_of_log(records)
    finite = np.isfinite(losses.train)
    steps, train = losses.steps[finite], losses.train[finite]
    if not len(steps):
        return None
    mean = smoothed_loss(steps, train)
    some = _spaced(len(steps), logarithmic=decades(steps))
    held = _spaced(len(losses.held_out), logarithmic=decades(steps))
    return {
        "decades": decades(steps),
        "train": [steps[some].tolist(), _rounded(train[some])],
        "mean": [steps[some].tolist(), _rounded(mean[some])],
        "held_out": [losses.held_out_steps[held].tolist(), _rounded(losses.held_out[held])],
        "irreducible": losses.irreducible,
        "true_loss": None if losses.true_loss is None else _rounded(losses.true_loss[held]),
    }


def summary(settings: Config, *, trained: bool, student: bool = False) -> str:
    """The dataset and the process of a model in one line, and what its network predicts, or how a student learned."""
    if not settings.diffuses:
        return f"{build.title_of_data(settings.dataset)}  ·  {settings.family}"
    parts = (build.title_of_data(settings.dataset), f"{settings.schedule} schedule", f"T = {settings.timesteps:,}")
    learned = f"student, learned by {settings.loss}" if student else f"predicts {settings.prediction}"
    return "  ·  ".join([*parts, *([learned] if trained else [])])


def settings_table(settings: Config, *, trained: bool) -> list[list[str]]:
    """The settings that have a value: name, value as in the config file, and meaning. Without training only those of
    the data and the process."""
    values = msgspec.structs.asdict(settings)
    return [
        [name, str(value).lower() if isinstance(value, bool) else str(value), _meaning(name)]
        for name, value in values.items()
        if value is not None and (trained or name in _PROCESS)
    ]


def sampler_lines(methods: Sequence[Method]) -> list[list[str]]:
    """The sampler of each method and its summary in the catalogue; 'own code' for a sampler of the user's code."""
    written = dict.fromkeys(method.sampler for method in methods)
    kind = "sampler" if all(method.grid for method in methods) else "family"
    names = [(each, catalog.parse(kind, each).name) for each in written]
    entries = catalog.CATALOG[kind]
    return [[written, entries[name].summary if name in entries else "own code"] for written, name in names]


def _meaning(name: str) -> str:
    return config.field_parts(name)[1]["description"].partition("  [")[0]


def _spaced(count: int, *, logarithmic: bool) -> np.ndarray:
    """The indices of at most _MOST_LOSSES of `count` records, evenly spaced on the axis of the chart."""
    if count <= _MOST_LOSSES:
        return np.arange(count)
    spaced = np.geomspace(1, count, _MOST_LOSSES) if logarithmic else np.linspace(1, count, _MOST_LOSSES)
    return np.unique(spaced.astype(int) - 1)


def _rounded(values: Any) -> list[float]:
    """The values rounded to six digits, more than a chart shows."""
    return [float(f"{value:.6g}") for value in np.asarray(values, np.float64).tolist()]

"""Whether methods for inverse problems are calibrated, over pairs of a point and its measurement."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from diffuse_cli.analysis.digits import with_spread
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.errors import UsageError
from diffuse_cli.inverse.exact_posterior import exact_posteriors, free_directions
from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.inverse.observed import observe
from diffuse_cli.metrics.calibration import Calibration, Coverage, calibrate
from diffuse_cli.models.data import draw_data
from diffuse_cli.models.model import Model
from diffuse_cli.models.solving import Way, check_model, draw_posterior

EXACT = "exact posterior"
HEADER = ("method", "steps", "evals", "50 %", "90 %", "uniform", "squared error", "MMSE gap", "seconds")
_FEWEST = 20  # pairs, below which nothing can be said


class Calibrated(NamedTuple):
    """One method over the pairs; steps and evals are 0 for draws of the exact posterior."""

    name: str
    calibration: Calibration
    steps: int
    evals: int
    seconds: float

    def row(self) -> tuple[str, ...]:
        """The cells under HEADER."""
        judged = self.calibration
        gap = judged.mean_error
        return (
            self.name,
            str(self.steps or "-"),
            f"{self.evals:,}" if self.evals else "-",
            *map(_in_percent, judged.coverages),
            f"p = {judged.uniform:.2f}" if judged.uniform >= 0.005 else "p < 0.005",
            with_spread(*judged.squared_error),
            "-" if gap is None else f"{100 * gap.gap:.1f} ± {100 * gap.stderr:.1f} %",
            f"{self.seconds:.1f}",
        )

    def words(self) -> str:
        """The coverages, for a title."""
        each = (f"{coverage.level:.0%}: {100 * coverage.share:.0f}" for coverage in self.calibration.coverages)
        return ", ".join(each)

    def document(self) -> dict[str, Any]:
        """The same for a JSON file."""
        numbers = {"steps": self.steps, "evals": self.evals, "seconds": round(self.seconds, 3)}
        return {"method": self.name} | numbers | self.calibration.document()


def calibrate_ways(
    model: Model,
    measurement: Measurement,
    ways: Sequence[Way],
    *,
    pairs: int,
    draws: int,
    seed: int,
    begin: Callable[[str], None] = lambda name: None,
) -> list[Calibrated]:
    """Each method, and first the exact posterior where it is known, over pairs (x, y) with y measured of x.

    x is drawn from the law of the data, of a user's file from the rows held out from training. The values of the
    measurement are not used. draws: of x for each y; of particles the population for each.

    Raises UsageError for a method that cannot use the measurement, and for too few held-out rows.
    """
    check_model(model)
    dataset, rng = model.dataset(), np.random.default_rng((seed, 16))
    truth = _truths(model, dataset, pairs, rng)
    values = measurement.drawn(truth, rng)
    x, directions = model.standard.to_model(truth), free_directions(measurement, model.standard.scale)
    if not len(directions):
        raise UsageError(f"{measurement.words} without noise leaves nothing to know of x")
    results, moments, began = [], None, time.perf_counter()
    exact = exact_posteriors(dataset, measurement, values, draws, rng)
    if exact is not None:
        begin(EXACT)
        points, moments = exact[0], exact[1:]
        judged = calibrate(x, points, directions, rng, moments=moments)
        results.append(Calibrated(EXACT, judged, 0, 0, time.perf_counter() - began))
    observed = observe(measurement, model.standard, np.repeat(values, draws, axis=0))
    for way in ways:
        begin(way.text)
        drawn = draw_posterior(model, measurement, observed, way.in_populations(draws), len(x) * draws, seed)
        points = model.standard.to_model(drawn.samples).reshape(len(x), draws, -1)
        effective = None if drawn.populations is None else drawn.populations.last * draws
        judged = calibrate(x, points, directions, rng, moments=moments, effective=effective)
        results.append(Calibrated(way.text, judged, way.method.steps, drawn.evals, drawn.seconds))
    return results


def _truths(model: Model, dataset: Dataset, pairs: int, rng: np.random.Generator) -> np.ndarray:
    if dataset.points is None:
        return dataset.draw(rng, pairs)
    held_out = model.standard.to_data(np.asarray(draw_data(model.config, dataset).held_out, np.float64))
    if len(held_out) < _FEWEST:
        raise UsageError(f"calibration needs {_FEWEST} held-out rows, and {model.name} has {len(held_out)}")
    return held_out[rng.permutation(len(held_out))[:pairs]]


def _in_percent(coverage: Coverage) -> str:
    return f"{100 * coverage.share:.1f} ± {100 * coverage.stderr:.1f}{'' if coverage.right else ' ≠'}"

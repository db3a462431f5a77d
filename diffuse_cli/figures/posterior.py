"""Figures of a measurement that was solved for: samples beside the exact posterior, and ranks over many pairs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from diffuse_cli.analysis.calibration import Calibrated
from diffuse_cli.analysis.inverse_problems import Solution, Solved
from diffuse_cli.diffusion import likelihood
from diffuse_cli.inverse.exact_posterior import ExactPosterior
from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.inverse.observed import observe
from diffuse_cli.models.model import Model
from diffuse_cli.plots import posterior as plot
from diffuse_cli.plots.background import Background
from diffuse_cli.plots.columns import Columns
from diffuse_cli.plots.formats import Look
from diffuse_cli.plots.measurement_shape import MeasuredLine, MeasuredPoint, MeasurementShape
from diffuse_cli.plots.posterior_curves import CurveMeasurement, posterior_curves_figure
from diffuse_cli.plots.rank_histogram import Ranks, rank_figure

_DRAWS = 4000  # of the prior and of the exact posterior
_CELLS = 160  # of a likelihood, along each axis


def posterior_of_solved(solved: Solved, look: Look, seed: int) -> Figure:
    """The prior with the measurement, the exact posterior where it is known, and a row for each method."""
    model, measurement, exact = solved.model, solved.measurement, solved.exact
    rng = np.random.default_rng((seed, 17))
    prior = model.dataset().draw(rng, _DRAWS)
    truth = None if exact is None else exact.draw(rng, _DRAWS)
    methods = [plot.MethodSamples(each.way.text, each.drawn.samples, _words(each)) for each in solved.solutions]
    shown = {"columns": Columns(model.columns, "data"), "subject": f"{model.name}, {measurement.title}"}
    if model.view == "curves":
        return posterior_curves_figure(prior, _of_curve(measurement), truth, methods, **shown, **look._asdict())
    beside = None if truth is None else plot.ExactPosterior(truth, _density(model, exact))
    shape = _shape(model, measurement, prior)
    return plot.posterior_figure(prior, shape, beside, methods, **shown, **look._asdict())


def ranks_of_calibrated(
    model: Model, measurement: Measurement, results: Sequence[Calibrated], *, pairs: int, draws: int, look: Look
) -> Figure:
    """A histogram of ranks for each method, first of the exact posterior."""
    panels = [
        Ranks(each.name, np.minimum(np.floor(each.calibration.ranks * (draws + 1)), draws).astype(int), each.words())
        for each in results
    ]
    subject = f"{model.name}, {measurement.words}"
    return rank_figure(panels, draws=draws, pairs=pairs, subject=subject, **look._asdict())


def _words(solution: Solution) -> str:
    """The first distance, and the KL where it is known."""
    parts = []
    for name, score in list(solution.scores.items())[:1]:
        ratio = solution.floors(name)
        parts.append(f"{name} {score.value:.2g}" + ("" if ratio is None else f", {ratio:.1f} floors"))
    if solution.kl is not None:
        parts.append(f"KL {solution.kl.kl:.2g}")
    return ", ".join(parts)


def _of_curve(measurement: Measurement) -> CurveMeasurement:
    matrix = measurement.matrix
    if matrix is None or not ((matrix == 0) | (matrix == 1)).all() or (matrix.sum(axis=1) != 1).any():
        return CurveMeasurement(measurement.signal)
    places = matrix.argmax(axis=1) / (matrix.shape[1] - 1)
    return CurveMeasurement(measurement.signal, places, measurement.known_values)


def _shape(model: Model, measurement: Measurement, prior: np.ndarray) -> MeasurementShape:
    y, std = measurement.known_values, measurement.std
    if measurement.matrix is not None:
        if model.dim == 2 and np.array_equal(measurement.matrix, np.eye(2)):
            return MeasurementShape(point=MeasuredPoint(y, std))
        lines = [MeasuredLine(*each) for each in zip(measurement.matrix, y, std, strict=True) if each[0].any()]
        return MeasurementShape(lines)
    if model.dim != 2:
        return MeasurementShape()
    margin = 0.25 * np.ptp(prior, axis=0)
    (u, v), places = likelihood.grid(prior.min(axis=0) - margin, prior.max(axis=0) + margin, (_CELLS, _CELLS))
    log_p = np.asarray(
        observe(measurement, model.standard).log_likelihood(model.standard.to_model(places.reshape(-1, 2)))
    )
    return MeasurementShape(likelihood=Background(u, v, np.exp(log_p - log_p.max()).reshape(_CELLS, _CELLS)))


def _density(model: Model, exact: ExactPosterior | None) -> Background | None:
    """The density of the exact posterior in the plane, data units; None where it has none."""
    if exact is None or exact.grid is None or model.dim != 2 or len(exact.free) != 2:
        return None
    grid = exact.grid()
    mean, scale = model.standard
    x, y = (mean[i] + scale[i] * axis for i, axis in enumerate(grid.axes))
    return Background(x, y, np.exp(grid.log_p))

"""How good a model is: likelihood, distances, excess loss and memorisation, each beside what a perfect one has."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import jax
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.analysis.excess_loss import ExcessLoss, excess_loss
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.bound import VARIANCES, bound_terms
from diffuse_cli.diffusion.likelihood import MAX_STEPS, SPACING, TOLERANCE, Mass, log_likelihood, mass
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.metrics.base import Metric
from diffuse_cli.metrics.memorisation import Memorisation, memorisation
from diffuse_cli.metrics.noise_floors import Floor, Score, fresh_floor, split_floor, split_size
from diffuse_cli.models import build
from diffuse_cli.models.draw import Drawn, Method, draw_samples
from diffuse_cli.models.model import Model

_JUDGED = 2048  # points at each noise level of the excess
_BOUNDED = 4096  # points at once: each has T terms
_MOST_POINTS = 1 << 16  # of a grid: half a minute
_BOUNDING = 10_000  # draws that say how far the data reach, where nothing was trained


class Nll(NamedTuple):
    """Negative log-likelihood of points that were not trained on: mean over them, nats, data units.

    entropy is what the truth itself has; gap is value − entropy = KL(truth ‖ model), and stderr its standard error. A
    user's file has no entropy that is known, and a bare curve none at all: entropy and gap are None, and stderr is the
    value's. Where the solver failed at any point all figures are None: what the others say is no estimate of the whole.
    """

    value: float | None
    entropy: float | None
    gap: float | None
    stderr: float | None
    n: int
    failed: int


class Solver(NamedTuple):
    """What `diffusion.likelihood.log_likelihood` is asked for; probes None leaves it the choice, seed is theirs."""

    tolerance: float = TOLERANCE
    max_steps: int = MAX_STEPS
    probes: int | None = None
    seed: int = 0


DEFAULT = Solver()


class Solved(NamedTuple):
    """The Nll, and what it comes from: log_p [n] in data units with the standard error of each that comes from the
    probes, network evaluations for one point, and the number of probes, 0 for the exact divergence."""

    nll: Nll
    log_p: np.ndarray
    log_p_stderr: np.ndarray
    evals: int
    probes: int


class Bound(NamedTuple):
    """The variational bound on −log p of points under the chain: means over them, nats, data units.

    steps [T]: the terms of t = 1/T, …, 1, the first of which is the reconstruction's; value [n]: the whole of each
    point.
    """

    prior: float
    steps: np.ndarray
    value: np.ndarray

    @property
    def reconstruction(self) -> float:
        """The first step's term, −log p(x0 | x_1)."""
        return float(self.steps[0])

    @property
    def diffusion(self) -> float:
        """The sum of all others."""
        return float(self.steps[1:].sum())

    @property
    def stderr(self) -> float | None:
        """The standard error of the mean of `value`; None of a single point."""
        return _stderr(self.value)

    def above(self, log_p: np.ndarray) -> tuple[float, float | None]:
        """How far it lies above -log p [n] of the same points: mean and standard error."""
        gaps = self.value + log_p
        return float(gaps.mean()), _stderr(gaps)


class Quality(NamedTuple):
    """All that `evaluate` knows. Where there is no truth there is no excess, without training no memorisation.

    compared: how many points the distances could be taken between. left_out: those for which these were too few, and
    how many each needs. floor: what the distances were judged by, and what others of as many samples can be judged by;
    None where none could be taken.
    """

    drawn: Drawn
    floor: Floor | None
    scores: dict[str, Score]
    nll: Nll
    excess: ExcessLoss | None
    memorisation: Memorisation | None
    compared: int
    left_out: dict[str, int]


def held_out(model: Model, dataset: Dataset, n: int, seed: int) -> np.ndarray:
    """Data [n, d] in model space that no training has seen: fresh draws, or as many rows of a file as were held out."""
    if dataset.points is not None:
        return np.asarray(build.draw_data(model.config, dataset).held_out, np.float64)[:n]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))  # shares nothing with the training set's
    return model.standard.to_model(dataset.draw(rng, n))


def negative_log_likelihood(model: Model, law: exact.Law | None, x0: np.ndarray, solver: Solver = DEFAULT) -> Solved:
    """log p of x0 [n, d], model space, and their Nll; `law` is the truth they were drawn from, where one is known.

    The gap is the mean of log p − log p_model over the same points, in which most of their chance cancels; the value is
    the exact entropy and this gap.
    """
    options = {"tolerance": solver.tolerance, "max_steps": solver.max_steps, "probes": solver.probes}
    found = log_likelihood(model.predict, model.process, x0, key=jax.random.key(solver.seed), **options)
    n, volume = len(x0), _log_volume(model)
    log_p = np.asarray(found.log_p, np.float64) - volume
    if found.failed:
        judged = Nll(None, None, None, None, n, found.failed)
    elif (own := _entropy(law, model)) is None:
        judged = Nll(-float(log_p.mean()), None, None, _stderr(log_p), n, 0)
    else:
        truth = jax.jit(lambda x: exact.log_prob(law, x, CLEAN))(np.asarray(x0, np.float32))
        beyond = np.asarray(truth, np.float64) - volume - log_p
        entropy, gap = own + volume, float(beyond.mean())
        judged = Nll(entropy + gap, entropy, gap, _stderr(beyond), n, 0)
    return Solved(judged, log_p, np.asarray(found.stderr), found.evals, found.probes)


def variational_bounds(model: Model, x0: np.ndarray, seed: int) -> dict[str, Bound]:
    """The bound at x0 [n, d], model space, for each variance that the chain of this model can have.

    Raises UsageError for a model that is no denoiser, and so has no chain.
    """
    if model.kind != "denoiser":
        raise UsageError(f"{model.name} has learned the velocity of a flow, and no chain that a bound could be of")
    known = [name for name in VARIANCES if name != "learned" or model.predict_with_variance is not None]
    return {variance: _bound(model, variance, x0, seed) for variance in known}


def _bound(model: Model, variance: str, x0: np.ndarray, seed: int) -> Bound:
    predict = model.predict_with_variance if variance == "learned" else model.predict
    volume = _log_volume(model)  # only the reconstruction is a density
    prior, steps, value = 0.0, np.zeros(model.process.timesteps), []
    for number, first in enumerate(range(0, len(x0), _BOUNDED)):
        rows = np.asarray(x0[first : first + _BOUNDED], np.float32)
        key = jax.random.fold_in(jax.random.key(seed), number)
        found = bound_terms(predict, model.process, rows, key, variance=variance)
        prior += float(found.prior.sum()) / len(x0)
        steps += np.asarray(found.steps.sum(axis=1), np.float64) / len(x0)
        value.append(np.asarray(found.total, np.float64) + volume)
    steps[0] += volume
    return Bound(prior, steps, np.concatenate(value))


def _log_volume(model: Model) -> float:
    """log of the volume, in data units, of a unit of model space."""
    return float(np.log(model.standard.scale).sum())


def mass_on_grid(model: Model, solver: Solver = DEFAULT) -> Mass | None:
    """∫ p over a grid that holds the data with room to spare, which should be 1. One or two columns.

    None where the data reach so far that the grid would have more than 65,536 points.
    """
    low, high = model.box or _bounds(held_out(model, model.dataset(), _BOUNDING, 0))
    room = 0.15 * (high - low) + 0.1
    if np.prod((high - low + 2 * room) / SPACING) > _MOST_POINTS:
        return None
    options = {"tolerance": solver.tolerance, "max_steps": solver.max_steps}
    return mass(model.predict, model.process, low - room, high + room, **options)


def _bounds(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points.min(axis=0), points.max(axis=0)


def _entropy(law: exact.Law | None, model: Model) -> float | None:
    """In model space; None where no law is known, it has no density of its own, or the entropy is out of reach."""
    try:
        entropy = -np.inf if law is None else law.entropy(CLEAN)
    except DiffuseError:  # too many columns, or too fine
        return None
    return entropy if np.isfinite(entropy) else None


def _stderr(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def excess_of(model: Model, law: exact.Law, x0: np.ndarray) -> ExcessLoss:
    """The Excess of `model` over draws x0 [n, d] of its law, model space; the first 2048 are enough."""
    x0 = np.asarray(x0[:_JUDGED], np.float32)
    return jax.device_get(excess_loss(model.predict, law, model.process, x0, np.uint32(0)))


def floor_of(model: Model, dataset: Dataset, metrics: Mapping[str, Metric], n: int, seed: int, repeats: int) -> Floor:
    """The noise floor that n samples of a model are judged by, model space.

    Of a user's file the reference are the rows held out from training, and the floor comes from splits of all rows.
    Raises UsageError for too few points.
    """
    if dataset.points is not None:
        reference = held_out(model, dataset, n, seed)
        return split_floor(metrics, n, reference, _train(model, dataset), seed=seed, repeats=repeats)
    fresh = lambda rng, n: model.standard.to_model(dataset.draw(rng, n))  # noqa: E731
    return fresh_floor(metrics, n, fresh, seed=seed, repeats=repeats)


def _train(model: Model, dataset: Dataset) -> np.ndarray:
    return np.asarray(build.draw_data(model.config, dataset).train, np.float64)


def evaluate_model(
    model: Model,
    dataset: Dataset,
    method: Method,
    metrics: Iterable[str] | None = None,
    *,
    n: int,
    seed: int,
    repeats: int,
) -> Quality:
    """Draw n samples and judge them, and the denoiser itself, against as many draws of the truth. Metrics are choices;
    None is all of the catalogue's but those for which there are too few points.

    Of a user's file the reference are the rows held out from training, and the floors come from splits of the whole
    file. Distances are in model space, where the data have unit variance.

    Raises UsageError for an unknown metric or too few points, DiffuseError for samples that are not finite.
    """
    chosen = {metric: catalog.build("metric", metric) for metric in metrics or catalog.CATALOG["metric"]}
    law = build.truth_of(dataset)
    drawn = draw_samples(model, method, n, seed)
    samples, reference = model.standard.to_model(drawn.samples), held_out(model, dataset, n, seed)
    learned = dataset.points is not None or model.box is not None
    train = _train(model, dataset) if learned else None
    compared = n if dataset.points is None else split_size(n, len(reference), len(train))
    left_out = {} if metrics else {name: metric.least for name, metric in chosen.items() if metric.least > compared}
    chosen = {name: metric for name, metric in chosen.items() if name not in left_out}
    floor = floor_of(model, dataset, chosen, n, seed, repeats) if chosen else None
    return Quality(
        drawn=drawn,
        floor=floor,
        scores={} if floor is None else floor.scores(samples),
        nll=negative_log_likelihood(model, law, reference, Solver(seed=seed)).nll,
        excess=None if law is None else excess_of(model, law, reference),
        memorisation=None if train is None else memorisation(samples, train, reference),
        compared=compared,
        left_out=left_out,
    )

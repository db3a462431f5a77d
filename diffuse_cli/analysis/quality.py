"""The quality of a model: likelihood, distances, excess loss and memorisation, beside the values of a perfect model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.analysis.excess_loss import ExcessLoss, excess_loss
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.datasets.given import GivenPart
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.bound import VARIANCES, bound_terms
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.likelihood import MAX_STEPS, SPACING, TOLERANCE, Likelihood, Mass, log_likelihood, mass_of
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.metrics.base import Metric
from diffuse_cli.metrics.memorisation import Memorisation, memorisation
from diffuse_cli.metrics.noise_floors import Floor, Score, fresh_floor, split_floor, split_size
from diffuse_cli.models.build import title_of_data
from diffuse_cli.models.data import draw_data, truth_of
from diffuse_cli.models.draw import Drawn, Method, draw_samples
from diffuse_cli.models.model import Model

_JUDGED = 2048  # points at each noise level of the excess loss
_BOUNDED = 4096  # points at once whose bounds are computed: each has T terms
_MOST_POINTS = 1 << 16  # of a grid, which take half a minute
_BOUNDING = 10_000  # draws that give the range of the data, for a model without training


class Nll(NamedTuple):
    """Negative log-likelihood of points that were not trained on: the mean over n points, nats, data units.

    value: of the model. entropy: of the truth. gap: value − entropy = KL(truth ‖ model); stderr: its standard error.
    Where the entropy is unknown (a user's file) or infinite (a curve without noise), entropy and gap are None, and
    stderr is that of the value. failed: the number of points at which the ODE solver failed; if there are any, all
    other values are None, since the mean over the rest would be biased.
    """

    value: float | None
    entropy: float | None
    gap: float | None
    stderr: float | None
    n: int
    failed: int


class Solver(NamedTuple):
    """Options of `diffusion.likelihood.log_likelihood`. probes: None for its default; seed: of the probes."""

    tolerance: float = TOLERANCE
    max_steps: int = MAX_STEPS
    probes: int | None = None
    seed: int = 0


DEFAULT_SOLVER = Solver()


class Solved(NamedTuple):
    """The Nll, and the values from which it is computed.

    log_p [n]: in data units; log_p_stderr [n]: the standard error of each from the random probes. evals: network
    evaluations for one point. probes: their number, 0 for the exact divergence.
    """

    nll: Nll
    log_p: np.ndarray
    log_p_stderr: np.ndarray
    evals: int
    probes: int


class Bound(NamedTuple):
    """The variational bound on −log p of n points under the chain, nats, data units.

    prior: the mean of its term. steps [T]: the means of the terms at t = 1/T, …, 1; the first one is the
    reconstruction. value [n]: the whole bound of each point.
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
        """The sum of all steps but the first."""
        return float(self.steps[1:].sum())

    @property
    def stderr(self) -> float | None:
        """The standard error of the mean of `value`; None for a single point."""
        return _stderr(self.value)

    def above(self, log_p: np.ndarray) -> tuple[float, float | None]:
        """The gap between the bound and -log p, for log_p [n] of the same points: mean and standard error."""
        gaps = self.value + log_p
        return float(gaps.mean()), _stderr(gaps)


class Quality(NamedTuple):
    """The results of `evaluate_model`.

    floor: the noise floors of the distances, by which other samples of the same number can be judged too; None where
    no distance could be computed. scores: name of metric -> Score. solved: the likelihood; None for particles with
    weights, which no flow draws, and where no density is known. excess: None likewise, and where the law is unknown.
    memorisation: None without training, and for a guided model, which draws from another law than that of its training
    points. compared: the number of points between which distances were computed. left_out: metrics for which these are
    too few, with the number that each needs. held_out: the number of points of the truth.
    """

    drawn: Drawn
    floor: Floor | None
    scores: dict[str, Score]
    solved: Solved | None
    excess: ExcessLoss | None
    memorisation: Memorisation | None
    compared: int
    left_out: dict[str, int]
    held_out: int

    @property
    def nll(self) -> Nll | None:
        """The likelihood; None where the model has none."""
        return self.solved and self.solved.nll


def held_out(model: Model, dataset: Dataset, n: int, seed: int) -> np.ndarray:
    """Data [n, d] in model space that no training has seen: fresh draws, or as many rows of a file as were held out."""
    if dataset.points is not None:
        return np.asarray(draw_data(model.config, dataset).held_out, np.float64)[:n]
    return model.standard.to_model(dataset.draw(fresh_draws(seed), n))


def judged_points(model: Model, dataset: Dataset, n: int, seed: int) -> np.ndarray:
    """The points [m, d] of the likelihood in `evaluate_model`, model space: n held-out ones, or fewer if each is
    costly."""
    points = held_out(model, dataset, n, seed)
    return points if model.direct is None else points[: model.direct.most]


def beside(others: Sequence[Model], model: Model, dataset: Dataset, n: int, seed: int) -> "dict[str, Nll]":
    """The likelihoods of other models by name, of the same held-out points as that of `model`.

    Raises UsageError for a model of other data, or without a density.
    """
    if not others:
        return {}
    x0, law, found = judged_points(model, dataset, n, seed), truth_of(dataset), {}
    for other in others:
        if not other.standard.agrees_with(model.standard):
            raise UsageError(f"{other.name} has learned other data than {model.name}, so they have no points in common")
        other.check_density()
        found[other.name] = negative_log_likelihood(other, law, x0, Solver(seed=seed)).nll
    return found


class HeldOut(NamedTuple):
    """Points [n, d] in model space that no training has seen, and what is given with each.

    condition: [n, c], as a network takes it. log_p: [n], their true log-density given it, nats, data units; None where
    it is not known.
    """

    x0: np.ndarray
    condition: np.ndarray
    log_p: np.ndarray | None


def held_out_given(model: Model, dataset: Dataset, n: int, seed: int) -> HeldOut:
    """Data that no training has seen, each with its own row of what is given: draws, or rows of a file held out.

    Raises UsageError where nothing is given with the data.
    """
    given = dataset.given
    if given is None:
        raise UsageError(f"nothing is given with the data of {model.name}")
    if dataset.points is not None:
        data = draw_data(model.config, dataset)
        return HeldOut(np.asarray(data.held_out, np.float64)[:n], np.asarray(data.held_out_given)[:n], None)
    points, rows = given.draw(fresh_draws(seed), n)
    truth = None if given.log_density is None else given.log_density(points, rows)
    return HeldOut(model.standard.to_model(points), given.to_model(rows), truth)


def fresh_draws(seed: int) -> np.random.Generator:
    """Draws that share nothing with the training set's."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))


def true_log_p(dataset: Dataset, model: Model, x0: np.ndarray) -> np.ndarray | None:
    """log p [n] of x0 [n, d], model space, in nats and data units, where it is known at one row of what is given."""
    part = dataset.part
    if not isinstance(part, GivenPart) or part.of.given is None or part.of.given.log_density is None:
        return None
    return part.of.given.log_density(model.standard.to_data(x0), np.tile(part.row, (len(x0), 1)))


def negative_log_likelihood(
    model: Model,
    law: exact.Law | None,
    x0: np.ndarray,
    solver: Solver = DEFAULT_SOLVER,
    *,
    condition: np.ndarray | None = None,
    true: np.ndarray | None = None,
) -> Solved:
    """log p of x0 [n, d], model space, and their Nll; `law`: the law from which they were drawn, or None if unknown.

    The gap is the mean of log p − log p_model over the same points, in which most of the sampling error cancels; the
    value is the exact entropy plus this gap. Where the entropy of a law cannot be computed, it is the mean of −log p.

    condition: [n, c], what is given with each point; the likelihoods are then log p(x0 | condition). true: [n], log p
    in nats and data units, where it is known without a law; the entropy is then the mean over the points.
    """
    solved = _solved(model, x0, solver, condition)
    n, volume = len(x0), model.standard.log_volume
    log_p = np.asarray(solved.log_p, np.float64) - volume
    if solved.failed:
        judged = Nll(None, None, None, None, n, solved.failed)
    elif law is None and true is not None:
        entropy, gap = -float(true.mean()), float((true - log_p).mean())
        judged = Nll(entropy + gap, entropy, gap, _stderr(true - log_p), n, 0)
    elif law is None or (known := _entropy(law)) == -np.inf:
        judged = Nll(-float(log_p.mean()), None, None, _stderr(log_p), n, 0)
    else:
        truth = jax.jit(lambda x: exact.log_prob(law, x, CLEAN))(np.asarray(x0, np.float32))
        true_log_p = np.asarray(truth, np.float64) - volume
        beyond = true_log_p - log_p
        entropy = -float(true_log_p.mean()) if known is None else known + volume
        gap = float(beyond.mean())
        judged = Nll(entropy + gap, entropy, gap, _stderr(beyond), n, 0)
    return Solved(judged, log_p, np.asarray(solved.stderr), solved.evals, solved.probes)


def _solved(model: Model, x0: np.ndarray, solver: Solver, condition: np.ndarray | None = None) -> Likelihood:
    """log p of x0 in model space: by the flow of a denoiser, or as a model without one computes it."""
    if model.direct is not None:
        return Likelihood(model.direct.density(model.name)(x0), np.zeros(len(x0)), 0, 0, 0)
    options = {"tolerance": solver.tolerance, "max_steps": solver.max_steps, "probes": solver.probes}
    key = jax.random.key(solver.seed)
    return log_likelihood(model.predict, model.process, x0, key=key, condition=condition, **options)


def over_labels(nlls: Sequence[Nll], shares: Sequence[float]) -> Nll:
    """The mean of likelihoods given each label, in the proportions of the labels: that of −log p(x | c).

    Where a value is unknown for one label, so is the mean.
    """

    def mean(name: str) -> float | None:
        values = [getattr(nll, name) for nll in nlls]
        return None if None in values else float(np.dot(shares, values))

    spread = [nll.stderr for nll in nlls]
    stderr = None if None in spread else float(np.sqrt(np.sum((np.array(shares) * np.array(spread)) ** 2)))
    n, failed = sum(nll.n for nll in nlls), sum(nll.failed for nll in nlls)
    return Nll(mean("value"), mean("entropy"), mean("gap"), stderr, n, failed)


def variational_bounds(
    model: Model, x0: np.ndarray, seed: int, *, condition: np.ndarray | None = None
) -> dict[str, Bound]:
    """The bound at x0 [n, d], model space, for each variance that the chain of this model can have.

    condition: [n, c], what is given with each point.

    Raises UsageError for a model that is not a denoiser and has no chain.
    """
    if model.kind != "denoiser":
        raise UsageError(f"{model.name} has learned the velocity of a flow, and no chain that a bound could be of")
    variances = [name for name in VARIANCES if name != "learned" or model.predict_with_variance is not None]
    return {variance: _bound(model, variance, x0, seed, condition) for variance in variances}


def _bound(model: Model, variance: str, x0: np.ndarray, seed: int, condition: np.ndarray | None) -> Bound:
    predict = model.predict_with_variance if variance == "learned" else model.predict
    given = model.given_with_variance if variance == "learned" else model.given
    volume = model.standard.log_volume  # only the reconstruction is a density
    prior, steps, value = 0.0, np.zeros(model.process.timesteps), []
    for number, first in enumerate(range(0, len(x0), _BOUNDED)):
        rows = np.asarray(x0[first : first + _BOUNDED], np.float32)
        key = jax.random.fold_in(jax.random.key(seed), number)
        if condition is not None and given is not None:
            predict = given(condition[first : first + _BOUNDED])
        terms = bound_terms(predict, model.process, rows, key, variance=variance)
        prior += float(terms.prior.sum()) / len(x0)
        steps += np.asarray(terms.steps.sum(axis=1), np.float64) / len(x0)
        value.append(np.asarray(terms.total, np.float64) + volume)
    steps[0] += volume
    return Bound(prior, steps, np.concatenate(value))


def mass_on_grid(model: Model, solver: Solver = DEFAULT_SOLVER) -> Mass | None:
    """∫ p over a grid that holds the data with a margin, which should be 1, for data of one or two columns.

    None where the grid would need more than 65,536 points, or each of them is costly.
    """
    if model.direct is not None and model.direct.most is not None:
        return None
    low, high = model.box or _bounds(held_out(model, model.dataset(), _BOUNDING, 0))
    room = 0.15 * (high - low) + 0.1
    if np.prod((high - low + 2 * room) / SPACING) > _MOST_POINTS:
        return None
    return mass_of(lambda points: _solved(model, points, solver._replace(probes=0)), low - room, high + room)


def _bounds(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points.min(axis=0), points.max(axis=0)


def _entropy(law: exact.Law) -> float | None:
    """The entropy of `law` in model space, −∞ for one without a density; None where it is too costly."""
    try:
        return law.entropy(CLEAN)
    except DiffuseError:  # too many columns, or too fine
        return None


def _stderr(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def excess_of(model: Model, law: exact.Law, x0: np.ndarray) -> ExcessLoss:
    """The ExcessLoss of `model` over draws x0 [n, d] of its law, model space; the first 2048 are used."""
    return _excess(model.predict, jax.tree_util.Partial(exact.denoiser(law)), model, x0)


def conditional_excess_of(model: Model, exactly: Model, x0: np.ndarray, labels: np.ndarray) -> ExcessLoss:
    """The mean ExcessLoss of a conditional model that is told the labels [n] of x0 [n, d]; exactly: its exact twin."""
    labels = labels[:_JUDGED]
    return _excess(model.given(labels), exactly.given(labels), model, x0)


def _excess(predict: Predict, truth: Predict, model: Model, x0: np.ndarray) -> ExcessLoss:
    x0 = np.asarray(x0[:_JUDGED], np.float32)
    return jax.device_get(excess_loss(predict, truth, model.process, x0, np.uint32(0)))


def floor_of(model: Model, dataset: Dataset, metrics: Mapping[str, Metric], n: int, seed: int, repeats: int) -> Floor:
    """The noise floors for n samples of a model, in model space.

    For a user's file the reference is the rows held out from training, and floors are computed from splits of all rows.

    Raises UsageError for too few points.
    """
    if dataset.points is not None:
        reference = held_out(model, dataset, n, seed)
        return split_floor(metrics, n, reference, _train(model, dataset), seed=seed, repeats=repeats)
    fresh = lambda rng, n: model.standard.to_model(dataset.draw(rng, n))  # noqa: E731
    return fresh_floor(metrics, n, fresh, seed=seed, repeats=repeats)


def _train(model: Model, dataset: Dataset) -> np.ndarray:
    return np.asarray(draw_data(model.config, dataset).train, np.float64)


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
    """Draw n samples by a method and compare them, and the denoiser, with n draws of the truth.

    metrics: choices of the catalogue; None is all of them, except those for which there are too few points. repeats: of
    each noise floor. For a user's file the reference is the rows held out from training, and floors are computed from
    splits of the whole file. Distances are in model space, where the data have unit variance.

    Raises UsageError for an unknown metric or too few points, and where the data are only rows near what the model was
    told; DiffuseError for samples that are not finite.
    """
    if isinstance(dataset.part, GivenPart) and not dataset.part.exactly:
        raise UsageError(
            f"no row of {title_of_data(model.config.dataset)} has exactly {dataset.part.told}, so what is true "
            "there is not known; for log p(x | c) of held-out rows, each with its own values: diffuse likelihood"
        )
    chosen = {metric: catalog.build("metric", metric) for metric in metrics or catalog.CATALOG["metric"]}
    law = truth_of(dataset)
    drawn = draw_samples(model, method, n, seed)
    samples, reference = model.standard.to_model(drawn.samples), held_out(model, dataset, n, seed)
    learned = model.guiding is None and (dataset.points is not None or model.box is not None)
    train = _train(model, dataset) if learned else None
    compared = n if dataset.points is None else split_size(n, len(reference), len(_train(model, dataset)))
    left_out = {} if metrics else {name: metric.least for name, metric in chosen.items() if metric.least > compared}
    chosen = {name: metric for name, metric in chosen.items() if name not in left_out}
    floor = floor_of(model, dataset, chosen, n, seed, repeats) if chosen else None
    judged = judged_points(model, dataset, n, seed)
    return Quality(
        drawn=drawn,
        floor=floor,
        scores={} if floor is None else floor.scores(samples),
        solved=negative_log_likelihood(model, law, judged, Solver(seed=seed), true=true_log_p(dataset, model, judged))
        if model.has_density
        else None,
        excess=None if law is None or not model.has_flow else excess_of(model, law, reference),
        memorisation=None if train is None else memorisation(samples, train, np.unique(reference, axis=0)),
        compared=compared,
        left_out=left_out,
        held_out=len(reference),
    )

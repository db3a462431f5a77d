"""Samplers compared: all start from the same noise, with the same numbers of network evaluations."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.analysis.map_gap import by_label, exact_ends, first_noise, has_map_gap
from diffuse_cli.analysis.quality import floor_of
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion.map_losses import Jumps
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.metrics.noise_floors import Floor, Score
from diffuse_cli.models.draw import Method, build_method, draw_samples, most_steps
from diffuse_cli.models.model import Model
from diffuse_cli.samplers.base import Adaptive, Sampler
from diffuse_cli.samplers.grids import levels_of
from diffuse_cli.samplers.loop import run_steps

FOLLOWED = 1000  # points that are compared with the exact flow one by one
_EXACT = Adaptive(1e-6, 5000)  # the smallest tolerance that single precision allows


class Task(NamedTuple):
    """One cell to compute: a method with as many steps as a budget of network evaluations allows."""

    method: Method
    budget: int


class TooSmall(NamedTuple):
    """A cell that stays empty because the budget is too small: this sampler needs at least `least` evaluations."""

    sampler: str
    budget: int
    least: int


class Cell(NamedTuple):
    """The result of a task.

    evals: network evaluations. score: of the metric, beside its noise floor; None where samples are not finite.
    ends [m, d]: the samples of the first points of noise, model space. gaps [m]: their distances from the ends of the
    flow of the same denoiser; None for what does not follow it, or where the flow could not be solved. map_gaps [m]:
    those from the exact flow map of the data's law; None also where that is unknown. seconds: the time of sampling
    with compiling; None where samples are not finite.
    """

    method: Method
    budget: int
    evals: int
    score: Score | None
    ends: np.ndarray | None
    gaps: np.ndarray | None
    map_gaps: np.ndarray | None
    seconds: float | None

    @property
    def rms(self) -> float | None:
        """The root mean square of the gaps, model space."""
        return _rms(self.gaps)

    @property
    def median(self) -> float | None:
        """The median of the gaps, model space. A few points that end in another part of the data hardly change it."""
        return _median(self.gaps)

    @property
    def map_rms(self) -> float | None:
        """The root mean square of the map gaps, model space."""
        return _rms(self.map_gaps)

    @property
    def map_median(self) -> float | None:
        """The median of the map gaps, model space."""
        return _median(self.map_gaps)


def _rms(gaps: np.ndarray | None) -> float | None:
    return None if gaps is None else float(np.sqrt(np.mean(gaps**2)))


def _median(gaps: np.ndarray | None) -> float | None:
    return None if gaps is None else float(np.median(gaps))


class References(NamedTuple):
    """What the samples of all cells are compared with.

    floor: of one metric, with its noise floor. flow, mapped [m, d]: the ends, from the first points of noise, of the
    flow of the same denoiser, and of the exact flow map of the data's law, model space, NaN where unsolved; None where
    there is no such comparison.
    """

    floor: Floor
    flow: np.ndarray | None = None
    mapped: np.ndarray | None = None


class Comparison(NamedTuple):
    """All cells, sampler by sampler, and the exact values with which they are compared.

    exact [m, d]: the ends of the exact flow of the same denoiser from the first points of noise, model space, NaN where
    the solver failed. exact_evals: network evaluations of the flow for a point. floor: mean and standard deviation of
    the metric between draws of the truth. interval: of the metric for perfect models. mapped [m, d]: the ends of the
    exact flow map of the data's law; None where that is unknown, or not what the model is meant to follow.
    """

    cells: list[Cell]
    exact: np.ndarray
    exact_evals: float
    floor: tuple[float, float]
    interval: tuple[float, float]
    mapped: np.ndarray | None = None


def plan_comparison(
    samplers: Iterable[str], budgets: Sequence[int], grid: str | None = None, jumps: Jumps = "any"
) -> tuple[list[Task], list[TooSmall]]:
    """The tasks for all samplers and budgets, as of `plan_tasks`, of which there has to be one.

    Raises UsageError like that, and where no budget is large enough for any sampler.
    """
    tasks, small = plan_tasks(samplers, budgets, grid, jumps)
    if not tasks:
        needs = ", ".join(f"{name} {least}" for name, least in {each.sampler: each.least for each in small}.items())
        raise UsageError(f"no sampler can take a step of its own with {max(budgets)} evaluations; they need: {needs}")
    return tasks, small


def plan_tasks(
    samplers: Iterable[str], budgets: Sequence[int], grid: str | None = None, jumps: Jumps = "any"
) -> tuple[list[Task], list[TooSmall]]:
    """The tasks for all samplers and budgets, and the cells whose budget is too small for one full step of the sampler.

    The number of steps is the largest within the budget, of which one evaluation is for the last step, to clean data;
    budgets that allow the same number of steps share a cell. The last step of a sampler of jumps is its own, so that
    one is enough; jumps: those that the model has learned, beyond which such a sampler takes no steps. The grid is the
    sampler's default unless one is given.

    Raises UsageError for a sampler that has no steps.
    """
    tasks, small = {}, []
    for name in samplers:
        sampler = catalog.build("sampler", name)
        if isinstance(sampler, Adaptive):
            raise UsageError(
                f"{name} takes as many evaluations as its tolerance asks for, not as many as it is given; the others "
                "are compared with it anyway"
            )
        least = evaluations(sampler, 1 if sampler.needs_jump else max(2, sampler.lookback + 1))
        for budget in budgets:
            if budget < least:
                small.append(TooSmall(name, budget, least))
            else:
                steps = 1 + (budget - 1 - sampler.starting) // sampler.evals
                method = Method(name, grid or sampler.grid, min(steps, most_steps(jumps, sampler) or steps))
                tasks.setdefault(method, Task(method, budget))
    return list(tasks.values()), small


def evaluations(sampler: Sampler, steps: int) -> int:
    """The network evaluations of `steps` steps; the last one, to clean data, is one evaluation for all samplers."""
    return sampler.cost(steps - 1) + 1


def compare_samplers(
    model: Model,
    dataset: Dataset,
    tasks: Sequence[Task],
    metric: str,
    *,
    n: int,
    seed: int,
    repeats: int,
    begin: Callable[[str, list[int]], None] = lambda name, steps: None,
) -> Comparison:
    """Compute the cells of a plan with n samples each, from the same noise, with one noise floor.

    metric: a choice of the catalogue. The first 1000 samples are compared one by one with the ends of the flow of the
    same denoiser from the same noise, solved at a tolerance of 1e-6, and with those of the exact flow map of the data's
    law. `begin` is called before each sampler with its name and its numbers of steps.

    Raises UsageError for too few points or a sampler that cannot be used with the model.
    """
    model.check_density()
    for task in tasks:  # errors are reported before any work
        build_method(model, task.method)
    floor = floor_of(model, dataset, {metric: catalog.build("metric", metric)}, n, seed, repeats)
    noise = first_noise(model, n, seed, FOLLOWED)
    exact, exact_evals = _follow(model, noise, n, seed)
    mapped = exact_ends(model, noise, rows=n) if has_map_gap(model) else None
    references = References(floor, exact, mapped)
    cells = []
    for name, group in itertools.groupby(tasks, key=lambda task: task.method.sampler):
        group = list(group)
        begin(name, [task.method.steps for task in group])
        cells += [fill_cell(model, task, references, n, seed) for task in group]
    return Comparison(cells, exact, exact_evals, *spread_of(floor, metric), mapped)


def spread_of(floor: Floor, metric: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """The mean and standard deviation of a metric between draws of the truth, and its interval for perfect models."""
    figures = floor.figures[metric]
    return (float(figures.mean()), float(figures.std(ddof=1))), floor.interval(metric)


def fill_cell(model: Model, task: Task, references: References, n: int, seed: int) -> Cell:
    """The cell of one task: n samples with this seed, beside the references. Raises UsageError like `build_method`."""
    sampler = build_method(model, task.method)[0]
    try:
        drawn = draw_samples(model, task.method, n, seed)
    except DiffuseError:  # samples that are not finite are an answer too
        return Cell(task.method, task.budget, evaluations(sampler, task.method.steps), *[None] * 5)
    samples = model.standard.to_model(drawn.samples)
    ends, (score,) = samples[:FOLLOWED], references.floor.scores(samples).values()
    follows = sampler.deterministic and (model.follows_flow or not sampler.needs_jump)
    gaps, map_gaps = (_distances(ends, exact) if follows else None for exact in (references.flow, references.mapped))
    return Cell(task.method, task.budget, drawn.evals, score, ends, gaps, map_gaps, drawn.seconds)


def _distances(ends: np.ndarray, exact: np.ndarray | None) -> np.ndarray | None:
    if exact is None or not np.isfinite(exact).all():
        return None
    return np.linalg.norm(ends - exact, axis=1)


def _follow(model: Model, noise: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, float]:
    """The ends [m, d] of the flow of a denoiser from the first noise of n samples, and its network evaluations."""
    levels = levels_of(catalog.build("grid", "log_snr"), model.process, 2)
    evals = []

    def solve(told: Model, noise: np.ndarray) -> np.ndarray:
        predict = told.for_sampling(n, first=len(noise))
        path = run_steps(predict, _EXACT, levels, noise, jax.random.key(seed), scaling=model.process.scaling)
        evals.append(len(noise) * float(path.evals))
        return np.asarray(path.x, np.float64)

    ends = by_label(model, noise, n, solve)
    return ends, sum(evals) / len(noise)

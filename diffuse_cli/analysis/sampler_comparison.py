"""Samplers compared: all start from the same noise, with the same numbers of network evaluations."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.analysis.quality import floor_of
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.metrics.noise_floors import Floor, Score
from diffuse_cli.models.draw import Method, build_method, draw_samples
from diffuse_cli.models.model import Model
from diffuse_cli.samplers.base import Adaptive, Sampler
from diffuse_cli.samplers.grids import levels_of
from diffuse_cli.samplers.loop import initial_noise, run_steps

_FOLLOWED = 1000  # points that are compared with the exact flow one by one
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
    exact flow; None for a random sampler, or where the flow could not be solved. seconds: the time of sampling with
    compiling; None where samples are not finite.
    """

    method: Method
    budget: int
    evals: int
    score: Score | None
    ends: np.ndarray | None
    gaps: np.ndarray | None
    seconds: float | None

    @property
    def rms(self) -> float | None:
        """The root mean square of the gaps, model space."""
        return None if self.gaps is None else float(np.sqrt(np.mean(self.gaps**2)))

    @property
    def median(self) -> float | None:
        """The median of the gaps, model space. A few points that end in another part of the data hardly change it."""
        return None if self.gaps is None else float(np.median(self.gaps))


class Comparison(NamedTuple):
    """All cells, sampler by sampler, and the exact values with which they are compared.

    exact [m, d]: the ends of the exact flow of the same denoiser from the first points of noise, model space, NaN where
    the solver failed. exact_evals: network evaluations of the flow for a point. floor: mean and standard deviation of
    the metric between draws of the truth. interval: of the metric for perfect models.
    """

    cells: list[Cell]
    exact: np.ndarray
    exact_evals: float
    floor: tuple[float, float]
    interval: tuple[float, float]


def plan_comparison(
    samplers: Iterable[str], budgets: Sequence[int], grid: str | None = None
) -> tuple[list[Task], list[TooSmall]]:
    """The tasks for all samplers and budgets, and the cells whose budget is too small for one full step of the sampler.

    The number of steps is the largest within the budget, of which one evaluation is for the last step, to clean data,
    which is a step of its own for samplers that jump;
    budgets that allow the same number of steps share a cell. The grid is the sampler's default unless one is given.

    Raises UsageError for a sampler that has no steps, and where no budget is large enough for any sampler.
    """
    tasks, small = {}, []
    for name in samplers:
        sampler = catalog.build("sampler", name)
        if isinstance(sampler, Adaptive):
            raise UsageError(
                f"{name} takes as many evaluations as its tolerance asks for, not as many as it is given; the others "
                "are compared with it anyway"
            )
        least = 1 if sampler.needs_jump else evaluations(sampler, max(2, sampler.lookback + 1))
        for budget in budgets:
            if budget < least:
                small.append(TooSmall(name, budget, least))
            else:
                steps = 1 + (budget - 1 - sampler.starting) // sampler.evals
                method = Method(name, grid or sampler.grid, steps)
                tasks.setdefault(method, Task(method, budget))
    if not tasks:
        needs = ", ".join(f"{name} {least}" for name, least in {each.sampler: each.least for each in small}.items())
        raise UsageError(f"no sampler can take a step of its own with {max(budgets)} evaluations; they need: {needs}")
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
    same denoiser from the same noise, solved at a tolerance of 1e-6. `begin` is called before each sampler with its
    name and its numbers of steps.

    Raises UsageError for too few points or a sampler that cannot be used with the model.
    """
    model.check_flow()
    for task in tasks:  # errors are reported before any work
        build_method(model, task.method)
    floor = floor_of(model, dataset, {metric: catalog.build("metric", metric)}, n, seed, repeats)
    exact, exact_evals = _follow(model, n, seed)
    cells = []
    for name, group in itertools.groupby(tasks, key=lambda task: task.method.sampler):
        group = list(group)
        begin(name, [task.method.steps for task in group])
        cells += [_fill(model, task, floor, exact, n, seed) for task in group]
    figures = floor.figures[metric]
    return Comparison(
        cells, exact, exact_evals, (float(figures.mean()), float(figures.std(ddof=1))), floor.interval(metric)
    )


def _fill(model: Model, task: Task, floor: Floor, exact: np.ndarray, n: int, seed: int) -> Cell:
    sampler = catalog.build("sampler", task.method.sampler)
    try:
        drawn = draw_samples(model, task.method, n, seed)
    except DiffuseError:  # samples that are not finite are an answer too
        return Cell(task.method, task.budget, evaluations(sampler, task.method.steps), None, None, None, None)
    samples = model.standard.to_model(drawn.samples)
    ends, (score,) = samples[:_FOLLOWED], floor.scores(samples).values()
    followed = sampler.deterministic and np.isfinite(exact).all()
    gaps = np.linalg.norm(ends - exact, axis=1) if followed else None
    return Cell(task.method, task.budget, drawn.evals, score, ends, gaps, drawn.seconds)


def _follow(model: Model, n: int, seed: int) -> tuple[np.ndarray, float]:
    """The ends [m, d] of the exact flow from the first points of n samples' noise, and its network evaluations."""
    levels, key = levels_of(catalog.build("grid", "log_snr"), model.process, 2), jax.random.key(seed)
    noise = initial_noise(key, (n, model.dim), levels)[:_FOLLOWED]
    predict = model.for_sampling(n, first=len(noise))
    path = run_steps(predict, _EXACT, levels, noise, key, scaling=model.process.scaling)
    return np.asarray(path.x, np.float64), float(path.evals)

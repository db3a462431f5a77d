"""Students compared: their jumps, beside solvers of the exact denoiser of the same data, all from the same noise."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from diffuse_cli import catalog
from diffuse_cli.analysis.map_gap import exact_ends, first_noise, has_map_gap
from diffuse_cli.analysis.quality import floor_of
from diffuse_cli.analysis.sampler_comparison import (
    FOLLOWED,
    Cell,
    References,
    Task,
    TooSmall,
    fill_cell,
    plan_tasks,
    spread_of,
)
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.errors import UsageError
from diffuse_cli.models.data import truth_of
from diffuse_cli.models.defaults import OF_JUMPS
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.model import Model

SOLVERS = ("ddim", "heun", "dpmpp_2m")
_PROCESS = ("dataset", "schedule", "timesteps", "scaling", "zero_terminal_snr", "guidance")
_ROWS = ("seed", "train_size")  # which rows of a file are held out


class StudentComparison(NamedTuple):
    """The cells of each student by the sampler that suits it, and those of solvers of the exact denoiser, by name.

    students: without map gaps where the law is unknown, or the student is not meant to follow the flow. solvers: those
    that have a step; none where the law is unknown. small: the budgets that are too small for a solver. floor,
    interval: as of a Comparison.
    """

    students: dict[str, list[Cell]]
    solvers: dict[str, list[Cell]]
    small: list[TooSmall]
    floor: tuple[float, float]
    interval: tuple[float, float]


def check_students(models: Sequence[Model]) -> None:
    """Raises UsageError for a model that is no student, two of one name, and models of different data or processes."""
    for model in models:
        if not model.is_student:
            raise UsageError(
                f"{model.name} is no student: it has not learned to jump; make one with: diffuse distill --run "
                f"{model.folder.name}, or judge its solvers with: diffuse compare --run {model.folder.name}"
            )
    first, *others = models
    fields = [*_PROCESS, *(_ROWS if first.dataset().points is not None else ())]
    for number, other in enumerate(others, start=1):
        if other.name in [each.name for each in models[:number]]:
            raise UsageError(f"two of the runs are named {other.name}; give each of them once")
        for field in fields:
            one, another = (getattr(model.config, field) for model in (first, other))
            if one != another:
                raise UsageError(
                    f"{first.name} has the {field} {one}, and {other.name} has {another}: students can be compared "
                    "where data and noise are the same"
                )


def _tasks_of(model: Model, budgets: Sequence[int]) -> list[Task]:
    """Jumps in as many steps as it has learned, and the sampler that suits it in more."""
    tasks, _ = plan_tasks(dict.fromkeys(("jump", OF_JUMPS[model.jumps].sampler)), budgets, jumps=model.jumps)
    by_steps: dict[int, Task] = {}
    for task in tasks:
        by_steps.setdefault(task.method.steps, task)
    return list(by_steps.values())


def compare_students(
    models: Sequence[Model],
    dataset: Dataset,
    budgets: Sequence[int],
    metric: str,
    *,
    n: int,
    seed: int,
    repeats: int,
    begin: Callable[[str], None] = lambda name: None,
) -> StudentComparison:
    """Compute n samples of each student in as many jumps as the budgets have evaluations, and those of SOLVERS.

    dataset: that of the students, with whose draws samples are compared by a metric of the catalogue, and on which the
    solvers have the exact denoiser. `begin` is called before each student and each solver with its name.

    Raises UsageError like `check_students`, and for too few points.
    """
    check_students(models)
    first = models[0]
    floor = floor_of(first, dataset, {metric: catalog.build("metric", metric)}, n, seed, repeats)
    known = truth_of(dataset) is not None
    following = {model.name: model for model in models if has_map_gap(model)}
    mapped = None
    if following:
        mapped = exact_ends(next(iter(following.values())), first_noise(first, n, seed, FOLLOWED), rows=n)
    students, solvers, small = {}, {}, []
    for model in models:
        begin(model.name)
        references = References(floor, mapped=mapped if model.name in following else None)
        students[model.name] = [fill_cell(model, task, references, n, seed) for task in _tasks_of(model, budgets)]
    twin = exact_model(first.config, dataset, first.folder.parent, process=first.process) if known else None
    for name in () if twin is None else SOLVERS:
        tasks, left_out = plan_tasks([name], budgets)
        small += left_out
        if tasks:
            begin(name)
            solvers[name] = [fill_cell(twin, task, References(floor, mapped=mapped), n, seed) for task in tasks]
    return StudentComparison(students, solvers, small, *spread_of(floor, metric))

"""The figure of students: quality against network evaluations, beside solvers of the exact denoiser."""

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from diffuse_cli.analysis.student_comparison import StudentComparison, compare_students
from diffuse_cli.figures.comparisons import left_out, line_of
from diffuse_cli.figures.options import StudentsOptions
from diffuse_cli.models import build
from diffuse_cli.models.model import Model
from diffuse_cli.plots.comparison import students_figure
from diffuse_cli.plots.formats import Look

_FLOORS = 20  # pairs of draws of the truth


def students_of_models(
    models: Sequence[Model],
    metric: str,
    asked: StudentsOptions,
    look: Look,
    *,
    begin: Callable[[str], None] = lambda name: None,
) -> Figure:
    """The figure of plot-students. `begin` is called before each student and each solver with its name.

    Raises UsageError like `analysis.student_comparison.compare_students`.
    """
    found = compare_students(
        models,
        models[0].dataset(),
        asked.evals,
        metric,
        n=asked.count,
        seed=asked.seed,
        repeats=_FLOORS,
        begin=begin,
    )
    return students_figure(
        {name: line_of(cells, medians=True) for name, cells in found.students.items()},
        {f"{name}, exact denoiser": line_of(cells) for name, cells in found.solvers.items()},
        metric=metric,
        floor=found.floor[0],
        interval=found.interval,
        notes=_notes(found),
        subject=build.title_of_data(models[0].config.dataset),
        **look._asdict(),
    )


def _notes(found: StudentComparison) -> list[str]:
    """How to read the figure, and what it cannot draw."""
    lines = {name: line_of(cells) for name, cells in found.students.items()}
    mapped = [name for name, line in lines.items() if line.maps is not None]
    notes = ["Thin lines are medians over the same points."] if mapped else []
    apart = [name for name in lines if name not in mapped]
    if apart and not (found.solvers or found.small):
        notes.append("Without distances from the exact map: the law of the data is not known.")
    elif apart:
        notes.append(f"Without distances, since their map is not that of the flow: {', '.join(apart)}.")
    random = [name for name, cells in found.students.items() if any(cell.method.sampler == "renoise" for cell in cells)]
    if random:
        notes.append(f"In several steps these draw new noise, which the exact map has not: {', '.join(random)}.")
    missing = [f"{name} at {budgets} (needs {least})" for name, budgets, least in left_out(found.small)]
    lost = [
        f"{name} at {cell.evals} (samples not finite)"
        for name, cells in [*found.students.items(), *found.solvers.items()]
        for cell in cells
        if cell.score is None
    ]
    return notes + ([f"Left out: {', '.join(missing + lost)}."] if missing + lost else [])

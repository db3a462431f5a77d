"""diffuse compare"""

from typing import TYPE_CHECKING

import click

from diffuse_cli.analysis import digits, quality_tables
from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.errors import UsageError
from diffuse_cli.plots.formats import Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from diffuse_cli.analysis.sampler_comparison import Cell, Comparison, TooSmall
    from diffuse_cli.models.model import Model

_EPILOG = """\b
Keys of --json:
  run, dataset, n, metric, seed
  floor         floor, floor_std of the metric; interval [low, high] (null
                for no bound) where figures cannot be told from the truth's
  exact         points, evals: of the exact flow
  cells         a list of: sampler, grid, budget, steps, evals, value,
                indistinguishable (null if samples were not finite,
                or n is too small to judge),
                gap_rms, gap_median (null for random samplers),
                map_gap_rms, map_gap_median (null also where the law is
                unknown, or the model is of another flow), seconds
  left_out      a list of: sampler, budget, least (that would do)
  figures       with --out

\b
Examples:
  diffuse compare
  diffuse compare --run moons --sampler ddim --sampler dpmpp_3m --evals 8,16,32
  diffuse compare --exact --dataset moons -n 4000
  diffuse compare --run student --sampler jump --sampler renoise --evals 1,2,4
  diffuse compare --metric energy --json > compare.json"""

_SAMPLERS = ("ddim", "heun", "dpmpp_2m", "unipc", "ddpm")
_EVALS = (5, 10, 20, 50, 100)
_OF_STUDENT = ("jump", "renoise", "dpmpp_2m", "heun", "ddim")  # those of denoisers take its velocity
_EVALS_OF_STUDENT = (1, 2, 4, 8, 16, 50)
_MOST = 10_000  # evaluations


@click.command(epilog=_EPILOG)
@options.model_option
@options.option(
    "samplers",
    "--sampler",
    type=options.ChoiceParam("sampler"),
    multiple=True,
    help=f"A sampler; may be repeated.  [default: {', '.join(_SAMPLERS)}; of a student {', '.join(_OF_STUDENT)}]",
)
@options.option(
    "--evals",
    type=options.Counts(_MOST),
    help="Budgets of network evaluations; each sampler takes as many steps as fit.  "
    f"[default: {','.join(map(str, _EVALS))}; of a student {','.join(map(str, _EVALS_OF_STUDENT))}]",
)
@options.setting("grid", default="what suits each sampler", help_text="How the noise levels are spaced.")
@options.count(100, 10_000, "samples")
@options.option(
    "--metric", type=options.ChoiceParam("metric"), default="sliced_w2", show_default=True, help="Which distance."
)
@options.repeats
@options.option(
    "--ends",
    type=options.WholeNumber(1, _MOST),
    metavar="BUDGET",
    help="Which of the budgets the figure of end points shows.  [default: the second; of a student the third]",
)
@options.figure_output("the figures/ of the run")
@options.as_json
@options.seed
@options.device
@options.common
def compare(
    opener: options.ModelOption,
    samplers: tuple[str, ...],
    evals: tuple[int, ...] | None,
    grid: str | None,
    count: int,
    metric: str,
    repeats: int,
    ends: int | None,
    output: options.FigureOutput,
    as_json: bool,
    seed: int,
) -> None:
    """Compare samplers at the same numbers of network evaluations, all from the same noise.

    The metric compares samples with data, beside its noise floor as in `diffuse evaluate`. The gap compares sample with
    sample: how far each of the first 1,000 ends from where the exact solution of the same denoiser's flow takes the
    same noise, as root mean square and median. It sees errors that no metric sees; random samplers have none. A few
    points near the divide between two parts of the data can make up most of the root mean square.

    The gap is the error of the solver alone. The map gap is that of solver and network together: how far each sample
    ends from where the exact flow of the data's law takes the same noise. It is known for built-in data. Of a student,
    a network that jumps (samplers jump and renoise), the gap only says how well its jumps agree with its own velocity.

    A sampler of two evaluations a step takes half as many steps; where the budget is too small for one, it is left out.
    All is in model space; seconds are with compiling. Beside FILE, FILE-ends shows where the same points end.
    """
    from diffuse_cli.analysis import sampler_comparison
    from diffuse_cli.figures import comparisons

    signals.at_once()
    model = opener.open()
    evals = evals or (_EVALS_OF_STUDENT if model.is_student else _EVALS)
    samplers = samplers or (_OF_STUDENT if model.is_student else _SAMPLERS)
    tasks, small = sampler_comparison.plan_comparison(dict.fromkeys(samplers), evals, grid, model.jumps)
    ends = _one_of(evals, ends, 2 if model.is_student else 1)
    for name, budgets, least in comparisons.left_out(small):
        terminal.note(f"{name} is left out at {budgets}: it needs {least}")
    comparison = sampler_comparison.compare_samplers(
        model, model.dataset(), tasks, repeats=repeats, begin=_announce, n=count, metric=metric, seed=seed
    )
    files: list[str] = []
    if not as_json:
        _print(comparison, metric)
    if not as_json or output.file is not None:  # a script that wants figures says where
        files = _save(_draw(model, comparison, small, metric, ends, output.look), model, output)
    if not as_json:
        click.echo("\n".join(files))
        return
    judged = {"run": str(model.folder), "dataset": model.config.dataset, "n": count, "metric": metric, "seed": seed}
    left_out = {"left_out": [each._asdict() for each in small]}
    terminal.print_json(judged | _document(comparison) | left_out | ({"figures": files} if files else {}))


def _one_of(evals: tuple[int, ...], ends: int | None, default: int) -> int:
    """Which budget's ends are drawn: --ends, or else where few evaluations show their cost."""
    if ends is not None and ends not in evals:
        raise UsageError(f"--ends {ends} is none of the budgets {', '.join(map(str, evals))}")
    return ends or evals[min(default, len(evals) - 1)]


def _announce(sampler: str, steps: list[int]) -> None:
    terminal.note(f"{sampler} in {', '.join(map(str, steps))} steps")


def _document(comparison: "Comparison") -> dict[str, object]:
    return {
        "floor": {
            "floor": comparison.floor[0],
            "floor_std": comparison.floor[1],
            "interval": list(comparison.interval),
        },
        "exact": {"points": len(comparison.exact), "evals": comparison.exact_evals},
        "cells": [
            {
                "sampler": cell.method.sampler,
                "grid": cell.method.grid,
                "budget": cell.budget,
                "steps": cell.method.steps,
                "evals": cell.evals,
                "value": cell.score and cell.score.value,
                "indistinguishable": cell.score and cell.score.indistinguishable,
                "gap_rms": cell.rms,
                "gap_median": cell.median,
                "map_gap_rms": cell.map_rms,
                "map_gap_median": cell.map_median,
                "seconds": cell.seconds,
            }
            for cell in comparison.cells
        ],
    }


def _print(comparison: "Comparison", metric: str) -> None:
    mapped = comparison.mapped is not None
    rows = [
        (
            cell.method.sampler,
            str(cell.method.steps),
            str(cell.evals),
            "not finite" if cell.score is None else digits.rounded_to(cell.score.value, cell.score.floor_std),
            "" if cell.score is None else quality_tables.verdict(cell.score).removesuffix(" from truth"),
            *_in_words([cell.rms, cell.median, *([cell.map_rms, cell.map_median] if mapped else [])]),
            "-" if cell.seconds is None else f"{cell.seconds:.1f}",
        )
        for cell in comparison.cells
    ]
    gaps = ("gap, rms", "median", *(("map gap, rms", "median") if mapped else ()))
    terminal.print_table(rows, header=("sampler", "steps", "evals", metric, "from truth", *gaps, "seconds"))
    click.echo(f"  noise floor of {metric}: {digits.with_spread(*comparison.floor)}")


def _in_words(gaps: list[float | None]) -> list[str]:
    return ["-" if gap is None else f"{gap:.2g}" for gap in gaps]


def _draw(
    model: "Model", comparison: "Comparison", small: "list[TooSmall]", metric: str, ends: int, look: Look
) -> "list[tuple[str, Figure]]":
    from diffuse_cli.figures import comparisons
    from diffuse_cli.plots.comparison import quality_figure

    by_sampler = comparisons.by_sampler(comparison.cells)
    lines = {name: comparisons.line_of(cells) for name, cells in by_sampler.items()}
    if not model.trained:  # its flow is the exact map
        lines = {name: line._replace(maps=None) for name, line in lines.items()}
    quality = quality_figure(
        lines,
        metric=metric,
        floor=comparison.floor[0],
        interval=comparison.interval,
        notes=_notes(by_sampler, comparison, small),
        subject=model.name,
        dark=look.dark,
        width=look.width,
    )
    compared = _draw_ends(model, comparison, small, ends, look)
    return [("", quality), *([] if compared is None else [("-ends", compared)])]


def _draw_ends(
    model: "Model", comparison: "Comparison", small: "list[TooSmall]", ends: int, look: Look
) -> "Figure | None":
    """The figure of the ends, those of a student beside the exact map where it is known; None without exact ends."""
    import numpy as np

    from diffuse_cli.figures import comparisons
    from diffuse_cli.plots import comparison as plot
    from diffuse_cli.plots.columns import Columns

    by_map = model.is_student and comparison.mapped is not None
    if comparison.mapped is not None and by_map:
        clouds = {"exact map": plot.Ends(comparison.mapped, "of the law of the data", False)}
    else:
        clouds = {"exact flow": plot.Ends(comparison.exact, f"{comparison.exact_evals:.0f} evaluations", False)}
    if not all(np.isfinite(each.cloud).all() for each in clouds.values()):
        terminal.note("There is no figure of the ends: the flow could not be solved exactly")
        return None
    by_sampler, without = comparisons.by_sampler(comparison.cells), []
    for name in dict.fromkeys([*by_sampler, *(each.sampler for each in small)]):
        cells = [cell for cell in by_sampler.get(name, []) if cell.budget <= ends]
        shown = max(cells, key=lambda cell: cell.budget, default=None)
        if shown is None:
            least = min([each.least for each in small if each.sampler == name], default=ends)
            without.append(f"{name} (needs {least} evaluations)")
        elif shown.ends is None:
            without.append(f"{name} (samples not finite)")
        else:
            once = next((cell for cell in cells if name == "jump" and cell.evals == 1 < shown.evals), None)
            if once is not None and once.ends is not None:
                clouds["one jump"] = plot.Ends(once.ends, *_words(once, by_map=by_map))
            clouds[name] = plot.Ends(shown.ends, *_words(shown, by_map=by_map))
    left_out = f"without {', '.join(without)}" if without else ""
    if left_out:
        terminal.note(f"The figure of the ends is {left_out}")
    if len(clouds) == 1:
        return None
    subject = f"{model.name}, {left_out}" if left_out else model.name
    named = Columns(model.columns, "model")
    return plot.ends_figure(clouds, view=model.view, columns=named, subject=subject, **look._asdict())


def _words(cell: "Cell", *, by_map: bool) -> tuple[str, bool]:
    """The evaluations of a cell with its gap, to the exact map or to the flow; and whether it has one."""
    from diffuse_cli import catalog

    gap = cell.map_rms if by_map else cell.rms
    without = "no gap" if catalog.build("sampler", cell.method.sampler).deterministic else "random"
    words = without if gap is None else f"{'map ' * by_map}gap {gap:.2g}"
    return f"{cell.evals} evaluation{'s' * (cell.evals > 1)}, {words}", gap is not None


def _notes(by_sampler: "dict[str, list[Cell]]", comparison: "Comparison", small: "list[TooSmall]") -> list[str]:
    """What the figure of quality cannot draw, and why."""
    import numpy as np

    from diffuse_cli import catalog
    from diffuse_cli.figures.comparisons import left_out

    cells = [cell for each in by_sampler.values() for cell in each]
    missing = [f"{name} at {budgets} (needs {least})" for name, budgets, least in left_out(small)]
    missing += [f"{cell.method.sampler} at {cell.evals} (samples not finite)" for cell in cells if cell.score is None]
    notes = [f"Left out: {', '.join(missing)}."] if missing else []
    drawn = {name: [cell for cell in each if cell.ends is not None] for name, each in by_sampler.items()}
    apart = [name for name, each in drawn.items() if each and all(cell.gaps is None for cell in each)]
    random = [name for name in apart if not catalog.build("sampler", name).deterministic]
    jumps = [name for name in apart if name not in random]
    if not np.isfinite(comparison.exact).all():
        return [*notes, "Without distances: the flow could not be solved exactly."]
    if random:
        notes.append(f"Without distances from the flow, since random: {', '.join(random)}.")
    if jumps:
        notes.append(f"Without distances, since its map is not that of the flow: {', '.join(jumps)}.")
    return notes


def _save(figures: "list[tuple[str, Figure]]", model: "Model", output: options.FigureOutput) -> list[str]:
    file = output.place(model.folder, "compare")
    return [str(output.save(figure, file.with_stem(file.stem + suffix))) for suffix, figure in figures]

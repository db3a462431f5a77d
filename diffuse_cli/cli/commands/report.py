"""diffuse report"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.errors import UsageError
from diffuse_cli.plots.formats import check_page_path

if TYPE_CHECKING:
    from diffuse_cli.config import Config
    from diffuse_cli.diffusion.map_losses import Jumps
    from diffuse_cli.models.draw import Method
    from diffuse_cli.models.model import Model
    from diffuse_cli.models.run_folder import Run
    from diffuse_cli.report.document import History, NextCommands

_EPILOG = """\b
Examples:
  diffuse report
  diffuse report --run moons --sampler ddim --sampler heun --sampler ddpm --steps 20
  diffuse report --run student --sampler jump --sampler renoise --steps 2
  diffuse report --exact --dataset two_spirals --no-metrics --out spirals.html"""

_POINTS = 2000
_MOST_SAMPLERS = 6  #: more panels are too small to see


@click.command(epilog=_EPILOG)
@options.model_option
@options.option(
    "samplers",
    "--sampler",
    type=options.ChoiceParam("sampler"),
    multiple=True,
    help="How to sample; may be repeated.  [default: the run's, and ddpm beside it; of a student also one jump, "
    "renoise, and a solver of its velocity]",
)
@options.gathered(
    "settings",
    ("sampler_steps", "grid"),
    options.setting("sampler_steps", "--steps", default="the run's", help_text="How many steps each sampler takes."),
    options.setting(
        "grid", default="the run's, or what suits each sampler", help_text="How the noise levels are spaced."
    ),
)
@options.count(2, None, "points", shown=f"{_POINTS}, or as many as fit, or as a file has rows")
@options.option("--metrics/--no-metrics", default=True, show_default=True, help="Judge the samples, as evaluate does.")
@options.out_option(check_page_path, "Where to: .html.", shown="report.html in the run's folder")
@options.open_option("the page")
@options.seed
@options.device
@options.common
def report(
    opener: options.ModelOption,
    samplers: tuple[str, ...],
    settings: options.Settings,
    count: int | None,
    metrics: bool,
    out: Path | None,
    show: bool,
    seed: int,
) -> None:
    """Make one HTML page of a run: points moving between data and noise, field, density, loss, metrics, settings.

    The page needs no server and no network, and has at most 2 MB. All samplers start from the same noise, point by
    point, which is also the noise that the data end in. With --label all there is one page for each label.
    """
    from diffuse_cli.report import page

    signals.at_once()
    opened, run = opener.open_with_run()
    models = opener.told_each(opened)
    asked = _Asked(samplers, settings, count, metrics, seed)
    for model in models:
        words = (opener._replace(label=model.told) if opener.label else opener).words(run, model.config)
        gathered = _gather(model, run, asked, ["diffuse", "report", *words])
        path = page.write_page(_place(model, out, several=len(models) > 1), gathered)
        click.echo(path)
        if show:
            options.launch(path)


def _place(model: "Model", out: Path | None, *, several: bool) -> Path:
    """Where a page goes: --out, of several with their labels in its name, else the folder of the run."""
    if out is not None:
        return out.with_stem(out.stem + model.suffix) if several else out
    model.folder.mkdir(parents=True, exist_ok=True)
    return model.folder / f"report{model.suffix}.html"


class _Asked(NamedTuple):
    """What a page is asked to show."""

    samplers: tuple[str, ...]
    settings: options.Settings
    points: int | None
    metrics: bool
    seed: int


def _gather(model: "Model", run: "Run | None", asked: _Asked, words: list[str]) -> dict[str, Any]:
    """The document of the page of a model; `words`: the command that makes it, but for what is asked."""
    from diffuse_cli.report import document, facts, scene

    dataset, methods = model.dataset(), _methods(model, asked.samplers, asked.settings)
    rows = _POINTS if dataset.points is None else len(dataset.points)  # a row that is shown twice is one point
    shown = min(asked.points or min(_POINTS, rows), scene.most(model, methods))
    if asked.points is not None and shown < asked.points:
        terminal.note(f"{shown:,} of {asked.points:,} points are shown, so that the page stays below 2 MB and clear")
    judged = None
    if asked.metrics:
        terminal.note(f"Judging {facts.JUDGED:,} samples of each sampler (--no-metrics leaves this out)")
        judged = facts.judged(model, dataset, methods, asked.seed)
    terminal.note(f"Following {shown:,} points through {', '.join(method.sampler for method in methods)}")
    words += _method_words(methods, asked)
    words += (["-n", str(asked.points)] if asked.points else []) + ["--seed", str(asked.seed)]
    words += [] if asked.metrics else ["--no-metrics"]
    return document.gather_document(
        model,
        dataset,
        methods,
        count=shown,
        asked=asked.points,
        seed=asked.seed,
        history=_history(run) if run is not None and model.trained else None,
        judged=judged,
        commands=_next_commands(model, words),
    )


def _method_words(methods: list["Method"], asked: _Asked) -> list[str]:
    """The words of a command line that asks for these methods again; of methods with different steps, the defaults."""
    grid, steps = asked.settings.given("grid"), {method.steps for method in methods}
    if not all(method.grid for method in methods):  # of a model that draws without noise levels
        return []
    words = [] if len(steps) > 1 else [word for method in methods for word in ("--sampler", method.sampler)]
    words += [] if len(steps) > 1 else ["--steps", str(*steps)]
    return words + (["--grid", str(grid)] if grid else [])


def _methods(model: "Model", samplers: tuple[str, ...], settings: options.Settings) -> list["Method"]:
    """The methods asked for, or the run's own and, where it has a meaning, the ancestral chain in as many steps; or
    those of `_of_student`.

    Raises UsageError for too many, and for one that has no meaning.
    """
    import msgspec

    from diffuse_cli.models.draw import build_method, default_method

    config = settings.config(model.config)
    if model.direct is not None:
        if samplers:
            raise UsageError(f"{model.name} is {model.direct.title} and has no samplers; leave out --sampler")
        return [default_method(config)]
    if model.is_student and not samplers:
        methods = _of_student(config, model.jumps, same_steps=bool(settings.given("sampler_steps")))
        for method in methods:
            build_method(model, method)
        return methods
    chosen = list(dict.fromkeys(samplers or (default_method(config).sampler, "ddpm")))
    if len(chosen) > _MOST_SAMPLERS:
        raise UsageError(f"{len(chosen)} samplers do not fit beside each other; give at most {_MOST_SAMPLERS}")
    methods = [default_method(msgspec.structs.replace(config, sampler=sampler)) for sampler in chosen]
    for number, method in enumerate(methods):
        try:
            build_method(model, method)
        except UsageError:
            if samplers or number == 0:
                raise
            methods = methods[:1]
    return methods


def _of_student(config: "Config", jumps: "Jumps", *, same_steps: bool) -> list["Method"]:
    """A student's own method; one jump, unless all are to take as many steps; new noise, and a solver of its velocity.

    The solver takes as many steps as of other models, which shows what the jumps replace.
    """
    import msgspec

    from diffuse_cli import catalog
    from diffuse_cli.models.defaults import DENOISER
    from diffuse_cli.models.draw import default_method, most_steps

    own = default_method(config)
    steps = {
        "jump": own.steps if same_steps else 1,
        "renoise": own.steps,
        DENOISER.sampler: own.steps if same_steps else DENOISER.sampler_steps,
    }
    others = []
    for sampler, count in steps.items():
        most = most_steps(jumps, catalog.build("sampler", sampler)) or count
        others.append(default_method(msgspec.structs.replace(config, sampler=sampler, sampler_steps=min(count, most))))
    return list(dict.fromkeys([own, *others]))


def _history(run: "Run") -> "History":
    """What the run's folder knows."""
    from diffuse_cli.models import run_folder
    from diffuse_cli.report.document import History

    return History(run.header, run_folder.read_log(run.folder) if (run.folder / "log.jsonl").is_file() else [])


def _next_commands(model: "Model", words: list[str]) -> "NextCommands":
    """The commands that make the run, and its report, again; `words` are those of the report."""
    from diffuse_cli.report.document import NextCommands

    train = ["diffuse", "train", "--config", "config.toml", "--name", model.name] if model.trained else None
    return NextCommands(None if train is None else shlex.join(train), shlex.join(words))

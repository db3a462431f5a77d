"""diffuse report"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.errors import UsageError
from diffuse_cli.plots.formats import check_page_path

if TYPE_CHECKING:
    from diffuse_cli.models.draw import Method
    from diffuse_cli.models.model import Model
    from diffuse_cli.models.run_folder import Run
    from diffuse_cli.report.document import History, NextCommands

EPILOG = """\b
Examples:
  diffuse report
  diffuse report --run moons --sampler ddim --sampler heun --sampler ddpm --steps 20
  diffuse report --exact --dataset two_spirals --no-metrics --out spirals.html"""

POINTS = 2000
MOST = 6  # samplers: more panels are too small to see


@click.command(epilog=EPILOG)
@options.model_options
@options.option(
    "samplers",
    "--sampler",
    type=options.ChoiceParam("sampler"),
    multiple=True,
    help="How to sample; may be repeated.  [default: the run's, and ddpm beside it]",
)
@options.setting("sampler_steps", "--steps", default="the run's", help_text="How many steps each sampler takes.")
@options.setting("grid", default="the run's, or what suits each sampler", help_text="How the noise levels are spaced.")
@options.option(
    "-n",
    "--count",
    type=click.IntRange(2, options.MOST),
    show_default=f"{POINTS}, or as many as fit",
    help="How many points.",
)
@options.option("--metrics/--no-metrics", default=True, show_default=True, help="Judge the samples, as evaluate does.")
@options.out(check_page_path, "Where to: .html.", where="report.html in the run's folder")
@options.seed
@options.device
@options.common
@click.pass_context
def report(
    ctx: click.Context,
    samplers: tuple[str, ...],
    count: int | None,
    metrics: bool,
    out: Path | None,
    seed: int,
    **_choices: Any,
) -> None:
    """Make one HTML page of a run: points moving between data and noise, field, density, loss, metrics, settings.

    The page needs no server and no network, and has at most 2 MB. All samplers start from the same noise, point by
    point, which is also the noise that the data end in.
    """
    from diffuse_cli.report import document, facts, page, scene

    signals.at_once()
    model, run = options.open_model_and_run(ctx)
    dataset = model.dataset()
    methods = _methods(ctx, model, samplers)
    shown = min(count or POINTS, scene.most(model, methods))
    if count is not None and shown < count:
        terminal.note(f"{shown:,} of {count:,} points are shown, so that the page stays below 2 MB and clear")
    judged = None
    if metrics:
        terminal.note(f"Judging {facts.JUDGED:,} samples of each sampler (--no-metrics leaves this out)")
        judged = facts.judged(model, dataset, methods, seed)
    terminal.note(f"Following {shown:,} points through {', '.join(method.sampler for method in methods)}")
    found = document.gather_document(
        model,
        dataset,
        methods,
        count=shown,
        asked=count,
        seed=seed,
        history=_history(run) if model.trained else None,
        judged=judged,
        commands=_commands(ctx, model, methods, run),
    )
    if out is None:
        out = model.folder / "report.html"
        out.parent.mkdir(parents=True, exist_ok=True)
    click.echo(page.write_page(out, found))


def _methods(ctx: click.Context, model: "Model", samplers: tuple[str, ...]) -> list["Method"]:
    """The methods asked for, or the run's own and, where it has a meaning, the ancestral chain in as many steps.

    Raises UsageError for too many, and for one that has no meaning.
    """
    import msgspec

    from diffuse_cli.models.draw import build_method, default_method

    settings = options.gather_settings(ctx, model.config, only=("sampler_steps", "grid"))
    chosen = list(dict.fromkeys(samplers or (settings.sampler, "ddpm")))
    if len(chosen) > MOST:
        raise UsageError(f"{len(chosen)} samplers do not fit beside each other; give at most {MOST}")
    methods = [default_method(msgspec.structs.replace(settings, sampler=sampler)) for sampler in chosen]
    for number, method in enumerate(methods):
        try:
            build_method(model, method)
        except UsageError:
            if samplers or number == 0:
                raise
            methods = methods[:1]
    return methods


def _history(run: "Run") -> "History":
    """What the run's folder knows."""
    from diffuse_cli.models import run_folder
    from diffuse_cli.report.document import History

    return History(run.metadata, run_folder.read_log(run.folder) if (run.folder / "log.jsonl").is_file() else [])


def _commands(ctx: click.Context, model: "Model", methods: list["Method"], run: "Run | None") -> "NextCommands":
    """The commands that make the run, and its report, again."""
    from diffuse_cli.report.document import NextCommands

    params, settings = ctx.params, model.config
    words = ["diffuse", "report", *([] if model.trained else ["--exact"])]
    if run is None:
        words += ["--dataset", settings.dataset, "--schedule", settings.schedule]
        words += ["--timesteps", str(settings.timesteps)]
    else:
        words += ["--run", run.name if params["run_name"] == "latest" else params["run_name"]]
        own = [name for name in ("schedule", "timesteps") if options.on_command_line(ctx, name)]
        words += [word for name in own for word in (f"--{name}", str(params[name]))]
        words += ["--trust"] if params["trust"] else []
    if params["outputs"] != Path("outputs"):
        words += ["--outputs", str(params["outputs"])]
    for method in methods:
        words += ["--sampler", method.sampler]
    words += ["--steps", str(methods[0].steps), *(["--grid", params["grid"]] if params["grid"] else [])]
    words += ["-n", str(params["count"])] if params["count"] else []
    words += ["--seed", str(params["seed"])] + ([] if params["metrics"] else ["--no-metrics"])
    train = ["diffuse", "train", "--config", "config.toml", "--name", model.name] if model.trained else None
    return NextCommands(train and shlex.join(train), shlex.join(words))

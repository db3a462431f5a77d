"""diffuse train"""

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffuse_cli import config
from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.errors import UsageError

if TYPE_CHECKING:
    from diffuse_cli.config import Config
    from diffuse_cli.data.dataset import Dataset
    from diffuse_cli.runs import Run
    from diffuse_cli.training.session import Session

_EXIT = {2: 130, 15: 143}  # what a shell says of SIGINT and SIGTERM

EPILOG = """\b
Examples:
  diffuse train --dataset moons
  diffuse train --dataset file:points.csv --budget 2m --name mine
  diffuse train --config s_curve --schedule linear --prediction eps
  diffuse train --resume mine --steps 20000"""


@click.command(epilog=EPILOG)
@options.settings(
    "dataset", "steps", "batch_size", "lr", "width", "depth", "schedule", "timesteps", "prediction", "loss", "levels",
    "ema", "train_size", "seed",
)  # fmt: skip
@click.option("--budget", type=options.Duration(), help="Train for this long instead of --steps, like 30s or 5m.")
@click.option("--name", help="Name of the run's folder.  [default: the dataset's]")
@click.option("--resume", metavar="NAME|PATH|latest", help="Continue a run to its --steps, with its own settings.")
@options.outputs
@options.device
@click.option("--dry-run", is_flag=True, help="Print the settings as TOML, itself a valid --config, and stop.")
@options.common
@click.pass_context
def train(
    ctx: click.Context,
    budget: float | None,
    name: str | None,
    resume: str | None,
    outputs: Path,
    dry_run: bool,
    **_settings: Any,
) -> None:
    """Train a denoiser on a dataset.

    Leaves a folder outputs/NAME with the checkpoint, the settings, a log and four figures. Ctrl-C leaves a checkpoint
    that --resume continues from, and the result is the same as if it had never stopped.
    """
    began = time.perf_counter()
    from diffuse_cli import experiment, runs

    if budget is not None and options.is_given(ctx, "steps"):
        raise UsageError("--budget settles the number of steps; give either --steps or --budget")
    before = None
    if resume is not None:
        before = runs.open_run(runs.find(outputs, resume), trust=True)
        _check_resume(ctx, before)
    settings = options.gather(ctx, base=before.config if before else None)
    dataset = experiment.dataset_of(settings)
    settings = experiment.settled(settings, dataset)
    experiment.build(settings, dataset.dim)  # says what is wrong with the settings before anything is written
    if dry_run:
        click.echo(config.dump(settings), nl=False)
        return
    folder = before.folder if before else runs.create(outputs, name, experiment.default_name(settings))
    try:
        session = _train(ctx, folder, settings, dataset, budget, before)
    finally:
        if not (folder / runs.NEWEST).exists():  # nothing worth keeping came of it
            shutil.rmtree(folder)
    _finish(session, dataset, began)


def _check_resume(ctx: click.Context, before: "Run") -> None:
    """Only the length of a run may change when it is continued: anything else would make it another run."""
    given = [key for key in config.FIELDS if key in ctx.params and key != "steps" and options.is_given(ctx, key)]
    given += [key for key in ("config_source", "changes", "name") if ctx.params[key]]
    if given:
        flags = {"config_source": "--config", "changes": "--set"}
        what = ", ".join(flags.get(key, f"--{key.replace('_', '-')}") for key in given)
        raise UsageError(f"a resumed run keeps its settings and name; leave out {what} (only its length can change)")
    if ctx.params["budget"] is None:
        asked = ctx.params["steps"] if options.is_given(ctx, "steps") else before.config.steps
        if asked <= before.step:
            raise UsageError(
                f"{before.name} has taken {before.step} steps already; to train it further give more --steps"
            )


def _train(
    ctx: click.Context, folder: Path, settings: "Config", dataset: "Dataset", budget: float | None, before: "Run | None"
) -> "Session":
    """Train under a progress bar. On a signal: save, say how to go on, and exit."""
    from diffuse_cli.training.session import Session

    with signals.held() as interrupted:
        session = Session(folder, settings, dataset, budget=budget, resume=before)
        length = f"{session.total - session.step:,} steps" if budget is None else f"{budget:g} s"
        terminal.note(f"{'Continuing' if before else 'Training'} {folder} on {settings.dataset}: {length}")
        with terminal.progress_bar(session.total, session.step) as bar:
            for update in session.run():
                bar(update.step, update.total, update.loss, update.steps_per_second)
                if interrupted.signal is not None and update.step < update.total:
                    session.save()
                    break
            else:
                return session
    where = f" --outputs {ctx.params['outputs']}" if options.is_given(ctx, "outputs") else ""
    again = f"diffuse train --resume {folder.name}{where}"
    click.echo(f"Interrupted at step {session.step}, with a checkpoint. Continue with: {again}", err=True)
    ctx.exit(_EXIT[interrupted.signal])


def _finish(session: "Session", dataset: "Dataset", began: float) -> None:
    """Draw the figures and print what came of it."""
    from diffuse_cli import figures, runs
    from diffuse_cli.plots import style

    folder = session.folder
    for name, figure in figures.of_run(runs.open_run(folder, trust=True), dataset).items():
        style.save(figure, folder / "figures" / f"{name}.png")
    terminal.print_table(
        [
            ("steps", f"{session.step:,}, {session.speed:,.0f} a second"),
            ("time", f"{session.seconds:.1f} s to train, {time.perf_counter() - began:.1f} s in all"),
            ("loss", f"{session.loss:.4f}, the last steps' mean"),
            ("held-out loss", f"{session.held_out:.4f}, of the averaged weights"),
            ("run", str(folder)),
            (
                "figures",
                ", ".join(
                    str(folder / "figures" / name) for name in ("forward.png", "reverse.png", "samples.png", "loss.png")
                ),
            ),
        ]
    )
    terminal.note(
        "Next: diffuse sample --steps 50 --sampler ddim --plot\n"
        "      diffuse plot-reverse --frames 6 --out reverse.pdf\n"
        f"      diffuse info {folder.name}"
    )

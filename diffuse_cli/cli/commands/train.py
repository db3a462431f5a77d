"""diffuse train"""

import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from diffuse_cli import config
from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.errors import DiffuseError, UsageError

if TYPE_CHECKING:
    from diffuse_cli.config import Config
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.figures.of_training import TrainingFigures
    from diffuse_cli.models.run_folder import Run
    from diffuse_cli.training.trainer import Trainer

_EXIT = {2: 130, 15: 143}  # what a shell says of SIGINT and SIGTERM

EPILOG = """\b
Examples:
  diffuse train --dataset moons
  diffuse train --dataset file:points.csv --budget 2m --name mine
  diffuse train --config s_curve --schedule linear --prediction eps
  diffuse train --resume mine --steps 20000"""


@click.command(epilog=EPILOG)
@options.settings(
    "dataset", "steps", "batch_size", "lr", "width", "depth", "schedule", "timesteps", "scaling", "zero_terminal_snr",
    "prediction", "variance", "loss", "levels", "time", "ema", "train_size", "sampler", "sampler_steps", "grid", "seed",
)  # fmt: skip
@options.option("--budget", type=options.Duration(), help="Train for this long instead of --steps, like 30s or 5m.")
@options.option("--name", help="Name of the run's folder.  [default: the dataset's]")
@options.option(
    "--resume",
    metavar="NAME|PATH|latest",
    help="Continue a run to its --steps, with its own settings.",
    shell_complete=options.complete_run,
)
@options.trust
@options.outputs
@options.device
@options.option("--dry-run", is_flag=True, help="Print the settings as TOML, itself a valid --config, and stop.")
@options.as_json
@options.common
@click.pass_context
def train(
    ctx: click.Context,
    budget: float | None,
    name: str | None,
    resume: str | None,
    trust: bool,
    outputs: Path,
    dry_run: bool,
    as_json: bool,
    **_settings: Any,
) -> None:
    """Train a denoiser on a dataset.

    Leaves a folder outputs/NAME with the checkpoint, the settings, a log and four figures. Ctrl-C leaves a checkpoint
    that --resume continues from; a run of --steps then ends with the same weights as if it had never stopped.
    """
    began = time.perf_counter()
    from diffuse_cli.plots.drawing_process import DrawingProcess

    process = None if dry_run else ctx.with_resource(DrawingProcess())  # it has as much to import as this one

    from diffuse_cli.figures.of_training import TrainingFigures
    from diffuse_cli.models import build, run_folder

    if budget is not None and options.on_command_line(ctx, "steps"):
        raise UsageError("--budget settles the number of steps; give either --steps or --budget")
    before = None
    if resume is None:
        settings, trust = options.gather_settings(ctx), True  # whoever types a name of own code trusts it
    else:
        path = run_folder.find_run(outputs, resume)
        if path.is_file():
            raise UsageError(f"{path} is a checkpoint; only a whole run can be continued: --resume {path.parent}")
        before = run_folder.open_run(path, trust=trust)
        settings = _resumed_settings(ctx, before)
    dataset = (
        build.build_dataset(settings, trust=trust) if before is None else run_folder.dataset_of_run(before, trust=trust)
    )
    settings = build.fill_in_settings(settings, dataset)
    build.build_experiment(settings, dataset.dim, trust=trust)  # says what is wrong before anything is written
    if dry_run:
        click.echo(config.dump(settings), nl=False)
        return
    if before is None:
        _warn_if_it_ends_too_early(settings, dataset)
    folder = before.folder if before else run_folder.create_run_folder(outputs, name, _default_name(ctx, settings))
    try:
        with TrainingFigures(process, folder, dataset) as figures:
            session = _train(ctx, folder, settings, dataset, budget, before, figures)
            _finish(session, figures, dataset, began, as_json)
    finally:
        if before is None and not (folder / run_folder.NEWEST).exists():  # nothing worth keeping came of it
            shutil.rmtree(folder)


def _warn_if_it_ends_too_early(settings: "Config", dataset: "Dataset") -> None:
    """Sampling starts from the prior; what x_T still knows of the data is then lost, however good the network."""
    import numpy as np

    from diffuse_cli.analysis import schedule_check
    from diffuse_cli.diffusion import exact
    from diffuse_cli.models import build

    process = build.build_process(settings)
    if schedule_check.kl_bound(process) * dataset.dim < schedule_check.TOO_EARLY:
        return
    draws = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), 512))
    law = build.truth_of(dataset) or exact.mixture(draws, 0.0)
    kl = schedule_check.kl_to_prior(process, law, draws).value
    if kl > schedule_check.TOO_EARLY:
        words = {"dataset": settings.dataset, "schedule": settings.schedule, "timesteps": str(settings.timesteps)}
        command = shlex.join(["diffuse", "doctor", *(part for key in words for part in (f"--{key}", words[key]))])
        terminal.warn(
            f"the schedule ends too early: its last level is {kl:.2g} nats from the noise that sampling starts from, "
            f"and samples may be off by as much. For what to change: {command}"
        )


def _default_name(ctx: click.Context, settings: "Config") -> str:
    """What a run is called if nobody says: its preset or config file, unless a dataset was chosen beside it."""
    from diffuse_cli.models import build

    model = ctx.params["config_source"]
    if model and not options.on_command_line(ctx, "dataset"):
        return Path(model).stem.replace("-", "_")
    return build.default_run_name(settings)


def _resumed_settings(ctx: click.Context, before: "Run") -> "Config":
    """The run's own settings: only its length may change, anything else would make it another run."""
    given = [key for key in config.FIELDS if key in ctx.params and key != "steps" and options.on_command_line(ctx, key)]
    given += [key for key in ("config_source", "changes", "name") if options.on_command_line(ctx, key)]
    if given:
        flags = {"config_source": "--config", "changes": "--set"}
        what = ", ".join(flags.get(key, f"--{key.replace('_', '-')}") for key in given)
        raise UsageError(f"a resumed run keeps its settings and name; leave out {what} (only its length can change)")
    if not (before.folder / "log.jsonl").is_file():
        raise DiffuseError(f"{before.folder} is not a whole run: it has no log.jsonl")
    steps = ctx.params["steps"] if options.on_command_line(ctx, "steps") else before.config.steps
    if ctx.params["budget"] is None and steps <= before.step:
        raise UsageError(f"{before.name} has taken {before.step} steps already; to train it further give more --steps")
    return config.make({**msgspec.structs.asdict(before.config), "steps": steps})


def _train(
    ctx: click.Context,
    folder: Path,
    settings: "Config",
    dataset: "Dataset",
    budget: float | None,
    before: "Run | None",
    figures: "TrainingFigures",
) -> "Trainer":
    """Train under a progress bar. On a signal: save, say how to go on, and exit."""
    from diffuse_cli.training.trainer import Trainer

    with signals.held() as interrupted:
        session = Trainer(folder, settings, dataset, budget=budget, resume=before)
        if not session.experiment.learns_schedule:
            figures.begin_forward(settings, session.experiment.process)
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
    again = shlex.join(["diffuse", "train", "--resume", _name_of(folder)])
    click.echo(f"Interrupted at step {session.step:,}, with a checkpoint. Continue with: {again}", err=True)
    ctx.exit(_EXIT[interrupted.signal])


def _name_of(folder: Path) -> str:
    """How a later command finds this run: by its name, or by its path if it is not in the default folder of runs."""
    return folder.name if folder.parent == Path("outputs") else str(folder)


def _finish(session: "Trainer", figures: "TrainingFigures", dataset: "Dataset", began: float, as_json: bool) -> None:
    """Draw the figures and print what came of it."""
    from diffuse_cli.analysis import quality
    from diffuse_cli.cli import preview
    from diffuse_cli.figures.of_training import default_draw
    from diffuse_cli.models import run_folder
    from diffuse_cli.models.model import model_of_run

    folder = session.folder
    run = run_folder.open_run(folder, trust=True)
    model, excess = model_of_run(run), None
    try:
        figures.begin_loss(run)
        if session.experiment.learns_schedule:
            figures.begin_forward(run.config, run.experiment.process)
        drawn = default_draw(model)
        figures.begin_samples(model, drawn)
        if session.law is not None:
            excess = quality.excess_of(model, session.law, session.data.held_out).total.item()
        paths = figures.paths()
    except KeyboardInterrupt:
        click.echo(f"The run in {folder} is complete; only its figures are not all drawn.", err=True)
        raise
    seconds = time.perf_counter() - began
    if as_json:
        said = {"run": str(folder), "steps": session.step, "steps_per_second": round(session.speed, 1)}
        said |= {"train_seconds": round(session.seconds, 2), "seconds": round(seconds, 2), "loss": session.loss}
        said |= {"held_out_loss": session.held_out, "excess_loss": excess, "figures": [str(path) for path in paths]}
        terminal.print_json(said)
    else:
        preview.show_samples(drawn.samples, dataset, model.view, seed=model.config.seed + 1)
        known = (
            [] if excess is None else [("excess loss", f"{excess:.4f} nats above the best possible, over all levels")]
        )
        terminal.print_table(
            [
                ("steps", f"{session.step:,}, {session.speed:,.0f} a second"),
                ("time", f"{session.seconds:.1f} s of training; this command took {seconds:.1f} s"),
                ("loss", f"{session.loss:.4f}, the last steps' mean{preview.course(run_folder.read_log(folder))}"),
                ("held-out loss", f"{session.held_out:.4f}, of the averaged weights"),
                *known,
                ("run", str(folder)),
                ("figures", f"{folder / 'figures'}: {', '.join(path.name for path in paths)}"),
            ]
        )
    name = shlex.quote(_name_of(folder))
    if session.held_out > 1.05 * session.best:
        terminal.warn(
            f"the held-out loss was lower on the way ({session.best:.4f}): it learns its training points by heart. "
            f"--run {name}/{run_folder.BEST} is the network from there"
        )
    terminal.note(
        f"Next: diffuse evaluate --run {name}\n"
        f"      diffuse sample --run {name} --steps 50 --sampler ddim --plot\n"
        f"      diffuse plot-reverse --run {name} --frames 6 --out reverse.pdf"
    )

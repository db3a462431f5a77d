"""diffuse train"""

import shlex
import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from diffuse_cli import config
from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.errors import DiffuseError, UsageError

if TYPE_CHECKING:
    from diffuse_cli.config import Config
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.diffusion.exact import Law
    from diffuse_cli.figures.of_training import TrainingFigures
    from diffuse_cli.models.build import Experiment
    from diffuse_cli.models.model import Model
    from diffuse_cli.models.run_folder import Run
    from diffuse_cli.training.trainer import Trainer

_EXIT = {2: 130, 15: 143}  # what a shell says of SIGINT and SIGTERM
_COMPLETE = "The run in {} is complete; only its figures are not all drawn."

_EPILOG = """\b
Examples:
  diffuse train --dataset moons
  diffuse train --dataset file:points.csv --budget 2m --name mine
  diffuse train --config s_curve --schedule linear --prediction eps
  diffuse train --resume mine --steps 20000"""


@click.command(epilog=_EPILOG)
@options.settings_options(
    "dataset", "steps", "batch_size", "lr", "width", "depth", "schedule", "timesteps", "scaling", "zero_terminal_snr",
    "prediction", "variance", "loss", "levels", "noise_conditioning", "ema", "train_size", "sampler", "sampler_steps",
    "grid", "seed", "conditional", "label_dropout", "classifier",
)  # fmt: skip
@options.option("--budget", type=options.Duration(), help="Train for this long instead of --steps, like 30s or 5m.")
@options.with_source("name")
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
@options.option("--figures/--no-figures", default=True, show_default=True, help="Draw the four figures of the run.")
@options.option("--dry-run", is_flag=True, help="Print the settings as TOML, itself a valid --config, and stop.")
@options.as_json
@options.common
def train(
    settings: options.Settings,
    budget: float | None,
    name: options.Given[str | None],
    resume: str | None,
    trust: bool,
    outputs: Path,
    figures: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a denoiser on a dataset.

    Leaves a folder outputs/NAME with the checkpoint, the settings, a log and four figures. Ctrl-C leaves a checkpoint
    that --resume continues from; a run of --steps then ends with the same weights as if it had never stopped.

    With --classifier it learns the label of noisy points instead, for --guidance classifier:w=2,run=NAME. No samples
    can be drawn from a classifier alone.
    """
    began = time.perf_counter()
    from diffuse_cli.plots.drawing_process import DrawingProcess

    process = None
    if figures and not dry_run:  # it starts here, since it has as much to import as this one
        process = click.get_current_context().with_resource(DrawingProcess())

    from diffuse_cli.figures.of_training import TrainingFigures
    from diffuse_cli.models import build, run_folder

    if budget is not None and settings.typed("steps"):
        raise UsageError("--budget settles the number of steps; give either --steps or --budget")
    before = None
    if resume is None:
        chosen, trust = settings.config(), True  # a name of own code that is typed here is trusted
        dataset = build.build_dataset(chosen, trust=trust)
    else:
        path = run_folder.find_run(outputs, resume)
        if path.is_file():
            raise UsageError(f"{path} is a checkpoint; only a whole run can be continued: --resume {path.parent}")
        before = run_folder.open_run(path / run_folder.NEWEST, trust=trust)
        chosen = _resumed_settings(settings, name, budget, before)
        dataset = run_folder.dataset_of_run(before, trust=trust)
    chosen = build.fill_in_settings(chosen, dataset)
    conditions = build.conditions_of(chosen, dataset)
    experiment = build.build_experiment(chosen, dataset.dim, conditions=conditions, trust=trust)
    if dry_run:
        click.echo(config.dump(chosen), nl=False)
        return
    if before is None:
        if not chosen.classifier:
            _warn_if_it_ends_too_early(experiment, dataset)
        folder = run_folder.create_run_folder(outputs, name.value, _default_name(settings, chosen))
    else:
        folder = before.folder
    try:
        with nullcontext() if process is None else TrainingFigures(process, folder, dataset) as drawing:
            trainer = _train(folder, experiment, dataset, budget, before, drawing)
            _finish(trainer, dataset, drawing, began, as_json=as_json)
    finally:
        if before is None and not (folder / run_folder.NEWEST).exists():  # nothing worth keeping came of it
            shutil.rmtree(folder)


def _warn_if_it_ends_too_early(experiment: "Experiment", dataset: "Dataset") -> None:
    """Sampling starts from the prior; what x_T still knows of the data is then lost, however good the network."""
    import jax.numpy as jnp
    import numpy as np

    from diffuse_cli.analysis import schedule_check
    from diffuse_cli.diffusion import exact
    from diffuse_cli.models.data import truth_of

    process, settings = experiment.process, experiment.config
    if schedule_check.kl_bound(process) * dataset.dim < schedule_check.TOO_EARLY:
        return
    draws = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), 512))
    law = truth_of(dataset) or exact.mixture(jnp.asarray(draws, jnp.float32), 0.0)
    kl = schedule_check.kl_to_prior(process, law, draws).value
    if kl > schedule_check.TOO_EARLY:
        words = {"dataset": settings.dataset, "schedule": settings.schedule, "timesteps": str(settings.timesteps)}
        command = shlex.join(["diffuse", "doctor", *(part for key in words for part in (f"--{key}", words[key]))])
        terminal.warn(
            f"the schedule ends too early: its last level is {kl:.2g} nats from the noise that sampling starts from, "
            f"and samples may be off by as much. For what to change: {command}"
        )


def _default_name(settings: options.Settings, chosen: "Config") -> str:
    """What a run without --name is called: its preset or config file, unless a dataset was chosen beside it."""
    from diffuse_cli.models import build

    ending = "-classifier" if chosen.classifier else ""
    if settings.file and not settings.typed("dataset"):
        return Path(settings.file).stem.replace("-", "_") + ending
    return build.default_run_name(chosen) + ending


def _resumed_settings(
    settings: options.Settings, name: options.Given[str | None], budget: float | None, before: "Run"
) -> "Config":
    """The run's own settings: only its length may change, anything else would make it another run."""
    flags = [flag for flag in settings.command_line.flags() if flag != "--steps"] + ["--name"] * name.typed
    if flags:
        raise UsageError(
            f"a resumed run keeps its settings and name; leave out {', '.join(flags)} (only its length can change)"
        )
    if not (before.folder / "log.jsonl").is_file():
        raise DiffuseError(f"{before.folder} is not a whole run: it has no log.jsonl")
    steps = settings.command_line.by_flag.get("steps")
    steps = steps if isinstance(steps, int) else before.experiment.config.steps or 0  # which has them filled in
    if budget is None and steps <= before.step:
        raise UsageError(f"{before.name} has taken {before.step} steps already; to train it further give more --steps")
    return config.make({**msgspec.structs.asdict(before.config), "steps": steps})


def _train(
    folder: Path,
    experiment: "Experiment",
    dataset: "Dataset",
    budget: float | None,
    before: "Run | None",
    drawing: "TrainingFigures | None",
) -> "Trainer":
    """Train under a progress bar. On a signal: save, say how to go on, and exit."""
    from diffuse_cli.models import build
    from diffuse_cli.training.trainer import Trainer

    with signals.held() as interrupted:
        trainer = Trainer(folder, experiment, dataset, budget=budget, resume=before)
        if drawing is not None and not experiment.learns_schedule:
            drawing.begin_forward(experiment.config, experiment.process)
        length = f"{trainer.total - trainer.step:,} steps" if budget is None else f"{budget:g} s"
        subject = build.title_of_data(experiment.config.dataset)
        terminal.note(f"{'Continuing' if before else 'Training'} {folder} on {subject}: {length}")
        with terminal.progress_bar(trainer.total, trainer.step) as bar:
            for update in trainer.run():
                bar(update.step, update.total, update.loss, update.steps_per_second)
                if interrupted.signal is not None and update.step < update.total:
                    trainer.save()
                    break
            else:
                return trainer
    again = shlex.join(["diffuse", "train", "--resume", _name_of(folder)])
    click.echo(f"Interrupted at step {trainer.step:,}, with a checkpoint. Continue with: {again}", err=True)
    raise click.exceptions.Exit(_EXIT[interrupted.signal or 0])


def _name_of(folder: Path) -> str:
    """How a later command finds this run: by its name, or by its path if it is not in the default folder of runs."""
    if folder.parent == Path("outputs"):
        return folder.name
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _finish(
    trainer: "Trainer", dataset: "Dataset", drawing: "TrainingFigures | None", began: float, *, as_json: bool
) -> None:
    """Have the figures drawn, and print what came of it."""
    from diffuse_cli.cli import preview
    from diffuse_cli.figures.of_training import default_draw

    if trainer.config.classifier:
        return _finish_classifier(trainer, drawing, began, as_json=as_json)
    model, excess, samples, files = trainer.model(), None, None, []
    try:
        with terminal.stages() as stage:
            stage("Training is done; drawing samples")
            if drawing is not None:
                drawing.begin_loss()
                if trainer.experiment.learns_schedule:
                    drawing.begin_forward(model.config, model.process)
            if drawing is not None or (terminal.shows_pictures() and not as_json):
                samples = default_draw(model)
            if drawing is not None and samples is not None:
                drawing.begin_samples(model, samples)
            if trainer.law is not None:
                stage("Measuring the excess loss")
                excess = _excess(trainer, model, trainer.law)
            if drawing is not None:
                stage("Drawing the figures")
                files = drawing.paths()
    except KeyboardInterrupt:
        click.echo(_COMPLETE.format(trainer.folder), err=True)
        raise
    seconds = time.perf_counter() - began
    if as_json:
        terminal.print_json(_document(trainer, seconds, files) | {"excess_loss": excess})
    else:
        if samples is not None:
            preview.show_samples(samples.samples, dataset, model.view, seed=model.config.seed + 1)
        beyond = None if excess is None else f"{excess:.4f} nats above the best possible, over all levels"
        _print(trainer, seconds, [] if beyond is None else [("excess loss", beyond)], files)
    _say_what_next(
        trainer,
        f"diffuse evaluate --run {_quoted(trainer)}",
        f"diffuse sample --run {_quoted(trainer)} --steps 50 --sampler ddim --plot",
        f"diffuse plot-reverse --run {_quoted(trainer)} --frames 6 --out reverse.pdf",
    )


def _finish_classifier(trainer: "Trainer", drawing: "TrainingFigures | None", began: float, *, as_json: bool) -> None:
    """The same for a classifier, which is judged beside the exact one."""
    from diffuse_cli.analysis.classification import classification

    classifier, files = trainer.classifier(), []
    try:
        with terminal.stages() as stage:
            stage("Training is done; judging the classifier")
            if drawing is not None:
                drawing.begin_loss()
            judged = classification(classifier, trainer.experiment, trainer.laws_of_labels, trainer.data)
            if drawing is not None:
                stage("Drawing the figures")
                files = drawing.paths()
    except KeyboardInterrupt:
        click.echo(_COMPLETE.format(trainer.folder), err=True)
        raise
    seconds = time.perf_counter() - began
    if as_json:
        terminal.print_json(_document(trainer, seconds, files) | judged.document())
    else:
        _print(trainer, seconds, judged.rows(), files)
    data, name = f"--dataset {shlex.quote(trainer.config.dataset)}", _quoted(trainer)
    guidance = f"--label {shlex.quote(classifier.conditions.names[0])} --guidance classifier:w=2,run={name} --plot"
    _say_what_next(
        trainer,
        f"diffuse train {data}" if trainer.law is None else f"diffuse sample --exact {data} {guidance}",
        f"diffuse plot-loss --run {name}",
    )


def _excess(trainer: "Trainer", model: "Model", law: "Law") -> float:
    """The excess loss over the held-out points; of a conditional model when it is told their labels."""
    import numpy as np

    from diffuse_cli.analysis import quality
    from diffuse_cli.models.model import exact_model

    x0, labels = np.asarray(trainer.data.held_out), trainer.data.held_out_labels
    if model.conditions is None or labels is None:  # of given columns that of the model which is told none
        return float(quality.excess_of(model, law, x0).total)
    exactly = exact_model(model.config, trainer.dataset, trainer.folder, process=model.process)
    return float(quality.conditional_excess_of(model, exactly, x0, labels).total)


def _document(trainer: "Trainer", seconds: float, files: list[Path]) -> dict[str, object]:
    return {
        "run": str(trainer.folder),
        "steps": trainer.step,
        "steps_per_second": round(trainer.speed, 1),
        "train_seconds": round(trainer.seconds, 2),
        "seconds": round(seconds, 2),
        "loss": trainer.loss,
        "held_out_loss": trainer.held_out,
        "best_held_out_loss": trainer.best,
        "figures": [str(path) for path in files],
    }


def _print(trainer: "Trainer", seconds: float, judged: list[tuple[str, str]], files: list[Path]) -> None:
    """Print the table of a run; `judged`: its rows that say how good it is."""
    from diffuse_cli.cli import preview
    from diffuse_cli.models import run_folder

    folder, held_out = trainer.folder, len(trainer.data.held_out)
    loss = "cross entropy" if trainer.config.classifier else "loss"
    rows = [
        ("steps", f"{trainer.step:,}, {trainer.speed:,.0f} a second"),
        ("time", f"{trainer.seconds:.1f} s of training; this command took {seconds:.1f} s"),
        (loss, f"{trainer.loss:.4f}, the last steps' mean{preview.course(run_folder.read_log(folder))}"),
        (
            f"held-out {loss}",
            f"{trainer.held_out:.4f}, of the averaged weights, on {held_out:,} points",
        ),
    ]
    if trainer.least is not None and trainer.config.classifier:
        rows.append(("exact classifier", f"{trainer.least:.4f} in the mean"))
    if trainer.dataset.points is not None:
        step = trainer.best_weights().step
        rows.append(
            ("weights used", f"those of step {step:,}, by their held-out loss; the lowest was {trainer.best:.4f}")
        )
    rows += [*judged, ("run", str(folder))]
    if files:
        rows.append(("figures", f"{folder / 'figures'}: {', '.join(path.name for path in files)}"))
    terminal.print_table(rows)


def _quoted(trainer: "Trainer") -> str:
    """The name by which a command line finds the run."""
    return shlex.quote(_name_of(trainer.folder))


def _say_what_next(trainer: "Trainer", *commands: str) -> None:
    """Warn of overfitting, and name the commands to try."""
    from diffuse_cli.analysis import caveats
    from diffuse_cli.models import run_folder

    if trainer.overfits():
        best = f"{_quoted(trainer)}/{run_folder.BEST}"
        used = "which are used" if trainer.dataset.points is not None else f"which --run {best} uses"
        terminal.warn(f"{caveats.overfitting(trainer.best)}, and not the best ones, {used}")
    terminal.note("Next: " + "\n      ".join(commands))

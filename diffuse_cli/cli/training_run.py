"""Training as a command shows it: under a progress bar, with its figures, and with what came of it printed."""

import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from diffuse_cli.cli import signals, terminal
from diffuse_cli.errors import UsageError

if TYPE_CHECKING:
    from diffuse_cli.cli.options import Settings
    from diffuse_cli.config import Config
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.diffusion.exact import Law
    from diffuse_cli.figures.of_training import TrainingFigures
    from diffuse_cli.models.build import Experiment
    from diffuse_cli.models.model import Model
    from diffuse_cli.models.run_folder import Run
    from diffuse_cli.plots.drawing_process import DrawingProcess
    from diffuse_cli.training.trainer import Trainer

_EXIT = {2: 130, 15: 143}  # what a shell says of SIGINT and SIGTERM
_COMPLETE = "The run in {} is complete; only its figures are not all drawn."


class Plan(NamedTuple):
    """What is to be trained.

    config: with everything filled in. budget: seconds, or None for the number of steps in `config`. before: the run
    that is continued; teacher: that of a student; None where there is none.
    """

    config: "Config"
    dataset: "Dataset"
    experiment: "Experiment"
    budget: float | None = None
    before: "Run | None" = None
    teacher: "Model | None" = None


def check_length(settings: "Settings", budget: float | None) -> None:
    """Raises UsageError where a budget and a number of steps are both asked for."""
    if budget is not None and settings.typed("steps"):
        raise UsageError("--budget settles the number of steps; give either --steps or --budget")


def make_plan(
    config: "Config",
    dataset: "Dataset",
    *,
    trust: bool,
    budget: float | None = None,
    before: "Run | None" = None,
    teacher: "Model | None" = None,
) -> Plan:
    """The Plan for settings and their dataset. Raises UsageError and DiffuseError like `models.build`."""
    from diffuse_cli.models import build

    config = build.fill_in_settings(config, dataset)
    conditions = build.conditions_of(config, dataset)
    experiment = build.build_experiment(config, dataset.dim, conditions=conditions, trust=trust)
    return Plan(config, dataset, experiment, budget, before, teacher)


def drawing_process(*, wanted: bool) -> "DrawingProcess | None":
    """The process that draws the figures, until the command ends. It is started before anything else, since it has as
    much to import as this one."""
    from diffuse_cli.plots.drawing_process import DrawingProcess

    return click.get_current_context().with_resource(DrawingProcess()) if wanted else None


def carry_out(plan: Plan, folder: Path, process: "DrawingProcess | None", began: float, *, as_json: bool) -> None:
    """Train by a plan into a folder, have the figures drawn, and print what came of it.

    process: that draws the figures; None for no figures. began: when the command began. A folder is removed where
    nothing worth keeping came of a new run.
    """
    from diffuse_cli.figures.of_training import TrainingFigures
    from diffuse_cli.models import run_folder

    try:
        with nullcontext() if process is None else TrainingFigures(process, folder, plan.dataset) as drawing:
            trainer = _train(folder, plan, drawing)
            finish = _finish_classifier if plan.config.classifier else _finish
            finish(trainer, drawing, began, as_json=as_json)
    finally:
        if plan.before is None and not (folder / run_folder.NEWEST).exists():
            shutil.rmtree(folder)


def train_quietly(plan: Plan, folder: Path, process: "DrawingProcess | None") -> None:
    """Train by a plan into a new folder and have the figures drawn, without printing what came of it."""
    from diffuse_cli.figures.of_training import TrainingFigures, default_draw
    from diffuse_cli.models import run_folder

    try:
        with nullcontext() if process is None else TrainingFigures(process, folder, plan.dataset) as drawing:
            trainer = _train(folder, plan, drawing)
            if drawing is not None:
                model = trainer.model()
                drawing.begin_loss()
                drawing.begin_samples(model, default_draw(model))
                drawing.paths()
    finally:
        if not (folder / run_folder.NEWEST).exists():
            shutil.rmtree(folder)


def _train(folder: Path, plan: Plan, drawing: "TrainingFigures | None") -> "Trainer":
    """Train under a progress bar. On a signal: save, say how to go on, and exit."""
    from diffuse_cli.models import build
    from diffuse_cli.training.trainer import Trainer

    experiment, budget = plan.experiment, plan.budget
    with signals.held() as interrupted:
        trainer = Trainer(folder, experiment, plan.dataset, budget=budget, resume=plan.before, teacher=plan.teacher)
        if drawing is not None and not experiment.learns_schedule and experiment.family is None:
            drawing.begin_forward(experiment.config, experiment.process)
        family = experiment.family
        length = f"{trainer.total - trainer.step:,} steps" if budget is None else f"{budget:g} s"
        length = length if family is None or family.fit is None else f"{family.title}, fitted at once"
        subject = build.title_of_data(experiment.config.dataset)
        taught = "" if plan.teacher is None else f", taught by {plan.teacher.name}"
        terminal.note(f"{'Continuing' if plan.before else 'Training'} {folder} on {subject}{taught}: {length}")
        if trainer.solves_paths:
            with terminal.stages() as stage:
                stage("Solving the paths of the teacher")
                trainer.solve_paths()
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


@contextmanager
def _finishing(trainer: "Trainer") -> Iterator[Callable[[str], None]]:
    """What is still to do after training, under a line that names it. An interrupt says that the run is complete."""
    try:
        with terminal.stages() as stage:
            yield stage
    except KeyboardInterrupt:
        click.echo(_COMPLETE.format(trainer.folder), err=True)
        raise


def _finish(trainer: "Trainer", drawing: "TrainingFigures | None", began: float, *, as_json: bool) -> None:
    """Have the figures drawn, and print what came of it."""
    from diffuse_cli.cli import preview
    from diffuse_cli.figures.of_training import default_draw

    model, excess, samples, files = trainer.model(), None, None, []
    with _finishing(trainer) as stage:
        stage("Training is done; drawing samples")
        if drawing is not None:
            drawing.begin_loss()
            if trainer.experiment.learns_schedule:
                drawing.begin_forward(model.config, model.process)
        if drawing is not None or (terminal.shows_pictures() and not as_json):
            samples = default_draw(model)
        if drawing is not None and samples is not None:
            drawing.begin_samples(model, samples)
        if trainer.law is not None and trainer.has_excess:
            stage("Measuring the excess loss")
            excess = _excess(trainer, model, trainer.law)
        if drawing is not None:
            stage("Drawing the figures")
            files = drawing.paths()
    seconds = time.perf_counter() - began
    if as_json:
        document = _document(trainer, seconds, files) | {"excess_loss": excess}
        terminal.print_json(document if trainer.true_loss is None else document | {"true_loss": trainer.true_loss})
    else:
        if samples is not None:
            preview.show_samples(samples.samples, trainer.dataset, model.view, seed=model.config.seed + 1)
        beyond = None if excess is None else f"{excess:.4f} nats above the best possible, over all levels"
        _print(trainer, seconds, [] if beyond is None else [("excess loss", beyond)], files)
    name = _quoted(trainer)
    few = "--steps 1" if model.is_student else "--steps 50 --sampler ddim"
    third = f"diffuse plot-reverse --run {name} --frames 6 --out reverse.pdf"
    if model.is_student:
        third = f"diffuse compare --run {name}"
    elif model.direct is not None:
        few, third = f"-n {model.config.batch_size}", f"diffuse plot-samples --run {name}"
        third = f"diffuse likelihood --run {name}" if model.has_density else third
    _say_what_next(trainer, f"diffuse evaluate --run {name}", f"diffuse sample --run {name} {few} --plot", third)


def _finish_classifier(trainer: "Trainer", drawing: "TrainingFigures | None", began: float, *, as_json: bool) -> None:
    """The same for a classifier, which is judged beside the exact one."""
    from diffuse_cli.analysis.classification import classification

    classifier, files = trainer.classifier(), []
    with _finishing(trainer) as stage:
        stage("Training is done; judging the classifier")
        if drawing is not None:
            drawing.begin_loss()
        judged = classification(classifier, trainer.experiment, trainer.laws_of_labels, trainer.data)
        if drawing is not None:
            stage("Drawing the figures")
            files = drawing.paths()
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
    from diffuse_cli.models.exact_model import exact_model

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
        ("steps", f"{trainer.step:,}" + (f", {trainer.speed:,.0f} a second" if trainer.step > 1 else "")),
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
    if trainer.true_loss is not None:
        rows.append(("true loss", f"{trainer.true_loss:.4f}, the squared error of jumps beside the exact ones"))
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

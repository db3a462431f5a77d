"""diffuse train"""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from diffuse_cli import config
from diffuse_cli.cli import latent_training, options, terminal, training_run
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.files import plain_name

if TYPE_CHECKING:
    from diffuse_cli.config import Config
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.models.build import Experiment
    from diffuse_cli.models.run_folder import Run

_EPILOG = """\b
Examples:
  diffuse train --dataset moons
  diffuse train --dataset file:points.csv --budget 2m --name mine
  diffuse train --config s_curve --schedule linear --prediction eps
  diffuse train --resume mine --steps 20000"""


@click.command(epilog=_EPILOG)
@options.settings_options(
    "dataset", "family", "latent", "autoencoder",
    "steps", "batch_size", "lr", "width", "depth", "schedule", "timesteps", "scaling", "zero_terminal_snr",
    "prediction", "variance", "loss", "levels", "noise_conditioning", "ema", "train_size", "sampler", "sampler_steps",
    "grid", "seed", "conditional", "label_dropout", "classifier",
)  # fmt: skip
@options.training_length
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
@options.training_output
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
    process = training_run.drawing_process(wanted=figures and not dry_run)
    from diffuse_cli.models import build, run_folder

    training_run.check_length(settings, budget)
    if resume is None:
        chosen = settings.config()  # a name of own code that is typed here is trusted
        dataset = build.build_dataset(chosen)
        latent_training.check_settings(chosen, dataset)
        if chosen.latent is not None:
            base = name.value or _default_name(settings, chosen)
            dataset, budget = latent_training.encoded(
                chosen, dataset, outputs, base, process, budget=budget, trust=trust, dry_run=dry_run
            )
        teacher = options.teacher_of(chosen, dataset, outputs, trust=trust)  # of a --config that distill has printed
        plan = training_run.make_plan(chosen, dataset, trust=True, budget=budget, teacher=teacher)
    else:
        plan = _resumed(settings, options.RunOption(resume, outputs), name, budget, trust=trust)
    if dry_run:
        click.echo(config.dump(plan.config), nl=False)
        return
    if plan.before is not None:
        folder = plan.before.folder
    else:
        if not plan.config.classifier and plan.experiment.family is None:
            _warn_if_it_ends_too_early(plan.experiment, plan.dataset)
        folder = run_folder.create_run_folder(outputs, name.value, _default_name(settings, plan.config))
    training_run.carry_out(plan, folder, process, began, as_json=as_json)


def _resumed(
    settings: options.Settings,
    run: options.RunOption,
    name: options.Given[str | None],
    budget: float | None,
    *,
    trust: bool,
) -> training_run.Plan:
    """The Plan of a run that is continued; of a student with its teacher, which has to be there still."""
    from diffuse_cli.models import run_folder

    path = run.path()
    if path.is_file():
        raise UsageError(f"{path} is a checkpoint; only a whole run can be continued: --resume {path.parent}")
    before = run_folder.open_run(path / run_folder.NEWEST, trust=trust)
    chosen = _resumed_settings(settings, name, budget, before)
    dataset = run_folder.dataset_of_run(before, trust=trust)
    teacher = options.teacher_of(chosen, dataset, run.outputs, trust=trust)
    return training_run.make_plan(chosen, dataset, trust=trust, budget=budget, before=before, teacher=teacher)


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

    ending = "-classifier" if chosen.classifier else "" if chosen.diffuses else f"-{plain_name(chosen.family)}"
    ending += "" if chosen.latent is None else f"-latent{chosen.latent}"
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

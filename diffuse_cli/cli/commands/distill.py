"""diffuse distill"""

import time
from typing import TYPE_CHECKING

import click

from diffuse_cli import config
from diffuse_cli.cli import options, training_run
from diffuse_cli.errors import UsageError

if TYPE_CHECKING:
    from diffuse_cli.config import Config

_LOSS = "paths"

_EPILOG = """\b
Examples:
  diffuse distill --run moons
  diffuse distill --run moons --loss lmd --steps 20000 --name moons-lmd
  diffuse distill --run moons --loss progressive:steps=16
  diffuse distill --exact --dataset checkerboard
  diffuse distill --run labels --guidance 2"""


@click.command(epilog=_EPILOG)
@options.teacher_option()
@options.settings_options(
    "loss", "steps", "batch_size", "lr", "width", "depth", "levels", "ema", "sampler", "sampler_steps", "grid", "seed",
    "dataset", "schedule", "timesteps", "conditional",
    defaults={"loss": _LOSS, "dataset": "the teacher's", "schedule": "the teacher's", "timesteps": "the teacher's"},
)  # fmt: skip
@options.training_length
@options.with_source("name")
@options.option("--name", help="Name of the student's folder.  [default: the teacher's and the loss]")
@options.device
@options.training_output
@options.common
def distill(
    teacher: options.TeacherOption,
    settings: options.Settings,
    budget: float | None,
    name: options.Given[str | None],
    figures: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Distil a run into a student that draws samples in one to a few network evaluations.

    A teacher goes from noise to data in many small steps along its flow. The student learns where they lead: its
    network u(x, t, r) takes x from noise t to r in one jump. It is a denoiser too, so every command works on it;
    samples are drawn by the samplers jump and renoise. `diffuse evaluate` says how far jumps end from the exact ones.

    The student keeps the data, the schedule and the labels of its teacher. With --guidance it learns the flow that the
    guided teacher has for each label, at the cost of an unguided one. Without any teacher: diffuse train --loss paths.

    Ctrl-C leaves a checkpoint, from which `diffuse train --resume` continues.
    """
    began = time.perf_counter()
    process = training_run.drawing_process(wanted=figures and not dry_run)
    from diffuse_cli.models import build, run_folder

    training_run.check_length(settings, budget)
    chosen = _settings(teacher, settings)
    trust = teacher.trust or teacher.exact  # a name of own code that is typed here is trusted
    dataset = build.build_dataset(chosen, trust=trust)
    model = options.teacher_of(chosen, dataset, teacher.run.outputs, trust=trust)
    plan = training_run.make_plan(chosen, dataset, trust=trust, budget=budget, teacher=model)
    if dry_run:
        click.echo(config.dump(plan.config), nl=False)
        return
    default = _default_name(plan.config)
    folder = run_folder.create_run_folder(teacher.run.outputs, name.value, default)
    training_run.carry_out(plan, folder, process, began, as_json=as_json)


def _settings(teacher: options.TeacherOption, settings: options.Settings) -> "Config":
    """The settings of a student: its own, over what it keeps from its teacher.

    Raises UsageError where it is asked to have other data or another schedule than its teacher.
    """
    from diffuse_cli.guidance.base import guidance_text
    from diffuse_cli.models.teachers import KEPT

    guidance = None if teacher.guidance is None else guidance_text(teacher.guidance)
    own = {"loss": _LOSS, "teacher": teacher.name(), "guidance": guidance}
    of_teacher = teacher.config()
    if of_teacher is None:
        return settings.config(config.make({key: value for key, value in own.items() if value is not None}))
    if not of_teacher.diffuses:
        raise UsageError(f"{teacher.name()} is of the family {of_teacher.family} and has no denoiser to learn from")
    if of_teacher.latent is not None:
        raise UsageError(
            f"{teacher.name()} works in a latent space, and students are of data; for fewer evaluations give it a "
            "sampler like dpmpp_3m or unipc in 8 steps"
        )
    if of_teacher.schedule.startswith("learned"):
        raise UsageError(
            f"{teacher.name()} has learned its schedule, and a student has a fixed one; give a teacher with one"
        )
    kept = {key: getattr(of_teacher, key) for key in KEPT}
    chosen = settings.config(config.make({key: value for key, value in (kept | own).items() if value is not None}))
    for key in KEPT:
        if getattr(chosen, key) != kept[key]:
            raise UsageError(
                f"a student keeps what its teacher has, and {teacher.name()} has {key} = {kept[key]}; leave out "
                f"--{key.replace('_', '-')}, or give --exact and no --run"
            )
    return chosen


def _default_name(chosen: "Config") -> str:
    """The name of a student that is not given one: its teacher's, or its data's, and its loss."""
    from diffuse_cli import catalog
    from diffuse_cli.files import plain_name
    from diffuse_cli.models import build

    loss = catalog.parse("loss", chosen.loss).name
    of_run = chosen.teacher not in (None, "exact") and "/" not in str(chosen.teacher)
    first = str(chosen.teacher) if of_run else build.default_run_name(chosen)
    guidance = "" if chosen.guidance is None else f"-{plain_name(chosen.guidance).replace('=', '_')}"
    return f"{first}-{loss}{guidance}"

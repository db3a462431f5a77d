"""Whose flow a student learns: `--run`, or `--exact`, and `--guidance`."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from diffuse_cli.cli.options.common import source_of, trust
from diffuse_cli.cli.options.run import RunOption, guide_opener, outputs, run_flag
from diffuse_cli.cli.options.types import Decorator, grouped, option
from diffuse_cli.errors import UsageError

if TYPE_CHECKING:
    from click.core import ParameterSource

    from diffuse_cli.config import Config
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.models.model import Model

EXACT = "exact"  # in place of the name of a run


class TeacherOption(NamedTuple):
    """The teacher of a student: a run, or the exact denoiser; and the guidance that it is given."""

    run: RunOption
    run_source: "ParameterSource | None"
    trust: bool
    exact: bool
    guidance: str | None

    def name(self) -> str:
        """What a student's settings call it: the name of a run in the folder of runs, or else its path; or 'exact'.

        Raises UsageError where both a run and the exact denoiser are asked for, DiffuseError where there is no run.
        """
        if self.exact:
            if self.run_source is not None and self.run_source.name == "COMMANDLINE":
                raise UsageError("--run and --exact are two teachers; give one of them")
            return EXACT
        path = self.run.path()
        return path.name if path.parent == self.run.outputs else str(path.absolute())

    def config(self) -> "Config | None":
        """The settings of the run that is the teacher; None for the exact denoiser."""
        if self.exact:
            return None
        from diffuse_cli.models import run_folder

        return run_folder.read_run_header(run_folder.folder_and_file(self.run.path())[1]).config


def teacher_of(config: "Config", dataset: "Dataset", outputs: Path, *, trust: bool) -> "Model | None":
    """The teacher that the settings of a student name, with its guidance; None where they name none.

    Raises DiffuseError where it cannot be opened, UsageError where it cannot be a teacher.
    """
    from diffuse_cli.models import build, teachers
    from diffuse_cli.models.exact_model import exact_model
    from diffuse_cli.models.guided import guided
    from diffuse_cli.models.model import model_of_run

    if config.teacher is None:
        return None
    if config.teacher == EXACT:
        teacher = exact_model(config, dataset, outputs, process=build.build_process(config, trust=trust), trust=trust)
    else:
        teacher = model_of_run(RunOption(config.teacher, outputs).open(trust=trust), trust=trust)
    if config.guidance is not None:
        if not config.conditional:
            raise UsageError(
                "guidance leads towards a label, and this student is told none; "
                + (
                    "add --conditional"
                    if config.teacher == EXACT
                    else "its teacher has to be trained with --conditional"
                )
            )
        teacher = guided(teacher, config.guidance, open_guide=guide_opener(outputs, trust=trust), trust=trust)
    teachers.check_teacher(teacher, config, dataset)
    return teacher


def teacher_option() -> Decorator:
    """`--run`, `--outputs`, `--exact`, `--guidance` and `--trust`: whose flow is learned, handed over as `teacher`."""

    def gather(run_name: str, outputs: Path, trust: bool, exact: bool, guidance: str | None) -> TeacherOption:
        return TeacherOption(RunOption(run_name, outputs), source_of("run_name"), trust, exact, guidance)

    return grouped(
        "teacher",
        gather,
        run_flag("The teacher: a run, or a checkpoint file."),
        outputs,
        trust,
        option(
            "--exact",
            is_flag=True,
            help="The exact denoiser of the data as the teacher; then no run is needed, and --dataset, --schedule and "
            "--timesteps say which.",
        ),
        option(
            "--guidance",
            metavar="W|NAME:…",
            help="Guide the teacher towards each label, like 2 or interval:w=3; the student learns the guided flow.",
        ),
    )

"""Which run, or which runs: options that are handed over as objects that open what they name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from diffuse_cli.cli.options.common import trust
from diffuse_cli.cli.options.types import Command, Decorator, grouped, option

if TYPE_CHECKING:
    from diffuse_cli.models.guided import Guide
    from diffuse_cli.models.run_folder import Run


class RunOption(NamedTuple):
    """Which run: `--run` and `--outputs`."""

    name: str
    outputs: Path

    def path(self) -> Path:
        """The folder or the checkpoint file. Raises DiffuseError where there is none."""
        from diffuse_cli.models import run_folder

        return run_folder.find_run(self.outputs, self.name)

    def open(self, *, trust: bool) -> "Run":
        """The run. Raises DiffuseError for a damaged or foreign checkpoint."""
        from diffuse_cli.models import run_folder

        return run_folder.open_run(self.path(), trust=trust)


class RunsOption(NamedTuple):
    """Which runs: `--run`, perhaps several times, `--outputs` and `--trust`."""

    names: tuple[str, ...]
    outputs: Path
    trust: bool

    def open(self) -> "list[Run]":
        """The runs. Raises DiffuseError like RunOption.open."""
        return [RunOption(name, self.outputs).open(trust=self.trust) for name in self.names]


def guide_opener(outputs: Path, *, trust: bool) -> "Callable[[str], Guide]":
    """The name of a run -> its denoiser, or its classifier."""

    def open_guide(name: str) -> "Guide":
        from diffuse_cli.models.classifier import classifier_of_run
        from diffuse_cli.models.model import model_of_run

        run = RunOption(name, outputs).open(trust=trust)
        return classifier_of_run(run) if run.config.classifier else model_of_run(run, trust=trust)

    return open_guide


def complete_run(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The names of runs that begin like this, for the shell."""
    folder = Path(ctx.params.get("outputs") or os.environ.get("DIFFUSE_OUTPUTS") or "outputs")
    return sorted(path.parent.name for path in folder.glob(f"{incomplete}*/checkpoint.safetensors"))


def outputs(command: Command) -> Command:
    """`--outputs`, the folder of runs."""
    return option(
        "--outputs",
        envvar="DIFFUSE_OUTPUTS",
        type=click.Path(path_type=Path),
        default=Path("outputs"),
        show_default=True,
        help="The folder of runs.",
    )(command)


def run_option(command: Command) -> Command:
    """`--run` and `--outputs`: which run, handed over as `run`, a RunOption."""
    return grouped("run", lambda run_name, outputs: RunOption(run_name, outputs), run_flag(), outputs)(command)


def optional_run(words: str) -> Decorator:
    """`--run` and `--outputs`, handed over as `run`: a RunOption, or None where no run is named."""
    return grouped(
        "run",
        lambda run_name, outputs: run_name and RunOption(run_name, outputs),
        option("run_name", "--run", metavar="NAME|PATH|latest", help=words, shell_complete=complete_run),
        outputs,
    )


def several_runs(words: str) -> Decorator:
    """`--run`, which may be repeated, `--outputs` and `--trust`: which runs, handed over as `runs`, a RunsOption."""
    return grouped(
        "runs",
        lambda run_names, outputs, trust: RunsOption(run_names, outputs, trust),
        option(
            "run_names",
            "--run",
            metavar="NAME|PATH|latest",
            multiple=True,
            help=words,
            shell_complete=complete_run,
        ),
        outputs,
        trust,
    )


def run_flag(words: str = "Which run, or a checkpoint file.") -> Decorator:
    """`--run`, the latest unless another is named."""
    return option(
        "run_name",
        "--run",
        metavar="NAME|PATH|latest",
        default="latest",
        show_default=True,
        help=words,
        shell_complete=complete_run,
    )

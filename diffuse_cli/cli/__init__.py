"""The command line. Commands are imported only when they are called, so that help is quick.

Names of commands and options are fixed, because scripts use them; how they are read may change.
"""

import atexit
import gc
import importlib
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import click
from click.shell_completion import CompletionItem

from diffuse_cli.cli import signals
from diffuse_cli.cli.terminal import without_controls
from diffuse_cli.errors import DiffuseError
from diffuse_cli.figures.table import FIGURES, FigureRow

_HERE = "diffuse_cli.cli.commands"


class CommandEntry(NamedTuple):
    """A command: where it is ('module:function' in commands/, none where it is made from a row of FIGURES), and one
    line for the list of commands."""

    where: str | None
    summary: str


def _of_row(name: str, row: FigureRow) -> CommandEntry:
    module = name.replace("-", "_")
    return CommandEntry(f"{module}:{module}_command" if row.subject == "several" else None, row.summary)


COMMANDS = {
    "train": CommandEntry("train:train", "Train a denoiser on a dataset; leaves a run folder with figures."),
    "distill": CommandEntry("distill:distill", "Distil a run into a student of one to a few evaluations."),
    "sample": CommandEntry("sample:sample_command", "Draw samples from a run with any sampler."),
    "solve": CommandEntry("solve:solve", "Draw x given a measurement, beside the exact posterior."),
    **{name: _of_row(name, row) for name, row in FIGURES.items()},
    "animate": CommandEntry("animate:animate", "Animate data turning into noise and back: GIF, WebP or MP4."),
    "report": CommandEntry("report:report", "Make one offline HTML page of a run, with a time slider."),
    "explain": CommandEntry("explain:explain", "Follow one point: question, answer, and what can be known."),
    "doctor": CommandEntry("doctor:doctor", "Say whether a schedule is right for its data; needs no run."),
    "evaluate": CommandEntry("evaluate:evaluate", "Judge a run, each figure beside its noise floor."),
    "compare": CommandEntry("compare:compare", "Compare samplers at the same numbers of network evaluations."),
    "likelihood": CommandEntry("likelihood:likelihood", "Log-likelihood of points under a run, by the flow ODE."),
    "verify": CommandEntry("verify:verify", "Verify that each solver converges as fast as theory says."),
    "list": CommandEntry("list_choices:list_choices", "Show what there is to choose from."),
    "runs": CommandEntry("list_runs:list_runs", "Show the runs there are."),
    "info": CommandEntry("info:info", "Show a run's settings, versions and history."),
}


class Commands(click.Group):
    """A group whose commands live in a table of text, and whose errors are one line and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        where = COMMANDS[name].where
        if where is None:
            from diffuse_cli.cli.figure_command import figure_command

            return figure_command(name)
        module, _, function = where.partition(":")
        command: click.Command = getattr(importlib.import_module(f"{_HERE}.{module}"), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [
            CompletionItem(name, help=entry.summary) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = False,
        windows_expand_args: bool = True,
        **extra: object,
    ) -> NoReturn:
        """Run, and end the process with the exit status that the README lists. `--debug` lets tracebacks through."""
        given = sys.argv[1:] if args is None else list(args)
        try:
            status = super().main(
                given, "diffuse", complete_var, standalone_mode=False, windows_expand_args=windows_expand_args, **extra
            )
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(130)
        except DiffuseError as error:
            if "--debug" in given:
                raise
            click.echo(f"Error: {without_controls(str(error))}", err=True)
            sys.exit(error.exit_code)
        except Exception as error:
            if "--debug" in given:
                raise
            detail = f"{type(error).__name__}: {error}".splitlines()[0]
            if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in detail:
                click.echo("Error: there is not enough memory for this; ask for fewer points or steps", err=True)
                sys.exit(1)
            click.echo(f"Error: {without_controls(detail)} (this should not happen; --debug shows where)", err=True)
            sys.exit(1)
        sys.exit(status or 0)  # what a command gave to ctx.exit


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from diffuse_cli.cli.device import describe

    click.echo(describe())
    ctx.exit()


@click.group(
    "diffuse",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "DIFFUSE", "max_content_width": 120},
    epilog="Start with: diffuse train --dataset moons",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show versions and device.",
)
def cli() -> None:
    """A laboratory for diffusion models on data you can see.

    Train a small network in seconds, sample from it with any sampler, draw what happened. Choices are written
    NAME or NAME:KEY=VALUE,KEY=VALUE, like --dataset moons:noise=0.1; `diffuse list` shows them all.
    """


def _prepare_environment() -> None:
    """Make this process independent of settings that are for other programs: matplotlib's, and a narrow encoding."""
    os.environ["MPLBACKEND"] = "agg"  # figures are files; a name of another backend could end the process
    if Path(os.devnull).exists():
        os.environ["MATPLOTLIBRC"] = os.devnull  # figures have a style of their own
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns of a matplotlibrc in the current folder
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def main() -> None:
    """The `diffuse` command."""
    if hasattr(signal, "SIGPIPE"):  # whoever reads our output may have seen enough: `diffuse list | head`
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signals.take_over()
    _prepare_environment()
    # What importing and tracing leave behind is there to stay: looking through it for garbage again and again, and once
    # more at the end, takes a twelfth of a short training.
    gc.set_threshold(100_000, 50, 100)
    atexit.register(gc.freeze)
    if "_DIFFUSE_COMPLETE" in os.environ:
        from diffuse_cli.cli import completion

        completion.install()
    cli.main()

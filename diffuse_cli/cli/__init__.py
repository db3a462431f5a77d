"""The command line. Commands are imported only when they are called, so that help is quick.

Names of commands and options are fixed, because scripts use them; how they are read may change.
"""

import atexit
import gc
import importlib
import signal
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from diffuse_cli.cli import signals
from diffuse_cli.errors import DiffuseError

COMMANDS = {  # name: (where, one line for the list of commands)
    "train": (
        "diffuse_cli.cli.commands.train:train",
        "Train a denoiser on a dataset; leaves a run folder with figures.",
    ),
    "sample": ("diffuse_cli.cli.commands.sample:sample_command", "Draw samples from a run with any sampler."),
    "plot-forward": (
        "diffuse_cli.cli.commands.plot_forward:plot_forward_command",
        "Draw data turning into noise; needs no run.",
    ),
    "plot-reverse": (
        "diffuse_cli.cli.commands.plot_reverse:plot_reverse_command",
        "Draw noise turning into data under a run.",
    ),
    "plot-samples": (
        "diffuse_cli.cli.commands.plot_samples:plot_samples_command",
        "Draw several runs or datasets in one grid.",
    ),
    "plot-trajectories": (
        "diffuse_cli.cli.commands.plot_trajectories:plot_trajectories_command",
        "Draw the paths of points from noise to data.",
    ),
    "plot-field": (
        "diffuse_cli.cli.commands.plot_field:plot_field_command",
        "Draw the field of a run beside the exact one.",
    ),
    "plot-density": (
        "diffuse_cli.cli.commands.plot_density:plot_density_command",
        "Draw the density of a run beside the exact one.",
    ),
    "plot-schedule": (
        "diffuse_cli.cli.commands.plot_schedule:plot_schedule_command",
        "Draw noise schedules beside each other.",
    ),
    "plot-loss": ("diffuse_cli.cli.commands.plot_loss:plot_loss_command", "Draw a run's loss."),
    "animate": (
        "diffuse_cli.cli.commands.animate:animate",
        "Animate data turning into noise and back: GIF, WebP or MP4.",
    ),
    "report": ("diffuse_cli.cli.commands.report:report", "Make one offline HTML page of a run, with a time slider."),
    "explain": (
        "diffuse_cli.cli.commands.explain:explain",
        "Follow one point: question, answer, and what can be known.",
    ),
    "doctor": ("diffuse_cli.cli.commands.doctor:doctor", "Say whether a schedule is right for its data; needs no run."),
    "evaluate": ("diffuse_cli.cli.commands.evaluate:evaluate", "Judge a run, each figure beside its noise floor."),
    "compare": (
        "diffuse_cli.cli.commands.compare:compare",
        "Compare samplers at the same numbers of network evaluations.",
    ),
    "likelihood": (
        "diffuse_cli.cli.commands.likelihood:likelihood",
        "Log-likelihood of points under a run, by the flow ODE.",
    ),
    "verify": ("diffuse_cli.cli.commands.verify:verify", "Verify that each solver converges as fast as theory says."),
    "list": ("diffuse_cli.cli.commands.list_choices:list_choices", "Show what there is to choose from."),
    "runs": ("diffuse_cli.cli.commands.list_runs:list_runs", "Show the runs there are."),
    "info": ("diffuse_cli.cli.commands.info:info", "Show a run's settings, versions and history."),
}


class Commands(click.Group):
    """A group whose commands live in a table of text, and whose errors are one line and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [(name, summary) for name, (_, summary) in COMMANDS.items() if name.startswith(incomplete)]
        return [CompletionItem(name, help=summary) for name, summary in found]

    def main(self, args: list[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:
        """Run, and end the process with the exit status that the README lists. `--debug` lets tracebacks through."""
        given = sys.argv[1:] if args is None else list(args)
        try:
            status = super().main(given, "diffuse", **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(130)
        except DiffuseError as error:
            if "--debug" in given:
                raise
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_code)
        except Exception as error:
            if "--debug" in given:
                raise
            detail = f"{type(error).__name__}: {error}".splitlines()[0]
            if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in detail:
                click.echo("Error: there is not enough memory for this; ask for fewer points or steps", err=True)
                sys.exit(1)
            click.echo(f"Error: {detail} (this should not happen; --debug shows where)", err=True)
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


def main() -> None:
    """The `diffuse` command."""
    if hasattr(signal, "SIGPIPE"):  # whoever reads our output may have seen enough: `diffuse list | head`
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signals.take_over()
    # What importing and tracing leave behind is there to stay: looking through it for garbage again and again, and once
    # more at the end, takes a twelfth of a short training.
    gc.set_threshold(100_000, 50, 100)
    atexit.register(gc.freeze)
    cli.main()

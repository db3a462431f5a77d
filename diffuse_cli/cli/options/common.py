"""Options that commands of every kind take: --quiet and --debug, --device, --seed, -n, --json."""

import difflib
import functools
import os
from typing import Generic, NamedTuple, TypeVar

import click
from click.core import ParameterSource

from diffuse_cli.cli.options.types import Command, Decorator, Duration, Option, WholeNumber, grouped, option
from diffuse_cli.figures.options import MOST_AT_ONCE

_T = TypeVar("_T")


class Given(NamedTuple, Generic[_T]):
    """The value of an option, and where it comes from."""

    value: _T
    source: ParameterSource | None

    @property
    def typed(self) -> bool:
        """Whether it stands on the command line itself, and not only in the environment."""
        return self.source is ParameterSource.COMMANDLINE


def source_of(name: str) -> ParameterSource | None:
    """Where the option of this name has its value from."""
    return click.get_current_context().get_parameter_source(name)


def with_source(name: str) -> Decorator:
    """Hand over the option of this name as Given."""
    return grouped(name, lambda **values: Given(values[name], source_of(name)), names=(name,))


def as_json(command: Command) -> Command:
    """`--json`: one document on stdout."""
    return option("as_json", "--json", is_flag=True, help="Print one JSON document.")(command)


def trust(command: Command) -> Command:
    """`--trust`, for a run that may come from another person."""
    return option("--trust", is_flag=True, help="Let the run name its maker's own code, which will be imported.")(
        command
    )


def training_length(command: Command) -> Command:
    """`--budget`: how long to train, in place of `--steps`; `training_run.check_length` refuses both."""
    return option("--budget", type=Duration(), help="Train for this long instead of --steps, like 30s or 5m.")(command)


def training_output(command: Command) -> Command:
    """`--figures`, `--dry-run` and `--json`: what comes of a training."""
    for decorate in (
        as_json,
        option("--dry-run", is_flag=True, help="Print the settings as TOML, itself a valid --config, and stop."),
        option("--figures/--no-figures", default=True, show_default=True, help="Draw the four figures of the run."),
    ):
        command = decorate(command)
    return command


def repeats(command: Command) -> Command:
    """`--repeats`, for a command that sets figures beside their noise floors."""
    return option(
        "--repeats",
        type=WholeNumber(2, 1000),
        default=20,
        show_default=True,
        help="Pairs of draws of the truth behind each noise floor.",
    )(command)


def count(at_least: int, default: int | None, of_what: str, *, shown: str | None = None) -> Decorator:
    """`-n`, how many; `shown` says what holds where the default is None."""
    return option(
        "-n",
        "--count",
        type=WholeNumber(at_least, MOST_AT_ONCE),
        default=default,
        show_default=shown or True,
        help=f"How many {of_what}.",
    )


def seed(command: Command) -> Command:
    """`--seed`, for a command that draws."""
    return option(
        "--seed", type=WholeNumber(0, 2**32 - 1), default=0, show_default=True, help="Seed of what is drawn."
    )(command)


def device(command: Command) -> Command:
    """`--device`: starts jax there before the command begins."""

    @functools.wraps(command)
    def started(*, device: str, **values: object) -> None:
        from diffuse_cli.cli.device import start_jax

        start_jax(device)
        command(**values)

    return option(
        "--device",
        type=click.Choice(["auto", "cpu", "gpu", "tpu"]),
        default="auto",
        show_default=True,
        help="Where to compute.",
    )(started)


def _warn_of_misspelt_variables() -> None:
    """Name each variable of the environment that looks like an option of this command, or of none, and is not one."""
    from diffuse_cli.cli import terminal

    context = click.get_current_context()
    if context.parent is None or not isinstance(context.parent.command, click.Group):
        return
    program = f"{context.parent.auto_envvar_prefix}_"
    parts = {
        name: f"{program}{name.replace('-', '_').upper()}_" for name in context.parent.command.list_commands(context)
    }
    others = tuple(part for name, part in parts.items() if name != context.info_name)
    known = [param.variable(context) for param in context.command.params if isinstance(param, Option)]
    known.append("DIFFUSE_OUTPUTS")
    for name in sorted(name for name in os.environ if name.startswith(program) and name not in known):
        if name.startswith(parts[str(context.info_name)]) or not name.startswith(others):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            terminal.warn(f"{name} in the environment is no option of {context.info_name}{hint}")


def common(command: Command) -> Command:
    """`--quiet` and `--debug`, which every command takes."""

    @functools.wraps(command)
    def set_up(*, quiet: bool, debug: bool, **values: object) -> None:
        from diffuse_cli.cli import terminal

        terminal.quiet = quiet  # --debug is read where errors are caught
        _warn_of_misspelt_variables()
        terminal.show_log()
        command(**values)

    for decorate in (
        option("--debug", is_flag=True, help="Show the traceback of an error."),
        option("--quiet", "-q", is_flag=True, help="No progress, no notes; results and errors only."),
    ):
        set_up = decorate(set_up)
    return set_up

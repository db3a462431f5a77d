"""The command of a figure, made from its row of figures/table.py."""

import importlib
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffuse_cli.cli import options, signals
from diffuse_cli.cli.options.types import Command, Decorator, grouped, plain_type
from diffuse_cli.figures.options import FigureOptions
from diffuse_cli.figures.table import FIGURES, FigureRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def named_after_row(name: str) -> Callable[[Command], click.Command]:
    """Make a function the command of this row: its name, its words and its examples."""
    row = FIGURES[name]
    lines = [f"  diffuse {name} {words}".rstrip() for words in row.examples]
    return click.command(name, help=row.about, epilog="\n".join(["\b", "Examples:", *lines]))


def figure_command(name: str) -> click.Command:
    """The command of a row whose figure is of one model, run or Config."""
    row = FIGURES[name]
    makers = {"model": _of_model, "samples": _of_samples, "run": _of_run, "settings": _of_settings}
    return named_after_row(name)(makers[row.subject](row))


def figure_options(row: FigureRow) -> Decorator:
    """The options of a figure, one for each field of row.options, handed over as `asked`."""
    fields, defaults = typing.get_type_hints(row.options, include_extras=True), row.options._field_defaults
    return grouped("asked", row.options, *(_option(name, hint, defaults[name]) for name, hint in fields.items()))


def _of_model(row: FigureRow) -> Command:
    @options.model_option
    @figure_options(row)
    @options.figure_output("the figures/ of the run")
    @options.device
    @options.common
    def draw(opener: options.ModelOption, asked: FigureOptions, output: options.FigureOutput) -> None:
        signals.at_once()
        models = opener.open_each()
        for model in models:
            place = output.of_part(model.suffix) if len(models) > 1 else output
            figure = _function(row)(model, asked, output.look)
            click.echo(place.save(figure, place.place(model.folder, asked.file + model.suffix)))

    return draw


def _of_samples(row: FigureRow) -> Command:
    @options.model_option
    @options.method_options
    @figure_options(row)
    @options.figure_output("the figures/ of the run")
    @options.device
    @options.common
    def draw(
        opener: options.ModelOption, sampling: options.MethodOption, asked: FigureOptions, output: options.FigureOutput
    ) -> None:
        signals.at_once()
        model = opener.open()
        figure = _function(row)(model, sampling.method(model.config), asked, output.look)
        name = asked.file + model.suffix + sampling.suffix(model.config)
        click.echo(output.save(figure, output.place(model.folder, name)))

    return draw


def _of_run(row: FigureRow) -> Command:
    @options.run_option
    @figure_options(row)
    @options.figure_output("the figures/ of the run")
    @options.common
    def draw(run: options.RunOption, asked: FigureOptions, output: options.FigureOutput) -> None:
        from diffuse_cli.models import run_folder

        folder, _ = run_folder.folder_and_file(run.path())
        figure = _function(row)(folder, asked, output.look)
        click.echo(output.save(figure, output.place(folder, asked.file)))

    return draw


def _of_settings(row: FigureRow) -> Command:
    @options.settings_options("dataset", "schedule", "timesteps", "scaling", "zero_terminal_snr", "seed")
    @figure_options(row)
    @options.figure_output(f"{row.options().file}.png")
    @options.device
    @options.common
    def draw(settings: options.Settings, asked: FigureOptions, output: options.FigureOutput) -> None:
        figure = _function(row)(settings.config(), asked, output.look)
        click.echo(output.save(figure, output.file or Path(f"{asked.file}.png")))

    return draw


def _function(row: FigureRow) -> "Callable[..., Figure]":
    """The function that draws a row, imported when the figure is wanted."""
    module, _, function = row.draw.partition(":")
    return typing.cast(
        "Callable[..., Figure]", getattr(importlib.import_module(f"diffuse_cli.figures.{module}"), function)
    )


def _option(name: str, hint: object, default: object) -> Decorator:
    kind, asked = typing.get_args(hint)
    if typing.get_origin(kind) is types.UnionType:  # … | None
        (kind,) = (each for each in typing.get_args(kind) if each is not types.NoneType)
    return options.option(
        name,
        *(asked.flags or (f"--{name.replace('_', '-')}",)),
        type=plain_type(kind, asked.at_least, asked.at_most),
        default=default,
        show_default=asked.shown or True,
        help=asked.help,
    )

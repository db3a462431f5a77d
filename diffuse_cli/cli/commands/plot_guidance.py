"""diffuse plot-guidance"""

from typing import TYPE_CHECKING

import click

from diffuse_cli import catalog
from diffuse_cli.cli import options, signals
from diffuse_cli.cli.figure_command import figure_options, named_after_row
from diffuse_cli.errors import UsageError
from diffuse_cli.figures.options import GuidanceOptions
from diffuse_cli.figures.table import FIGURES

if TYPE_CHECKING:
    from diffuse_cli.figures.guidance import Guide
    from diffuse_cli.models.draw import Method
    from diffuse_cli.models.model import Model


@named_after_row("plot-guidance")
@options.model_option
@options.method_options
@figure_options(FIGURES["plot-guidance"])
@options.figure_output("the figures/ of the run")
@options.device
@options.common
def plot_guidance_command(
    opener: options.ModelOption,
    sampling: options.MethodOption,
    asked: GuidanceOptions,
    output: options.FigureOutput,
) -> None:
    """The target of guidance, what it samples, and weighted particles."""
    from diffuse_cli.figures.guidance import guidance_of_model

    signals.at_once()
    rule = opener.guidance or "cfg"
    name = _checked(rule)
    if opener.label is None:
        raise UsageError("guidance leads towards a label; give --label")
    plain = opener._replace(guidance=None, particles=None)
    untold = plain.open_with_run()[0]
    told = plain.told_each(untold)
    for model in told:
        rules = {"cfg": "cfg", "auto": rule} if name == "auto" else {name: rule, "fkc": "fkc"}
        guides = {each: _guide(opener, untold, model, text, sampling) for each, text in rules.items()}
        figure = guidance_of_model(model, guides, asked, output.look, towards_label=name == "auto")
        place = output.of_part(model.suffix) if len(told) > 1 else output
        click.echo(place.save(figure, place.place(model.folder, f"{asked.file}-{name}{model.suffix}")))


def _checked(rule: str) -> str:
    """The name of a rule without its scale. Raises UsageError for one that has none, or that is drawn anyway."""
    from diffuse_cli.guidance.base import guidance_text

    choice = catalog.parse("guidance", guidance_text(rule))
    if "w" in choice.options:
        raise UsageError(f"the scales of the columns are those of --scales; give --guidance {choice.name} without w")
    if choice.name in ("fkc", "cfgpp"):
        why = "is drawn anyway" if choice.name == "fkc" else "has no w, and no law that it is said to sample"
        raise UsageError(f"{choice.name} {why}; give --guidance cfg, interval, apg, classifier or auto:run=NAME")
    return choice.name


def _guide(
    opener: options.ModelOption, untold: "Model", told: "Model", rule: str, sampling: options.MethodOption
) -> "Guide":
    """w -> the model guided by this rule and w, and the method: particles have their own, all others the one asked."""
    from diffuse_cli.models.draw import default_method

    weighted = rule == "fkc"

    def guide(w: float) -> "tuple[Model, Method]":
        text = f"{rule}{',' if ':' in rule else ':'}w={w:g}"
        asked = opener._replace(guidance=text, particles=opener.particles if weighted else None)
        model = asked.guided(untold).with_label(str(told.told))
        return model, default_method(model.config) if weighted else sampling.method(model.config)

    return guide

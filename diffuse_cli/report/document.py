"""The content of a report, collected as plain data."""

from typing import Any, NamedTuple

from matplotlib.colors import to_hex

from diffuse_cli import config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.models import build
from diffuse_cli.models.draw import Method
from diffuse_cli.models.model import Model
from diffuse_cli.models.run_folder import Header
from diffuse_cli.plots.style import DARK, LIGHT, Theme
from diffuse_cli.report import facts, layers, scene


class History(NamedTuple):
    """The header of a run's checkpoint, and the records of its log."""

    header: Header
    log: list[dict[str, Any]]


class NextCommands(NamedTuple):
    """The commands that reproduce a page.

    train: uses the settings in config.toml; None for an exact model. report: makes the page.
    """

    train: str | None
    report: str


def gather_document(
    model: Model,
    dataset: Dataset,
    methods: list[Method],
    *,
    count: int,
    asked: int | None,
    seed: int,
    history: History | None,
    judged: facts.Judged | None,
    commands: NextCommands,
) -> dict[str, Any]:
    """The document of a model and its sampling methods, with `count` samples of each.

    asked: the number of samples that the user has asked for, if they do not all fit into the page. history: of a
    trained model. judged: its quality, or None. commands: how to reproduce the page.

    Raises DiffuseError for samples that are not finite.
    """
    ways = scene.travel(model, dataset, methods, count, seed)
    projection = scene.projection_of(model, ways)
    settings = build.without_folders(model.config)
    return {
        "name": model.name,
        "summary": facts.summary(settings, trained=history is not None, student=model.is_student),
        "student": model.is_student,
        "themes": {theme.name: _colors(theme) for theme in (LIGHT, DARK)},
        "schedule": scene.schedule_curve(model.process),
        "scene": scene.scene_document(model, methods, ways, projection),
        "caveats": facts.caveats_of(model, dataset, history and history.log, judged),
        "asked": asked if asked and asked > count else None,
        "density": layers.density_layer(model, dataset, projection),
        "field": layers.field_layer(model, dataset, projection),
        "loss": history and facts.loss_facts(history.log),
        "metrics": judged and facts.metric_facts(judged, methods),
        "samplers": facts.sampler_lines(methods),
        "settings": facts.settings_table(settings, trained=history is not None),
        "made": _made(history),
        "config": config.dump(settings) if commands.train else None,
        "commands": [command for command in commands if command],
    }


def _made(history: History | None) -> list[list[str]]:
    """The duration of training, and the versions of the packages that were used."""
    if history is None:
        return []
    return [
        ["trained for", f"{history.header.step:,} steps in {history.header.seconds:.1f} s"],
        *([name, version] for name, version in history.header.versions.items()),
    ]


def _colors(theme: Theme) -> dict[str, Any]:
    plain = {name: getattr(theme, name) for name in ("paper", "ink", "muted", "frame", "data", "model", "fill")}
    shades = [(number + 0.5) / scene.PAGE_SHADES for number in range(scene.PAGE_SHADES)]
    return {**plain, "ramp": [to_hex(color) for color in theme.ramp(shades)]}

"""All that a report shows, gathered as plain data."""

import json
from typing import Any, NamedTuple

from matplotlib.colors import to_hex

from diffuse_cli import config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.models.draw import Method
from diffuse_cli.models.model import Model
from diffuse_cli.plots.style import DARK, LIGHT, Theme
from diffuse_cli.report import facts, layers, scene


class History(NamedTuple):
    """What a run's folder knows beyond its denoiser: the header of its checkpoint, and the records of its log."""

    header: dict[str, str]
    log: list[dict[str, Any]]


class NextCommands(NamedTuple):
    """What makes the same again: `train`, from the settings in config.toml (None where nothing was trained), and
    `report`."""

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
    """The document of a model and its methods, with `count` samples of each; `asked` is how many were wished for.

    Raises DiffuseError for samples that are not finite.
    """
    ways = scene.travel(model, dataset, methods, count, seed)
    drawing = scene.drawing_of(model, ways)
    return {
        "name": model.name,
        "summary": facts.summary(model.config, trained=history is not None),
        "themes": {theme.name: _colors(theme) for theme in (LIGHT, DARK)},
        "schedule": scene.schedule_curve(model.process),
        "scene": scene.scene_document(model, methods, ways, drawing),
        "asked": asked if asked and asked > count else None,
        "density": layers.density_layer(model, dataset, drawing),
        "field": layers.field_layer(model, dataset, drawing),
        "loss": history and facts.loss_facts(history.log),
        "metrics": judged and facts.metric_facts(judged, methods),
        "samplers": facts.sampler_lines(methods),
        "settings": facts.settings_table(model.config, trained=history is not None),
        "made": _made(history),
        "config": config.dump(model.config) if commands.train else None,
        "commands": [command for command in commands if command],
    }


def _made(history: History | None) -> list[list[str]]:
    """How long a run was trained, and by which versions."""
    if history is None:
        return []
    return [
        ["trained for", f"{int(history.header['step']):,} steps in {float(history.header['seconds']):.1f} s"],
        *([name, version] for name, version in json.loads(history.header["versions"]).items()),
    ]


def _colors(theme: Theme) -> dict[str, Any]:
    plain = {name: getattr(theme, name) for name in ("paper", "ink", "muted", "frame", "data", "model", "fill")}
    shades = [(number + 0.5) / scene.PAGE_SHADES for number in range(scene.PAGE_SHADES)]
    return {**plain, "ramp": [to_hex(color) for color in theme.ramp(shades)]}

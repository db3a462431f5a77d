"""The settings of a run on a command line: each flag has type, bounds and help from its field in Config."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import click
import msgspec
from click.core import ParameterSource

from diffuse_cli import config
from diffuse_cli.cli.options.common import source_of
from diffuse_cli.cli.options.types import ChoiceParam, Decorator, grouped, option, plain_type
from diffuse_cli.config import CHOICES, FIELDS, OLD_NAMES, Config
from diffuse_cli.errors import UsageError


class Layer(NamedTuple):
    """Settings from one place, the command line or the environment: by flag, by `--set KEY=VALUE`, and in a file."""

    by_flag: dict[str, object]
    changes: tuple[str, ...]
    file: str | None

    def values(self) -> dict[str, object]:
        """Those of flags and, over them, of --set, by name. Raises UsageError for a --set that has no meaning."""
        return config.renamed(self.by_flag) | dict(_read_change(change) for change in self.changes)

    def flags(self) -> list[str]:
        """The flags that stand in this place."""
        others = {"--config": self.file, "--set": self.changes}
        return [*map(_flag, self.by_flag), *(flag for flag, given in others.items() if given)]


class Settings(NamedTuple):
    """The settings that a command line gives."""

    environment: Layer
    command_line: Layer

    @property
    def file(self) -> str | None:
        """That of --config, or the name of a preset."""
        return self.command_line.file or self.environment.file

    def config(self, base: Config | None = None) -> Config:
        """The whole Config: from the command line, else the environment, else --config, else `base` or the defaults.

        Raises UsageError naming the setting that is wrong.
        """
        values: dict[str, object] = {} if base is None else msgspec.structs.asdict(base)
        if self.file:
            values |= config.read(self.file)
        return config.make(values | self.environment.values() | self.command_line.values())

    def given(self, name: str) -> object:
        """The value of a setting's flag, on the command line or else in the environment; None if it has none."""
        return (self.environment.by_flag | self.command_line.by_flag).get(name)

    def source(self, name: str) -> ParameterSource | None:
        """Where the value of a setting's flag comes from, if it has one."""
        if name in self.command_line.by_flag:
            return ParameterSource.COMMANDLINE
        return ParameterSource.ENVIRONMENT if name in self.environment.by_flag else None

    def without(self, name: str) -> "Settings":
        """The same without one setting's flag."""
        return Settings(*(layer._replace(by_flag=_others(layer.by_flag, name)) for layer in self))

    def typed(self, *names: str) -> list[str]:
        """Those of these settings whose flags stand on the command line itself, not only in the environment."""
        return [name for name in names if name in self.command_line.by_flag]


def setting(name: str, *flags: str, default: str | None = None, help_text: str | None = None) -> Decorator:
    """The option of one Config field, `--name` unless other flags are given; `default` says what holds if it is not."""
    kind, rules = config.field_parts(name)
    value = FIELDS[name].default
    high = rules["lt"] - 1 if kind is int and "lt" in rules else rules.get("le", rules.get("lt"))
    bounds = rules.get("ge", rules.get("gt")), high
    plain = plain_type(kind, *bounds, low_open="gt" in rules, high_open="lt" in rules)
    return option(
        name,
        *([_switch(name)] if kind is bool else flags or [_flag(name)]),
        type=ChoiceParam(name) if name in CHOICES else plain,
        default=value,
        show_default=default or value is not None,
        help=help_text or rules["description"],
    )


def gathered(argument: str, names: tuple[str, ...], *options: Decorator) -> Decorator:
    """Hand over, as one Settings, the values of these names that `options` give."""

    def gather(**values: object) -> Settings:
        def layer(source: ParameterSource) -> Layer:
            given = {name: value for name, value in values.items() if source_of(name) is source}
            changes = cast("tuple[str, ...]", given.pop("changes", ()))
            return Layer(file=cast("str | None", given.pop("config_file", None)), changes=changes, by_flag=given)

        return Settings(layer(ParameterSource.ENVIRONMENT), layer(ParameterSource.COMMANDLINE))

    return grouped(argument, gather, *options, names=names)


def settings_options(*names: str, defaults: Mapping[str, str] | None = None) -> Decorator:
    """The options of several Config fields, with `--config` and `--set`, in this order in the help: `settings`.

    A flag by an older name of a setting works too, and is not shown. defaults: what holds of some of them where they
    are not given, if it is not the default of the setting.
    """
    older = [old for old, new in OLD_NAMES.items() if new in names]
    return gathered(
        "settings",
        ("config_file", "changes", *names, *older),
        *(setting(name, default=(defaults or {}).get(name)) for name in names),
        option(
            "config_file",
            "--config",
            metavar="FILE|PRESET",
            help="Settings from a TOML file or a shipped preset, like moons.",
            shell_complete=_complete_preset,
        ),
        option(
            "changes",
            "--set",
            multiple=True,
            metavar="KEY=VALUE",
            help="Any setting of the config file by name; may be repeated.",
        ),
        *(option(name, _switch(name), default=None, hidden=True) for name in older),
    )


def _others(values: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in values.items() if key != name}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _switch(name: str) -> str:
    return f"{_flag(name)}/--no-{_flag(name)[2:]}"


def _read_change(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: the form is --set key=value")
    key = config.new_name(key.strip().replace("-", "_"))
    return key, config.convert(key, value.strip(), f"--set {text}")


def _complete_preset(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return sorted(name for name in config.presets() if name.startswith(incomplete))

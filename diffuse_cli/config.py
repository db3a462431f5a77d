"""The settings of a training run. TOML key, flag, type, bounds, default and help of each come from the class Config.

Config files, `--set` and the `config.toml` of a run folder all use this one flat table.
"""

import decimal
import math
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from diffuse_cli.catalog import parse
from diffuse_cli.errors import DiffuseError, UsageError, unknown
from diffuse_cli.files import CONTROL, decode

ALL = "all"  # in place of the name of a label: each of them

# Bounds from above keep what a typing error, or a file from elsewhere, asks for within what a computer can do.
Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a run. Noise, learning rates and the like are in model space, where data have unit variance."""

    dataset: Annotated[str, Meta(description="What to learn, like moons or moons:noise=0.1 or file:points.csv.")] = (
        "moons"
    )
    family: Annotated[
        str, Meta(description="What kind of model: diffusion, or one to compare it with, like vae, gan or flow.")
    ] = "diffusion"
    latent: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | None,
        Meta(description="Columns of a latent space, which an autoencoder makes and in which diffusion works."),
    ] = None
    autoencoder: Annotated[
        str | None,
        Meta(description="What makes the latent space: vae:beta=0.5, or run:NAME, trained before.  [default: vae]"),
    ] = None
    train_size: Annotated[
        Annotated[int, Meta(ge=2, le=100_000_000)] | None,
        Meta(description="Points to train on; of a file, how many of its rows.  [default: 131072, a file's all]"),
    ] = None
    schedule: Annotated[
        str, Meta(description="How noise grows with time, like cosine or linear:start=1e-4,end=0.02.")
    ] = "cosine"
    timesteps: Annotated[
        Annotated[int, Meta(ge=2, le=1_000_000)],
        Meta(description="T, the length of the discrete chain behind the schedule."),
    ] = 1000
    scaling: Annotated[
        str | None, Meta(description="What alpha and sigma are at a log-SNR.  [default: what suits the schedule]")
    ] = None
    zero_terminal_snr: Annotated[
        bool, Meta(description="Stretch the schedule so that nothing of the data is left at t = 1.")
    ] = False
    levels: Annotated[
        str | None,
        Meta(
            description="How training picks its noise levels, like discrete or normal:mean=2,std=3.  "
            "[default: what suits the loss; normal for simple]"
        ),
    ] = None
    prediction: Annotated[str, Meta(description="What the network regresses on.")] = "v"
    conditional: Annotated[
        bool,
        Meta(description="Tell the network the label of each point, or what else is given: samples can be of one."),
    ] = False
    label_dropout: Annotated[
        Annotated[float, Meta(ge=0, lt=1)],
        Meta(
            description="How often what is given is left out, so that the network is unconditional too, for guidance."
        ),
    ] = 0.1
    classifier: Annotated[
        bool,
        Meta(description="Train a classifier of noisy points in place of a denoiser, for --guidance classifier:run=…"),
    ] = False
    variance: Annotated[
        Literal["fixed", "learned"],
        Meta(description="Whether the network also says how uncertain it is; learned by the losses kl and hybrid."),
    ] = "fixed"
    loss: Annotated[str, Meta(description="What training minimises.")] = "simple"
    teacher: Annotated[
        str | None,
        Meta(description="Of a student: the run whose flow it learns, by name or path, or 'exact' for the exact flow."),
    ] = None
    guidance: Annotated[
        str | None, Meta(description="Of a student: the guidance of its teacher, which it learns with the flow.")
    ] = None
    noise_conditioning: Annotated[bool, Meta(description="Tell the network how much noise there is.")] = True
    width: Annotated[
        Annotated[int, Meta(ge=1, le=65_536)] | None,
        Meta(description="Units in each hidden layer.  [default: 64, 96 of a flow map, at least twice the columns]"),
    ] = None
    depth: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(description="Number of hidden layers.  [default: 3, 4 of a flow map]"),
    ] = None
    steps: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000_000)] | None,
        Meta(description="Optimiser steps.  [default: 24000, 12000 of a flow map, fewer for a file of few rows]"),
    ] = None
    batch_size: Annotated[
        Count | None,
        Meta(description="Points in a step.  [default: 256, 512 of a flow map, or a file's rows if those are fewer]"),
    ] = None
    lr: Annotated[
        Annotated[float, Meta(gt=0, le=10)] | None,
        Meta(description="Peak learning rate.  [default: 0.005, 0.003 of a flow map]"),
    ] = None
    warmup: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000_000)], Meta(description="Steps over which the learning rate rises.")
    ] = 100
    weight_decay: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="AdamW's decoupled weight decay.  [default: 0.01, or more for a file of few rows]"),
    ] = None
    clip: Annotated[Annotated[float, Meta(gt=0)], Meta(description="Largest norm of a gradient.")] = 1.0
    ema: Annotated[
        Annotated[float, Meta(ge=0, lt=1)],
        Meta(description="Decay of the averaged weights, which are the ones sampled from."),
    ] = 0.999
    sampler: Annotated[
        str | None,
        Meta(
            description="The sampler of the run's figures, and of later commands unless they say.  "
            "[default: dpmpp_2m, jump for a flow map]"
        ),
    ] = None
    sampler_steps: Annotated[
        Count | None, Meta(description="Its number of steps.  [default: 50, 4 for a flow map]")
    ] = None
    grid: Annotated[
        str | None, Meta(description="How its noise levels are spaced.  [default: what suits the sampler]")
    ] = None
    seed: Annotated[Annotated[int, Meta(ge=0, lt=2**32)], Meta(description="Seed of data, weights and noise.")] = 0

    @property
    def diffuses(self) -> bool:
        """Whether the model is diffusion, and not of another family."""
        return bool(self.family == FIELDS["family"].default)


_EXPONENT = re.compile(r"\+?\d+(\.\d*)?[eE]\+?\d{1,2}")

FIELDS: dict[str, msgspec.structs.FieldInfo] = {field.name: field for field in msgspec.structs.fields(Config)}
CHOICES = {
    "dataset",
    "family",
    "autoencoder",
    "schedule",
    "scaling",
    "levels",
    "prediction",
    "loss",
    "sampler",
    "grid",
}  # fields that hold a choice of that kind
OLD_NAMES = {"time": "noise_conditioning"}  # which configs and checkpoints may still have, and the names of today


def new_name(key: str) -> str:
    """The name that a setting has today.

    >>> new_name("time"), new_name("lr")
    ('noise_conditioning', 'lr')
    """
    return OLD_NAMES.get(key, key)


def renamed(values: Mapping[str, Any], source: str = "settings") -> dict[str, Any]:
    """The same values under the names of today. Raises UsageError naming `source` where both names of one are there."""
    for old, new in OLD_NAMES.items():
        if old in values and new in values:
            raise UsageError(f"{source}: {old} is the older name of {new}; give one of them")
    return {new_name(key): value for key, value in values.items()}


def field_parts(name: str) -> tuple[Any, dict[str, Any]]:
    """A field's plain type (`int`, `float`, `str` or a Literal) and what its Meta say: `description`, `ge`, `gt`, …"""
    rules: dict[str, Any] = {}
    kind = FIELDS[name].type
    while not isinstance(kind, type) and typing.get_origin(kind) is not typing.Literal:
        if typing.get_origin(kind) is Annotated:
            for meta in kind.__metadata__:
                rules |= dict(meta.__rich_repr__())
            kind = kind.__origin__
        else:  # optional: the part that is not None
            kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    return kind, rules


def make(values: Mapping[str, Any], source: str = "settings") -> Config:
    """A Config from a mapping, every key and value checked. Older names of settings are known.

    Raises UsageError naming `source` and the first wrong key or value, and what would be right.
    """
    values = renamed(values, source)
    for key in values:
        if key not in FIELDS:
            error = unknown("setting", key, FIELDS)
            raise UsageError(f"{source}: {error}")
    try:
        config = msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {error}") from error
    for name in FIELDS:
        value = getattr(config, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{source}: {name} is {value}, not a finite number")
        if isinstance(value, str) and (wrong := CONTROL.search(value)):
            raise UsageError(f"{source}: {name} contains the control character {wrong[0]!r}")
    for kind in sorted(CHOICES):
        if (choice := getattr(config, kind)) is not None:
            parse(kind, choice)
    return config


def whole(text: str) -> str:
    """The digits of a whole number that is written with an exponent; any other text as it is.

    >>> whole("1e3"), whole("2.5e4"), whole("1e-3"), whole("many")
    ('1000', '25000', '1e-3', 'many')
    """
    if not _EXPONENT.fullmatch(text.strip()):
        return text
    value = decimal.Decimal(text.strip())
    return str(int(value)) if value == value.to_integral_value() else text


def convert(key: str, text: str, source: str) -> Any:
    """A setting's value from text. Raises UsageError naming `source` if it has no meaning."""
    key = new_name(key)
    if key not in FIELDS:
        raise UsageError(f"{source}: {unknown('setting', key, FIELDS)}")
    if field_parts(key)[0] is int:
        text = whole(text)
    try:
        return msgspec.convert(text, FIELDS[key].type, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {error}") from error


def dump(config: Config) -> str:
    """The TOML text of a Config; settings that are not set are left out."""
    import tomli_w

    return tomli_w.dumps({key: value for key, value in msgspec.structs.asdict(config).items() if value is not None})


def loads(text: str) -> dict[str, Any]:
    """The table in a TOML text. Raises UsageError if it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not TOML: {error}") from error


def read(source: str) -> dict[str, Any]:
    """The table in a TOML file, or in the shipped preset of that name. Keys and values are checked.

    Raises UsageError if there is neither a file nor a preset, if it is not TOML, or if it has an unknown key.
    """
    path = Path(source)
    if not path.is_file():
        shipped, name = presets(), source.removesuffix(".toml").replace("-", "_")
        if name not in shipped:
            if path.suffix == ".toml" or "/" in source:
                raise UsageError(f"no config file {source!r}. Shipped presets: {', '.join(sorted(shipped))}.")
            raise unknown("preset", source, sorted(shipped))
        path = shipped[name]
    try:
        values = loads(decode(path.read_bytes()))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except OSError as error:
        raise DiffuseError(f"cannot read {path}: {error.strerror}") from error
    make(values, str(path))
    return renamed(values)


def presets() -> dict[str, Path]:
    """The shipped configs by name: in the package where it is installed, beside it in a source tree."""
    package = Path(__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return {path.stem: path for path in folder.glob("*.toml")}
    return {}

"""Options that commands share. A setting's flag is made from its field in Config: type, bounds, default, help."""

import functools
import os
import re
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from diffuse_cli import catalog, config
from diffuse_cli.cli.numbers import Numbers
from diffuse_cli.config import CHOICES, FIELDS, Config
from diffuse_cli.errors import UsageError
from diffuse_cli.plots.formats import Look, check_path

MOST = 100_000_000  # points at once, which fill some gigabytes
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Option(click.Option):
    """An option whose environment variable is named after its flag, not after the parameter that its value goes to."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        flag = max(self.opts, key=len).lstrip("-").replace("-", "_").upper()
        names = [self.envvar] if isinstance(self.envvar, str) else [f"{ctx.auto_envvar_prefix}_{flag}"]
        return next((os.environ[name] for name in names if os.environ.get(name)), None)


option = functools.partial(click.option, cls=Option)


class ChoiceParam(click.ParamType):
    """A choice from the catalogue. The name is checked here, the options when it is built."""

    def __init__(self, kind: str):
        self.kind = self.name = kind

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "NAME[:KEY=VALUE,…]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(catalog.parse(self.kind, value))
        except UsageError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        entries = catalog.CATALOG[self.kind].items()
        return [CompletionItem(name, help=entry.summary) for name, entry in entries if name.startswith(incomplete)]


class Duration(click.ParamType):
    """A time like 30s, 5m or 1.5h; a bare number is seconds."""

    name = "duration"
    _UNITS: typing.ClassVar = {"": 1, "s": 1, "m": 60, "h": 3600}

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r} is not a time above zero like 30s, 5m or 1.5h", param, ctx)
        return float(found[1]) * self._UNITS[found[2]]


def setting(name: str, *flags: str, default: str | None = None, help_text: str | None = None) -> Decorator:
    """The option of one Config field, `--name` unless other flags are given; `default` says what holds if it is not."""
    kind, said = config.field_parts(name)
    if name in CHOICES:
        param_type: Any = ChoiceParam(name)
    elif typing.get_origin(kind) is typing.Literal:
        param_type = click.Choice(typing.get_args(kind))
    elif kind is str:
        param_type = click.STRING
    else:
        low, high = said.get("ge", said.get("gt")), said.get("le", said.get("lt"))
        ranged = click.IntRange if kind is int else click.FloatRange
        open_ends = {} if kind is int else {"min_open": "gt" in said, "max_open": "lt" in said}
        high = high - 1 if kind is int and "lt" in said else high
        param_type = ranged(low, high, **open_ends) if (low, high) != (None, None) else kind
    value, flag = FIELDS[name].default, f"--{name.replace('_', '-')}"
    if kind is bool:
        flags, param_type = (f"{flag}/--no-{flag[2:]}",), None
    return option(
        name,
        *(flags or [flag]),
        type=param_type,
        default=value,
        show_default=default or value is not None,
        help=help_text or said["description"],
    )


def settings(*names: str) -> Decorator:
    """The options of several Config fields, with `--config` and `--set`, in this order in the help."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        command = option(
            "changes",
            "--set",
            multiple=True,
            metavar="KEY=VALUE",
            help="Any setting of the config file by name; may be repeated.",
        )(command)
        command = option(
            "config_source",
            "--config",
            metavar="FILE|PRESET",
            help="Settings from a TOML file or a shipped preset, like moons.",
            shell_complete=_complete_preset,
        )(command)
        for name in reversed(names):
            command = setting(name)(command)
        return command

    return decorate


def gather_settings(ctx: click.Context, base: Config | None = None, *, only: Iterable[str] = FIELDS) -> Config:
    """The Config that a command line asks for: flag or --set, over environment, over --config, over `base` or default.

    `only` these settings are looked for among the flags.

    Raises UsageError naming the setting that is wrong.
    """
    values = {} if base is None else {name: getattr(base, name) for name in FIELDS}
    if model := ctx.params.get("config_source"):
        values |= config.read(model)
    for model in (ParameterSource.ENVIRONMENT, ParameterSource.COMMANDLINE):
        values |= {name: ctx.params[name] for name in only if ctx.get_parameter_source(name) is model}
        if ctx.get_parameter_source("changes") is model:
            values |= dict(_read_change(change) for change in ctx.params["changes"])
    return config.make(values)


def _read_change(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: the form is --set key=value")
    key = key.strip().replace("-", "_")
    return key, config.convert(key, value.strip(), f"--set {text}")


def on_command_line(ctx: click.Context, name: str) -> bool:
    """Whether a parameter was said on the command line, not only in the environment."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def complete_run(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The names of runs that begin like this, for the shell."""
    folder = Path(ctx.params.get("outputs") or os.environ.get("DIFFUSE_OUTPUTS") or "outputs")
    return sorted(path.parent.name for path in folder.glob(f"{incomplete}*/checkpoint.safetensors"))


def _complete_preset(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return sorted(name for name in config.presets() if name.startswith(incomplete))


def outputs(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--outputs`, the folder of runs."""
    return option(
        "--outputs",
        envvar="DIFFUSE_OUTPUTS",
        type=click.Path(path_type=Path),
        default=Path("outputs"),
        show_default=True,
        help="The folder of runs.",
    )(command)


def trust(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--trust`, for a run that somebody else may have made."""
    return option("--trust", is_flag=True, help="Let the run name its maker's own code, which will be imported.")(
        command
    )


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`: one document on stdout."""
    return option("as_json", "--json", is_flag=True, help="Print one JSON document.")(command)


def run_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--run` and `--outputs`: which run."""
    for decorate in (
        outputs,
        option(
            "run_name",
            "--run",
            metavar="NAME|PATH|latest",
            default="latest",
            show_default=True,
            help="Which run, or a checkpoint file.",
            shell_complete=complete_run,
        ),
    ):
        command = decorate(command)
    return command


def several_runs(words: str) -> Decorator:
    """`--run`, which may be repeated, and `--outputs`: which runs."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        return option(
            "run_names",
            "--run",
            metavar="NAME|PATH|latest",
            multiple=True,
            help=words,
            shell_complete=complete_run,
        )(outputs(command))

    return decorate


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What to draw from or to judge: `--run`, or `--exact` with `--dataset`, `--schedule` and `--timesteps`.

    `open_source` reads them.
    """
    own = "the run's"
    for decorate in (
        setting("timesteps", default=own, help_text="With --exact: length of the discrete chain."),
        setting("schedule", default=own, help_text="With --exact: the noise schedule."),
        setting("dataset", default=own, help_text="With --exact: the data; then no run is needed."),
        option("--exact", is_flag=True, help="The closed-form denoiser of the data in place of a trained one."),
        trust,
        run_option,
    ):
        command = decorate(command)
    return command


def open_model(ctx: click.Context) -> Any:
    """The Model of the command line, as `open_model_and_run` finds it."""
    return open_model_and_run(ctx)[0]


def open_model_and_run(ctx: click.Context) -> tuple[Any, Any]:
    """The Model of the command line, and the Run that it is or is the exact twin of, or None.

    With `--exact --dataset D` no run is opened; with `--exact` alone it is the exact twin of the run. Without `--exact`
    D and the like in the environment are for other times. Raises UsageError where a run is asked to have other ones.
    """
    from diffuse_cli.cli import terminal
    from diffuse_cli.models import build, run_folder
    from diffuse_cli.models.model import exact_model, model_of_run

    params = ctx.params
    exact = params["exact"]
    own = ("dataset", "schedule", "timesteps")
    said = [name for name in own if on_command_line(ctx, name)]
    if said and not exact:
        flags = " and ".join(f"--{name}" for name in said)
        raise UsageError(f"a run has its own {flags}; the exact denoiser may have another: give --exact too")
    if exact and _has_own_data(ctx):
        settings, trusted, run = gather_settings(ctx, only=own), True, None
    else:
        run = run_folder.open_run(run_folder.find_run(params["outputs"], params["run_name"]), trust=params["trust"])
        if not exact:
            return model_of_run(run, trust=params["trust"]), run
        settings, trusted = gather_settings(ctx, run.config, only=("schedule", "timesteps")), params["trust"]
    dataset = (
        build.build_dataset(settings, trust=trusted) if run is None else run_folder.dataset_of_run(run, trust=trusted)
    )
    if dataset.points is not None:
        terminal.note(
            "The exact denoiser of a file is that of the mixture on its training points: it knows them by heart, "
            "which a network should not."
        )
    process = run_folder.process_of_run(settings, run, trust=trusted)
    return exact_model(settings, dataset, params["outputs"], process=process, trust=trusted), run


def _has_own_data(ctx: click.Context) -> bool:
    """Whether an exact denoiser has the data of `--dataset`, and not those of `--run`. A flag outdoes the environment.

    Raises UsageError if both are said in one of these places.
    """
    weight = {ParameterSource.COMMANDLINE: 2, ParameterSource.ENVIRONMENT: 1}
    dataset, run = (weight.get(ctx.get_parameter_source(name), 0) for name in ("dataset", "run_name"))
    if dataset == run > 0:
        raise UsageError("--run and --dataset are two answers to which data; give one of them")
    return dataset > run


def method_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--sampler`, `--steps` and `--grid`: how to sample. The run's own unless given; `gather_method` reads them."""
    own = "the run's"
    for decorate in (
        setting("grid", default="the run's, or what suits the sampler", help_text="How the noise levels are spaced."),
        setting("sampler_steps", "--steps", default=own, help_text="How many steps."),
        setting("sampler", default=own, help_text="How to sample, like ddpm or ddim:eta=0.5."),
    ):
        command = decorate(command)
    return command


def gather_method(ctx: click.Context, base: Config) -> Any:
    """The Method of the command line, over that of a model's Config."""
    from diffuse_cli.models.draw import default_method

    return default_method(gather_settings(ctx, base, only=("sampler", "sampler_steps", "grid")))


def of_method(method: Any, base: Config) -> str:
    """What the name of a figure says of a method, after the rest: nothing if it is the run's own."""
    from diffuse_cli.models.draw import default_method

    return "" if method == default_method(base) else f"-{method.label}"


def device(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--device`: starts jax there before the command begins."""

    @functools.wraps(command)
    def started(*args: Any, device: str, **kwargs: Any) -> Any:
        from diffuse_cli.cli.device import start_jax

        start_jax(device)
        return command(*args, **kwargs)

    return option(
        "--device",
        type=click.Choice(["auto", "cpu", "gpu", "tpu"]),
        default="auto",
        show_default=True,
        help="Where to compute.",
    )(started)


def out(
    check: Callable[[Path], Any], words: str, *, default: Path | None = None, where: str | None = None
) -> Decorator:
    """`--out`, a file that `check` finds fit before any work is done. `where` it goes unless said, if not `default`."""

    def checked(ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
        if path is not None and not ctx.resilient_parsing:
            check(path)
        return path

    return option(
        "--out",
        "-o",
        type=click.Path(path_type=Path),
        metavar="FILE",
        default=default,
        show_default=where or True,
        callback=checked,
        help=words,
    )


def figure_out(default: Path | None = None, *, where: str | None = None) -> Decorator:
    """`--out`, `--dark`, `--width` and `--dpi` of a figure. Its `default` place, or words for `where` it goes if that
    depends. `--dark` and `--width` come as one `look`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_look(*args: Any, dark: bool, width: float | None, **kwargs: Any) -> Any:
            return command(*args, look=Look(dark, width), **kwargs)

        for decorate in (
            option(
                "--dpi", type=click.IntRange(20, 1200), default=200, show_default=True, help="Resolution of a .png."
            ),
            option(
                "--width",
                type=click.FloatRange(1, 40),
                metavar="INCHES",
                show_default="what suits it",
                help="How wide; text keeps its size.",
            ),
            option("--dark", is_flag=True, help="Light on dark."),
            out(check_path, "Where to: .png, .svg or .pdf.", default=default, where=where),
        ):
            with_look = decorate(with_look)
        return with_look

    return decorate


def times_option(default: str, most: int) -> Decorator:
    """`--times`, the noise levels of a figure; `gather_times` reads them."""
    return option(
        "--times",
        type=Numbers(),
        default=default,
        show_default=True,
        help=f"At which t, from 1/T to 1; {most} at most.",
    )


def gather_times(ctx: click.Context, timesteps: int, most: int) -> tuple[float, ...]:
    """`--times` of a chain with so many steps; those that nobody asked for are moved to its first step, if before it.

    Raises UsageError for what are no times of the chain, or more than a figure shows.
    """
    times, first = ctx.params["times"], 1 / timesteps
    if ctx.get_parameter_source("times") is ParameterSource.DEFAULT:
        return tuple(sorted({max(t, first) for t in times}))
    if wrong := [t for t in times if not first <= t <= 1]:
        raise UsageError(f"--times {wrong[0]:g}: the chain's times go from 1/T = {first:g} to 1")
    if len(times) > most:
        raise UsageError(f"--times has {len(times)} numbers; {most} are the most that a figure shows")
    return times


def run_figure(folder: Path, name: str, look: Look, *, ending: str = ".png") -> Path:
    """Where a figure of a run or an exact denoiser goes unless somebody says; its folder is made."""
    path = folder / "figures" / f"{name}{'-dark' if look.dark else ''}{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_figure(figure: Any, path: Path, dpi: int) -> None:
    """Write a figure and say where it is."""
    from diffuse_cli.plots import style

    click.echo(style.save_figure(figure, path, dpi=dpi))


def frames(default: int | None = 10, *, words: str | bool = True) -> Decorator:
    """`--frames` of a strip."""
    return option("--frames", type=click.IntRange(2, 12), default=default, show_default=words, help="How many frames.")


def repeats(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--repeats`, for a command that sets figures beside their noise floors."""
    return option(
        "--repeats",
        type=click.IntRange(2, 1000),
        default=20,
        show_default=True,
        help="Pairs of draws of the truth behind each noise floor.",
    )(command)


def count(at_least: int, default: int, of_what: str) -> Decorator:
    """`-n`, how many."""
    return option(
        "-n",
        "--count",
        type=click.IntRange(at_least, MOST),
        default=default,
        show_default=True,
        help=f"How many {of_what}.",
    )


def seed(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--seed`, for a command that draws."""
    return option(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of what is drawn."
    )(command)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--quiet` and `--debug`, which every command takes."""

    @functools.wraps(command)
    def set_up(*args: Any, quiet: bool, debug: bool, **kwargs: Any) -> Any:
        from diffuse_cli.cli import terminal

        terminal.quiet = quiet  # --debug is read where errors are caught
        return command(*args, **kwargs)

    for decorate in (
        option("--debug", is_flag=True, help="Show the traceback of an error."),
        option("--quiet", "-q", is_flag=True, help="No progress, no notes; results and errors only."),
    ):
        set_up = decorate(set_up)
    return set_up

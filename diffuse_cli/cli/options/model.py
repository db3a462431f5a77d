"""Which model, which method: options that are handed over as objects that open what they name."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import click
from click.core import ParameterSource

from diffuse_cli.cli.options.column_values import ColumnValues, once_each
from diffuse_cli.cli.options.common import source_of, trust
from diffuse_cli.cli.options.run import RunOption, guide_opener, outputs, run_flag
from diffuse_cli.cli.options.settings import Settings, gathered, setting
from diffuse_cli.cli.options.types import Command, Decorator, Numbers, WholeNumber, grouped, option
from diffuse_cli.config import ALL
from diffuse_cli.errors import UsageError

if TYPE_CHECKING:
    from diffuse_cli.config import Config
    from diffuse_cli.models.draw import Method
    from diffuse_cli.models.model import Model
    from diffuse_cli.models.multiplied import Way
    from diffuse_cli.models.run_folder import Run

_NUMBERS = re.compile(r"\s*([-+.\d]|nan|inf)")
_RUNS = "the run's"  # where a method or a law comes from unless it is given
_MODEL, _METHOD = ("dataset", "schedule", "timesteps"), ("sampler", "sampler_steps", "grid")
_WEIGHTS: dict[ParameterSource | None, int] = {ParameterSource.COMMANDLINE: 2, ParameterSource.ENVIRONMENT: 1}


class ModelOption(NamedTuple):
    """What to draw from or to judge: `--run`, or `--exact` with `--dataset`, `--schedule` and `--timesteps`; and what
    it is told: `--label`, `--given` or `--prompt`."""

    run: RunOption
    run_source: ParameterSource | None
    trust: bool
    exact: bool
    settings: Settings
    label: str | None = None
    given: dict[str, float] | None = None
    prompt: str | None = None
    guidance: str | None = None
    particles: int | None = None
    times: str | None = None
    times_by: str | None = None

    def open(self) -> "Model":
        """The Model, as `open_with_run` opens it, told what is asked; with `--label all` a label for each sample.

        Raises UsageError for what it cannot be told, and like `open_with_run`.
        """
        return self.told(self.open_with_run()[0])

    def told(self, model: "Model") -> "Model":
        """The model, told the label, the values or the sentence, and multiplied by `--times`.

        Raises UsageError for what it cannot be told, and like `models.multiplied.multiplied`.
        """
        return self._multiplied(self._told(model))

    def _told(self, model: "Model") -> "Model":
        asked = {"--label": self.label, "--given": self.given, "--prompt": self.prompt}
        if len(flags := [flag for flag, value in asked.items() if value is not None]) > 1:
            raise UsageError(f"{' and '.join(flags)} are for different models; give one of them")
        if self.given is not None:
            return model.with_given(self.given)
        if self.prompt is not None:
            return model.with_prompt(self.prompt)
        if self.label is None:
            if model.guiding is not None and model.guiding.guidance.needs != "guide":
                raise UsageError(_without_a_direction(model))
            return model
        return model.with_all_labels() if self.label == ALL else model.with_label(self.label)

    def guided(self, model: "Model") -> "Model":
        """The model with `--guidance`. Raises UsageError like `models.guided.guided`."""
        if self.guidance is None:
            if self.particles is not None and self.times is None:
                raise UsageError("--particles are those of a sampler with weights; give --guidance fkc:w=… or --times")
            return model
        from diffuse_cli.models.guided import guided

        own = self.particles if self.times is None else None
        return guided(model, self.guidance, open_guide=guide_opener(self.run.outputs, trust=self.trust), particles=own)

    def _multiplied(self, model: "Model") -> "Model":
        """The model times `--times`. Raises UsageError like `models.multiplied.multiplied`."""
        if self.times is None:
            if self.times_by is not None:
                raise UsageError("--times-by says how --times multiplies; give --times too")
            return model
        from diffuse_cli.models.multiplied import multiplied

        way = cast("Way | None", self.times_by)
        return multiplied(model, self.times, way, open_run=self.open_other, particles=self.particles)

    def with_chain_times(self, at: tuple[float, ...] | None) -> "tuple[ModelOption, tuple[float, ...] | None]":
        """The same without numbers in `--times`, and the times of `--at`: before it multiplied laws, `--times` was the
        name of those, and numbers in it still are. Raises UsageError where they stand in both."""
        if self.times is None or not _NUMBERS.match(self.times):
            return self, at
        if at is not None:
            raise UsageError(f"--times {self.times} and --at are two answers to which t; give --at")
        return self._replace(times=None), Numbers().convert(self.times, None, None)

    def open_other(self, name: str) -> "Model":
        """Another run, by its name."""
        from diffuse_cli.models.model import model_of_run

        return model_of_run(RunOption(name, self.run.outputs).open(trust=self.trust), trust=self.trust)

    def open_each(self) -> "list[Model]":
        """The Model, told its label; with `--label all` one for each label. Raises UsageError like `open`."""
        return self.told_each(self.open_with_run()[0])

    def told_each(self, model: "Model") -> "list[Model]":
        """The model, told its label; with `--label all` one for each label. Raises UsageError like `open`."""
        if self.label != ALL:
            return [self.told(model)]
        return [self._multiplied(each) for each in model.with_each_label()]

    def open_with_run(self) -> "tuple[Model, Run | None]":
        """The Model, and the Run that it is or is the exact twin of, or None.

        With `--exact --dataset D` no run is opened; with `--exact` alone it is the exact twin of the run. Without
        `--exact` the environment's dataset, schedule and timesteps are ignored.

        Raises UsageError where a run is asked to have others than its own, DiffuseError where it cannot be opened.
        """
        from diffuse_cli.models.model import model_of_run

        if typed := [] if self.exact else self.settings.typed(*_MODEL):
            flags = " and ".join(f"--{name}" for name in typed)
            raise UsageError(f"a run has its own {flags}; the exact denoiser may have another: give --exact too")
        run = None if self.exact and self._names_data() else self.run.open(trust=self.trust)
        if run is not None and not self.exact:
            return self.guided(model_of_run(run, trust=self.trust)), run
        return self.guided(self._exact(run)), run

    def _names_data(self) -> bool:
        """Whether the data of an exact denoiser are those of `--dataset`, and not those of `--run`.

        A flag outweighs the environment. Raises UsageError if both are in one of these places.
        """
        dataset = _WEIGHTS.get(self.settings.source("dataset"), 0)
        run = _WEIGHTS.get(self.run_source, 0)
        if dataset == run > 0:
            raise UsageError("--run and --dataset are two answers to which data; give one of them")
        return dataset > run

    def _exact(self, run: "Run | None") -> "Model":
        from diffuse_cli.analysis import caveats
        from diffuse_cli.cli import terminal
        from diffuse_cli.models import build, run_folder
        from diffuse_cli.models.exact_model import exact_model

        trusted = self.trust or run is None  # a name of own code that is typed here is trusted
        if run is None:
            settings = self.settings.config()
            dataset = build.build_dataset(settings, trust=trusted)
        else:
            settings = self.settings.without("dataset").config(run.config)
            dataset = run_folder.dataset_of_run(run, trust=trusted)
        if dataset.points is not None:
            terminal.note(caveats.MEMORISED)
        process = run_folder.process_of_run(settings, run, trust=trusted)
        return exact_model(settings, dataset, self.run.outputs, process=process, trust=trusted)

    def words(self, run: "Run | None", config: "Config") -> list[str]:
        """The words of a command line that opens the same model again; `config` is the model's."""
        words = ["--exact"] if self.exact else []
        if run is None:
            words += ["--dataset", config.dataset, "--schedule", config.schedule, "--timesteps", str(config.timesteps)]
        else:
            words += ["--run", run.name if self.run.name == "latest" else self.run.name]
            for name in self.settings.typed("schedule", "timesteps"):
                words += [f"--{name}", str(self.settings.given(name))]
            words += ["--trust"] if self.trust else []
        asked: dict[str, object] = {"--label": self.label, "--prompt": self.prompt, "--guidance": self.guidance}
        asked |= {"--particles": self.particles, "--times": self.times, "--times-by": self.times_by}
        words += [word for flag, value in asked.items() if value is not None for word in (flag, str(value))]
        for column, value in (self.given or {}).items():
            words += ["--given", f"{column}={value!r}".removesuffix(".0")]
        return words + (["--outputs", str(self.run.outputs)] if self.run.outputs != Path("outputs") else [])


def _without_a_direction(model: "Model") -> str:
    """Why a model that has been told nothing cannot be guided."""
    if model.conditions is None:
        return "guidance leads towards a label, and this model can be told none"
    first = model.conditions.names[0]
    ways = {"label": f"label; give --label {first} or --label all", "columns": f"value; give --given {first}=…"}
    return f"guidance leads towards a {ways.get(model.conditions.kind, f'sentence; give --prompt {first}')}"


class MethodOption(NamedTuple):
    """How to sample: `--sampler`, `--steps` and `--grid`, over what the run has."""

    settings: Settings

    def method(self, base: "Config") -> "Method":
        """The Method, over that of a model's Config."""
        from diffuse_cli.models.draw import default_method

        return default_method(self.settings.config(base))

    def suffix(self, base: "Config") -> str:
        """What the name of a figure says of the method, after the rest: nothing if it is the run's own."""
        from diffuse_cli.models.draw import default_method

        method = self.method(base)
        return "" if method == default_method(base) else f"-{method.label}"

    def typed(self) -> list[str]:
        """The flags of these that stand on the command line."""
        return ["--steps" if name == "sampler_steps" else f"--{name}" for name in self.settings.typed(*_METHOD)]


def model_option(command: Command) -> Command:
    """`--run` and `--outputs`, or `--exact` with `--dataset`, `--schedule` and `--timesteps`, `--label`,
    `--given`, `--prompt` and `--trust`, `--guidance`, `--times` and `--particles`: what to draw from or to judge,
    handed over as `opener`, a ModelOption."""

    def gather(
        run_name: str,
        outputs: Path,
        trust: bool,
        exact: bool,
        label: str | None,
        given: tuple[tuple[tuple[str, float], ...], ...],
        prompt: str | None,
        guidance: str | None,
        particles: int | None,
        times: str | None,
        times_by: str | None,
        settings: Settings,
    ) -> ModelOption:
        told = label, once_each(given, "--given") if given else None, prompt
        run = RunOption(run_name, outputs)
        return ModelOption(
            run, source_of("run_name"), trust, exact, settings, *told, guidance, particles, times, times_by
        )

    return grouped("opener", gather, *_which_model(), *_what_changes_it(), _data_of_exact())(command)


def law_option(command: Command) -> Command:
    """The same without `--guidance`, `--times` and `--particles`: a model of one law, handed over as `opener`."""

    def gather(
        run_name: str,
        outputs: Path,
        trust: bool,
        exact: bool,
        label: str | None,
        given: tuple[tuple[tuple[str, float], ...], ...],
        prompt: str | None,
        settings: Settings,
    ) -> ModelOption:
        told = label, once_each(given, "--given") if given else None, prompt
        return ModelOption(RunOption(run_name, outputs), source_of("run_name"), trust, exact, settings, *told)

    return grouped("opener", gather, *_which_model(), _data_of_exact())(command)


def _which_model() -> tuple[Decorator, ...]:
    return (
        run_flag(),
        outputs,
        trust,
        option(
            "--exact",
            is_flag=True,
            help="The closed-form denoiser of the data in place of a trained one. Without it, the dataset, schedule "
            "and timesteps of the environment are ignored.",
        ),
        label_option("What to tell a model that knows labels; all is each label, in their true proportions."),
        option(
            "--given",
            type=ColumnValues(),
            multiple=True,
            help="Values of the given columns, for a model that was trained with some, like temperature=20.",
        ),
        option("--prompt", metavar="TEXT", help='A sentence, for a model that knows words, like "the left moon".'),
    )


def _what_changes_it() -> tuple[Decorator, ...]:
    return (
        option(
            "--guidance",
            metavar="W|NAME:…",
            help="How strongly to lead towards the label: 3 is cfg:w=3, u + 3 (c − u); or interval, apg, fkc, auto, …",
        ),
        option(
            "--times",
            metavar="FACTOR|run:NAME",
            help="Multiply the law by another, like gaussian:x=1,y=0,std=0.3, halfplane:x=1 or run:other.",
        ),
        option(
            "--times-by",
            type=click.Choice(["twisted", "smoothed", "clean", "reconstruct", "exact"]),
            show_default="twisted",
            help="How: by particles with weights, or by another denoiser (see docs/guidance.md).",
        ),
        option(
            "--particles", type=WholeNumber(2, 1_000_000), help="How many in a population, of a guidance with weights."
        ),
    )


def _data_of_exact() -> Decorator:
    return gathered(
        "settings",
        _MODEL,
        setting("dataset", default=_RUNS, help_text="With --exact: the data; then no run is needed."),
        setting("schedule", default=_RUNS, help_text="With --exact: the noise schedule."),
        setting("timesteps", default=_RUNS, help_text="With --exact: length of the discrete chain."),
    )


def label_option(words: str) -> Decorator:
    """`--label`, the name of a label, or all."""
    return option("--label", metavar="NAME|all", help=words)


def method_options(command: Command) -> Command:
    """`--sampler`, `--steps` and `--grid`: how to sample, handed over as `sampling`, a MethodOption."""
    return grouped(
        "sampling",
        lambda method_settings: MethodOption(method_settings),
        gathered(
            "method_settings",
            _METHOD,
            setting("sampler", default=_RUNS, help_text="How to sample, like ddpm or ddim:eta=0.5."),
            setting("sampler_steps", "--steps", default=_RUNS, help_text="How many steps."),
            setting(
                "grid", default="the run's, or what suits the sampler", help_text="How the noise levels are spaced."
            ),
        ),
    )(command)

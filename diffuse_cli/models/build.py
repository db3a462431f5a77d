"""From a Config to the objects that it names."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np
from flax import nnx
from jaxtyping import PRNGKeyArray

from diffuse_cli import catalog
from diffuse_cli.config import FIELDS, Config
from diffuse_cli.datasets.dataset import Dataset, equal_rows
from diffuse_cli.diffusion.conditions import Condition, Conditions
from diffuse_cli.diffusion.flow_maps import Velocity
from diffuse_cli.diffusion.losses import Loss
from diffuse_cli.diffusion.map_losses import MapLoss
from diffuse_cli.diffusion.parameterizations import Parameterization, with_variance
from diffuse_cli.diffusion.process import Process, Schedule
from diffuse_cli.diffusion.schedules import read_betas, with_zero_terminal_snr
from diffuse_cli.diffusion.training_levels import Levels
from diffuse_cli.errors import UsageError
from diffuse_cli.families.base import Family, Size
from diffuse_cli.files import plain_name
from diffuse_cli.models.data import draw_data, told_of
from diffuse_cli.models.defaults import FLOW_MAP, defaults_of, layers_of, with_defaults
from diffuse_cli.networks.denoiser import Structure, Weights, split
from diffuse_cli.networks.mlp import MLP
from diffuse_cli.networks.monotone import Monotone

_MOST_LISTED = 5  # labels in a message
_LONG_NAME = 40  # letters: a run's name leaves the options of its dataset out where it would be longer
_OF_DENOISERS = ("loss", "prediction", "variance", "label_dropout")  # settings that a classifier has not
_OF_DIFFUSION = (
    *_OF_DENOISERS, "schedule", "timesteps", "scaling", "zero_terminal_snr", "levels", "conditional", "classifier",
    "noise_conditioning", "sampler", "sampler_steps", "grid", "latent", "autoencoder",
)  # fmt: skip


class Experiment(NamedTuple):
    """Everything that a Config names, except the data and the weights.

    structure: that of the network. conditions: those that a conditional network can be told, or a classifier tells
    apart; None for an unconditional network. teacher: the conditions of n points -> the velocity that a flow map is
    taught for them; None without a teacher, and where the experiment is not trained. family: of a model that is no
    diffusion model; then the fields of noise, from `process` to `levels`, are not used.
    """

    config: Config
    process: Process
    parameterization: Parameterization
    loss: Loss | MapLoss
    levels: Levels
    structure: Structure
    dim: int
    conditions: Conditions | None = None
    teacher: Callable[[Condition | None], Velocity] | None = None
    family: Family | None = None

    @property
    def learns_schedule(self) -> bool:
        """Whether the curve of the schedule is among the weights."""
        return self.process.schedule.with_curve is not None


def build_process(config: Config, *, trust: bool = True) -> Process:
    """The forward process of a Config.

    `trust` allows names of a user's own code, here and in the functions below. Raises UsageError for a choice that is
    unknown or wrong, and for a zero terminal SNR of a learned schedule, DiffuseError for a file of betas that cannot be
    read.
    """
    schedule = catalog.build("schedule", config.schedule, config.timesteps, trust=trust)
    if not isinstance(schedule, Schedule):  # a user's own function of t, without a scaling
        schedule = Schedule(schedule)
    scaling = schedule.scaling if config.scaling is None else catalog.build("scaling", config.scaling, trust=trust)
    if config.zero_terminal_snr:
        if schedule.with_curve is not None:
            raise UsageError(
                f"the ends of {config.schedule} are set by its options: in place of --zero-terminal-snr, give "
                "--schedule learned:last=-30"
            )
        schedule = with_zero_terminal_snr(schedule)
    return Process(schedule, config.timesteps, scaling)


def build_parameterization(config: Config, process: Process, *, trust: bool = True) -> Parameterization:
    """What the network of a Config predicts. Raises UsageError for a choice that is unknown or wrong."""
    mean = catalog.build("prediction", config.prediction, process, trust=trust)
    return with_variance(mean) if config.variance == "learned" else mean


def build_loss(config: Config, process: Process, *, trust: bool = True) -> Loss | MapLoss:
    """The loss of a Config. Raises UsageError for a choice that is unknown or wrong."""
    loss: Loss | MapLoss = catalog.build("loss", config.loss, process, trust=trust)
    return loss


def build_family(config: Config, *, trust: bool = True) -> Family | None:
    """The family of a Config; None for diffusion. Raises UsageError for a choice that is unknown or wrong."""
    family: Family | None = catalog.build("family", config.family, trust=trust)
    return family


def build_dataset(config: Config, *, trust: bool = True) -> Dataset:
    """The dataset of a Config; a file is read. Raises UsageError for a wrong choice, DiffuseError for a bad file."""
    dataset: Dataset = catalog.build("dataset", config.dataset, trust=trust)
    return dataset


def fill_in_settings(config: Config, dataset: Dataset) -> Config:
    """The Config with everything that depends on the dataset filled in, so that a run can be repeated from any folder.

    The path of a user's file becomes absolute, a file of betas is replaced by its betas, and a missing width, batch
    size, number of steps or weight decay is set. Raises UsageError if a file has too few rows, DiffuseError if a file
    of betas cannot be read.
    """
    choice = catalog.parse("dataset", config.dataset)
    if path := _path_in(choice):
        options = choice.options | {"path": str(Path(path).expanduser().absolute())}
        choice = choice._replace(options=options)
    rows, different = (None, None) if dataset.points is None else _training_rows(config, dataset)
    if rows is not None and (config.batch_size or 1) > rows:
        raise UsageError(f"batch_size is {config.batch_size}, but there are only {rows} rows to train on")
    loss, family = build_loss(config, build_process(config)), build_family(config)
    return msgspec.structs.replace(
        with_defaults(config, defaults_of(loss, family), dataset.dim, rows=rows, different=different),
        dataset=str(choice),
        schedule=_with_its_betas(config.schedule),
    )


def _training_rows(config: Config, dataset: Dataset) -> tuple[int, int]:
    """The numbers of rows to train on, and of different rows among them."""
    train = draw_data(config, dataset if dataset.latent is None else dataset.latent.of).train
    return len(train), len(equal_rows(train)[1])


def _with_its_betas(schedule: str) -> str:
    """The choice of a schedule with the betas themselves in place of the path of their file."""
    choice = catalog.parse("schedule", schedule)
    if choice.name != "table" or "path" not in choice.options:
        return schedule
    return "table:" + ",".join(map(repr, read_betas(choice.options["path"]).tolist()))


def without_folders(config: Config) -> Config:
    """The Config as it can be shown to others: of a user's file, and of a teacher, the name without the folders.

    >>> without_folders(Config(dataset="file:path=/home/me/points.csv,columns=1+2")).dataset
    'file:path=points.csv,columns=1+2'
    """
    choice = catalog.parse("dataset", config.dataset)
    config = msgspec.structs.replace(config, teacher=config.teacher and Path(config.teacher).name)
    if not (path := _path_in(choice)):
        return config
    options = choice.options | {"path": Path(path).name}
    return msgspec.structs.replace(config, dataset=str(choice._replace(options=options)))


def default_run_name(config: Config) -> str:
    """The name of a run that is not given one: its dataset with its options, or its file without the ending.

    >>> default_run_name(Config(dataset="s_curve:dim=3"))
    's_curve-dim=3'
    """
    choice = catalog.parse("dataset", config.dataset)
    if _path_in(choice):
        name = title_of_data(config.dataset)
    else:
        parts = "-".join([choice.name, *(f"{key}={value}" for key, value in choice.options.items())])
        name = parts if len(parts) <= _LONG_NAME else choice.name
    return plain_name(name) or "run"


def title_of_data(dataset: str) -> str:
    """The choice of a dataset for a title: of a user's file its name without folders and the ending.

    >>> title_of_data("file:path=/data/price$of$tea.csv,columns=1+2"), title_of_data("s_curve:dim=3")
    ('price$of$tea', 's_curve:dim=3')
    """
    choice = catalog.parse("dataset", dataset)
    path = _path_in(choice)
    return Path(path).stem if path else catalog.short_name(dataset)


def _path_in(choice: catalog.Choice) -> str | None:
    """The path of the user's file of points, or picture, that a choice names; None where it names none."""
    return None if choice.own else choice.options.get("path")


def conditions_of(config: Config, dataset: Dataset) -> Conditions | None:
    """The conditions that a network of this Config is trained with: what the data have, if it is conditional, and the
    labels for a classifier.

    Raises UsageError for data without labels, given columns or words, or whose labels tell nothing of the points.
    """
    if not (config.conditional or config.classifier):
        return None
    if (told := told_of(config, dataset)) is not None:
        _check_labels(config, dataset, told)
        return told
    if dataset.points is None:
        use = "for a classifier" if config.classifier else "to be conditional on"
        raise UsageError(f"{config.dataset} has no labels {use}; moons, overlap and text:HELLO are sets that have some")
    options = ["label"] if config.classifier else ["label", "given"]
    again = " or ".join(f"--dataset {config.dataset},{option}=…" for option in options)
    lacking = "labels" if config.classifier else "labels and no given columns"
    raise UsageError(f"{title_of_data(config.dataset)} has no {lacking}; say which of its columns are: {again}")


def _check_labels(config: Config, dataset: Dataset, labels: Conditions) -> None:
    """Raises UsageError for labels of a file of which nothing can be learned: all different, or with a single row."""
    if dataset.labels is None or labels.kind != "label":
        return
    use = "--classifier" if config.classifier else "--conditional"
    counts, title = np.bincount(dataset.labels, minlength=len(labels.names)), title_of_data(config.dataset)

    if len(labels.names) == 1:
        raise UsageError(f"all rows of {title} have the label {labels.names[0]}; leave out {use}")
    if 2 * np.sum(counts == 1) > counts.sum():
        which = "all" if counts.max() == 1 else "nearly all"
        raise UsageError(
            f"the {len(counts)} labels of {title} are {which} different, so they name rows and not kinds; give label= "
            f"another column, or leave out {use}"
        )
    if few := [name for name, count in zip(labels.names, counts, strict=True) if count == 1]:
        listed = ", ".join(few[:_MOST_LISTED]) + (", …" if len(few) > _MOST_LISTED else "")
        choice = catalog.parse("dataset", config.dataset)
        without = choice._replace(options=choice.options | {"missing": few[0]})
        more = f"; to leave out {'its row' if len(few) == 1 else 'the first'}: --dataset {shlex.quote(str(without))}"
        raise UsageError(
            f"{title} has one row only with each of these labels: {listed}; a row cannot be both trained on and held "
            f"out{more}"
        )


def build_experiment(
    config: Config, dim: int, *, conditions: Conditions | None = None, trust: bool = True
) -> Experiment:
    """Build everything that a Config names, for data of `dim` columns and the `conditions_of` them.

    Raises UsageError for a choice that is unknown or wrong, and for choices that do not go together; DiffuseError for a
    file of betas that cannot be read.
    """

    def choose(kind: str) -> Any:
        choice = getattr(config, kind)
        return choice and catalog.build(kind, choice, trust=trust)

    for kind in ("sampler", "grid"):  # used only when the run is sampled from, but a mistake is better reported now
        choose(kind)
    process = build_process(config, trust=trust)
    loss = build_loss(config, process, trust=trust)
    family = build_family(config, trust=trust)
    if family is not None:
        _check_family(config, family)
    config = with_defaults(config, defaults_of(loss, family), dim)
    learns_schedule = process.schedule.with_curve is not None
    if config.classifier:
        _check_classifier(config, learns_schedule=learns_schedule)
    _check_loss(config, loss, learns_schedule=learns_schedule)
    new = lambda: _network(config, loss, family, dim, conditions, jax.random.key(0))  # noqa: E731
    return Experiment(
        config=config,
        process=process,
        parameterization=build_parameterization(config, process, trust=trust),
        loss=loss,
        levels=choose("levels") or catalog.build("levels", loss.levels),
        structure=split(nnx.eval_shape(new))[0],
        dim=dim,
        conditions=conditions,
        family=family,
    )


def with_learned_schedule(experiment: Experiment, weights: Weights) -> Experiment:
    """The experiment with the schedule of these weights; the same experiment where no schedule is learned."""
    config, with_curve = experiment.config, experiment.process.schedule.with_curve
    if with_curve is None:
        return experiment
    schedule = with_curve(nnx.merge(experiment.structure, weights).course)
    process = experiment.process._replace(schedule=schedule)
    return experiment._replace(
        process=process,
        parameterization=build_parameterization(config, process),
        loss=build_loss(config, process),
    )


def _check_classifier(config: Config, *, learns_schedule: bool) -> None:
    """Raises UsageError for settings of a classifier that only a denoiser has."""
    if config.conditional:
        raise UsageError(
            "a classifier finds the label of a point, and a conditional denoiser is told it; "
            "give either --classifier or --conditional"
        )
    if learns_schedule:
        raise UsageError(
            f"a schedule is learned by the bound of a denoiser, and a classifier has none; give --schedule "
            f"{FIELDS['schedule'].default} in place of {config.schedule}"
        )
    for name in _OF_DENOISERS:
        if (value := getattr(config, name)) != FIELDS[name].default:
            flag = f"--{name.replace('_', '-')} {value}"
            raise UsageError(f"a classifier is trained by its cross entropy, and {flag} is of denoisers; leave it out")


def _check_family(config: Config, family: Family) -> None:
    """Raises UsageError for settings that only diffusion has, and for the steps of what is fitted at once."""
    for name in _OF_DIFFUSION:
        if (value := getattr(config, name)) != FIELDS[name].default:
            flag = f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
            raise UsageError(f"{family.title} has no noise levels, and {flag} is of diffusion; leave it out")
    if family.fit is not None and config.steps not in (None, 1):
        raise UsageError(f"{family.title} is fitted at once, and not in --steps; leave it out")


def _check_loss(config: Config, loss: Loss | MapLoss, *, learns_schedule: bool) -> None:
    """Raises UsageError where the loss does not go with the other choices."""
    if learns_schedule and not loss.bounds:
        raise UsageError(
            f"a schedule is learned by the variational bound, and the loss {config.loss} is another; "
            "give --loss vlb, or kl"
        )
    if loss.learns_variance and config.variance != "learned":
        raise UsageError(f"the loss {config.loss} learns a variance too; give --variance learned, or --loss vlb")
    if config.variance == "learned" and not loss.learns_variance:
        raise UsageError(f"the loss {config.loss} does not learn a variance; give --loss hybrid or kl")
    if config.guidance is not None and config.teacher is None:
        raise UsageError(
            "the setting guidance is that of a teacher, and there is none; --guidance of the commands that draw guides "
            "a trained run, and that of diffuse distill the teacher"
        )
    if isinstance(loss, MapLoss):
        _check_flow_map(config, loss)
    elif config.teacher is not None:
        raise UsageError(
            f"a student learns to jump, and the loss {config.loss} is of denoisers; give --loss paths, or "
            "lmd, consistency, reflow or progressive"
        )
    if loss.requires_levels and config.levels not in (None, loss.levels):
        raise UsageError(
            f"the loss {config.loss} is only right with --levels {loss.levels}, and not with {config.levels}"
        )


def _check_flow_map(config: Config, loss: MapLoss) -> None:
    """Raises UsageError for settings of a denoiser that a flow map has not, and for a wrong or missing teacher."""
    if config.teacher is not None and not loss.follows_flow:
        raise UsageError(
            f"the loss {config.loss} learns from the data, and not the flow of a teacher; give diffuse train --loss "
            f"{config.loss}, or diffuse distill --loss lmd"
        )
    if loss.needs_teacher and config.teacher is None:
        raise UsageError(
            f"the loss {config.loss} learns from a teacher; give it one with: diffuse distill --run NAME --loss "
            f"{config.loss}, or train without one by --loss paths"
        )
    if config.prediction != FLOW_MAP.prediction:
        raise UsageError(
            f"the loss {config.loss} learns the average velocity of jumps, and --prediction {config.prediction} is of "
            "denoisers; leave it out"
        )
    if config.conditional and loss.mixes_rows:
        raise UsageError(
            f"the loss {config.loss} compares all points of a batch with each other, and with conditions they are of "
            "different laws; leave out --conditional, or give --loss lsd"
        )
    if not config.noise_conditioning:
        raise UsageError(
            f"the loss {config.loss} needs to know from where to where it jumps; leave out --no-noise-conditioning"
        )


def _network(
    config: Config,
    loss: Loss | MapLoss,
    family: Family | None,
    dim: int,
    conditions: Conditions | None,
    key: PRNGKeyArray,
) -> nnx.Module:
    """The network of a Config, newly initialised; its `course` is the curve of a learned schedule."""
    width, depth = layers_of(config, defaults_of(loss, family), dim)
    if family is not None:
        return family.network(Size(dim, width, depth), nnx.Rngs(params=key))
    labels = 0 if conditions is None else len(conditions.names)
    of_denoiser = 2 * dim if config.variance == "learned" else dim
    network = MLP(
        dim,
        width=width,
        depth=depth,
        outputs=labels if config.classifier else of_denoiser,
        time=config.noise_conditioning,
        conditions=None if config.classifier else conditions,
        smooth=config.classifier and config.noise_conditioning,  # its slope is used, and not its value
        jumps=isinstance(loss, MapLoss),
        rngs=nnx.Rngs(params=key),
    )
    if build_process(config).schedule.with_curve is not None:
        network.course = Monotone()
    return network


def initial_weights(experiment: Experiment, key: PRNGKeyArray) -> Weights:
    """Newly drawn weights for the structure of an experiment."""
    config, dim, conditions = experiment.config, experiment.dim, experiment.conditions
    return split(_network(config, experiment.loss, experiment.family, dim, conditions, key))[1]

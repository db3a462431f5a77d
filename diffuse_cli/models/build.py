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
from diffuse_cli.files import plain_name
from diffuse_cli.models.data import draw_data, told_of
from diffuse_cli.networks.denoiser import Structure, Weights, split
from diffuse_cli.networks.mlp import MLP
from diffuse_cli.networks.monotone import Monotone

_MOST_LISTED = 5  # labels in a message
_LONG_NAME = 40  # letters: a run's name leaves the options of its dataset out where it would be longer
_BATCH = 256  # points in a batch, unless the settings give another number
_STEPS, _ROWS = 24_000, 50_000  # optimiser steps; fewer, by a cube root, for a file of fewer rows than this
SAMPLER, SAMPLER_STEPS = "dpmpp_2m", 50  # of a denoiser, unless the settings give others
_MAP_SAMPLER, _MAP_STEPS = "jump", 4  # of a flow map
_MAP_PREDICTIONS = ("v", "velocity")  # the default, which a flow map replaces, and what it predicts
_WEIGHT_DECAY, _STRONGEST = 0.01, 10.0  # for data without limit, and for the fewest rows
_DECAY_ROWS = 150.0  # weight decay times rows, for each column
_OF_DENOISERS = ("loss", "prediction", "variance", "label_dropout")  # settings that a classifier has not


class Experiment(NamedTuple):
    """Everything that a Config names, except the data and the weights.

    structure: that of the network. conditions: those that a conditional network can be told, or a classifier tells
    apart; None for an unconditional network. teacher: the conditions of n points -> the velocity that a flow map is
    taught for them; None without a teacher, and where the experiment is not trained.
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
    config = _suited_to(build_loss(config, build_process(config)), config)
    return msgspec.structs.replace(
        config,
        dataset=str(choice),
        schedule=_with_its_betas(config.schedule),
        width=_width(config, dataset.dim),
        batch_size=config.batch_size or min(_BATCH, rows or _BATCH),
        steps=config.steps or steps_for(different),
        weight_decay=weight_decay_for(different, dataset.dim) if config.weight_decay is None else config.weight_decay,
    )


def _suited_to(loss: Loss | MapLoss, config: Config) -> Config:
    """The Config with what a flow map needs in place of what a denoiser has by default, and with a sampler."""
    if not isinstance(loss, MapLoss):
        return msgspec.structs.replace(
            config, sampler=config.sampler or SAMPLER, sampler_steps=config.sampler_steps or SAMPLER_STEPS
        )
    return msgspec.structs.replace(
        config,
        prediction="velocity" if config.prediction in _MAP_PREDICTIONS else config.prediction,
        sampler=config.sampler or _MAP_SAMPLER,
        sampler_steps=config.sampler_steps or (_MAP_STEPS if loss.follows_flow else 1),
    )


def _training_rows(config: Config, dataset: Dataset) -> tuple[int, int]:
    """The numbers of rows to train on, and of different rows among them."""
    train = draw_data(config, dataset).train
    return len(train), len(equal_rows(train)[1])


def steps_for(rows: int | None) -> int:
    """The default number of optimiser steps for a file of so many different training rows; None: data without limit.

    It grows like the cube root of the rows, to three digits: fewer rows have less detail that can be learnt.

    >>> steps_for(27), steps_for(720), steps_for(None)
    (1950, 5840, 24000)
    """
    if rows is None or rows >= _ROWS:
        return _STEPS
    return int(float(f"{_STEPS * (rows / _ROWS) ** (1 / 3):.3g}"))


def weight_decay_for(rows: int | None, dim: int) -> float:
    """The default weight decay for a file of so many different training rows and columns; None: data without limit.

    Its product with the rows is constant, as that of the weight of a prior beside the likelihood of the data is; more
    columns leave more to learn by heart.

    >>> weight_decay_for(20, 2), weight_decay_for(750, 2), weight_decay_for(750, 5), weight_decay_for(None, 2)
    (10.0, 0.4, 1.0, 0.01)
    """
    if rows is None:
        return _WEIGHT_DECAY
    return float(f"{min(_STRONGEST, max(_WEIGHT_DECAY, _DECAY_ROWS * dim / rows)):.3g}")


def _with_its_betas(schedule: str) -> str:
    """The choice of a schedule with the betas themselves in place of the path of their file."""
    choice = catalog.parse("schedule", schedule)
    if choice.name != "table" or "path" not in choice.options:
        return schedule
    return "table:" + ",".join(map(repr, read_betas(choice.options["path"]).tolist()))


def without_folders(config: Config) -> Config:
    """The Config as it can be shown to others: of a user's file its name without the folders of this computer.

    >>> without_folders(Config(dataset="file:path=/home/me/points.csv,columns=1+2")).dataset
    'file:path=points.csv,columns=1+2'
    """
    choice = catalog.parse("dataset", config.dataset)
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
    config = msgspec.structs.replace(
        config,
        width=_width(config, dim),
        batch_size=config.batch_size or _BATCH,
        steps=config.steps or _STEPS,
        weight_decay=_WEIGHT_DECAY if config.weight_decay is None else config.weight_decay,
    )
    process = build_process(config, trust=trust)
    loss = build_loss(config, process, trust=trust)
    config = _suited_to(loss, config)
    learns_schedule = process.schedule.with_curve is not None
    if config.classifier:
        _check_classifier(config, learns_schedule=learns_schedule)
    _check_loss(config, loss, learns_schedule=learns_schedule)
    jumps = isinstance(loss, MapLoss)
    new = lambda: _network(  # noqa: E731
        config, dim, conditions, jax.random.key(0), learns_schedule=learns_schedule, jumps=jumps
    )
    return Experiment(
        config=config,
        process=process,
        parameterization=build_parameterization(config, process, trust=trust),
        loss=loss,
        levels=choose("levels") or catalog.build("levels", loss.levels),
        structure=split(nnx.eval_shape(new))[0],
        dim=dim,
        conditions=conditions,
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
    if isinstance(loss, MapLoss):
        _check_flow_map(config, loss)
    elif config.teacher is not None:
        raise UsageError(
            f"a student learns to jump, and the loss {config.loss} is of denoisers; give --loss lmd, or paths, "
            "consistency, reflow or progressive"
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
            f"{config.loss}, or train without one by --loss lsd"
        )
    if config.prediction not in _MAP_PREDICTIONS:
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
    dim: int,
    conditions: Conditions | None,
    key: PRNGKeyArray,
    *,
    learns_schedule: bool,
    jumps: bool,
) -> MLP:
    """The network of a Config, newly initialised; its `course` is the curve of a learned schedule."""
    labels = 0 if conditions is None else len(conditions.names)
    of_denoiser = 2 * dim if config.variance == "learned" else dim
    network = MLP(
        dim,
        width=_width(config, dim),
        depth=config.depth,
        outputs=labels if config.classifier else of_denoiser,
        time=config.noise_conditioning,
        conditions=None if config.classifier else conditions,
        smooth=config.classifier and config.noise_conditioning,  # its slope is used, and not its value
        jumps=jumps,
        rngs=nnx.Rngs(params=key),
    )
    if learns_schedule:
        network.course = Monotone()
    return network


def _width(config: Config, dim: int) -> int:
    """The width of the layers: at least that of the data, since predicting v or eps means passing on all the noise."""
    return config.width or max(64, 2 * dim)


def initial_weights(experiment: Experiment, key: PRNGKeyArray) -> Weights:
    """Newly drawn weights for the structure of an experiment."""
    config, dim, conditions = experiment.config, experiment.dim, experiment.conditions
    kind = {"learns_schedule": experiment.learns_schedule, "jumps": isinstance(experiment.loss, MapLoss)}
    return split(_network(config, dim, conditions, key, **kind))[1]

"""From a Config to the objects that it names."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np
from flax import nnx
from jaxtyping import Float, Int, PRNGKeyArray, Shaped

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset, Part, equal_rows, with_label
from diffuse_cli.datasets.given import GivenPart
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import Conditions, GivenColumn
from diffuse_cli.diffusion.losses import Loss
from diffuse_cli.diffusion.parameterizations import Parameterization, with_variance
from diffuse_cli.diffusion.process import Process, Schedule
from diffuse_cli.diffusion.schedules import read_betas, with_zero_terminal_snr
from diffuse_cli.diffusion.training_levels import Levels
from diffuse_cli.errors import UsageError
from diffuse_cli.files import plain_name
from diffuse_cli.networks.denoiser import Structure, Weights, split
from diffuse_cli.networks.mlp import MLP
from diffuse_cli.networks.monotone import Monotone

_TRAIN_SIZE = 1 << 17  # training points, unless the settings give another number
_HELD_OUT = 4096  # points, at most
_LONG_NAME = 40  # letters: a run's name leaves the options of its dataset out where it would be longer
_BATCH = 256  # points in a batch, unless the settings give another number
_STEPS, _ROWS = 24_000, 50_000  # optimiser steps; fewer, by a cube root, for a file of fewer rows than this
_WEIGHT_DECAY, _STRONGEST = 0.01, 10.0  # for data without limit, and for the fewest rows
_DECAY_ROWS = 150.0  # weight decay times rows, for each column


class Experiment(NamedTuple):
    """Everything that a Config names, except the data and the weights.

    structure: that of the network. conditions: those that a conditional network can be told; None for an unconditional
    one.
    """

    config: Config
    process: Process
    parameterization: Parameterization
    loss: Loss
    levels: Levels
    structure: Structure
    dim: int
    conditions: Conditions | None = None

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


def build_dataset(config: Config, *, trust: bool = True) -> Dataset:
    """The dataset of a Config; a file is read. Raises UsageError for a wrong choice, DiffuseError for a bad file."""
    dataset: Dataset = catalog.build("dataset", config.dataset, trust=trust)
    return dataset


def fill_in_settings(config: Config, dataset: Dataset) -> Config:
    """The Config with everything that depends on the dataset filled in, so that a run can be repeated from any folder.

    The path of a file of points becomes absolute, a file of betas is replaced by its betas, and a missing width, batch
    size, number of steps or weight decay is set. Raises UsageError if a file has too few rows, DiffuseError if a file
    of betas cannot be read.
    """
    choice = catalog.parse("dataset", config.dataset)
    if choice.name == "file":
        options = choice.options | {"path": str(Path(choice.options["path"]).expanduser().absolute())}
        choice = choice._replace(options=options)
    rows, different = (None, None) if dataset.points is None else _training_rows(config, dataset)
    if rows is not None and (config.batch_size or 1) > rows:
        raise UsageError(f"batch_size is {config.batch_size}, but there are only {rows} rows to train on")
    return msgspec.structs.replace(
        config,
        dataset=str(choice),
        schedule=_with_its_betas(config.schedule),
        width=_width(config, dataset.dim),
        batch_size=config.batch_size or min(_BATCH, rows or _BATCH),
        steps=config.steps or steps_for(different),
        weight_decay=weight_decay_for(different, dataset.dim) if config.weight_decay is None else config.weight_decay,
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


class Split(NamedTuple):
    """The rows of a file, by their indices: those to train on, and those that are held out from training."""

    train: np.ndarray
    held_out: np.ndarray


def split_rows(config: Config, dataset: Dataset) -> Split:
    """The split of the rows of a user's file (`dataset.points`), the same for the same seed.

    A tenth of the rows is held out, at least one and at most 4096. Rows that are equal in single precision, in which
    networks compute, stay on one side: a copy of a training row is no new data. A group of equal rows that is larger
    than what is still to be held out is trained on; where no group is small enough, the smallest is held out.

    Raises UsageError if the Config asks for more training points than there are other rows, or if all rows are equal
    in single precision.
    """
    points = np.asarray(dataset.points)
    rows = len(points)
    wanted = max(1, min(_HELD_OUT, rows // 10))
    order = np.random.default_rng(config.seed).permutation(rows)
    group, sizes = equal_rows(np.asarray(dataset.standard.to_model(points), np.float32)[order])
    if len(sizes) == rows:
        held = np.arange(rows) < wanted
    elif len(sizes) == 1:
        raise UsageError(
            f"the {rows} rows of {config.dataset} are equal in single precision: there is nothing to learn"
        )
    else:
        held = _fill_up(sizes, wanted)[group]
    train, held_out = order[~held], order[held]
    size = config.train_size or len(train)
    if size > len(train):
        raise UsageError(f"train_size is {size}, but the file has {rows} rows, of which {len(held_out)} are held out")
    return Split(train[:size], held_out)


def _fill_up(sizes: np.ndarray, wanted: int) -> np.ndarray:
    """Which groups of these sizes are held out, in their order as long as they fit into `wanted` rows."""
    chosen, left = np.zeros(len(sizes), bool), wanted
    for number in np.flatnonzero(sizes <= wanted):
        if sizes[number] <= left:
            chosen[number], left = True, left - sizes[number]
        if not left:
            break
    if not chosen.any():
        chosen[np.argmin(sizes)] = True
    return chosen


class Data(NamedTuple):
    """Points in model space: those to train on, and those to evaluate on; where the data have them also their labels.

    train_given, held_out_given: what else is given with them, as conditions: columns in model space, or words.
    """

    train: Float[np.ndarray, "n d"]
    held_out: Float[np.ndarray, "m d"]
    train_labels: Int[np.ndarray, " n"] | None = None
    held_out_labels: Int[np.ndarray, " m"] | None = None
    train_given: Shaped[np.ndarray, "n c"] | None = None
    held_out_given: Shaped[np.ndarray, "m c"] | None = None


def draw_data(config: Config, dataset: Dataset) -> Data:
    """The training and held-out points of a run, the same for the same seed; of a part of its data those in this part.

    Raises UsageError like `split_rows`, and where no row of a part of a file is on one of the two sides.
    """
    if isinstance(dataset.part, Part):
        return _data_with_label(draw_data(config, dataset.part.of), dataset.part)
    if isinstance(dataset.part, GivenPart):
        return _data_near(config, dataset.part)
    drawn = _draw_rows(config, dataset)
    points = (np.asarray(dataset.standard.to_model(each), np.float32) for each in drawn.points)
    labels = (np.asarray(each, np.int32) for each in drawn.labels or ())
    data = Data(*points, *labels)
    if drawn.given is None or dataset.given is None:
        return data
    train, held_out = map(dataset.given.to_model, drawn.given)
    return data._replace(train_given=train, held_out_given=held_out)


class _Rows(NamedTuple):
    """Rows to train on and held-out ones, in data units: points, and labels and what else is given, if there is any."""

    points: tuple[np.ndarray, np.ndarray]
    labels: tuple[np.ndarray, np.ndarray] | None = None
    given: tuple[np.ndarray, np.ndarray] | None = None


def _draw_rows(config: Config, dataset: Dataset) -> _Rows:
    """The rows of a whole dataset."""
    if dataset.points is not None:
        sides = split_rows(config, dataset)

        def sides_of(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return rows[sides.train], rows[sides.held_out]

        given = None if dataset.given is None else dataset.given.rows
        return _Rows(
            sides_of(dataset.points),
            None if dataset.labels is None else sides_of(dataset.labels),
            None if given is None else sides_of(given),
        )
    rng = np.random.default_rng(config.seed)
    sizes = config.train_size or _TRAIN_SIZE, _HELD_OUT
    if dataset.given is not None:  # the same points as those of `draw`, as with classes
        points, given = zip(*(dataset.given.draw(rng, size) for size in sizes), strict=True)
        return _Rows(points, given=given)
    if dataset.classes is None:
        train, held_out = (dataset.draw(rng, size) for size in sizes)
        return _Rows((train, held_out))
    return _Rows(*zip(*(dataset.classes.draw(rng, size) for size in sizes), strict=True))


def _data_near(config: Config, part: GivenPart) -> Data:
    """Of a file, the rows of both sides that are near; else all points to train on, and draws of the part."""
    data = draw_data(config, part.of)
    if data.train_given is None or data.held_out_given is None or part.of.points is None:
        rng = np.random.default_rng((config.seed, 1))
        return Data(data.train, np.asarray(part.of.standard.to_model(part.draw(rng, _HELD_OUT)), np.float32))
    kept = Data(data.train[part.holds(data.train_given)], data.held_out[part.holds(data.held_out_given)])
    if not (len(kept.train) and len(kept.held_out)):
        side = "training" if len(kept.held_out) else "held-out"
        raise UsageError(f"none of the {side} rows has {part.told}, or is near it")
    return kept


def _data_with_label(data: Data, part: Part) -> Data:
    kept = Data(data.train[data.train_labels == part.label], data.held_out[data.held_out_labels == part.label])
    if part.of.points is not None and part.of.classes is not None and not (len(kept.train) and len(kept.held_out)):
        name, side = part.of.classes.label_names[part.label], "training" if len(kept.held_out) else "held-out"
        raise UsageError(
            f"none of the {side} rows has the label {name}; train with more of its rows, or another --seed"
        )
    return kept


def margin_for(rows: int) -> float:
    """How far beyond `rows` training points, in standard deviations, x0 may lie: 0 for as many as built-in sets draw.

    The extremes of n draws of a normal law lie at about √(2 log n) standard deviations. Those of few rows are widened
    to where the extremes of 131,072 rows would be: what a law has beyond its few rows is not cut off.

    >>> [round(margin_for(rows), 2) for rows in (27, 720, 131072, 10**6)]
    [2.29, 1.23, 0.0, 0.0]
    """
    there, here = (math.sqrt(2 * math.log(n)) for n in (_TRAIN_SIZE, rows))
    return max(0.0, there - here)


def law_of(config: Config, dataset: Dataset) -> exact.Law:
    """The exact law of a dataset in model space; for a user's file, the mixture on the points that are trained on.

    Raises UsageError for a dataset of a user's own code that has no density, and like `split_rows`.
    """
    if dataset.points is not None:
        return exact.mixture(draw_data(config, dataset).train, 0.0)
    if dataset.exact is None and isinstance(dataset.part, GivenPart):
        raise UsageError(
            f"p(x | {dataset.part.told}) of {config.dataset} has no exact denoiser: its density is known, but not with "
            "noise, since the prior cuts it off"
        )
    if dataset.exact is None:
        raise UsageError(f"{config.dataset} has no density (Dataset.exact is None), so it has no exact denoiser")
    return dataset.exact()


def law_name(dataset: Dataset) -> str:
    """The label of results of `law_of`: 'exact', or 'memorised' for a file, whose law is the mixture on its points."""
    return "exact" if dataset.points is None else "memorised"


def truth_of(dataset: Dataset) -> exact.Law | None:
    """The law that a network is compared with, model space; None where it is unknown, as for a user's file."""
    return None if dataset.exact is None else dataset.exact()


def without_folders(config: Config) -> Config:
    """The Config as it can be shown to others: of a user's file its name without the folders of this computer.

    >>> without_folders(Config(dataset="file:path=/home/me/points.csv,columns=1+2")).dataset
    'file:path=points.csv,columns=1+2'
    """
    choice = catalog.parse("dataset", config.dataset)
    if choice.name != "file" or "path" not in choice.options:
        return config
    options = choice.options | {"path": Path(choice.options["path"]).name}
    return msgspec.structs.replace(config, dataset=str(choice._replace(options=options)))


def default_run_name(config: Config) -> str:
    """The name of a run that is not given one: its dataset with its options, or its file without the ending.

    >>> default_run_name(Config(dataset="s_curve:dim=3"))
    's_curve-dim=3'
    """
    choice = catalog.parse("dataset", config.dataset)
    if choice.name == "file":
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
    return Path(choice.options.get("path", "file")).stem if choice.name == "file" else catalog.short_name(dataset)


def conditions_of(config: Config, dataset: Dataset) -> Conditions | None:
    """The conditions that a network of this Config is trained with: what the data have, if it is conditional.

    Raises UsageError for data without labels, given columns or words.
    """
    if not config.conditional:
        return None
    if (told := told_of(config, dataset)) is not None:
        return told
    if dataset.points is None:
        raise UsageError(
            f"{config.dataset} has no labels to be conditional on; `diffuse list dataset` says which sets have"
        )
    again = [f"--dataset {config.dataset},{option}=…" for option in ("label", "given")]
    raise UsageError(
        f"{title_of_data(config.dataset)} has no labels and no given columns; say which of its columns are: "
        f"{again[0]} or {again[1]}"
    )


def told_of(config: Config, dataset: Dataset) -> Conditions | None:
    """What a model of a dataset can be told: its labels, given columns or words; None where it has none of them."""
    given = dataset.given
    if given is None:
        return labels_of(dataset)
    drawn = _draw_rows(config, dataset).given
    if given.standard is None or drawn is None:
        return Conditions(given.names, kind="words", places=given.places)
    ends = (end(drawn[0], axis=0).tolist() for end in (np.min, np.max))
    columns = zip(given.standard.mean.tolist(), given.standard.scale.tolist(), *ends, strict=True)
    return Conditions(given.names, kind="columns", columns=tuple(GivenColumn(*column) for column in columns))


def labels_of(dataset: Dataset) -> Conditions | None:
    """The labels of a dataset; None where it has none."""
    classes = dataset.classes
    return classes and Conditions(classes.label_names, tuple(classes.shares.tolist()))


def law_of_label(config: Config, dataset: Dataset, label: int) -> exact.Law:
    """The exact law of the points with a label, as `law_of` of the whole.

    Raises UsageError like that, and where there are no such points.
    """
    return law_of(config, with_label(dataset, label))


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
    loss = catalog.build("loss", config.loss, process, trust=trust)
    learns_schedule = process.schedule.with_curve is not None
    _check_loss(config, loss, learns_schedule=learns_schedule)
    new = lambda: _network(config, dim, conditions, jax.random.key(0), learns_schedule=learns_schedule)  # noqa: E731
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
        loss=catalog.build("loss", config.loss, process),
    )


def _check_loss(config: Config, loss: Loss, *, learns_schedule: bool) -> None:
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
    if loss.requires_levels and config.levels not in (None, loss.levels):
        raise UsageError(
            f"the loss {config.loss} is only right with --levels {loss.levels}, and not with {config.levels}"
        )


def _network(
    config: Config, dim: int, conditions: Conditions | None, key: PRNGKeyArray, *, learns_schedule: bool
) -> MLP:
    """The network of a Config, newly initialised; its `course` is the curve of a learned schedule."""
    network = MLP(
        dim,
        width=_width(config, dim),
        depth=config.depth,
        outputs=2 if config.variance == "learned" else 1,
        time=config.noise_conditioning,
        conditions=conditions,
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
    return split(_network(config, dim, conditions, key, learns_schedule=experiment.learns_schedule))[1]

"""From a Config to the objects it names."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np
from flax import nnx
from jax import Array

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.losses import Loss
from diffuse_cli.diffusion.parameterizations import Parameterization, with_variance
from diffuse_cli.diffusion.process import Process, Schedule
from diffuse_cli.diffusion.schedules import read_betas, with_zero_terminal_snr
from diffuse_cli.diffusion.training_levels import Levels
from diffuse_cli.errors import UsageError
from diffuse_cli.networks.denoiser import Weights, split
from diffuse_cli.networks.mlp import MLP
from diffuse_cli.networks.monotone import Monotone

_DRAWN = 1 << 17  # training points drawn unless the settings say
_HELD_OUT = 4096
_BATCH = 256


class Experiment(NamedTuple):
    """All that a Config says, except the data and the weights. `structure` is the network's."""

    config: Config
    process: Process
    parameterization: Parameterization
    loss: Loss
    levels: Levels
    structure: nnx.GraphDef
    dim: int

    @property
    def learns_schedule(self) -> bool:
        """Whether the curve of the schedule is among the weights."""
        return self.process.schedule.with_curve is not None


def build_process(config: Config, *, trust: bool = True) -> Process:
    """The forward process of a Config."""
    schedule = catalog.build("schedule", config.schedule, config.timesteps, trust=trust)
    if not isinstance(schedule, Schedule):  # a function of the user's own need not say its scaling
        schedule = Schedule(schedule)
    scaling = schedule.scaling if config.scaling is None else catalog.build("scaling", config.scaling, trust=trust)
    if config.zero_terminal_snr:
        if schedule.with_curve is not None:
            raise UsageError(f"the ends of {config.schedule} are its own: for --zero-terminal-snr, learned:last=-30")
        schedule = with_zero_terminal_snr(schedule)
    return Process(schedule, config.timesteps, scaling)


def build_parameterization(config: Config, process: Process, *, trust: bool = True) -> Parameterization:
    """What the network of a Config is asked for."""
    mean = catalog.build("prediction", config.prediction, process, trust=trust)
    return with_variance(mean) if config.variance == "learned" else mean


def build_dataset(config: Config, *, trust: bool = True) -> Dataset:
    """The dataset of a Config. Reads the user's file where it is one."""
    return catalog.build("dataset", config.dataset, trust=trust)


def fill_in_settings(config: Config, dataset: Dataset) -> Config:
    """The Config with what depends on the dataset filled in, so that the run it leaves can be repeated from anywhere.

    The path of a user's file is made absolute; width and batch size, if nobody said, are settled. Raises UsageError if
    a file has too few rows for what was said.
    """
    choice = catalog.parse("dataset", config.dataset)
    if choice.name == "file":
        options = choice.options | {"path": str(Path(choice.options["path"]).expanduser().absolute())}
        choice = choice._replace(options=options)
    rows, _ = split_sizes(config, dataset)
    if dataset.points is not None and (config.batch_size or 1) > rows:
        raise UsageError(f"batch_size is {config.batch_size}, but there are only {rows} rows to train on")
    return msgspec.structs.replace(
        config,
        dataset=str(choice),
        schedule=_with_own_table(config.schedule),
        width=_width(config, dataset.dim),
        batch_size=config.batch_size or min(_BATCH, rows),
    )


def _with_own_table(schedule: str) -> str:
    """A schedule read from a file, with the betas themselves in it: the file may go."""
    choice = catalog.parse("schedule", schedule)
    if choice.name != "table" or "path" not in choice.options:
        return schedule
    return "table:" + ",".join(map(repr, read_betas(choice.options["path"]).tolist()))


def split_sizes(config: Config, dataset: Dataset) -> tuple[int, int]:
    """How many points to train on, and how many to hold out.

    Of a user's file a tenth of the rows, at least one and at most 4096, is held out. Raises UsageError if the Config
    asks for more rows than are left.
    """
    if dataset.points is None:
        return config.train_size or _DRAWN, _HELD_OUT
    rows = len(dataset.points)
    held_out = max(1, min(_HELD_OUT, rows // 10))
    size = config.train_size or rows - held_out
    if size > rows - held_out:
        raise UsageError(f"train_size is {size}, but of the file's {rows} rows {held_out} are held out")
    return size, held_out


class Data(NamedTuple):
    """Points [n, d] in model space: to learn from, and to be judged on."""

    train: Array
    held_out: Array


def draw_data(config: Config, dataset: Dataset) -> Data:
    """The training and held-out points of a run, the same for the same seed. Raises UsageError like `sizes`."""
    rng = np.random.default_rng(config.seed)
    size, kept = split_sizes(config, dataset)
    if dataset.points is None:
        train, held_out = dataset.draw(rng, size), dataset.draw(rng, kept)
    else:
        order = rng.permutation(len(dataset.points))
        train, held_out = dataset.points[order[kept : kept + size]], dataset.points[order[:kept]]
    return Data(*(np.asarray(dataset.standard.to_model(points), np.float32) for points in (train, held_out)))


def law_of(config: Config, dataset: Dataset) -> exact.Law:
    """The dataset's exact law in model space; of a user's file, the mixture on the points it is trained on.

    Raises UsageError for a set of the user's own code that does not say its density.
    """
    if dataset.points is not None:
        return exact.mixture(draw_data(config, dataset).train, 0.0)
    if dataset.exact is None:
        raise UsageError(f"{config.dataset} does not say its density (Dataset.exact), so nothing exact is known of it")
    return dataset.exact()


def law_name(dataset: Dataset) -> str:
    """What the answers of `law_of` are called: of a file's points, those of somebody who knows them by heart."""
    return "exact" if dataset.points is None else "memorised"


def truth_of(dataset: Dataset) -> exact.Law | None:
    """The law that a network is judged against, model space; None where nobody knows it, as of a user's file."""
    return None if dataset.exact is None else dataset.exact()


def default_run_name(config: Config) -> str:
    """What a run is called if nobody says: its dataset, or its file without the ending."""
    choice = catalog.parse("dataset", config.dataset)
    name = Path(choice.options.get("path", "file")).stem if choice.name == "file" else choice.name
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "run"


def build_experiment(config: Config, dim: int, *, trust: bool = True) -> Experiment:
    """Make everything a Config names, for data of `dim` columns. Raises UsageError for what has no meaning."""

    def choose(kind: str) -> Any:
        choice = getattr(config, kind)
        return choice and catalog.build(kind, choice, trust=trust)

    for kind in ("sampler", "grid"):  # used only when the run is sampled from, but what is wrong is better told now
        choose(kind)
    config = msgspec.structs.replace(config, width=_width(config, dim), batch_size=config.batch_size or _BATCH)
    process = build_process(config, trust=trust)
    loss = catalog.build("loss", config.loss, process, trust=trust)
    learns_schedule = process.schedule.with_curve is not None
    _check_loss(config, loss, learns_schedule=learns_schedule)
    new = lambda: _network(config, dim, jax.random.key(0), learns_schedule=learns_schedule)  # noqa: E731
    return Experiment(
        config=config,
        process=process,
        parameterization=build_parameterization(config, process, trust=trust),
        loss=loss,
        levels=choose("levels") or catalog.build("levels", loss.levels),
        structure=split(nnx.eval_shape(new))[0],
        dim=dim,
    )


def with_learned_schedule(experiment: Experiment, weights: Weights) -> Experiment:
    """The experiment with the schedule that these weights have learned; itself where none is learned."""
    if not experiment.learns_schedule:
        return experiment
    config, schedule = experiment.config, experiment.process.schedule
    process = experiment.process._replace(schedule=schedule.with_curve(nnx.merge(experiment.structure, weights).course))
    return experiment._replace(
        process=process,
        parameterization=build_parameterization(config, process),
        loss=catalog.build("loss", config.loss, process),
    )


def _check_loss(config: Config, loss: Loss, *, learns_schedule: bool) -> None:
    """Raises UsageError where a loss has no meaning with what else was chosen."""
    if learns_schedule and not loss.bounds:
        raise UsageError(
            f"a schedule is learned through the variational bound, which the loss {config.loss} is not; "
            "give --loss vlb, or kl"
        )
    if loss.learns_variance and config.variance != "learned":
        raise UsageError(f"the loss {config.loss} learns a variance too; give --variance learned, or --loss vlb")
    if config.variance == "learned" and not loss.learns_variance:
        raise UsageError(f"the loss {config.loss} does not learn a variance; give --loss hybrid or kl")
    if loss.requires_levels and config.levels not in (None, loss.levels):
        raise UsageError(
            f"the loss {config.loss} is what it says only with --levels {loss.levels}, and not {config.levels}"
        )


def _network(config: Config, dim: int, key: jax.Array, *, learns_schedule: bool) -> MLP:
    """The network of a Config, newly initialised; its `course` is the curve of a learned schedule."""
    outputs, rngs = 2 if config.variance == "learned" else 1, nnx.Rngs(params=key)
    made = MLP(
        dim, width=_width(config, dim), depth=config.depth, outputs=outputs, time=config.noise_conditioning, rngs=rngs
    )
    if learns_schedule:
        made.course = Monotone()
    return made


def _width(config: Config, dim: int) -> int:
    """A layer narrower than the data cannot pass all of the noise through, which v and eps must answer with."""
    return config.width or max(64, 2 * dim)


def initial_weights(experiment: Experiment, key: jax.Array) -> Weights:
    """Weights for the experiment's structure."""
    made = _network(experiment.config, experiment.dim, key, learns_schedule=experiment.learns_schedule)
    return split(made)[1]

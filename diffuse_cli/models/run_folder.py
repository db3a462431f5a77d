"""Run folders: creating, finding, writing and opening them.

A run is `outputs/NAME/` with `config.toml`, `checkpoint.safetensors` (newest), `best.safetensors` (lowest held-out
loss, but for chance), `checkpoint-STEP.safetensors` (at each quarter), `log.jsonl`, `figures/` and
`samples/`. A checkpoint contains its config and constants, so a single checkpoint file is enough to sample from.
"""

import json
import math
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np

from diffuse_cli import catalog, config, files
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import VIEWS, Dataset, Standardiser, default_column_names
from diffuse_cli.datasets.latent import encodings
from diffuse_cli.diffusion.conditions import Conditions
from diffuse_cli.diffusion.process import Process
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.models import build, checkpoint
from diffuse_cli.models.autoencoder import Autoencoder, packed, unpacked
from diffuse_cli.models.build import Experiment
from diffuse_cli.networks.denoiser import Weights

_SAME = 1e-9  # of the scale: means that differ by less do so because they were summed in another order
NEWEST, BEST = "checkpoint.safetensors", "best.safetensors"


class Header(NamedTuple):
    """What the header of a checkpoint says of its run.

    dim: the number of columns of the data; view and columns: how figures show them and their names. step: the number of
    optimiser steps so far; seconds: what they took. best: the lowest held-out loss so far. versions: of the packages.
    margin: how far outside of the training points' bounds samples may lie; 0 in older checkpoints. conditions: those
    that a conditional network can be told, or a classifier tells apart; None for an unconditional network.
    second_phase: the step from which on a network was its own teacher; None where it is not.
    """

    config: Config
    dim: int
    view: str
    columns: tuple[str, ...]
    step: int
    best: float
    seconds: float
    versions: dict[str, str]
    margin: float = 0.0
    conditions: Conditions | None = None
    second_phase: int | None = None


class Run(NamedTuple):
    """An opened checkpoint.

    standard: that of its dataset. low, high: the bounds [d] of its training points in model space. tensors: its arrays
    by name. header: what its checkpoint says of it. autoencoder: of a latent run, whose dataset are its encodings.
    """

    folder: Path
    experiment: Experiment
    standard: Standardiser
    low: np.ndarray
    high: np.ndarray
    tensors: dict[str, np.ndarray]
    header: Header
    autoencoder: Autoencoder | None = None

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @property
    def config(self) -> Config:
        """Its settings."""
        return self.header.config

    @property
    def step(self) -> int:
        """The number of optimiser steps so far."""
        return self.header.step

    @property
    def is_vae(self) -> bool:
        """Whether it is a variational autoencoder."""
        return catalog.parse("family", self.config.family).name == "vae"

    def average(self) -> Weights:
        """The averaged weights, for drawing samples. Raises DiffuseError where they do not fit the settings."""
        return average_of(self.experiment, self.tensors)


def average_of(experiment: Experiment, tensors: dict[str, np.ndarray]) -> Weights:
    """The averaged weights among the arrays of a checkpoint. Raises DiffuseError where they do not fit."""
    template = jax.eval_shape(lambda: build.initial_weights(experiment, jax.random.key(0)))
    weights: Weights = checkpoint.restore(template, tensors, "average")
    return weights


def create_run_folder(outputs: Path, name: str | None, dataset: str) -> Path:
    """Create the folder of a new run: `name`, or the name of the dataset, with the first free number if it is taken.

    A `name` is free too if its folder was left by a run that was killed before its first checkpoint.

    Raises UsageError if `name` is taken or is not a plain folder name, DiffuseError where no folder can be created.
    """
    if name is not None and (not name or name in {".", "..", "latest"} or Path(name).name != name):
        raise UsageError(f"a run's name is a plain folder name other than 'latest', not {name!r}")
    try:
        outputs.mkdir(parents=True, exist_ok=True)
        if name is not None:
            return _make(outputs / name)
        number = 1
        while True:
            try:
                return _make(outputs / (dataset if number == 1 else f"{dataset}-{number}"))
            except FileExistsError:
                number += 1
    except FileExistsError as error:
        if name is not None and _has_no_checkpoint(outputs / name):
            (outputs / name / "log.jsonl").unlink(missing_ok=True)  # of the run that was killed
            return _make(outputs / name, exist_ok=True)
        if not outputs.is_dir():
            raise DiffuseError(f"{outputs} is not a folder") from error
        raise UsageError(
            f"a run named {name!r} exists in {outputs}; choose another --name, or continue it with --resume {name}"
        ) from error
    except OSError as error:
        raise DiffuseError(f"cannot make a run in {outputs}: {error.strerror}") from error


def _has_no_checkpoint(folder: Path) -> bool:
    """Whether a folder is that of a run without a checkpoint, and with nothing else that would be lost."""
    if not folder.is_dir():
        return False
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    return files <= {"config.toml", "log.jsonl", "figures/forward.png"}


def _make(folder: Path, *, exist_ok: bool = False) -> Path:
    folder.mkdir(exist_ok=exist_ok)
    for part in ("figures", "samples"):
        (folder / part).mkdir(exist_ok=exist_ok)
    return folder


def dataset_of_run(run: "Run", *, trust: bool = True) -> Dataset:
    """The dataset that a run was trained on.

    Raises DiffuseError where a user's file is missing or has changed since, UsageError where its own code is.
    """
    dataset = build.build_dataset(run.config, trust=trust)
    now, then = dataset.standard, run.standard if run.autoencoder is None else run.autoencoder.standard
    if dataset.dim != len(then.mean) or any(
        (np.abs(one - other) > _SAME * then.scale).any() for one, other in zip(now, then, strict=True)
    ):
        raise DiffuseError(
            f"the data of {run.name} have changed since it was trained; put back what {run.config.dataset} was, or "
            "train a new run"
        )
    return dataset if run.autoencoder is None else encodings(dataset, run.autoencoder, run.standard)


def process_of_run(settings: Config, run: "Run | None", *, trust: bool = True) -> Process:
    """The forward process of settings; for the settings of the run itself, the one that it may have learned.

    Raises UsageError for a choice that is unknown or wrong.
    """
    if run is not None and settings == run.config:
        return run.experiment.process
    return build.build_process(settings, trust=trust)


def find_run(outputs: Path, name: str) -> Path:
    """The folder or the checkpoint file that `name` stands for: a run in `outputs`, a path, or `latest`.

    Raises DiffuseError, which names the existing runs, if it is none of these.
    """
    runs = run_folders(outputs)
    if name == "latest":
        if not runs:
            raise DiffuseError(f"there is no run in {outputs} yet; make one with: diffuse train --dataset moons")
        return runs[-1]
    for path in (outputs / name, Path(name)):
        if (path / NEWEST).is_file() or (path.suffix == ".safetensors" and path.is_file()):
            return path
    for path in (outputs / name, Path(name)):
        if path.is_dir():
            again = ""
            if _has_no_checkpoint(path) and path.parent == outputs:
                settings = ["--config", str(path / "config.toml")] if (path / "config.toml").is_file() else []
                again = f"; begin it again with: {shlex.join(['diffuse', 'train', *settings, '--name', name])}"
            raise DiffuseError(f"{path} is not a finished run: it has no {NEWEST}{again}")
    known = ", ".join(run.name for run in reversed(runs)) or "none"
    raise DiffuseError(f"no run named {name!r} in {outputs}. Runs there: {known}.")


def run_folders(outputs: Path) -> list[Path]:
    """The folders of the runs in `outputs`; the one that was written to last is at the end."""
    folders = [path.parent for path in outputs.glob(f"*/{NEWEST}")]
    return sorted(folders, key=lambda folder: ((folder / NEWEST).stat().st_mtime_ns, folder.name))


def folder_and_file(path: Path) -> tuple[Path, Path]:
    """The folder and the checkpoint file that a path from `find_run` stands for.

    A folder stands for its newest checkpoint; if its data are a user's file, for that with the best held-out loss,
    since a network learns the rows of a file by heart sooner or later. Raises DiffuseError for a damaged checkpoint.
    """
    if not path.is_dir():
        return path.parent, path
    best = path / BEST
    return path, best if best.is_file() and _learns_a_file(path / NEWEST) else path / NEWEST


def _learns_a_file(file: Path) -> bool:
    """Whether the dataset of a checkpoint is a user's file."""
    try:
        settings = config.loads(checkpoint.read_header(file)["config"])
        return bool(catalog.parse("dataset", settings["dataset"]).name == "file")
    except (KeyError, UsageError) as error:
        raise DiffuseError(f"{file} is not a whole checkpoint: {error} is missing or wrong") from error


def open_run(path: Path, *, trust: bool = False) -> Run:
    """Open a run folder at the checkpoint that it stands for (see `folder_and_file`), or one checkpoint file.

    `trust` allows the checkpoint to name code outside of `diffuse`, which is then imported. Raises DiffuseError for a
    damaged or foreign checkpoint, UsageError for such code without `trust`.
    """
    folder, file = folder_and_file(path)
    tensors, metadata = checkpoint.load_checkpoint(file)
    header = _header(metadata, file)
    standard, (low, high) = _constants(tensors, header.dim, file)
    autoencoder = unpacked(tensors, metadata, file)
    experiment = build.build_experiment(header.config, header.dim, conditions=header.conditions, trust=trust)
    if experiment.learns_schedule:
        experiment = build.with_learned_schedule(experiment, average_of(experiment, tensors))
    return Run(folder, experiment, standard, low, high, tensors, header, autoencoder)


def read_run_header(file: Path, *, whole: bool = False) -> Header:
    """What a checkpoint says of its run, without building the network; code that it names is not imported.

    whole: read its arrays too, and so find damage to them. Raises DiffuseError and UsageError like `open_run`.
    """
    if not whole:
        return _header(checkpoint.read_header(file), file)
    tensors, metadata = checkpoint.load_checkpoint(file)
    header = _header(metadata, file)
    _constants(tensors, header.dim, file)
    return header


def _header(metadata: dict[str, str], file: Path) -> Header:
    try:
        settings = config.make(config.loads(metadata["config"]), str(file))
        dim = int(metadata["dim"])
        versions = msgspec.json.decode(metadata["versions"], type=dict[str, str])
        numbers = int(metadata["step"]), float(metadata["best"]), float(metadata["seconds"])
        margin = float(metadata.get("margin", "0"))
        conditions = _conditions(metadata, settings)
        second = int(metadata["second_phase"]) if "second_phase" in metadata else None
        header = Header(
            settings, dim, metadata["view"], _columns(metadata, dim), *numbers, versions, margin, conditions, second
        )
    except (KeyError, ValueError) as error:
        raise DiffuseError(f"{file} is not a whole checkpoint: {error} is missing or wrong") from error
    if "path" in catalog.parse("schedule", settings.schedule).options:  # `fill_in_settings` has put the betas there
        raise DiffuseError(f"{file} names a file for its schedule, which would be read; no checkpoint of a run does")
    if not 0 <= margin < math.inf:
        raise DiffuseError(f"{file} is damaged: a margin of {margin}")
    if dim < 1 or header.view not in VIEWS:
        raise DiffuseError(f"{file} is damaged: data of {dim} columns, shown as {header.view!r}")
    return header


def _constants(
    tensors: dict[str, np.ndarray], dim: int, file: Path
) -> tuple[Standardiser, tuple[np.ndarray, np.ndarray]]:
    """Take the constants of the data out of the arrays of a checkpoint, and check them."""
    names = ("standard.mean", "standard.scale", "bounds.low", "bounds.high")
    for name in names:
        if name not in tensors:
            raise DiffuseError(f"{file} is not a whole checkpoint: {name} is missing")
        if tensors[name].shape != (dim,) or not np.isfinite(tensors[name]).all():
            raise DiffuseError(f"{file} is damaged: {name} is not {dim} finite numbers")
    mean, scale, low, high = (tensors.pop(name) for name in names)
    if (scale <= 0).any() or (low > high).any():
        raise DiffuseError(f"{file} is damaged: its data have no extent")
    return Standardiser(mean, scale), (low, high)


def _columns(metadata: dict[str, str], dim: int) -> tuple[str, ...]:
    """The names of the columns; checkpoints had none in their header at first."""
    names = json.loads(metadata.get("columns", "null"))
    if names is None:
        return default_column_names(dim)
    if not (isinstance(names, list) and len(names) == dim and all(isinstance(name, str) for name in names)):
        raise ValueError("columns")
    return tuple(names)


def _conditions(metadata: dict[str, str], settings: Config) -> Conditions | None:
    """What a conditional run can be told, or a classifier tells. Raises ValueError where that is missing or wrong.

    Labels stand there as their shares by name; anything else as the fields of Conditions.
    """
    if not (settings.conditional or settings.classifier):
        return None
    if "kind" in metadata:
        told = msgspec.json.decode(metadata["conditions"], type=Conditions)
        finite = all(math.isfinite(sum(column)) and column.scale > 0 for column in told.columns)
        counts = {"columns": len(told.columns), "words": sum(told.places)}
        if not told.names or told.kind != metadata["kind"] or counts.get(told.kind) != len(told.names) or not finite:
            raise ValueError("conditions")
        return told
    labels = msgspec.json.decode(metadata["conditions"], type=dict[str, float])
    if not labels or not math.isclose(sum(labels.values()), 1, rel_tol=1e-6) or min(labels.values()) < 0:
        raise ValueError("conditions")
    return Conditions(tuple(labels), tuple(labels.values()))


def save_run(
    file: Path,
    state: Any,
    settings: Config,
    *,
    standard: Standardiser,
    view: str,
    columns: tuple[str, ...],
    low: np.ndarray,
    high: np.ndarray,
    best_rows: np.ndarray,
    conditions: Conditions | None = None,
    autoencoder: Autoencoder | None = None,
    metadata: dict[str, str],
) -> None:
    """Write one checkpoint: the parts of the training state by name, the constants of the data, and the settings.

    `state` is a NamedTuple of pytrees; its field `average` is what `Run.average` reads. best_rows [m]: the loss of each
    held-out row where their mean was lowest so far. Raises DiffuseError where the file cannot be written.
    """
    tensors = {"standard.mean": standard.mean, "standard.scale": standard.scale, "bounds.low": low, "bounds.high": high}
    tensors["held_out.best_rows"] = best_rows
    for part, tree in zip(state._fields, jax.device_get(state), strict=True):
        tensors |= checkpoint.flatten(tree, part)
    header = {
        "config": config.dump(settings),
        "dim": str(len(standard.mean)),
        "view": view,
        "columns": json.dumps(columns),
        **metadata,
    }
    if autoencoder is not None:
        of_autoencoder, texts = packed(autoencoder)
        tensors, header = tensors | of_autoencoder, header | texts
    if conditions is not None and conditions.kind == "label":
        header["conditions"] = json.dumps(dict(zip(conditions.names, conditions.shares, strict=True)))
    elif conditions is not None:
        header |= {"kind": conditions.kind, "conditions": json.dumps(conditions)}
    checkpoint.save_checkpoint(file, tensors, header)


def write_config(folder: Path, settings: Config) -> None:
    """Write config.toml, a valid --config file, to the folder. Raises DiffuseError where it cannot be written."""
    files.write_file(folder / "config.toml", config.dump(settings).encode())


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of log.jsonl, oldest first. Raises DiffuseError if there is none or it is damaged."""
    file = folder / "log.jsonl"
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]  # a run that was killed may leave half a line
        records = [msgspec.json.decode(line, type=dict[str, int | float | None]) for line in whole]
        if missing := [key for key in ("step", "loss", "seconds") for record in records if record.get(key) is None]:
            raise ValueError(f"a record without {missing[0]}")
        return records
    except OSError as error:
        raise DiffuseError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise DiffuseError(f"{file} is damaged: {error}") from error


def write_log(folder: Path, records: list[dict[str, Any]]) -> None:
    """Write log.jsonl, replacing the old one. Raises DiffuseError where it cannot be written."""
    files.write_file(folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in records).encode())

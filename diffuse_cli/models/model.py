"""A model is what can be sampled from and evaluated: the denoiser of a trained run, or the exact one of a dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset, Standardiser
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.denoisers import Predict, clipped
from diffuse_cli.diffusion.losses import Kind
from diffuse_cli.diffusion.parameterizations import Parameterization
from diffuse_cli.diffusion.process import Process
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build, run_folder
from diffuse_cli.models.run_folder import Run
from diffuse_cli.networks.denoiser import Weights, predictor


class Model(NamedTuple):
    """A denoiser, and all that is needed to draw samples from it and to show them.

    name: for titles. folder: where its samples and figures go.
    dataset: opens its data; raises DiffuseError where a user's file is missing or has changed.
    predict: the denoiser, in model space.
    columns: the names [d] of the columns of its data.
    box: the lowest and the highest coordinates [d] of the training points; None for an exact denoiser.
    margin: how far outside of the box an x0 may lie when samples are drawn, model space (`build.margin_for`).
    predict_with_variance: the denoiser with x0_var; None where it does not know it.
    kind: "denoiser"; or "flow" where `predict` is only the velocity of a flow, and not a posterior mean.
    """

    name: str
    folder: Path
    config: Config
    dataset: Callable[[], Dataset]
    process: Process
    parameterization: Parameterization
    standard: Standardiser
    view: str
    columns: tuple[str, ...]
    predict: Predict
    box: tuple[np.ndarray, np.ndarray] | None = None
    predict_with_variance: Predict | None = None
    kind: Kind = "denoiser"
    margin: float = 0.0

    @property
    def trained(self) -> bool:
        """Whether the denoiser is a network, and not an exact one."""
        return self.box is not None

    @property
    def dim(self) -> int:
        """The number of columns of the data."""
        return len(self.standard.mean)

    @property
    def walls(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The lowest and the highest coordinates [d] of samples: the box with its margin; None without a box."""
        if self.box is None:
            return None
        low, high = (np.asarray(end, np.float32) for end in self.box)
        return low - np.float32(self.margin), high + np.float32(self.margin)

    def on_walls(self, samples: np.ndarray) -> int:
        """How many of these samples [n, d], model space, the clip of `for_sampling` has moved onto a wall."""
        if self.walls is None:
            return 0
        low, high = self.walls
        return int(((samples <= low) | (samples >= high)).any(axis=1).sum())

    def for_sampling(self, *, variance: bool = False) -> Predict:
        """The denoiser with its x0 clipped to the `walls`; with `variance` it gives x0_var too.

        An exact x0 is hardly ever outside of them. Likelihoods are those of the denoiser without clipping. Raises
        UsageError where the variance is unknown.
        """
        predict = self.predict_with_variance if variance else self.predict
        if predict is None:
            raise UsageError(f"{self.name} does not know how uncertain x0 is (it takes --variance learned)")
        return predict if self.walls is None else clipped(predict, *self.walls)


def model_of_run(run: Run, *, trust: bool = True) -> Model:
    """The trained denoiser of a run. `trust` allows its dataset to be a user's own code."""
    return trained_model(
        run.experiment._replace(config=run.config),
        run.average(),
        folder=run.folder,
        dataset=lambda: run_folder.dataset_of_run(run, trust=trust),
        standard=run.standard,
        view=run.header.view,
        columns=run.header.columns,
        box=(run.low, run.high),
        margin=run.header.margin,
    )


def trained_model(
    experiment: build.Experiment,
    weights: Weights,
    *,
    folder: Path,
    dataset: Callable[[], Dataset],
    standard: Standardiser,
    view: str,
    columns: tuple[str, ...],
    box: tuple[np.ndarray, np.ndarray],
    margin: float,
) -> Model:
    """The trained denoiser of an experiment with these weights."""
    config, predict = experiment.config, predictor(experiment.structure, weights, experiment.parameterization)
    return Model(
        name=folder.name,
        folder=folder,
        config=config,
        dataset=dataset,
        process=experiment.process,
        parameterization=experiment.parameterization,
        standard=standard,
        view=view,
        columns=columns,
        predict=predict,
        box=box,
        margin=margin,
        predict_with_variance=predict if config.variance == "learned" else None,
        kind=experiment.loss.kind,
    )


def exact_model(config: Config, dataset: Dataset, outputs: Path, *, process: Process, trust: bool = True) -> Model:
    """The closed-form denoiser of a dataset, which a perfect network would equal.

    process: that of `config`, or the one that a run with this config has learned. For a user's file this is the
    denoiser of the mixture on its training points, which has memorised them, and its name says so. Raises UsageError
    for a dataset without a density.
    """
    law = build.law_of(config, dataset)
    return Model(
        name=f"{build.law_name(dataset)} {build.title_of_data(config.dataset)}",
        folder=outputs / _folder_name(config, dataset),
        config=config,
        dataset=lambda: dataset,
        process=process,
        parameterization=build.build_parameterization(config, process, trust=trust),
        standard=dataset.standard,
        view=dataset.view,
        columns=dataset.column_names,
        predict=jax.tree_util.Partial(exact.denoiser(law)),
        predict_with_variance=jax.tree_util.Partial(exact.denoiser(law, variance=True)),
    )


def _folder_name(config: Config, dataset: Dataset) -> str:
    """A folder name from all that an exact denoiser depends on; for a file also the choice of its training rows."""
    parts = [build.law_name(dataset), config.dataset, catalog.short_name(config.schedule), f"T{config.timesteps}"]
    parts += [config.scaling] if config.scaling else []
    parts += ["zero_terminal_snr"] if config.zero_terminal_snr else []
    if dataset.points is not None:
        parts[1] = build.default_run_name(config)
        parts += [f"seed{config.seed}"] + ([f"n{config.train_size}"] if config.train_size else [])
    return "-".join(parts).translate(str.maketrans(":=,/", "____"))

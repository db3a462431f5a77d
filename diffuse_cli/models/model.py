"""What can be sampled from and judged: a trained run, or in its place the exact denoiser of a dataset."""

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
from diffuse_cli.models import build, run_folder
from diffuse_cli.models.run_folder import Run
from diffuse_cli.networks.denoiser import Weights, predictor


class Model(NamedTuple):
    """A denoiser, and all that is needed to draw from it and to show what comes of it.

    `name` is for titles; `folder` is where its samples and figures go; `dataset` opens its data, which raises
    DiffuseError where a user's file has gone; `predict` is the denoiser itself, model space; `box` is low and high [d]
    of a trained one's training points; `predict_with_variance` is the denoiser with x0_var, where
    it has one; `kind` is "denoiser", or "flow" where `predict` is only the velocity of a flow, and no posterior mean.
    """

    name: str
    folder: Path
    config: Config
    dataset: Callable[[], Dataset]
    process: Process
    parameterization: Parameterization
    standard: Standardiser
    view: str
    predict: Predict
    box: tuple[np.ndarray, np.ndarray] | None = None
    predict_with_variance: Predict | None = None
    kind: Kind = "denoiser"

    @property
    def trained(self) -> bool:
        """Whether it is a network, and not an exact denoiser."""
        return self.box is not None

    @property
    def dim(self) -> int:
        """Columns of the data."""
        return len(self.standard.mean)

    def for_sampling(self, *, variance: bool = False) -> Predict:
        """The denoiser with its x0 kept among the data, as an exact one keeps it by itself.

        Likelihoods are of the denoiser as it is. With `variance` it is the one that says how uncertain x0 is.
        """
        predict = self.predict_with_variance if variance else self.predict
        return predict if self.box is None else clipped(predict, *self.box)


def model_of_run(run: Run, *, trust: bool = True) -> Model:
    """The trained denoiser of a run."""
    return trained_model(
        run.experiment._replace(config=run.config),
        run.average(),
        folder=run.folder,
        dataset=lambda: run_folder.dataset_of_run(run, trust=trust),
        standard=run.standard,
        view=run.view,
        box=(run.low, run.high),
    )


def trained_model(
    experiment: build.Experiment,
    weights: Weights,
    *,
    folder: Path,
    dataset: Callable[[], Dataset],
    standard: Standardiser,
    view: str,
    box: tuple[np.ndarray, np.ndarray],
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
        predict=predict,
        box=box,
        predict_with_variance=predict if config.variance == "learned" else None,
        kind=experiment.loss.kind,
    )


def exact_model(config: Config, dataset: Dataset, outputs: Path, *, process: Process, trust: bool = True) -> Model:
    """The closed-form denoiser of a dataset under the process of `config`, perhaps as a run has learned it: what a
    perfect network would answer.

    Of a user's file it is the mixture on its training points, the optimum that memorises them, and is named so.
    """
    law = build.law_of(config, dataset)
    return Model(
        name=f"{build.law_name(dataset)} {build.default_run_name(config)}",
        folder=outputs / _folder_name(config, dataset),
        config=config,
        dataset=lambda: dataset,
        process=process,
        parameterization=build.build_parameterization(config, process, trust=trust),
        standard=dataset.standard,
        view=dataset.view,
        predict=jax.tree_util.Partial(exact.denoiser(law)),
        predict_with_variance=jax.tree_util.Partial(exact.denoiser(law, variance=True)),
    )


def _folder_name(config: Config, dataset: Dataset) -> str:
    """From all that an exact denoiser depends on: of a file, also from what decides which rows are trained on."""
    parts = [build.law_name(dataset), config.dataset, catalog.short_name(config.schedule), f"T{config.timesteps}"]
    parts += [config.scaling] if config.scaling else []
    parts += ["zero_terminal_snr"] if config.zero_terminal_snr else []
    if dataset.points is not None:
        parts[1] = build.default_run_name(config)
        parts += [f"seed{config.seed}"] + ([f"n{config.train_size}"] if config.train_size else [])
    return "-".join(parts).translate(str.maketrans(":=,/", "____"))

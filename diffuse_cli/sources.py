"""What can be sampled from and judged: a trained run, or in its place the exact denoiser of a dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from diffuse_cli import catalog, experiment
from diffuse_cli.config import Config
from diffuse_cli.data.dataset import Dataset, Standardiser
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.predictions import Parameterization, Predict, clipped
from diffuse_cli.diffusion.process import Process
from diffuse_cli.runs import Run


class Source(NamedTuple):
    """A denoiser, and all that is needed to draw from it and to show what comes of it.

    `name` is for titles; `folder` is where its samples and figures go; `dataset` opens its data, which raises
    DiffuseError where a user's file has gone; `predict` is the denoiser itself, model space; `box` is low and high [d]
    of a trained one's training points.
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

    @property
    def dim(self) -> int:
        """Columns of the data."""
        return len(self.standard.mean)

    def for_sampling(self) -> Predict:
        """The denoiser with its x0 kept among the data, as an exact one keeps it by itself.

        Likelihoods are of the denoiser as it is.
        """
        return self.predict if self.box is None else clipped(self.predict, *map(jax.numpy.asarray, self.box))


def of_run(run: Run, *, trust: bool = True) -> Source:
    """The trained denoiser of a run."""
    return Source(
        name=run.name,
        folder=run.folder,
        config=run.config,
        dataset=lambda: experiment.dataset_of(run.config, trust=trust),
        process=run.experiment.process,
        parameterization=run.experiment.parameterization,
        standard=run.standard,
        view=run.view,
        predict=run.predict(),
        box=(run.low, run.high),
    )


def exact_of(config: Config, dataset: Dataset, outputs: Path, *, trust: bool = True) -> Source:
    """The closed-form denoiser of a dataset under the process of `config`: what a perfect network would answer.

    Of a user's file it is the mixture on its training points, the optimum that memorises them, and is named so.
    """
    law = experiment.law_of(config, dataset)
    kind = "exact" if dataset.points is None else "memorised"
    name = f"{kind} {experiment.default_name(config)}"
    choices = (
        f"{kind}-{config.dataset if dataset.points is None else experiment.default_name(config)}-{config.schedule}"
    )
    return Source(
        name=name,
        folder=outputs / choices.translate(str.maketrans(":=,/", "____")),
        config=config,
        dataset=lambda: dataset,
        process=experiment.process_of(config, trust=trust),
        parameterization=catalog.build("prediction", config.prediction, trust=trust),
        standard=dataset.standard,
        view=dataset.view,
        predict=jax.tree_util.Partial(exact.denoiser(law)),
    )

"""The exact model of a dataset: its closed-form denoiser, which a perfect network would equal, and its flow map."""

from functools import cache, partial
from pathlib import Path

import jax
import numpy as np

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.datasets.given import with_given
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.conditions import NO_LABEL, Condition, Given, chosen_from
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.flow_maps import exact_jump
from diffuse_cli.diffusion.process import Process
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.data import law_name, law_of, law_of_label, told_of
from diffuse_cli.models.model import Model


def exact_model(config: Config, dataset: Dataset, outputs: Path, *, process: Process, trust: bool = True) -> Model:
    """The closed-form denoiser of a dataset, which a perfect network would equal.

    process: that of `config`, or the one that a run with this config has learned. For a user's file this is the
    denoiser of the mixture on its training points, which has memorised them, and its name says so. Raises UsageError
    for a dataset without a density.
    """
    law = law_of(config, dataset)
    told = told_of(config, dataset)
    predict = jax.tree_util.Partial(exact.denoiser(law))
    given = told and _exact_given(config, dataset, law, variance=False)
    return Model(
        name=f"{law_name(dataset)} {build.title_of_data(config.dataset)}",
        folder=outputs / _folder_name(config, dataset),
        config=config,
        dataset=lambda: dataset,
        process=process,
        parameterization=build.build_parameterization(config, process, trust=trust),
        standard=dataset.standard,
        view=dataset.view,
        columns=dataset.column_names,
        predict=predict,
        predict_with_variance=jax.tree_util.Partial(exact.denoiser(law, variance=True)),
        conditions=told,
        given=given,
        given_with_variance=told and _exact_given(config, dataset, law, variance=True),
        jump=exact_jump(predict),
        jump_given=given and (lambda condition: exact_jump(given(condition))),
    )


def _exact_given(config: Config, dataset: Dataset, law: exact.Law, *, variance: bool) -> Given:
    """The exact denoisers of the points with each label, or at what else is given; `law` is that of all points."""
    if dataset.given is not None:
        return partial(_exact_at, config, dataset, variance=variance)

    @cache
    def of_label(label: int) -> Predict:
        of_points = law if label == NO_LABEL else law_of_label(config, dataset, label)
        return jax.tree_util.Partial(exact.denoiser(of_points, variance=variance))

    def given(condition: Condition) -> Predict:
        if not np.ndim(condition):
            return of_label(int(condition))
        drawn, place = np.unique(condition, return_inverse=True)  # a label that no row has may have no law
        return chosen_from(list(map(of_label, drawn.tolist())))(place.reshape(-1))

    return given


def _exact_at(config: Config, dataset: Dataset, condition: Condition, *, variance: bool) -> Predict:
    """The exact denoiser at one row of what is given. Raises UsageError where its law is not known."""
    standard = None if dataset.given is None else dataset.given.standard
    row = np.asarray(condition) if standard is None else standard.to_data(np.asarray(condition, np.float64))
    if row.ndim > 1:
        raise UsageError(f"an exact denoiser of {config.dataset} is told one row for all points")
    law = law_of(config, with_given(dataset, row, "these values"))
    return jax.tree_util.Partial(exact.denoiser(law, variance=variance))


def _folder_name(config: Config, dataset: Dataset) -> str:
    """A folder name from all that an exact denoiser depends on; for a file also the choice of its training rows."""
    parts = [law_name(dataset), config.dataset, catalog.short_name(config.schedule), f"T{config.timesteps}"]
    parts += [config.scaling] if config.scaling else []
    parts += ["zero_terminal_snr"] if config.zero_terminal_snr else []
    if dataset.points is not None:
        parts[1] = build.default_run_name(config)
        parts += [f"seed{config.seed}"] + ([f"n{config.train_size}"] if config.train_size else [])
    return "-".join(parts).translate(str.maketrans(":=,/", "____"))

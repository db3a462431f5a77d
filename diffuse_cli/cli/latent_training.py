"""The first half of `train --latent`: an autoencoder, trained as a run of its own or taken from one."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from diffuse_cli.cli import options, terminal, training_run
from diffuse_cli.errors import UsageError

if TYPE_CHECKING:
    from diffuse_cli.config import Config
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.models.autoencoder import Autoencoder
    from diffuse_cli.plots.drawing_process import DrawingProcess

_SHARE = 0.4  # of a budget that the autoencoder has


def check_settings(settings: "Config", dataset: "Dataset") -> None:
    """Raises UsageError for settings that do not go with a latent space."""
    from diffuse_cli.models import latent

    if settings.latent is None:
        if settings.autoencoder is not None:
            raise UsageError("--autoencoder makes a latent space; give --latent too, the number of its columns")
        return
    if not settings.diffuses:
        raise UsageError(
            f"--latent is of diffusion in a latent space; the family {settings.family} has none to give, leave out one"
        )
    if settings.classifier:
        raise UsageError("a classifier of latents has no use yet; leave out --latent or --classifier")
    latent.check_latents(settings.latent, dataset.dim)


def encoded(
    settings: "Config",
    dataset: "Dataset",
    outputs: Path,
    name: str,
    process: "DrawingProcess | None",
    *,
    budget: float | None,
    trust: bool,
    dry_run: bool,
) -> "tuple[Dataset, float | None]":
    """The encodings of the data, by the autoencoder that the settings name, and what is left of the budget.

    An autoencoder that has to be trained becomes a run of its own, called NAME-autoencoder. Raises UsageError for one
    that does not go with the settings.
    """
    from diffuse_cli import catalog
    from diffuse_cli.families.vae import TrainedRun
    from diffuse_cli.models import latent
    from diffuse_cli.models.autoencoder import autoencoder_of_run, untrained

    chosen = catalog.build("autoencoder", settings.autoencoder or "vae", settings.latent)
    began = time.perf_counter()
    if isinstance(chosen, TrainedRun):
        autoencoder = autoencoder_of_run(options.RunOption(chosen.name, outputs).open(trust=trust))
        latent.check_same_data(autoencoder, settings, dataset, settings.latent or 0)
    elif dry_run:
        autoencoder = untrained(_settings_of_vae(settings, chosen), dataset)
        return latent.latent_dataset(autoencoder, dataset), budget
    else:
        share = None if budget is None else _SHARE * budget
        autoencoder = _trained(_settings_of_vae(settings, chosen), dataset, outputs, name, process, share)
    latent.check_active(autoencoder, dataset)
    left = None if budget is None else max(1.0, round(budget - (time.perf_counter() - began), 1))
    return latent.latent_dataset(autoencoder, dataset), left


def _settings_of_vae(settings: "Config", family: str) -> "Config":
    """The settings of the autoencoder of a latent run: its data and seed, and nothing of the diffusion."""
    from diffuse_cli.config import Config

    return Config(dataset=settings.dataset, family=family, train_size=settings.train_size, seed=settings.seed)


def _trained(
    settings: "Config",
    dataset: "Dataset",
    outputs: Path,
    name: str,
    process: "DrawingProcess | None",
    budget: float | None,
) -> "Autoencoder":
    """An autoencoder, trained as a run with its own folder."""
    from diffuse_cli.analysis.latent_quality import linear_prediction
    from diffuse_cli.models import latent, run_folder
    from diffuse_cli.models.autoencoder import autoencoder_of_run

    plan = training_run.make_plan(settings, dataset, trust=True, budget=budget)
    folder = run_folder.create_run_folder(outputs, None, f"{name}-autoencoder")
    training_run.train_quietly(plan, folder, process)
    autoencoder = autoencoder_of_run(run_folder.open_run(folder))
    active = int(latent.active_latents(autoencoder, dataset).sum())
    linear = linear_prediction(autoencoder, dataset)
    terminal.note(
        f"Autoencoder {folder}: {active} of {linear.latents} latents active; PCA says {linear.active} of "
        f"{linear.latents} for a linear one"
    )
    return autoencoder

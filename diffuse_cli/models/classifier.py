"""A trained classifier: what a run of `train --classifier` has learned, for guidance towards a label."""

from typing import NamedTuple

from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.diffusion.conditions import Conditions
from diffuse_cli.errors import UsageError
from diffuse_cli.models.build import Experiment
from diffuse_cli.models.run_folder import Run
from diffuse_cli.networks.denoiser import LogProbabilities, Weights, label_log_probabilities


class Classifier(NamedTuple):
    """p(label | x) at every noise level, as a network has learned it.

    name: that of its run. config: its settings. standard: that of its data. conditions: the k labels.
    log_p: (x, level) -> log p(label | x) [n, k], model space.
    """

    name: str
    config: Config
    standard: Standardiser
    conditions: Conditions
    log_p: LogProbabilities

    @property
    def dim(self) -> int:
        """The number of columns of the data."""
        return len(self.standard.mean)


def classifier_of_run(run: Run) -> Classifier:
    """The trained classifier of a run. Raises UsageError for the run of a denoiser."""
    if not run.config.classifier:
        raise UsageError(
            f"{run.name} is a denoiser and no classifier; train one on the same data with: "
            f"diffuse train --classifier --dataset {run.config.dataset}"
        )
    return trained_classifier(run.experiment._replace(config=run.config), run.average(), run.name, run.standard)


def trained_classifier(experiment: Experiment, weights: Weights, name: str, standard: Standardiser) -> Classifier:
    """The classifier of an experiment with these weights. Raises UsageError where that is of a denoiser."""
    if not experiment.config.classifier or experiment.conditions is None:
        raise UsageError(f"{name} is no classifier")
    log_p = label_log_probabilities(experiment.structure, weights, experiment.conditions.log_shares)
    return Classifier(name, experiment.config, standard, experiment.conditions, log_p)


def not_a_denoiser(name: str) -> UsageError:
    """That a run is a classifier, and what it is for.

    >>> print(not_a_denoiser("moons-classifier"))
    moons-classifier is a classifier; use it with --guidance classifier:w=2,run=moons-classifier
    """
    return UsageError(f"{name} is a classifier; use it with --guidance classifier:w=2,run={name}")

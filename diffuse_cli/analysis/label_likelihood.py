"""Likelihoods of points given each label, and what they say of the label: a generative classifier."""

from typing import Any, NamedTuple

import numpy as np

from diffuse_cli.analysis import information
from diffuse_cli.analysis.digits import with_spread
from diffuse_cli.analysis.quality import Solver, fresh_draws, held_out, negative_log_likelihood
from diffuse_cli.analysis.schedule_check import Estimate
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.errors import UsageError
from diffuse_cli.models.data import draw_data
from diffuse_cli.models.model import Model


class LabelLikelihood(NamedTuple):
    """The likelihoods of n points given each of k labels.

    names, shares: of the labels. log_p: [k, n], log p(x | label) in nats, data units; NaN where the solver failed.
    labels: [n], the numbers of the labels that the points have; None where they are unknown.
    """

    names: tuple[str, ...]
    shares: np.ndarray
    log_p: np.ndarray
    labels: np.ndarray | None

    @property
    def joint(self) -> np.ndarray:
        """log p(x | label) + log share [k, n]."""
        with np.errstate(divide="ignore"):
            return np.asarray(self.log_p + np.log(self.shares)[:, None])

    @property
    def log_p_whole(self) -> np.ndarray:
        """log p(x) [n], the sum of p(x | label) in the proportions of the labels."""
        return np.asarray(np.logaddexp.reduce(self.joint, axis=0))

    @property
    def most_probable(self) -> np.ndarray:
        """The names [n] of the labels with the largest log p(x | label) + log share."""
        return np.asarray(np.array(self.names)[np.argmax(self.joint, axis=0)])

    @property
    def failed(self) -> int:
        """The number of points at which the solver failed for any label."""
        return int(np.isnan(self.log_p).any(axis=0).sum())


class Classified(NamedTuple):
    """How well the likelihoods tell the labels that points have.

    nll: the mean of −log p(x | its label). nll_whole: that of −log p(x). gain: their difference, what the labels are
    worth to the model, in nats. accuracy: the share of labels that are told right. truth: the exact values of all of
    these for the law of the data; None where it is unknown.
    """

    nll: Estimate
    nll_whole: Estimate
    gain: Estimate
    accuracy: Estimate
    truth: "information.Information | None"

    def rows(self) -> list[tuple[str, str, str]]:
        """Names and values for a table, of the model and exact."""
        truth, exact = self.truth, ("", "", "", "")
        if truth is not None:
            given = truth.entropy.value - truth.mutual.value
            exact = (f"{given:.4f}", f"{truth.entropy.value:.4f}", f"{truth.mutual.value:.4f}", _share(truth.bayes))
        return [
            ("−log p(x | its label), nats", with_spread(*self.nll), exact[0]),
            ("−log p(x), nats", with_spread(*self.nll_whole), exact[1]),
            ("worth of the label, nats", with_spread(*self.gain), exact[2]),
            ("labels told right", _share(self.accuracy), exact[3]),
        ]

    def document(self) -> dict[str, Any]:
        """The same for a JSON file."""
        own = {name: getattr(self, name)._asdict() for name in self._fields[:-1]}
        return own | {"truth": self.truth and self.truth.document()}


_FINE = 5e-3  # per cent: a standard error that is not worth writing
HEADER = ("of held-out points", "model", "exact")


def label_likelihood(model: Model, x0: np.ndarray, labels: np.ndarray | None, solver: Solver) -> LabelLikelihood:
    """The LabelLikelihood of points x0 [n, d], model space. Raises UsageError for a model without labels."""
    if model.conditions is None:
        model.with_each_label()  # says why there are none
        raise UsageError(f"{model.name} has no labels")
    told = {each.told: each for each in model.with_each_label()}
    log_p = np.full((len(model.conditions.names), len(x0)), -np.inf)
    for number, name in enumerate(model.conditions.names):
        if name in told:
            log_p[number] = negative_log_likelihood(told[name], None, x0, solver).log_p
    return LabelLikelihood(model.conditions.names, np.array(model.conditions.shares), log_p, labels)


def labelled_held_out(model: Model, dataset: Dataset, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The points of `quality.held_out` [n, d], model space, and the numbers [n] of their labels."""
    x0 = held_out(model, dataset, n, seed)
    if dataset.points is not None:
        labels = draw_data(model.config, dataset).held_out_labels
    else:
        labels = None if dataset.classes is None else dataset.classes.draw(fresh_draws(seed), n)[1]
    if labels is None:
        raise UsageError("the data have no labels")
    return x0, labels[:n]


def classified(likelihood: LabelLikelihood, dataset: Dataset) -> Classified:
    """How well the likelihoods of points with known labels tell these; beside the truth where the laws are known."""
    labels = np.asarray(likelihood.labels)
    own = likelihood.log_p[labels, np.arange(len(labels))]
    whole = likelihood.log_p_whole
    known = dataset.classes is not None and dataset.classes.exact is not None
    return Classified(
        nll=Estimate.of(-own),
        nll_whole=Estimate.of(-whole),
        gain=Estimate.of(own - whole),
        accuracy=information.accuracy(likelihood.log_p, likelihood.shares, labels),
        truth=information.information(dataset) if known else None,
    )


def _share(estimate: Estimate) -> str:
    value, stderr = 100 * estimate.value, 100 * estimate.stderr
    return f"{with_spread(value, stderr)} %" if stderr > _FINE else f"{value:.2f} %"

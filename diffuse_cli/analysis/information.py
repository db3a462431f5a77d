"""What a label is worth, exactly: entropies with and without it, their difference, and how well x tells the label.

All of it belongs to the data, and no network is asked: a conditional model cannot gain more nats by its labels than
I(x; c), and no classifier is right more often than Bayes' rule with the true densities.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffuse_cli.analysis.digits import with_spread
from diffuse_cli.analysis.schedule_check import Estimate
from diffuse_cli.datasets.dataset import Classes, Dataset
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import CLEAN, Level
from diffuse_cli.errors import DiffuseError, UsageError

DRAWS = 20_000
_EXACT = 5e-5  # a standard error that four decimals do not show


class Information(NamedTuple):
    """What the labels of a dataset and its points say of each other. Entropies are in nats, data units.

    names, shares: of the k labels. entropy: H(x). conditional: H(x | c) of each label. mutual: I(x; c) = H(x) −
    Σ shares[c] H(x | c), which is at most label_entropy = H(c). bayes: the accuracy E max p(c | x) of the best
    classifier. A standard error is 0 where the value does not come from draws.
    """

    names: tuple[str, ...]
    shares: np.ndarray
    entropy: Estimate
    conditional: tuple[Estimate, ...]
    mutual: Estimate
    label_entropy: float
    bayes: Estimate

    def rows(self) -> list[tuple[str, str]]:
        """Names and values for a table."""
        return [
            ("H(x)", f"{_text(self.entropy)} nats"),
            *(
                (f"H(x | {name})", f"{_text(each)} nats")
                for name, each in zip(self.names, self.conditional, strict=True)
            ),
            ("I(x; label)", f"{_text(self.mutual)} nats, at most H(label) = {self.label_entropy:.4f}"),
            ("Bayes accuracy", f"{_text(Estimate(100 * self.bayes.value, 100 * self.bayes.stderr))} %"),
        ]

    def document(self) -> dict:
        """The same for a JSON file."""
        labels = zip(self.names, self.shares.tolist(), self.conditional, strict=True)
        return {
            "entropy": self.entropy._asdict(),
            "labels": [{"name": n, "share": share, "entropy": each._asdict()} for n, share, each in labels],
            "mutual_information": self.mutual._asdict(),
            "label_entropy": self.label_entropy,
            "bayes_accuracy": self.bayes._asdict(),
        }


def information(dataset: Dataset, *, level: Level = CLEAN, draws: int = DRAWS, seed: int = 0) -> Information:
    """The Information of a dataset with classes whose laws are known.

    Entropies have closed forms or come from quadrature; where these are out of reach, as with three columns, they and
    I(x; c) are means over `draws`. The Bayes accuracy always is one. level: that of x; at a noisy level the entropies
    are those of alpha x0 + sigma eps in model space, plus the log of the volume of a unit of model space.

    Raises UsageError for a dataset without classes, or without their laws, and DiffuseError where a class has no
    density, as a curve without noise.

    >>> from diffuse_cli.datasets.gaussians import bimodal
    >>> apart = information(bimodal(distance=8.0, std=0.5), draws=1000)
    >>> round(apart.mutual.value, 4), round(apart.label_entropy, 4), round(apart.bayes.value, 4)
    (0.6931, 0.6931, 1.0)
    """
    classes = dataset.classes
    if classes is None or classes.exact is None:
        raise UsageError("the data have no labels" if classes is None else "the laws of the labels are not known")
    laws = [classes.exact(label) for label in range(len(classes.shares))]
    used = classes.shares > 0
    log_p, labels = _log_densities(dataset, classes, laws, level, draws, seed)
    log_joint = log_p[used] + np.log(classes.shares[used])[:, None]
    most = log_joint.max(axis=0)
    log_whole = most + np.log(np.exp(log_joint - most).sum(axis=0))
    volume = dataset.standard.log_volume

    entropy = _entropy(dataset.exact(), level, -log_whole, volume)
    conditional = tuple(_entropy(law, level, -log_p[label][labels == label], volume) for label, law in enumerate(laws))
    if any(each.value == -np.inf for each in conditional):
        raise DiffuseError("a label has no density, as of a curve without noise: give the data noise")
    if any(each.stderr for each in (entropy, *conditional)):
        mutual = Estimate.of(log_p[labels, np.arange(draws)] - log_whole)
    else:
        values = np.array([each.value for each in conditional])
        mutual = Estimate(entropy.value - float(classes.shares[used] @ values[used]), 0.0)
    label_entropy = -float(classes.shares[used] @ np.log(classes.shares[used]))
    bayes = Estimate.of(np.exp(most - log_whole))
    return Information(classes.label_names, classes.shares, entropy, conditional, mutual, label_entropy, bayes)


def accuracy(log_p: np.ndarray, shares: np.ndarray, labels: np.ndarray) -> Estimate:
    """How often the label with the largest log p(x | c) + log shares[c] is the right one, and the standard error.

    log_p: [k, n], the log of the density of each of n points for each label, by a model or exact. labels: [n].

    >>> accuracy(np.array([[0.0, -1.0], [-0.1, 0.0]]), np.array([0.5, 0.5]), np.array([0, 0])).value
    0.5
    """
    with np.errstate(divide="ignore"):
        best = np.argmax(log_p + np.log(shares)[:, None], axis=0)
    right = np.mean(best == labels)
    return Estimate(float(right), float(np.sqrt(right * (1 - right) / len(labels))))


def _log_densities(
    dataset: Dataset, classes: Classes, laws: list[exact.Law], level: Level, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """log p(x | c) [k, n] of labelled draws at the level, model space, and their labels [n]; in double precision."""
    rng = np.random.default_rng(seed)
    points, labels = classes.draw(rng, draws)
    noise = rng.standard_normal(points.shape)
    x = float(level.alpha) * dataset.standard.to_model(points) + float(level.sigma) * noise

    @jax.jit
    def each(x: jax.Array, level: Level) -> jax.Array:
        return jnp.stack([exact.log_prob(law, x, level) for law in laws])

    with jax.enable_x64(True):
        return np.asarray(each(x, Level(*map(np.float64, level)))), labels


def _entropy(law: exact.Law, level: Level, surprise: np.ndarray, volume: float) -> Estimate:
    """The entropy of the law; where that is out of reach, the mean of −log p over draws. `volume` is added."""
    try:
        return Estimate(law.entropy(level) + volume, 0.0)
    except DiffuseError:
        mean, stderr = Estimate.of(surprise)
        return Estimate(mean + volume, stderr)


def _text(estimate: Estimate) -> str:
    return with_spread(*estimate) if estimate.stderr > _EXACT else f"{estimate.value:.4f}"

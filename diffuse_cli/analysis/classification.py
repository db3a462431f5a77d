"""How well a trained classifier tells the labels of noisy points, beside Bayes' rule with the exact laws."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffuse_cli.analysis.digits import with_spread
from diffuse_cli.analysis.schedule_check import Estimate
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level, add_noise
from diffuse_cli.models.build import Experiment
from diffuse_cli.models.classifier import Classifier
from diffuse_cli.models.data import Data


class Classification(NamedTuple):
    """What a classifier has learned, by the held-out points of its data.

    accuracy: the share of labels that it tells right at the least noise of its process.
    bayes: E max p(label | x) there, the accuracy of the best classifier. excess: KL(exact ‖ learned) in nats, the mean
    over the noise levels of its training. Both are None where the laws of the labels are unknown.
    """

    accuracy: Estimate
    bayes: Estimate | None = None
    excess: Estimate | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Names and values for a table."""
        rows = [("labels told right", f"{_per_cent(self.accuracy)}, at the least noise")]
        if self.bayes is not None and self.excess is not None:
            rows[0] = ("labels told right", f"{rows[0][1]}; by the exact classifier {_per_cent(self.bayes)}")
            rows.append(("excess loss", f"{self.excess.value:.1g} nats above the exact classifier, over all levels"))
        return rows

    def document(self) -> dict[str, Any]:
        """The same for a JSON file."""
        return {
            "excess_loss": self.excess and self.excess.value,
            "accuracy": self.accuracy._asdict(),
            "bayes_accuracy": self.bayes and self.bayes._asdict(),
        }


def classification(
    classifier: Classifier, experiment: Experiment, laws: Sequence[exact.Law], data: Data, *, seed: int = 0
) -> Classification:
    """The Classification of a classifier. laws: those of the labels, none where they are unknown.

    Where they are known, a point counts as right with its exact probability of having the label that it is given. This
    has the mean of counting the right ones and less variance, and is never above Bayes' rule on the same points.
    """
    process, shares = experiment.process, np.array(classifier.conditions.shares)

    @jax.jit
    def judge(x0: Array, labels: Array, seed: Array) -> tuple[Array, ...]:
        key_clean, key_noise, key_levels = jax.random.split(jax.random.key(seed), 3)

        def noised(key: Array, level: Level) -> tuple[Array, Level]:
            return add_noise(x0, jax.random.normal(key, x0.shape), level), level

        clean = noised(key_clean, process.level(1 / process.timesteps))
        told = jnp.argmax(classifier.log_p(*clean), axis=1)
        if not laws:
            return ((told == labels).astype(x0.dtype),)
        best = exact.classifier(laws, shares)
        p = jnp.exp(best(*clean))
        noisy = noised(key_noise, experiment.levels(process, key_levels, len(x0)))
        log_p = best(*noisy)
        excess = jnp.where(log_p > -jnp.inf, jnp.exp(log_p) * (log_p - classifier.log_p(*noisy)), 0.0)
        return jnp.take_along_axis(p, told[:, None], axis=1)[:, 0], jnp.max(p, axis=1), jnp.sum(excess, axis=1)

    each = judge(jnp.asarray(data.held_out), jnp.asarray(data.held_out_labels), np.uint32(seed))
    return Classification(*map(_mean, each))


def _mean(values: Array) -> Estimate:
    values = np.asarray(values, np.float64)
    return Estimate(float(values.mean()), float(values.std() / np.sqrt(len(values))))


def _per_cent(share: Estimate) -> str:
    value, stderr = 100 * share.value, 100 * share.stderr
    return f"{with_spread(value, stderr)} %" if stderr > 0 else f"{value:.2f} %"

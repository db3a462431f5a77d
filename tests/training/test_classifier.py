"""A classifier learns the exact one at each noise level, and its slope at the noisiest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.analysis.classification import classification
from diffuse_cli.datasets.dataset import standardise
from diffuse_cli.diffusion import exact
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.classifier import trained_classifier
from diffuse_cli.models.data import draw_data
from diffuse_cli.training import loop

SMALL = {"width": 16, "depth": 2, "batch_size": 64, "lr": 0.01, "train_size": 8000, "classifier": True}
LOG_SNRS = np.float32([-30.0, -4.0, -1.0, 2.0, 5.0])


@pytest.fixture(scope="module")
def learned():
    """Sides that overlap, of which the right one has a share of 0.25: the experiment, the state, the data, the laws."""
    settings = config.make(SMALL | {"dataset": "bimodal:distance=2,std=1,weight=0.25"})
    dataset = build.build_dataset(settings)
    made = build.build_experiment(settings, dataset.dim, conditions=build.conditions_of(settings, dataset))
    data = draw_data(settings, dataset)
    points = loop.Points(data.train, data.train_labels)
    *_, last = loop.fit(made, loop.initial_state(made), points, total=600)
    return made, last.state.average, data, [dataset.classes.exact(label) for label in range(2)]


@pytest.fixture(scope="module")
def classifier(learned):
    made, weights, data, _ = learned
    return trained_classifier(made, weights, "sides", standardise(data.train, per_column=True))


def test_it_comes_close_to_the_exact_classifier_at_each_level(learned, classifier):
    """KL(exact ‖ learned) in nats, over noised points of the data."""
    made, _, data, laws = learned
    x0 = jnp.asarray(data.held_out)
    best = exact.classifier(laws, np.array(classifier.conditions.shares))

    @jax.jit
    def at(log_snr, key):
        level = made.process.at(log_snr)
        x = level.alpha * x0 + level.sigma * jax.random.normal(key, x0.shape)
        p, q = best(x, level), classifier.log_p(x, level)
        one, other = (jax.grad(lambda x, f=f: jnp.sum(f(x, level)[:, 1]))(x) for f in (best, classifier.log_p))
        return jnp.mean(jnp.sum(jnp.exp(p) * (p - q), axis=1)), jnp.max(jnp.abs(one - other)) / level.alpha, q[0, 1]

    found = {
        float(log_snr): [float(value) for value in at(log_snr, jax.random.key(number))]
        for number, log_snr in enumerate(LOG_SNRS)
    }
    assert {log_snr: kl for log_snr, (kl, *_) in found.items() if not -1e-4 < kl < 0.02} == {}
    _, slope, log_p = found[-30.0]
    assert slope < 2  # of a network without the factor α it is above 10⁶
    assert log_p == pytest.approx(np.log(0.25), abs=1e-4)


def test_the_least_loss_is_that_of_the_exact_classifier(learned, classifier):
    made, weights, data, laws = learned
    points = loop.Points(data.held_out, data.held_out_labels)
    least, chance = loop.irreducible_loss(made, points, laws[0], laws).result()
    held_out = float(loop.held_out_function(made, points)(weights).mean()) - chance
    judged = classification(classifier, made, laws, data)
    assert held_out - least == pytest.approx(judged.excess.value, abs=2e-3)
    assert 0 < judged.excess.value < 0.02
    assert judged.bayes.value - 0.01 < judged.accuracy.value <= judged.bayes.value
    assert 0 < least < -0.25 * np.log(0.25) - 0.75 * np.log(0.75)  # x says something of the label


def test_without_laws_right_labels_are_counted(learned, classifier):
    made, _, data, laws = learned
    counted, expected = (classification(classifier, made, known, data) for known in ((), laws))
    assert (counted.bayes, counted.excess) == (None, None)
    assert counted.accuracy.value == pytest.approx(expected.accuracy.value, abs=5 * counted.accuracy.stderr)
    assert counted.document()["excess_loss"] is None


def test_no_label_is_left_out(learned):
    made, _, data, _ = learned
    points = loop.Points(data.train, data.train_labels)
    batch = jax.jit(lambda points, key: loop.draw_batch(made, points, key, 512))(points, jax.random.key(0))
    assert set(np.unique(batch.condition)) == {0, 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conditional": True}, "either --classifier or --conditional"),
        ({"variance": "learned"}, "--variance learned is of denoisers; leave it out"),
        ({"loss": "vlb"}, "--loss vlb is of denoisers"),
        ({"prediction": "eps"}, "--prediction eps is of denoisers"),
        ({"label_dropout": 0.5}, "--label-dropout 0.5 is of denoisers"),
        ({"schedule": "learned", "loss": "vlb"}, "give --schedule cosine in place of learned"),
    ],
)
def test_settings_that_only_a_denoiser_has(settings, message):
    with pytest.raises(UsageError, match=message):
        build.build_experiment(config.make(SMALL | settings), 1)

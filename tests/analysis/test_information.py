"""What labels are worth, against closed forms and quadrature on a line."""

import json

import numpy as np
import pytest
from scipy import stats

from diffuse_cli import catalog
from diffuse_cli.analysis.information import accuracy, information
from diffuse_cli.datasets.dataset import scaled
from diffuse_cli.datasets.gaussian_mixture import gaussian_mixture
from diffuse_cli.datasets.gaussians import bimodal
from diffuse_cli.diffusion.process import CLEAN, Process, unscaled
from diffuse_cli.errors import DiffuseError, UsageError

DRAWS = 4000


def on_a_line(distance, std, weight):
    """H(x), I(x; c) and the Bayes accuracy of two Gaussians, by sums over a fine grid."""
    x, step = np.linspace(-12, 12, 200_001, retstep=True)
    joint = np.stack(
        [(1 - weight) * stats.norm.pdf(x, -distance / 2, std), weight * stats.norm.pdf(x, distance / 2, std)]
    )
    p = joint.sum(axis=0)
    shares = np.array([1 - weight, weight])
    return (
        -step * np.sum(p * np.log(p, where=p > 0, out=np.zeros_like(p))),
        step * np.sum(joint * np.log(joint / (p * shares[:, None]), where=joint > 1e-300, out=np.zeros_like(joint))),
        step * joint.max(axis=0).sum(),
    )


@pytest.mark.parametrize(("distance", "std", "weight"), [(2.0, 0.8, 0.5), (1.0, 0.5, 0.2), (0.0, 0.5, 0.5)])
def test_two_gaussians_on_a_line(distance, std, weight):
    got = information(bimodal(distance=distance, std=std, weight=weight), draws=DRAWS)
    entropy, mutual, bayes = on_a_line(distance, std, weight)
    assert got.entropy.value == pytest.approx(entropy, abs=1e-5)
    assert [each.value for each in got.conditional] == pytest.approx([0.5 * np.log(2 * np.pi * np.e * std**2)] * 2)
    assert got.mutual == pytest.approx((mutual, 0.0), abs=1e-5)
    assert got.bayes.value == pytest.approx(bayes, abs=4 * got.bayes.stderr + 1e-9)
    if weight == 0.5:
        assert bayes == pytest.approx(stats.norm.cdf(distance / (2 * std)), abs=1e-6)
    assert got.mutual.value <= got.label_entropy == pytest.approx(stats.entropy([weight, 1 - weight]))


def test_noise_takes_information_and_never_gives_any():
    """The data-processing inequality, from all of H(c) for classes far apart to nothing."""
    dataset = bimodal(distance=4.0, std=0.3)
    levels = [CLEAN, *(Process(None, 1).at(np.float64(log_snr)) for log_snr in (3.0, 0.0, -3.0, -12.0))]
    each = [information(dataset, level=level, draws=DRAWS) for level in levels]
    mutual = [one.mutual.value for one in each]
    assert mutual[0] == pytest.approx(np.log(2), abs=1e-6)
    assert mutual[-1] == pytest.approx(0, abs=1e-5)
    assert (np.diff(mutual) < 0).all()
    assert (np.diff([one.bayes.value for one in each]) < 0).all()
    assert each[-1].bayes.value == pytest.approx(0.5, abs=0.01)


def test_in_many_columns_it_is_the_same_as_on_a_line():
    """Two Gaussians of three columns that differ in the first one alone: they tell as much as on a line."""
    std = 0.8
    places = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    got = information(gaussian_mixture(places, std**2 * np.eye(3), np.arange(2)), draws=DRAWS)
    entropy, mutual, bayes = on_a_line(2.0, std, 0.5)
    one_column = 0.5 * np.log(2 * np.pi * np.e * std**2)
    assert [each.value for each in got.conditional] == pytest.approx([3 * one_column] * 2)
    for value, expected in ((got.entropy, entropy + 2 * one_column), (got.mutual, mutual), (got.bayes, bayes)):
        assert value.stderr < 0.03
        assert value.value == pytest.approx(expected, abs=4 * value.stderr + 2e-3)
    noisy = information(
        gaussian_mixture(np.zeros((2, 3)), np.eye(3), np.array([0, 0])), level=unscaled(np.log(4.0)), draws=DRAWS
    )
    assert (noisy.mutual.value, noisy.label_entropy, noisy.bayes.value) == pytest.approx((0, 0, 1))
    # a standard deviation of 1 is 1 in model space as well, and the noise adds a quarter of its variance
    assert noisy.entropy.value == pytest.approx(
        1.5 * np.log(2 * np.pi * np.e * 1.25), abs=4 * noisy.entropy.stderr + 2e-3
    )


def test_units_change_entropies_only():
    dataset = bimodal(distance=2.0, std=0.8)
    one, other = information(dataset, draws=DRAWS), information(scaled(dataset, 10.0, 3.0), draws=DRAWS)
    assert other.entropy.value == pytest.approx(one.entropy.value + np.log(10))
    assert other.mutual.value == pytest.approx(one.mutual.value, abs=1e-6)
    assert other.bayes == pytest.approx(one.bayes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moons", "moons:noise=0.3", "pinwheel", "tree", "eight_gaussians"])
def test_by_draws_a_label_is_worth_what_the_entropies_say(name):
    """I(x; c) = E log p(x | c) / p(x) over labelled draws, which are independent of the quadrature."""
    dataset = catalog.build("dataset", name)
    got = information(dataset, draws=DRAWS)
    assert got.mutual.stderr == 0
    assert 0 < got.mutual.value <= got.label_entropy + 1e-6
    shifted = dataset._replace(exact=lambda: dataset.exact()._replace(entropy=out_of_reach))
    by_draws = information(shifted, draws=DRAWS).mutual
    assert by_draws.stderr > 0
    assert by_draws.value == pytest.approx(got.mutual.value, abs=5 * by_draws.stderr + 1e-5)


def out_of_reach(level):
    raise DiffuseError("out of reach")


def test_the_table_and_the_document_say_the_same():
    got = information(bimodal(distance=2.0, std=0.8), draws=DRAWS)
    rows, document = dict(got.rows()), json.loads(json.dumps(got.document()))
    assert list(rows) == ["H(x)", "H(x | left)", "H(x | right)", "I(x; label)", "Bayes accuracy"]
    assert rows["H(x)"] == f"{document['entropy']['value']:.4f} nats"
    assert rows["I(x; label)"].endswith("at most H(label) = 0.6931")
    assert rows["Bayes accuracy"].endswith("%")
    assert " ± " in rows["Bayes accuracy"]
    assert [label["name"] for label in document["labels"]] == ["left", "right"]
    assert document["mutual_information"]["value"] == got.mutual.value


def test_a_class_that_is_never_drawn_says_nothing():
    got = information(bimodal(weight=0.0), draws=DRAWS)
    assert got.mutual.value == pytest.approx(0, abs=1e-6)
    assert got.label_entropy == 0
    assert got.bayes.value == pytest.approx(1)


def test_a_classification_is_right_as_often_as_it_is():
    log_p = np.array([[0.0, -1.0, 0.0, 0.0], [-0.5, 0.0, -0.5, -9.0]])
    labels = np.array([0, 1, 1, 0])
    assert accuracy(log_p, np.array([0.5, 0.5]), labels) == pytest.approx((0.75, np.sqrt(0.75 * 0.25 / 4)))
    assert accuracy(log_p, np.array([0.1, 0.9]), labels).value == 0.75  # label 1, but for the last point
    assert accuracy(log_p, np.array([0.0, 1.0]), labels).value == 0.5


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("s_curve", UsageError, "the data have no labels"), ("moons:noise=0", DiffuseError, "a label has no density")],
)
def test_without_labels_or_densities_there_is_no_answer(name, error, message):
    with pytest.raises(error, match=message):
        information(catalog.build("dataset", name), draws=10)


def test_without_the_laws_of_labels_there_is_no_answer():
    dataset = bimodal()
    with pytest.raises(UsageError, match="the laws of the labels are not known"):
        information(dataset._replace(classes=dataset.classes._replace(exact=None)))

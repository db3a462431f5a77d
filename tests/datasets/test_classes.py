"""Sets mixed from labelled classes: one table over those that are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.dataset import with_label
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import UsageError
from tests.support.cases import BUILT_IN

SETS = [*BUILT_IN, "moons:scale=3", "curves:kind=two_shapes,dim=8"]
LABELLED = {name: dataset for name in SETS if (dataset := catalog.build("dataset", name)).classes}
every_labelled_set = pytest.mark.parametrize("name", LABELLED)
N = 2000


def log_probs(name, x, level):
    """log p(x | c) for each class, [classes, n], and log p(x), [n], in one program."""
    classes, law = LABELLED[name].classes, LABELLED[name].exact()
    parts = [classes.exact(label) for label in range(len(classes.shares))]

    @jax.jit
    def ask(x):
        return jnp.stack([exact.log_prob(part, x, level) for part in parts]), exact.log_prob(law, x, level)

    return map(np.asarray, ask(x))


def test_the_sets_that_have_classes():
    assert {name: len(dataset.classes.shares) for name, dataset in LABELLED.items() if ":" not in name} == {
        "moons": 2, "circles": 2, "rings": 4, "two_spirals": 2, "pinwheel": 5, "eight_gaussians": 8,
        "grid_gaussians": 25, "overlap": 2, "tree": 2, "shapes": 3, "text": 5, "drinks": 3, "rose": 5, "bimodal": 2,
    }  # fmt: skip


@every_labelled_set
def test_names_of_labels_are_one_for_each_and_all_different(name):
    classes = LABELLED[name].classes
    assert len(set(classes.label_names)) == len(classes.shares)


@pytest.mark.parametrize(
    ("name", "label", "place"),
    [
        ("moons", "upper", lambda x, y: y > 0.25),
        ("circles", "inner", lambda x, y: np.hypot(x, y) < 0.75),
        ("rings", "outermost", lambda x, y: np.hypot(x, y) > 0.875),
        ("rings", "innermost", lambda x, y: np.hypot(x, y) < 0.375),
        ("two_spirals:turns=0.5", "plus", lambda x, y: y > 0),
        ("eight_gaussians", "north_east", lambda x, y: np.hypot(x - 0.5**0.5, y - 0.5**0.5) < 0.3),
        ("eight_gaussians", "south", lambda x, y: np.hypot(x, y + 1) < 0.3),
        ("overlap:std=0.1", "upper", lambda x, y: y > 0),
        ("tree", "left", lambda x, y: x < 0),
    ],
)
def test_a_name_says_where_its_points_are(name, label, place):
    """Nearly all of them, and fewer of the others."""
    dataset = catalog.build("dataset", name)
    points, labels = dataset.classes.draw(np.random.default_rng(4), N)
    there, chosen = place(*points.T), labels == dataset.classes.label_names.index(label)
    assert there[chosen].mean() > 0.8
    assert there[~chosen].mean() < 0.3


def test_the_classes_of_overlap_do(x64):
    """The best classifier is right between 75 and 90 % of the time, as the ratio of the densities says."""
    dataset = LABELLED["overlap"]
    points, labels = dataset.classes.draw(np.random.default_rng(5), 20_000)
    of_classes, _ = log_probs("overlap", dataset.standard.to_model(points), Level(np.inf, 1.0, 0.0))
    assert 0.85 < (of_classes.argmax(axis=0) == labels).mean() < 0.9


@every_labelled_set
def test_a_draw_is_the_labelled_draw_without_its_labels(name):
    dataset = LABELLED[name]
    points, labels = dataset.classes.draw(np.random.default_rng(3), 100)
    np.testing.assert_array_equal(dataset.draw(np.random.default_rng(3), 100), points)
    assert labels.shape == (100,)
    assert np.issubdtype(labels.dtype, np.integer)


@every_labelled_set
def test_classes_come_as_often_as_they_say(name):
    classes = LABELLED[name].classes
    _, labels = classes.draw(np.random.default_rng(3), N)
    assert classes.shares.sum() == pytest.approx(1)
    found = np.bincount(labels, minlength=len(classes.shares)) / N
    assert np.abs(found - classes.shares).max() < 5 * np.sqrt(0.25 / N)


@every_labelled_set
def test_the_law_is_mixed_from_those_of_its_classes_and_they_are_those_of_the_labels(name, x64):
    """p(x) = Σ_c share_c p(x | c); and the label given x is c with probability p(c | x): the difference of the two is 0
    on average, alone and times each coordinate, within 5 standard errors."""
    dataset = LABELLED[name]
    level = Level(np.log(8.0), np.sqrt(8 / 9), 1 / 3)
    points, labels = dataset.classes.draw(np.random.default_rng(5), N)
    x = level.alpha * dataset.standard.to_model(points) + level.sigma * np.random.default_rng(6).normal(
        size=points.shape
    )
    of_classes, of_all = log_probs(name, x, level)
    joint = np.log(dataset.classes.shares)[:, None] + of_classes
    log_p = np.logaddexp.reduce(joint, axis=0)
    np.testing.assert_allclose(log_p, of_all, atol=1e-4)
    for label, posterior in enumerate(np.exp(joint - log_p)):
        surprise = (labels == label) - posterior
        for values in (surprise, *(surprise[:, None] * x).T):
            assert abs(values.mean()) < 5 * values.std() / np.sqrt(N)


def test_a_class_that_is_never_drawn_has_a_law_all_the_same(x64):
    dataset = catalog.build("dataset", "bimodal:weight=0,std=0.5")
    assert dataset.classes.shares.tolist() == [1, 0]
    log_p = exact.log_prob(dataset.classes.exact(1), dataset.standard.to_model(np.array([[2.0]])), Level(9.0, 1.0, 0.0))
    np.testing.assert_allclose(log_p, -0.5 * np.log(2 * np.pi), atol=1e-12)  # at its own mode, in units of std


@every_labelled_set
def test_the_points_with_one_label_have_the_law_of_that_class(name, x64):
    """Draws of the part average their exact denoiser's residual to 0: E[x0 − D(x)] = 0, within 5 standard errors."""
    whole, label = LABELLED[name], len(LABELLED[name].classes.shares) - 1
    part = with_label(whole, label)
    x0 = whole.standard.to_model(part.draw(np.random.default_rng(7), 500))
    level = Level(0.0, np.sqrt(0.5), np.sqrt(0.5))
    x = level.alpha * x0 + level.sigma * np.random.default_rng(8).normal(size=x0.shape)
    apart = x0 - np.asarray(jax.jit(exact.denoiser(part.exact()))(x, level).x0)
    assert part.classes is None
    assert (np.abs(apart.mean(axis=0)) < 5 * apart.std(axis=0) / np.sqrt(len(apart))).all()


def test_a_part_without_points_is_refused():
    with pytest.raises(UsageError, match="no point has the label right"):
        with_label(catalog.build("dataset", "bimodal:weight=0"), 1)
    with pytest.raises(UsageError, match="have no labels"):
        with_label(catalog.build("dataset", "heart"), 0)

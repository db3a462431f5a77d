"""Sets side by side, against the sets themselves."""

import functools

import jax
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.datasets.shapes import shapes
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import UsageError

N = 20_000
CLEAN = Level(np.inf, 1.0, 0.0)


@pytest.mark.parametrize(
    ("sets", "middles"),
    [
        ("moons+heart", [(-1.25, 0), (1.25, 0)]),
        ("rose+tree+sine", [(-2.5, 0), (0, 0), (2.5, 0)]),
        ("moons+heart+pinwheel+line:noise=0+two_spirals",
         [(-2.5, 1.25), (0, 1.25), (2.5, 1.25), (-2.5, -1.25), (0, -1.25)]),
    ],
)  # fmt: skip
def test_each_set_just_fits_into_its_square(sets, middles):
    dataset = shapes(sets=sets)
    points, labels = dataset.classes.draw(np.random.default_rng(0), N)
    for label, middle in enumerate(middles):
        apart = points[labels == label] - middle
        ends = np.quantile(apart, [0.01, 0.99], axis=0)
        np.testing.assert_allclose(ends.sum(axis=0), 0, atol=0.3)
        assert 1.6 < (ends[1] - ends[0]).max() < 2.1
        assert (np.abs(apart) < 1.25).mean() > 0.99  # in its own cell


def test_a_set_has_its_own_law_but_for_place_and_size(x64):
    """p(middle + unit x) = p_alone(x) / unit², and the entropy is larger by 2 log unit; model spaces."""
    whole, alone = shapes(sets="trefoil+overlap", gap=0.3, scale=2.0), catalog.build("dataset", "overlap")
    law, law_alone = whole.classes.exact(1), alone.exact()
    ends, ends_alone = (np.sort(law.gaussians().means, axis=0)[[0, -1]] for law in (law, law_alone))
    unit = np.diff(ends, axis=0)[0, 0] / np.diff(ends_alone, axis=0)[0, 0]
    middle = ends.mean(axis=0)
    np.testing.assert_allclose(whole.standard.to_data(middle), [2.3, 0], atol=1e-12)
    assert law.entropy(CLEAN) - 2 * np.log(unit) == pytest.approx(law_alone.entropy(CLEAN), abs=1e-5)
    x = np.random.default_rng(0).normal(size=(50, 2))
    log_p, log_p_alone = (
        jax.jit(functools.partial(exact.log_prob, law))(points, CLEAN)
        for law, points in ((law, middle + unit * x), (law_alone, x))
    )
    np.testing.assert_allclose(log_p + 2 * np.log(unit), log_p_alone, atol=1e-9)


def test_sets_that_are_apart_have_the_entropies_of_their_parts():
    dataset = shapes(sets="heart+eight_gaussians+heart")
    each = [dataset.classes.exact(label).entropy(CLEAN) for label in range(3)]
    assert dataset.classes.names == ("heart", "eight_gaussians", "heart2")
    assert each[0] == pytest.approx(each[2], abs=1e-6)
    assert dataset.exact().entropy(CLEAN) == pytest.approx(np.mean(each) + np.log(3), abs=1e-4)


def test_options_of_a_set_reach_it():
    few = catalog.build("dataset", 'shapes:"rose:petals=3,noise=1e-2+rose:petals=4",gap=1')
    points, labels = few.classes.draw(np.random.default_rng(0), N)
    left, right = (points[labels == c] for c in range(2))
    assert np.ptp(left[:, 1]) / np.ptp(left[:, 0]) > 1.05  # three petals are wider one way
    assert np.ptp(right[:, 1]) / np.ptp(right[:, 0]) == pytest.approx(1, abs=0.05)
    assert right[:, 0].min() - left[:, 0].max() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("shapes:moons", r"names 1 set\(s\)"),
        ("shapes:" + "+".join(["line"] * 17), r"names 17 set\(s\)"),
        ("shapes:moons+hart", "did you mean 'heart'"),
        ("shapes:moons+", r"names 1 set\(s\)|unknown dataset"),
        ("shapes:moons+bimodal", "bimodal has 1 columns"),
        ("shapes:moons+swiss_roll:dim=3", "has 3 columns"),
        ("shapes:moons+checkerboard", "checkerboard has edges"),
        ("shapes:moons+file:points.csv", "file is not one of the built-in sets"),
        ("shapes:moons+shapes:rose", "shapes is not one of the built-in sets"),
        ("shapes:moons+os.path:join", "os.path:join is not one of the built-in sets"),
        ("shapes:moons:noise=-1+heart", "noise=-1"),
    ],
)
def test_what_cannot_stand_side_by_side_is_refused(choice, says):
    with pytest.raises(UsageError, match=says):
        catalog.build("dataset", choice)

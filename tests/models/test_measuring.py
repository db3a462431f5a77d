"""From what is asked for to a measurement: values, words, sizes, seeds, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli.config import Config
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.models.build import build_dataset, build_process
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.measuring import Asked, measure

OWN = "tests.models.test_measuring"


def distance(points):
    return jnp.hypot(points[:, 0], points[:, 1])


def both(points):
    return jnp.stack([points[:, 0] ** 2, points[:, 1]], axis=1)


def turned(points):
    return points.T


def broken(points):
    raise ValueError("no such thing")


def model_of(dataset, folder):
    config = Config(dataset=dataset)
    return exact_model(config, build_dataset(config), folder, process=build_process(config))


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    return model_of("eight_gaussians", tmp_path_factory.mktemp("plane"))


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    return model_of("curves:dim=8", tmp_path_factory.mktemp("curves"))


PLANE = {
    "observe": (Asked(observe={"y": 0.5}), [[0, 1]], [0], [0.5], "y = 0.5"),
    "observe both": (Asked(observe={"y": 0.5, "x": 1.0}), [[0, 1], [1, 0]], [0, 0], [0.5, 1.0], "y, x = 0.5, 1"),
    "project": (Asked(project=(((1.0, 1.0), 0.3),), noise=(0.1,)), [[1, 1]], [0.1], [0.3], "x + y = 0.3"),
    "noisy": (Asked(noisy=(0.5, 1.0), noise=(0.2,)), np.eye(2), [0.2, 0.2], [0.5, 1.0], "a noisy point = 0.5, 1"),
    "two kinds": (
        Asked(observe={"x": 0.5}, project=(((1.0, -1.0), 0.3),), noise=(0.0, 0.1)),
        [[1, 0], [1, -1]],
        [0.0, 0.1],
        [0.5, 0.3],
        "x, x - y = 0.5, 0.3",
    ),
    "minus": (Asked(project=(((-2.0, 0.5), 0.3),)), [[-2, 0.5]], [0], [0.3], "-2 x + 0.5 y = 0.3"),
    "a matrix": (
        Asked(matrix=(np.array([[1.0, 2.0]]), "a.csv"), values=np.array([0.7])),
        [[1, 2]],
        [0],
        [0.7],
        "a.csv = 0.7",
    ),
    "a signal": (Asked(observe={"x": None}, signal=np.array([0.3, 0.9])), [[1, 0]], [0], [0.3], "x = 0.3"),
    "values of columns": (
        Asked(observe={"x": None, "y": None}, values=np.array([0.4])),
        np.eye(2),
        [0, 0],
        [0.4, 0.4],
        "x, y = 0.4, 0.4",
    ),
}


@pytest.mark.parametrize("name", PLANE)
def test_what_is_asked_for_is_measured(name, plane):
    asked, matrix, std, values, title = PLANE[name]
    measurement = measure(asked, plane, 0)
    np.testing.assert_array_equal(measurement.matrix, matrix)
    np.testing.assert_allclose(measurement.std, std)
    np.testing.assert_allclose(measurement.known_values, values)
    assert measurement.title == title


def test_noise_unless_it_is_said_how_much(plane, curves):
    """None, but for a noisy point, a blur and a function a twentieth of the scale of the data."""
    scale = plane.standard.scale[0]
    np.testing.assert_allclose(measure(Asked(noisy=(0.0, 0.0)), plane, 0).std, 0.05 * scale)
    np.testing.assert_allclose(measure(Asked(function=f"{OWN}:distance"), plane, 0).std, 0.05 * scale)
    np.testing.assert_allclose(measure(Asked(blur=2.0), curves, 0).std, 0.05 * curves.standard.scale[0])
    mixed = measure(Asked(observe={"x0": None}, blur=2.0), curves, 0)
    np.testing.assert_allclose(mixed.std, np.append(0.0, np.full(8, 0.05 * curves.standard.scale[0])))
    assert not measure(Asked(mask=0.5), curves, 0).std.any()
    assert not measure(Asked(random=3), curves, 0).std.any()


def test_a_seed_gives_the_same_and_another_seed_another(curves):
    for asked in (Asked(mask=0.5), Asked(random=3), Asked(blur=1.0), Asked(observe={"x3": None}, noise=(0.1,))):
        one, same, other = (measure(asked, curves, seed) for seed in (3, 3, 4))
        for first, second in ((one.matrix, same.matrix), (one.values, same.values), (one.signal, same.signal)):
            np.testing.assert_array_equal(first, second)
        assert not np.array_equal(one.signal, other.signal)
        noise = one.values - one.matrix @ one.signal
        assert (np.abs(noise) <= 5 * one.std + 1e-12).all()
        assert noise.any() == one.std.any()


def test_words_of_many_values(curves):
    assert measure(Asked(mask=0.25), curves, 0).title == "6 of 8 columns"
    assert measure(Asked(random=5), curves, 0).title == "5 random directions"
    assert measure(Asked(blur=1.5), curves, 0).title == "a blur of 1.5 columns"
    direction = tuple(range(8))
    assert measure(Asked(project=((direction, 0.1),)), curves, 0).title == "a projection = 0.1"


def test_own_code_is_measured(plane):
    one = measure(Asked(function=f"{OWN}:distance", noise=(0.1,), values=np.array([1.2])), plane, 0)
    assert (one.matrix, one.title) == (None, "distance = 1.2")
    np.testing.assert_allclose(one.predicted(np.array([[3.0, 4.0]])), [[5.0]])
    two = measure(Asked(function=f"{OWN}:both", noise=(0.1, 0.2), signal=np.array([2.0, 1.0])), plane, 0)
    assert np.abs(two.known_values - [4.0, 1.0]).max() < 1.0
    np.testing.assert_array_equal(two.std, [0.1, 0.2])


REFUSED = [
    (Asked(), "nothing is measured; give --observe x=0.5"),
    (Asked(observe={"z": 0.5}), r"unknown column 'z'. Known: x, y"),
    (Asked(observe={"x": 0.5, "y": None}), "--observe has values for some columns only"),
    (Asked(observe={"x": 0.5}, project=(((1.0, 1.0), None),)), "no value, and the others have some"),
    (Asked(observe={"x": 0.5}, values=np.ones(1)), "the values stand in --observe or --project already"),
    (Asked(observe={"x": 0.5}, signal=np.ones(2)), "there is no --signal to measure"),
    (Asked(observe={"x": None}, signal=np.ones(3)), "the signal has 3 values, and the data have 2 columns"),
    (Asked(project=(((1.0, 1.0, 1.0), None),)), "--project 1,1,1 has 3 columns, and the data have 2"),
    (Asked(noisy=(1.0,)), "--noisy has 1 number, and the data have 2 columns"),
    (Asked(matrix=(np.ones((2, 3)), "a.npy")), "a.npy has 3 columns, and the data have 2; .*turn it round"),
    (Asked(random=2, values=np.ones(3)), "--values has 3 numbers, and 2 values are measured"),
    (Asked(random=2, noise=(0.1, 0.2, 0.3)), "--noise has 3 numbers, and 2 values are measured"),
    (Asked(random=3), "of the 3 values without noise only 2 are independent; give --noise"),
    (Asked(observe={"x": 0.5}, project=(((2.0, 0.0), 1.0),)), "only 1 are independent"),
    (Asked(function=f"{OWN}:distance", observe={"x": 0.5}), "a function is measured alone"),
    (Asked(function="distance"), "own code is written module.path:name"),
    (Asked(function=f"{OWN}:distance", noise=(0.0,)), "a function needs noise in each value"),
    (Asked(function=f"{OWN}:turned"), r"gives \[2, 3\] for points \[3, 2\]; it has to give \[3, m\]"),
    (Asked(function=f"{OWN}:distance", values=np.ones(2)), "--values has 2 numbers, and 1 value is measured"),
]


@pytest.mark.parametrize(("asked", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_refused(asked, message, plane):
    with pytest.raises(UsageError, match=message):
        measure(asked, plane, 0)


def test_code_that_fails_is_named(plane):
    with pytest.raises(DiffuseError, match=rf"--function {OWN}:broken failed for points \[3, 2\]: no such thing"):
        measure(Asked(function=f"{OWN}:broken"), plane, 0)
    with pytest.raises(DiffuseError, match="nothing"):
        measure(Asked(function=f"{OWN}:nothing"), plane, 0)

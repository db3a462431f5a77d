"""Measurements in data units and in model space: values, words, noise, and directions that are measured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from diffuse_cli.datasets.dataset import Standardiser
from diffuse_cli.errors import UsageError
from diffuse_cli.inverse.measurement import Measurement, check_linear, stacked
from diffuse_cli.inverse.observed import observe, observe_rows

RNG = np.random.default_rng(0)
STANDARD = Standardiser(np.array([0.4, -1.5, 3.0]), np.array([2.0, 0.5, 10.0]))
MATRIX = np.array([[1.0, 0.0, 0.0], [0.5, -2.0, 0.0], [0.0, 0.0, 3.0], [1.0, 1.0, 1.0]])
NOISE = np.array([0.1, 0.4, 2.0, 0.0])
NOISY = np.array([0.1, 0.4, 2.0, 1.0])


def test_what_is_measured_is_written_out_if_it_is_short():
    values = np.array([0.5, 1.23456789])
    assert Measurement("x, y", np.eye(2), np.zeros(2), values).title == "x, y = 0.5, 1.235"
    assert Measurement("5 columns", np.eye(5), np.zeros(5), np.ones(5)).title == "5 columns"
    unknown = Measurement("x", np.eye(1), np.zeros(1))
    assert unknown.title == "x"
    with pytest.raises(UsageError, match="x: no value was measured"):
        assert unknown.known_values


def test_a_signal_is_measured_with_its_noise():
    measurement = Measurement("A", MATRIX, NOISE)
    signal = np.array([1.0, 2.0, -1.0])
    assert measurement.exact
    assert not measurement._replace(std=NOISY).exact
    y = measurement.drawn(np.tile(signal, (20_000, 1)), np.random.default_rng(0)) - MATRIX @ signal
    np.testing.assert_allclose(y.std(axis=0), NOISE, rtol=0.02)
    assert (np.abs(y.mean(axis=0)) <= 4 * NOISE / np.sqrt(len(y))).all()
    seen = measurement.of_signal(signal, np.random.default_rng(0))
    assert seen.known_values[3] == MATRIX[3] @ signal
    np.testing.assert_array_equal(seen.signal, signal)


def test_several_measurements_are_one():
    first = Measurement("x", np.eye(3)[:1], np.zeros(1), np.array([0.5]))
    second = Measurement("y + z", np.array([[0.0, 1.0, 1.0]]), np.array([0.2]), np.array([2.0]))
    both = stacked([first, second])
    assert both.title == "x, y + z = 0.5, 2"
    assert both.std.tolist() == [0.0, 0.2]
    assert stacked([first]) is first
    assert stacked([first._replace(values=None), second._replace(values=None)]).values is None
    with pytest.raises(UsageError, match=r"y \+ z: no value, and the others have some; give all values, or none"):
        stacked([first, second._replace(values=None)])
    with pytest.raises(UsageError, match="a function is measured alone"):
        stacked([first, Measurement("f", None, np.ones(1), np.ones(1), lambda x: x[:, :1])])


def test_values_without_noise_have_to_be_independent():
    turned = np.array([[1.0, 1.0], [1.0, -1.0], [2.0, 0.0]])
    check_linear(turned[:2], np.zeros(2), "y")
    check_linear(turned, np.array([0.0, 0.0, 0.1]), "y")
    check_linear(1e9 * turned[:2], np.zeros(2), "y")
    for matrix, independent in ((turned, 2), (np.zeros((1, 2)), 0), (np.array([[1.0, 0.0], [1.0, 1e-9]]), 1)):
        message = f"of the {len(matrix)} values without noise only {independent} are independent; give --noise"
        with pytest.raises(UsageError, match=message):
            check_linear(matrix, np.zeros(len(matrix)), "y")


def test_the_likelihood_in_model_space_is_that_of_the_data_but_for_the_units(x64):
    """log p(y | x) = the log-likelihood there less `log_unit`, for a matrix, one for each row, a function."""
    points = RNG.normal(size=(5, 3)) * STANDARD.scale
    y = np.array([1.0, -0.5, 7.0, 2.0])
    expected = stats.norm.logpdf(y, points @ MATRIX.T, NOISY).sum(axis=1)
    linear = Measurement("A", MATRIX, NOISY, y)
    function = Measurement("f", None, NOISY, y, lambda x: x @ jnp.asarray(MATRIX.T, x.dtype))
    each = [np.repeat(part[None], 5, axis=0) for part in (MATRIX, y, NOISY)]
    for observed in (observe(linear, STANDARD), observe(function, STANDARD), observe_rows(*each, STANDARD)):
        seen = jax.jit(observed.log_likelihood)(STANDARD.to_model(points))
        np.testing.assert_allclose(seen - float(observed.log_unit), expected, atol=1e-9)


def test_a_column_that_is_measured_has_the_variance_of_the_column():
    """The unit of a value is the spread of what it measures, so that all values count alike."""
    observed = observe(Measurement("all", np.eye(3), np.zeros(3), np.zeros(3)), STANDARD)
    np.testing.assert_allclose(observed.matrix[0], np.eye(3))
    np.testing.assert_allclose(observed.y[0], -STANDARD.mean / STANDARD.scale)


def test_the_tangent_of_a_function(x64):
    def bent(points):
        return jnp.stack([jnp.sin(points[:, 0]) * points[:, 1], points[:, 2] ** 2], axis=1)

    observed = observe(Measurement("f", None, np.ones(2), np.zeros(2), bent), STANDARD)
    x = RNG.normal(size=(4, 3))

    @jax.jit
    def run(x):
        return observed.near(x), jax.vmap(jax.jacrev(lambda row: observed.near(row[None]).value[0]))(x)

    (value, slope), jacobian = run(x)
    assert value.shape == (4, 2)
    np.testing.assert_allclose(slope, jacobian, atol=1e-12)


def directions_of(matrix, std, y):
    return observe(Measurement("y", np.asarray(matrix), np.asarray(std), np.asarray(y)), STANDARD)


def test_separate_directions_say_the_same_as_the_measurement():
    """The likelihood is a product over orthonormal directions, whatever A is, up to a constant factor."""
    for rows in ([0], [0, 1], [0, 1, 2, 3]):
        observed = directions_of(MATRIX[rows], NOISY[rows], np.arange(len(rows)) + 0.5)
        basis, values, std = (part[0] for part in observed.separated)
        used = np.abs(basis).sum(axis=1) > 0
        np.testing.assert_allclose((basis @ basis.T)[used][:, used], np.eye(used.sum()), atol=1e-9)
        x = RNG.normal(size=(6, 3))
        apart = stats.norm.logpdf(values[used], x @ basis[used].T, std[used]).sum(axis=1)
        seen = stats.norm.logpdf(observed.y[0], x @ observed.matrix[0].T, np.sqrt(observed.variance[0])).sum(axis=1)
        np.testing.assert_allclose(apart - seen, (apart - seen)[0], atol=1e-6)


@pytest.mark.parametrize("length", [1e-4, 1.0, 1e5])
def test_without_noise_a_direction_is_certain_whatever_the_length_of_its_row(length):
    """In other units a value without noise is still one; its direction and its value there are the same."""
    observed = directions_of(
        length * np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]]), [0.0, 0.3 * length], [0.3 * length, 1.0]
    )
    basis, values, std = (part[0] for part in observed.separated)
    certain = std == 0
    assert certain.sum() == 1
    direction = np.array([2.0, 0.5, 0.0]) / np.hypot(2.0, 0.5)
    np.testing.assert_allclose(np.abs(basis[certain][0]), direction, atol=1e-9)
    value = (0.3 + 1.1) / np.hypot(2.0, 0.5)  # y less A mean, over the length of the row in model space
    np.testing.assert_allclose(basis[certain][0] @ direction * values[certain], value, atol=1e-8)


def test_a_row_of_zeros_measures_nothing():
    matrix = np.array([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    observed = observe_rows(matrix, np.array([[2.4, 0.0], [0.0, -1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), STANDARD)
    basis, values, std = observed.separated
    used = np.abs(basis).sum(axis=2) > 0
    assert used.sum(axis=1).tolist() == [1, 1]
    np.testing.assert_allclose(np.abs(basis[used]), np.eye(3)[:2])
    np.testing.assert_allclose(np.abs(values[used]), 1.0)
    assert (std[used] == 0).all()

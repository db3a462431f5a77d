"""Draws of x given a measurement, by a model: shapes, seeds, what is certain, and samplers that a method cannot use."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.errors import UsageError
from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.inverse.observed import observe
from diffuse_cli.models.measuring import Asked, measure
from diffuse_cli.models.solving import check_model, draw_posterior, way_of
from tests.inverse.table import METHODS
from tests.models.test_measuring import model_of

STEPS, COUNT = 6, 64


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    return model_of("overlap", tmp_path_factory.mktemp("plane"))


def solved(model, measurement, text, seed=0, values=None, count=COUNT, **chosen):
    way = way_of(text, **{"steps": STEPS} | chosen)
    return draw_posterior(model, measurement, observe(measurement, model.standard, values), way, count, seed)


@pytest.mark.parametrize("name", METHODS)
def test_samples_have_the_value_that_is_measured(name, plane):
    """Without noise: exactly, in data units. And a seed gives the same samples, another one others."""
    measurement = measure(Asked(project=(((1.0, -2.0), 0.3),)), plane, 0)
    one, same, other = (solved(plane, measurement, name, seed) for seed in (1, 1, 2))
    assert one.samples.shape == (COUNT, 2)
    np.testing.assert_allclose(measurement.predicted(one.samples), 0.3, atol=1e-9)
    np.testing.assert_array_equal(one.samples, same.samples)
    assert np.abs(one.samples - other.samples).max() > 0.01
    assert one.samples.std(axis=0).min() > 0.05
    assert (one.populations is not None) == way_of(name).rule.weighted


@pytest.mark.parametrize("name", METHODS)
def test_each_sample_may_have_a_value_of_its_own(name, plane):
    measurement = measure(Asked(observe={"x": 0.3}), plane, 0)
    values = np.linspace(-2, 2, 4).repeat(COUNT // 4)[:, None]
    way = way_of(name, steps=STEPS).in_populations(COUNT // 4)
    observed = observe(measurement, plane.standard, values)
    drawn = draw_posterior(plane, measurement, observed, way, COUNT, 0)
    np.testing.assert_allclose(drawn.samples[:, :1], values, atol=1e-9)
    if drawn.populations is not None:
        assert drawn.populations.size.tolist() == [COUNT // 4] * 4


def test_of_a_short_row_too_the_value_is_exact(plane):
    for length in (1e-3, 1e3):
        measurement = measure(Asked(project=(((length, length), 0.2 * length),)), plane, 0)
        drawn = solved(plane, measurement, "replacement")
        np.testing.assert_allclose(drawn.samples.sum(axis=1), 0.2, atol=1e-9)


def test_what_has_noise_is_not_set(plane):
    """A value without noise is exact, one with noise beside it is not."""
    measurement = measure(Asked(observe={"x": 0.3, "y": 0.1}, noise=(0.0, 0.4)), plane, 0)
    drawn = solved(plane, measurement, "mmps")
    np.testing.assert_allclose(drawn.samples[:, 0], 0.3, atol=1e-9)
    assert drawn.samples[:, 1].std() > 0.05


def squared(points):
    return jnp.sum(points**2, axis=1, keepdims=True)


def test_functions_are_for_methods_that_need_no_matrix(plane):
    measurement = Measurement("squared", None, np.array([0.3]), np.array([2.0]), squared)
    for name in METHODS:
        if way_of(name).rule.linear:
            with pytest.raises(UsageError, match=f"{name} needs a linear measurement, and squared is a function"):
                solved(plane, measurement, name)
    near = solved(plane, measurement, "pigdm", steps=40, count=256).samples
    assert abs((near**2).sum(axis=1).mean() - 2.0) < 0.5


def test_evaluations_are_counted(plane):
    """Of a network, forwards and backwards: with m values m + 1 times in a step of mmps, twice in one of pigdm."""
    measurement = measure(Asked(noisy=(0.3, 0.1), noise=(0.3,)), plane, 0)
    counts = {name: solved(plane, measurement, f"{name}").evals for name in ("replacement", "pigdm", "mmps", "dps")}
    plain = counts["replacement"]
    assert plain == STEPS
    assert counts == {"replacement": plain, "pigdm": 2 * plain, "mmps": 3 * plain, "dps": 2 * plain}
    assert way_of("repaint:rounds=4").rule.evaluations(2) == 1


REFUSED = [
    ("tds", "ddim", "weighs particles .*leave out --sampler, or give --sampler twisted"),
    ("mmps", "twisted", "is for particles with weights, which mmps has not; give --sampler ddpm"),
    ("replacement", "dpmpp_2m", "dpmpp_2m relies on earlier ones; give --sampler ddpm"),
    ("dps", "ode", "ode relies on earlier ones; give --sampler ddpm"),
    ("repaint", "ddim", "repaint draws each step anew, and ddim draws nothing; give --sampler ddpm"),
    ("mmps", "jump", "jump jumps by a flow map.*give --sampler ddpm"),
    ("pigdm", "ddpm:learned", "needs the variance of x0.*give --sampler ddpm"),
]


@pytest.mark.parametrize(("name", "sampler", "message"), REFUSED, ids=[f"{a} {b}" for a, b, _ in REFUSED])
def test_samplers_that_a_method_cannot_use_are_refused_with_one_that_it_can(name, sampler, message):
    with pytest.raises(UsageError, match=message) as refused:
        way_of(name, sampler=sampler)
    offered = re.findall(r"--sampler (\w+)", str(refused.value))[-1]
    assert way_of(name, sampler=offered).method.sampler == offered


def test_every_method_comes_with_a_sampler_that_it_can_use():
    for name in METHODS:
        way = way_of(name)
        assert way_of(name, sampler=way.method.sampler) == way
        assert way.method.grid == catalog.build("sampler", way.method.sampler).grid


def test_a_sampler_of_single_points_has_one_measurement(plane):
    measurement = measure(Asked(observe={"x": 0.3}), plane, 0)
    np.testing.assert_allclose(solved(plane, measurement, "mmps", sampler="ode", count=8).samples[:, 0], 0.3)
    with pytest.raises(UsageError, match=r"ode takes each sample by itself.*give --sampler ddpm"):
        solved(plane, measurement, "mmps", sampler="ode", values=np.zeros((8, 1)), count=8)


def test_models_of_more_than_one_law_are_refused(plane):
    check_model(plane)
    check_model(plane.with_label("upper"))
    with pytest.raises(UsageError, match="a measurement is of one law; give one --label"):
        check_model(plane.with_all_labels())
    with pytest.raises(UsageError, match="has learned the velocity of a flow"):
        check_model(plane._replace(kind="flow"))


def test_a_label_is_told_too(plane):
    """Given the label upper, whose means are above, and x, few samples lie below."""
    measurement = measure(Asked(observe={"x": -0.5}), plane, 0)
    upper, lower = (
        solved(plane.with_label(label), measurement, "mmps", steps=20).samples[:, 1] for label in ("upper", "lower")
    )
    assert upper.mean() - lower.mean() > 0.5

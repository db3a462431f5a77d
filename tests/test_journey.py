"""Paths between data and noise, in one space."""

from pathlib import Path

import numpy as np
import pytest

from diffuse_cli import config, experiment, generate, journey, sources
from diffuse_cli.generate import Method

METHOD = Method("ddim", "uniform", 6)


def an_exact_one(**changes):
    settings = config.make({"dataset": "bimodal"} | changes)
    dataset = experiment.dataset_of(settings)
    process = experiment.process_of(settings)
    return sources.exact_of(settings, dataset, Path("outputs"), process=process), dataset


@pytest.fixture(scope="module", params=[None, "variance_exploding", "straight_flow"])
def both_ways(request):
    source, dataset = an_exact_one(scaling=request.param)
    drawn = generate.draw(source, METHOD, 2000, 3, trajectory=True)
    return source, dataset, drawn, journey.reverse(source, drawn), journey.forward(source, METHOD, dataset, 2000, 3)


def test_they_go_opposite_ways_through_the_same_levels(both_ways):
    *_, back, ahead = both_ways
    np.testing.assert_array_equal(back.log_snr, ahead.log_snr[::-1])
    np.testing.assert_array_equal(back.back().x, back.x[::-1])
    assert (np.diff(ahead.t) > 0).all()
    assert ahead.log_snr[0] == np.inf
    assert (ahead.t[0], ahead.t[-1]) == (0.0, 1.0)


def test_one_ends_in_the_data_and_the_other_begins_there(both_ways):
    source, dataset, drawn, back, ahead = both_ways
    np.testing.assert_allclose(source.standard.to_data(back.x[-1]), drawn.samples, rtol=1e-5, atol=1e-5)
    data = dataset.draw(np.random.default_rng(3), 2000)
    np.testing.assert_allclose(source.standard.to_data(ahead.x[0]), data, rtol=1e-5, atol=1e-5)


def test_a_point_ends_in_the_noise_that_it_starts_from(both_ways):
    *_, back, ahead = both_ways
    np.testing.assert_allclose(ahead.x[-1], back.x[0], atol=1e-3)  # as much of the data as is left at t = 1


def test_every_frame_has_unit_variance(both_ways):
    *_, ahead = both_ways
    np.testing.assert_allclose(ahead.x.var(axis=(1, 2)), 1.0, atol=0.12)


def test_a_schedule_that_ends_early_shows_a_gap():
    source, dataset = an_exact_one(schedule="sigmoid:start=1e-5,end=5e-3", timesteps=100)
    drawn = generate.draw(source, METHOD, 500, 0, trajectory=True)
    gap = journey.forward(source, METHOD, dataset, 500, 0).x[-1] - journey.reverse(source, drawn).x[0]
    assert np.abs(gap).mean() > 0.3


def test_times_are_where_the_schedule_has_these_levels():
    process = experiment.process_of(config.make({}))
    t = np.array([0.0, 0.01, 0.3, 0.77, 1.0])
    np.testing.assert_allclose(journey.times(process, process.schedule(t)), t, atol=1e-4)


def test_some_of_a_journey():
    given = journey.Journey(np.arange(12.0).reshape(3, 2, 2), np.arange(3.0), np.arange(3.0))
    picked = given.at(np.array([0, 2]))
    assert picked.t.tolist() == [0, 2]
    np.testing.assert_array_equal(picked.x, given.x[[0, 2]])

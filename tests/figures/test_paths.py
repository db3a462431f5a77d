"""Paths between data and noise, in one space."""

from pathlib import Path

import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.figures import paths
from diffuse_cli.models import build, draw
from diffuse_cli.models.draw import Method
from diffuse_cli.models.exact_model import exact_model
from tests.support.cases import few_fast

METHOD = Method("ddim", "uniform", 6)


def an_exact_one(**changes):
    settings = config.make({"dataset": "bimodal"} | changes)
    dataset = build.build_dataset(settings)
    process = build.build_process(settings)
    return exact_model(settings, dataset, Path("outputs"), process=process), dataset


@pytest.fixture(scope="module", params=few_fast([None, "variance_exploding", "straight_flow"], None, "straight_flow"))
def both_ways(request):
    model, dataset = an_exact_one(scaling=request.param)
    drawn = draw.draw_samples(model, METHOD, 2000, 3, trajectory=True)
    return (
        model,
        dataset,
        drawn,
        paths.reverse_trajectory(model, drawn),
        paths.forward_trajectory(model, METHOD, dataset, 2000, 3),
    )


def test_they_go_opposite_ways_through_the_same_levels(both_ways):
    *_, back, ahead = both_ways
    np.testing.assert_array_equal(back.log_snr, ahead.log_snr[::-1])
    np.testing.assert_array_equal(back.back().x, back.x[::-1])
    assert (np.diff(ahead.t) > 0).all()
    assert ahead.log_snr[0] == np.inf
    assert (ahead.t[0], ahead.t[-1]) == (0.0, 1.0)


def test_one_ends_in_the_data_and_the_other_begins_there(both_ways):
    model, dataset, drawn, back, ahead = both_ways
    np.testing.assert_allclose(model.standard.to_data(back.x[-1]), drawn.samples, rtol=1e-5, atol=1e-5)
    data = dataset.draw(np.random.default_rng(3), 2000)
    np.testing.assert_allclose(model.standard.to_data(ahead.x[0]), data, rtol=1e-5, atol=1e-5)


def test_a_point_ends_in_the_noise_that_it_starts_from(both_ways):
    *_, back, ahead = both_ways
    np.testing.assert_allclose(ahead.x[-1], back.x[0], atol=1e-3)  # as much of the data as is left at t = 1


def test_every_frame_has_unit_variance(both_ways):
    *_, ahead = both_ways
    np.testing.assert_allclose(ahead.x.var(axis=(1, 2)), 1.0, atol=0.12)


def test_a_schedule_that_ends_early_shows_a_gap():
    model, dataset = an_exact_one(schedule="sigmoid:start=1e-5,end=5e-3", timesteps=100)
    drawn = draw.draw_samples(model, METHOD, 500, 0, trajectory=True)
    gap = paths.forward_trajectory(model, METHOD, dataset, 500, 0).x[-1] - paths.reverse_trajectory(model, drawn).x[0]
    assert np.abs(gap).mean() > 0.3


def test_times_are_where_the_schedule_has_these_levels():
    process = build.build_process(config.make({}))
    t = np.array([0.0, 0.01, 0.3, 0.77, 1.0])
    np.testing.assert_allclose(paths.times_of(process, process.levels_at(t).log_snr), t, atol=1e-4)


def test_some_of_a_journey():
    given = paths.Trajectory(np.arange(12.0).reshape(3, 2, 2), np.arange(3.0), np.arange(3.0))
    picked = given.at(np.array([0, 2]))
    assert picked.t.tolist() == [0, 2]
    np.testing.assert_array_equal(picked.x, given.x[[0, 2]])

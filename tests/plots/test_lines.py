import numpy as np
import pytest

from diffuse_cli.plots.lines import apart, pattern


def test_labels_that_have_room_stay():
    np.testing.assert_allclose(apart(np.array([0.1, 0.4, 0.9]), 0.05), [0.1, 0.4, 0.9])


def test_labels_in_one_place_spread_evenly_around_it():
    np.testing.assert_allclose(apart(np.array([0.5, 0.5, 0.5]), 0.1), [0.4, 0.5, 0.6])


@pytest.mark.parametrize("seed", range(5))
def test_no_two_labels_are_nearer_than_the_gap_and_none_moves_more_than_it_must(seed):
    places = np.sort(np.random.default_rng(seed).random(12))
    moved = apart(places, 0.06)
    assert np.diff(moved).min() > 0.06 - 1e-12
    assert np.sum(moved - places) == pytest.approx(0)  # the mean of each pool stays where it was
    others = np.sort(np.random.default_rng(9).random((500, 12)), axis=1) + 0.06 * np.arange(12)
    assert np.sum((moved - places) ** 2) <= np.sum((others - places) ** 2, axis=1).min()


def test_patterns_come_round_again():
    assert pattern(0) == pattern(6) == "solid"
    assert len({str(pattern(i)) for i in range(6)}) == 6

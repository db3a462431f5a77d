"""A model that repeats its training points, one that does not, and one that misses them."""

import json

import numpy as np
import pytest

from diffuse_cli.metrics.memorisation import memorisation


def draw(seed, n, d=2):
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize("d", [2, 20])
def test_copies_are_found(d):
    training = draw(0, 300, d)
    found = memorisation(training[:200], training, draw(1, 250, d))
    assert found.median == pytest.approx(0, abs=1e-6)
    assert found.held_out_median > 0.01
    assert (found.close_share, found.nearer, found.nearer_stderr) == (1, 1, 0)


def test_some_copies_among_fresh_samples():
    training = draw(0, 1000)
    samples = np.vstack([training[:300], draw(1, 700)])
    found = memorisation(samples, training, draw(2, 1000))
    # three tenths are always nearer, the others as often as not
    assert found.nearer == pytest.approx(0.3 + 0.7 / 2, abs=4 * found.nearer_stderr)
    assert found.nearer - 4 * found.nearer_stderr > 0.5
    assert found.close_share == pytest.approx(0.3 + 0.7 * 0.05, abs=0.04)


def test_fresh_samples_are_as_near_as_held_out_points():
    training = draw(0, 1000)
    found = [memorisation(draw(2 * i + 1, 400), training, draw(2 * i + 2, 600)) for i in range(50)]
    scores = np.array([(each.nearer - 0.5) / each.nearer_stderr for each in found])
    assert abs(scores.mean()) < 4 / np.sqrt(50)
    assert scores.std(ddof=1) == pytest.approx(1, abs=4 / np.sqrt(100))
    assert np.mean([each.close_share for each in found]) == pytest.approx(0.05, abs=0.01)


def test_samples_that_stray_are_not_called_copies():
    found = memorisation(draw(1, 200) + 50, draw(0, 300), draw(2, 200))
    assert (found.close_share, found.nearer) == (0, 0)
    assert found.median > found.held_out_median


def test_the_answer_is_plain_numbers():
    found = memorisation(draw(1, 20), draw(0, 30), draw(2, 20), close=0.1)
    assert json.loads(json.dumps(found._asdict())) == found._asdict()
    assert found.close == 0.1


@pytest.mark.parametrize("m", [3, 30, 31, 200])
def test_few_held_out_points_judge_nothing(m):
    """31 are the least by which a model that copies half of its samples is told from one that copies none."""
    assert memorisation(draw(0, 5000), draw(1, 300), draw(2, m)).judges is (m >= 31)


@pytest.mark.slow
def test_enough_held_out_points_do_tell_half_of_copies():
    told = 0
    for seed in range(40):
        training = draw([seed, 0], 300)
        samples = np.vstack([training[:150], draw([seed, 1], 150)])
        answer = memorisation(samples, training, draw([seed, 2], 40))
        assert answer.judges
        told += (answer.nearer - 0.5) * np.sqrt(12 * 300 * 40 / 341) > 3.09
    assert told >= 34

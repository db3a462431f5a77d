"""How training picks noise levels: within the schedule's range, with the distribution it says."""

import jax
import numpy as np
import pytest
from scipy import stats

from diffuse_cli import catalog
from diffuse_cli.diffusion.process import Process
from diffuse_cli.diffusion.schedules import cosine

T, N = 50, 4000
PROCESS = Process(cosine(T), T)
KNOTS = np.asarray(PROCESS.knots().log_snr)[1:]


def draw(name, n=N, seed=0):
    return catalog.build("levels", name)(PROCESS, jax.random.key(seed), n)


@pytest.mark.parametrize("name", catalog.CATALOG["levels"])
def test_stays_on_the_schedule(name):
    level = draw(name)
    assert level.log_snr.shape == level.alpha.shape == level.sigma.shape == (N, 1)
    assert level.log_snr.min() >= KNOTS[-1] * (1 + 1e-5)
    assert level.log_snr.max() <= KNOTS[0] * (1 + 1e-5)
    np.testing.assert_allclose(level.alpha**2 + level.sigma**2, 1, rtol=1e-5)


@pytest.mark.parametrize("name", catalog.CATALOG["levels"])
def test_depends_on_the_key_alone(name):
    np.testing.assert_array_equal(draw(name).log_snr, draw(name).log_snr)
    assert (draw(name, seed=1).log_snr != draw(name).log_snr).any() or name == "discrete"


@pytest.mark.parametrize("n", [5, 4000])
def test_discrete_takes_every_knot_alike(n):
    drawn = np.concatenate([np.asarray(draw("discrete", n, seed).log_snr)[:, 0] for seed in range(max(1, 4000 // n))])
    nearest = np.abs(drawn[:, None] - KNOTS).argmin(axis=1)
    np.testing.assert_allclose(drawn, KNOTS[nearest], rtol=1e-4)
    counts = np.bincount(nearest, minlength=T)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_continuous_is_uniform_in_time():
    t = np.interp(-np.asarray(draw("continuous").log_snr)[:, 0], -KNOTS, np.arange(1, T + 1) / T)
    assert abs(t.mean() - (1 + 1 / T) / 2) < 0.01
    assert abs((t > 0.5).mean() - 0.5 / (1 - 1 / T)) < 0.01


@pytest.mark.parametrize(("mean", "std"), [(1, 2), (-20, 2), (15, 1.5), (3, 3)])
def test_normal_is_a_normal_cut_to_the_schedule(mean, std):
    drawn = np.asarray(draw(f"normal:mean={mean},std={std}").log_snr)[:, 0]
    cut = stats.truncnorm((KNOTS[-1] - mean) / std, (KNOTS[0] - mean) / std, mean, std)
    assert stats.kstest(drawn, cut.cdf).statistic < 0.005  # stratified: far closer than independent draws would be

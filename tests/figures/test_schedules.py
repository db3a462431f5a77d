"""Noise schedules beside each other."""

import numpy as np

from diffuse_cli.analysis.schedule_check import Estimate
from diffuse_cli.figures.schedules import plot_schedules


def test_the_kl_is_smooth_between_the_levels_at_which_it_is_computed():
    """Against a KL in closed form, of normal data with twice the variance of the noise."""

    def kl_of(log_snr):
        extra = 1 / (1 + np.exp(-log_snr))
        return 0.5 * (extra - np.log1p(extra))

    def schedule(t):
        return 9 - 20 * np.asarray(t, float) ** 0.5

    figure = plot_schedules(
        {"linear": schedule}, timesteps=1000, kl_at=lambda level: Estimate(kl_of(level.log_snr), 0.0)
    )
    line = figure.axes[3].lines[0]
    t, kl = line.get_xdata(), line.get_ydata()
    seen = (kl > 1e-6) & (t > 0.02)
    exact = kl_of(schedule(t[seen]))
    np.testing.assert_allclose(kl[seen], exact, rtol=0.01)
    bends, exactly = (np.diff(np.log(each), 2) for each in (kl[seen], exact))
    assert np.abs(bends - exactly).max() < 1e-3, "the curve has a kink"

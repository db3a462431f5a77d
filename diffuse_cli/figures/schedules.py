"""Noise schedules beside each other."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy.interpolate import PchipInterpolator

from diffuse_cli.analysis.schedule_check import Estimate
from diffuse_cli.diffusion.process import Level, Schedule
from diffuse_cli.figures import grids
from diffuse_cli.plots import schedule as schedule_plot
from diffuse_cli.plots.formats import DEFAULT_LOOK, Look

KL_GRID = np.linspace(-16.0, 12.0, 29)  # log-SNR


def plot_schedules(
    schedules: dict[str, Schedule],
    *,
    timesteps: int,
    kl_at: Callable[[Level], Estimate] | None = None,
    of: str = "",
    look: Look = DEFAULT_LOOK,
) -> Figure:
    """Schedules by name, as chains of `timesteps` steps, and the KL between noised data and pure noise.

    kl_at: from grids.kl_of, or None for no panel of the KL; it depends on the log-SNR alone, so it is computed once for
    all schedules. of: the name of the dataset.

    Raises UsageError where there is no schedule or the width is too small.
    """
    t = np.arange(timesteps + 1) / timesteps
    curves = {
        name: (t, np.asarray(schedule(jnp.asarray(t, jnp.float32)), np.float64)) for name, schedule in schedules.items()
    }
    kl = None
    if kl_at is not None:
        kl_on_grid = [kl_at(jax.tree.map(float, grids.level_at(at))).value for at in KL_GRID]
        log_kl = PchipInterpolator(KL_GRID, np.log(np.maximum(kl_on_grid, 1e-300)), extrapolate=False)
        kl = {
            name: np.where(log_snr < KL_GRID[0], 0.0, np.exp(log_kl(log_snr))) for name, (_, log_snr) in curves.items()
        }
    subject = f"T = {timesteps}{f', {of}' if of else ''}"
    return schedule_plot.schedule_figure(curves, timesteps=timesteps, kl=kl, subject=subject, **look._asdict())

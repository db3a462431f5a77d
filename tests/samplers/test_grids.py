"""Every grid of noise levels: from noise to exactly clean, within what is trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import process as p
from diffuse_cli.diffusion.schedules import cosine, linear
from diffuse_cli.samplers.loop import run_steps
from tests.samplers.table import GRIDS, KEY, SCHEDULES, gaussian, levels_of, start_at

STEPS = [1, 3, 50, *(pytest.param(steps, marks=pytest.mark.slow) for steps in (2, 3000))]


@pytest.mark.parametrize("steps", STEPS)
def test_grids_ask_only_about_levels_that_are_trained(steps):
    wrong = []
    for schedule in SCHEDULES:
        process = p.Process(catalog.build("schedule", schedule, 1000), 1000)
        first, last = np.asarray(process.schedule(jnp.array([1.0, 1 / 1000])))
        for grid in GRIDS:
            levels = np.asarray(catalog.build("grid", grid)(process, steps).log_snr)[:-1]
            if not (levels.min() >= first - 1e-4 and levels.max() <= last + 1e-3):
                wrong.append(f"{grid} on {schedule}")
    assert not wrong


@pytest.mark.parametrize("steps", STEPS)
def test_grids_run_from_noise_to_exactly_clean(steps):
    most = p.Process(linear(1000), 1000).level(1.0).log_snr
    for grid in GRIDS:
        levels = jax.device_get(levels_of(grid, steps))
        assert levels.log_snr.shape == (steps + 1,)
        assert (np.diff(levels.log_snr) > 0).all(), grid
        first = max(most, -2 * np.log(80)) if grid == "karras" else most
        np.testing.assert_allclose(levels.log_snr[0], first, rtol=1e-6, err_msg=grid)
        assert (levels.alpha[-1], levels.sigma[-1]) == (1, 0), grid


def test_heun_converges_on_its_own_grid_from_any_amount_of_noise(x64):
    """Second order: half the step, a quarter of the error. `cosine` begins at sigma / alpha = 20,000."""
    heun = catalog.build("sampler", "heun")
    ends = {}
    for steps in (20, 40, 80, 640):
        levels = levels_of(heun.grid, steps, schedule=cosine(1000))
        ends[steps] = run_steps(gaussian, heun, levels, start_at(levels), KEY).x
    gaps = [float(jnp.abs(ends[steps] - ends[640]).max()) for steps in (20, 40, 80)]
    assert gaps[0] < 0.2
    assert gaps[0] / gaps[1] > 3
    assert gaps[1] / gaps[2] > 3


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_steps_of_jumps_are_equal_in_flow_time_and_so_is_the_last_one(schedule):
    process = p.Process(catalog.build("schedule", schedule, 1000), 1000)
    levels = catalog.build("grid", "flow_time")(process, 4)
    t = np.asarray(levels.sigma / (levels.alpha + levels.sigma), np.float64)
    np.testing.assert_allclose(t, t[0] * np.array([1, 0.75, 0.5, 0.25, 0]), atol=1e-5)


@pytest.mark.parametrize("steps", [10, 1000])
def test_the_uniform_grid_visits_the_chains_own_levels(steps):
    process = p.Process(linear(steps), steps)
    got, knots = catalog.build("grid", "uniform")(process, steps), process.knots()
    np.testing.assert_allclose(got.sigma, knots.sigma[::-1], rtol=1e-4)


def test_the_karras_grid_is_the_published_one(x64):
    """sigma_i between 80 and 0.002 with rho = 7; Karras et al. 2022, eq. 5."""
    i, n = np.arange(18), 18
    expected = (80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    schedule = lambda t: jnp.where(t == 1, -2 * jnp.log(80.0), -2 * jnp.log(0.002))  # noqa: E731
    got = catalog.build("grid", "karras")(p.Process(schedule, 1000, p.variance_exploding), n)
    np.testing.assert_allclose(got.sigma[:-1], expected, rtol=1e-6)
    higher = lambda t: jnp.where(t == 1, -2 * jnp.log(9e3), -2 * jnp.log(0.002))  # noqa: E731
    got = catalog.build("grid", "karras")(p.Process(higher, 1000, p.variance_exploding), n)
    np.testing.assert_allclose(got.sigma[:-1], expected, rtol=1e-6)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_grid_of_flow_time_has_jumps_of_one_length_and_none_at_the_end_that_does_nothing(steps):
    for schedule in (linear(1000), cosine(1000)):
        levels = jax.device_get(levels_of("flow_time", steps, schedule=schedule))
        lengths = -np.diff(levels.sigma / (levels.alpha + levels.sigma))
        np.testing.assert_allclose(lengths, lengths[0], rtol=1e-4)

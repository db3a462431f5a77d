"""Every schedule in the catalogue: strictly falling, its chain's betas, and what it is in continuous time."""

import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import schedules
from diffuse_cli.diffusion.process import Process
from diffuse_cli.errors import UsageError

ARTICLE = "sigmoid:start=1e-5,end=5e-3"
SCHEDULES = [*catalog.CATALOG["schedule"], ARTICLE, "linear:start=1e-4,end=0.02", "cosine:s=0.02", "constant:beta=0.01"]
every = pytest.mark.parametrize("name", SCHEDULES)
lengths = pytest.mark.parametrize("timesteps", [2, 3, 10, 100, 1000])


def alpha_bar(process):
    return np.asarray(process.knots().alpha, np.float64) ** 2


@every
@lengths
def test_falls_strictly_from_clean_data(name, timesteps):
    t = jnp.linspace(0, 1, 4 * timesteps + 1)
    log_snr = np.asarray(catalog.build("schedule", name, timesteps)(t))
    assert log_snr[0] == np.inf
    assert np.isfinite(log_snr[1:]).all()
    assert (np.diff(log_snr[1:]) < 0).all()


@every
def test_is_the_same_in_double_precision(name, x64):
    t = np.linspace(0.01, 1, 50)
    schedule = catalog.build("schedule", name, 100)
    np.testing.assert_allclose(schedule(jnp.float32(t)), schedule(jnp.float64(t)), rtol=2e-4, atol=2e-4)


@every
def test_log_alpha_bar_is_linear_between_knots(name, x64):
    schedule = catalog.build("schedule", name, 10)
    log_alpha_bar = lambda t: -np.log1p(np.exp(-np.asarray(schedule(jnp.asarray(t)))))  # noqa: E731
    knots = log_alpha_bar(np.arange(1, 11) / 10)
    middles = log_alpha_bar((np.arange(1, 10) + 0.5) / 10)
    np.testing.assert_allclose(middles, (knots[1:] + knots[:-1]) / 2, rtol=1e-9)


@pytest.mark.parametrize("timesteps", [10, 100, 1000])
def test_knots_are_cumulative_products(timesteps, x64):
    betas = np.random.default_rng(0).uniform(1e-4, 0.3, timesteps) * min(1, 10 / timesteps)
    process = Process(schedules.from_betas(betas), timesteps)
    np.testing.assert_allclose(alpha_bar(process)[1:], np.cumprod(1 - betas), rtol=1e-9)


@pytest.mark.parametrize("name", ["linear", "quadratic", "sigmoid", "tanh", "constant", "cosine"])
@pytest.mark.parametrize("timesteps", [50, 100, 1000, 4000])
def test_defaults_forget_the_data_whatever_the_length(name, timesteps, x64):
    assert alpha_bar(Process(catalog.build("schedule", name, timesteps), timesteps))[-1] < 0.02


def test_ddpm_linear_is_the_published_table(x64):
    betas = np.linspace(1e-4, 0.02, 1000)
    end = alpha_bar(Process(schedules.linear(1000), 1000))[-1]
    assert end == pytest.approx(np.prod(1 - betas), rel=1e-9)
    assert end == pytest.approx(4.04e-5, rel=1e-2)


def test_cosine_is_its_closed_form(x64):
    """Nichol & Dhariwal 2021, eq. 17, wherever its betas are not capped."""
    t = np.arange(1, 990) / 1000
    f = lambda t: np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2  # noqa: E731
    got = alpha_bar(Process(schedules.cosine(1000), 1000))[1:990]
    np.testing.assert_allclose(got, f(t) / f(0), rtol=1e-9)


def test_the_articles_settings_stop_early(x64):
    """T = 100, sigmoid beta from 1e-5 to 5e-3: most of the signal is still there at the end."""
    end = alpha_bar(Process(catalog.build("schedule", ARTICLE, 100), 100))[-1]
    assert end == pytest.approx(0.778, abs=0.001)


@pytest.mark.parametrize("name", ["linear", "quadratic", "sigmoid", "tanh"])
def test_betas_run_from_start_to_end(name, x64):
    knots = alpha_bar(Process(catalog.build("schedule", f"{name}:start=0.001,end=0.05", 200), 200))
    betas = 1 - knots[1:] / knots[:-1]
    slack = 3e-4 if name == "sigmoid" else 1e-9  # a sigmoid on [-6, 6] stops a little short of both
    assert betas[0] == pytest.approx(0.001, abs=slack)
    assert betas[-1] == pytest.approx(0.05, abs=slack)
    assert (np.diff(betas) > 0).all()


@pytest.mark.parametrize("name", ["linear", "quadratic", "sigmoid", "tanh"])
def test_a_falling_beta_is_refused(name):
    with pytest.raises(UsageError, match="must not be above"):
        catalog.build("schedule", f"{name}:start=0.5,end=0.1", 10)


@pytest.mark.parametrize(
    "text", ["linear:start=0", "linear:end=1", "cosine:s=-1", "constant:beta=nan", "linear:start=x"]
)
def test_impossible_betas_are_refused(text):
    with pytest.raises(UsageError, match=text.partition(":")[2].partition("=")[0]):
        catalog.build("schedule", text, 10)

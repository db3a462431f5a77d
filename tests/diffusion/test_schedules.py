"""Every schedule in the catalogue: strictly falling, its chain's betas, and what it is in continuous time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.diffusion import schedules
from diffuse_cli.diffusion.process import Process, straight_flow
from diffuse_cli.errors import DiffuseError, UsageError

ARTICLE = "sigmoid:start=1e-5,end=5e-3"
OTHERS = ["sub_vp", "edm", "log_linear", "flow", "learned"]  # those that are not made of betas
BETAS = [name for name in catalog.CATALOG["schedule"] if name not in (*OTHERS, "table")]
BETAS += [ARTICLE, "linear:start=1e-4,end=0.02", "cosine:s=0.02", "constant:beta=0.01"]
SCHEDULES = [*BETAS, *OTHERS, "edm:rho=3", "sub_vp:end=0.05", "learned:first=7,last=-4"]
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


@pytest.mark.parametrize("name", BETAS)
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


def test_a_table_is_its_betas(tmp_path, x64):
    betas = [0.01, 0.05, 0.2, 0.4]
    file = tmp_path / "betas.csv"
    file.write_text("0.01, 0.05\n0.2 0.4\n")
    for text in (f"table:path={file}", "table:0.01,0.05,0.2,0.4"):
        knots = alpha_bar(Process(catalog.build("schedule", text, 4), 4))
        np.testing.assert_allclose(knots[1:], np.cumprod(1 - np.array(betas)), rtol=1e-9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("table", "needs its betas"),
        ("table:0.1,0.2", "--timesteps 2"),
        ("table:0.1,0.2,1.0,0.4", "between 0 and 1"),
        ("table:0.1,x,0.3,0.4", "numbers"),
        ("edm:sigma_min=5,sigma_max=2", "must be below"),
    ],
)
def test_impossible_tables_are_refused(text, said):
    with pytest.raises(UsageError, match=said):
        catalog.build("schedule", text, 4)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_betas_as_spreadsheets_write_them_are_read(tmp_path, encoding):
    (tmp_path / "betas.csv").write_bytes("0.1;0.2\r\n0.3\r\n".encode(encoding))
    np.testing.assert_array_equal(schedules.read_betas(str(tmp_path / "betas.csv")), [0.1, 0.2, 0.3])


def test_a_missing_table_is_said(tmp_path):
    with pytest.raises(DiffuseError, match="cannot read"):
        catalog.build("schedule", f"table:path={tmp_path / 'no.csv'}", 4)


def test_the_published_noises(x64):
    """sigma of EDM and of the variance-exploding SDE at their ends and in the middle; the straight path; sub-VP."""
    t = jnp.array([1e-9, 0.5, 1.0])
    sigma = lambda name, t: np.exp(-np.asarray(catalog.build("schedule", name, 100)(t)) / 2)  # noqa: E731
    middle = ((0.002 ** (1 / 7) + 80 ** (1 / 7)) / 2) ** 7
    np.testing.assert_allclose(sigma("edm", t), [0.002, middle, 80], rtol=1e-6)
    np.testing.assert_allclose(sigma("log_linear", t), [0.01, np.sqrt(0.01 * 50), 50], rtol=1e-6)
    flow = Process(catalog.build("schedule", "flow:end=0.999", 100), 100, straight_flow).level(t[1:])
    np.testing.assert_allclose(flow.alpha, 1 - 0.999 * t[1:], rtol=1e-9)
    np.testing.assert_allclose(flow.sigma, 0.999 * t[1:], rtol=1e-9)
    schedule = catalog.build("schedule", "sub_vp", 1000)
    level = Process(schedule, 1000, schedule.scaling).level(t[1:])
    preserving = Process(schedules.linear(1000), 1000).level(t[1:])
    np.testing.assert_allclose(level.alpha, preserving.alpha, rtol=1e-9)
    np.testing.assert_allclose(level.sigma, preserving.sigma**2, rtol=1e-9)


@pytest.mark.parametrize("name", BETAS)
def test_zero_terminal_snr_leaves_nothing(name, x64):
    """Lin et al. 2024, algorithm 1: alpha shifted to end at 0 and stretched; strictly falling as before."""
    before = catalog.build("schedule", name, 100)
    after = schedules.with_zero_terminal_snr(before)
    t = jnp.linspace(0, 1, 401)
    assert (np.diff(np.asarray(after(t))[1:]) < 0).all()
    assert after(jnp.float64(0.0)) == np.inf
    assert after(jnp.float64(1.0)) == pytest.approx(-30, abs=1e-6)
    alpha = lambda schedule: np.asarray(Process(schedule, 100).level(t).alpha)  # noqa: E731
    old, new = alpha(before), alpha(after)
    np.testing.assert_allclose(new[:-1], ((old - old[-1]) / (1 - old[-1]))[:-1], rtol=1e-6)


@every
def test_a_step_earlier_is_the_knot_before(name, x64):
    process = Process(catalog.build("schedule", name, 50), 50)
    knots = process.knots()
    for number in (1, 2, 25, 50):
        level = process.level(jnp.float64(number / 50))
        assert process.earlier(level).log_snr == pytest.approx(float(knots.log_snr[number - 1]), rel=1e-6)


@every
def test_a_step_earlier_in_single_precision(name):
    """Also in a batch, and at levels between the knots, where it lies between theirs."""
    process = Process(catalog.build("schedule", name, 1000), 1000)
    numbers = jnp.arange(1, 1001, dtype=jnp.float32)[:, None]
    earlier = np.asarray(process.earlier(process.level(numbers / 1000)).log_snr)[:, 0]
    knots = np.asarray(process.knots().log_snr)[:-1]
    np.testing.assert_allclose(earlier, knots, rtol=1e-4, atol=1e-3)
    between = process.level((jnp.arange(2, 1000) + 0.5) / 1000)
    log_snr = np.asarray(process.earlier(between).log_snr)
    assert (log_snr < knots[1:-1]).all()
    assert (log_snr > knots[2:]).all()


def test_what_was_read_in_double_precision_can_be_read_in_single_again():
    """Of one schedule, also within compiled code: jax remembers the precision of constants."""
    names = [name for name in catalog.CATALOG["schedule"] if name not in ("table", "learned")]
    schedules = [catalog.build("schedule", name, 10) for name in names]
    t, read = np.linspace(0.1, 1, 4, dtype=np.float32), lambda t: [schedule(t) for schedule in schedules]
    with jax.enable_x64(True):
        jax.jit(read)(jnp.asarray(t, float))
    single = jax.jit(read)(t)
    assert {name: found.dtype for name, found in zip(names, single, strict=True) if found.dtype != np.float32} == {}

"""Every schedule of the catalogue started badly, and what is proposed held against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.analysis import schedule_check
from diffuse_cli.analysis.schedule_check import COARSE, EARLY, TOO_COARSE, TOO_EARLY
from diffuse_cli.analysis.schedule_fixes import remedies
from diffuse_cli.config import FIELDS
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import Process

VARIANCE = np.array([1.7, 0.3, 0.01])
BAD = {  # schedule: the same one, ending much too early
    "linear": [("linear:end=0.002", 1000), ("linear:start=1e-4,end=0.02", 50)],
    "quadratic": [("quadratic:end=0.002", 500)],
    "sigmoid": [("sigmoid:start=1e-5,end=5e-3", 100)],
    "tanh": [("tanh:end=0.001", 300)],
    "constant": [("constant:beta=1e-4", 1000)],
    "cosine": [],  # ends in noise whatever its options
    "table": [],  # has none that could be changed
    "sub_vp": [("sub_vp:end=0.002", 1000)],
    "edm": [("edm:sigma_max=2", 1000)],
    "log_linear": [("log_linear:sigma_max=2", 1000)],
    "flow": [("flow:end=0.6", 1000)],
    "learned": [("learned:last=-1", 1000)],
}
EARLY_ONES = [pair for pairs in BAD.values() for pair in pairs]


@pytest.fixture(scope="module")
def subject():
    x0 = np.sqrt(VARIANCE) * np.random.default_rng(0).standard_normal((2048, 3))
    return schedule_check.study_law(exact.gaussian(np.zeros(3), np.diag(VARIANCE)), x0)


def treat(subject, schedule, timesteps):
    found = schedule_check.diagnose(subject, Process(catalog.build("schedule", schedule, timesteps), timesteps))
    return found, remedies(subject, schedule, timesteps, found)


def kl(log_snr):
    ratio = (np.exp(log_snr) * VARIANCE + 1) / (np.exp(log_snr) + 1)
    return 0.5 * np.sum(ratio - 1 - np.log(ratio))


def noise_gain(log_snr):
    return np.mean(1 / (np.exp(log_snr) * VARIANCE + 1))


def ends_by_flags(flags, schedule, timesteps):
    """The log-SNR at both ends of what a command line would make of these flags."""
    words = iter(flags.split())
    for flag in words:
        if flag == "--schedule":
            schedule = next(words)
        else:
            assert flag == "--timesteps"
            timesteps = int(next(words))
    built = catalog.build("schedule", schedule, timesteps)
    return (schedule, timesteps), np.asarray(built(jnp.array([1 / timesteps, 1.0])), float)


def test_every_schedule_is_asked():
    assert set(BAD) == set(catalog.CATALOG["schedule"]), "say how the new schedule can end too early"


@pytest.mark.parametrize(("schedule", "timesteps"), EARLY_ONES)
def test_what_ends_too_early_is_cured(schedule, timesteps, subject):
    found, proposed = treat(subject, schedule, timesteps)
    assert found.problems[0] == EARLY
    assert proposed
    for remedy in proposed:
        assert EARLY not in remedy.diagnosis.problems
        (name, steps), (first, last) = ends_by_flags(remedy.flags, schedule, timesteps)
        assert (name, steps) == (remedy.schedule, remedy.timesteps)
        assert kl(last) < TOO_EARLY
        assert (noise_gain(first) > TOO_COARSE) == (COARSE in remedy.diagnosis.problems)
    assert any(not remedy.diagnosis.problems for remedy in proposed)


@pytest.mark.parametrize(("schedule", "timesteps"), EARLY_ONES)
def test_the_same_schedule_is_turned_to_end_where_ddpm_ends(schedule, timesteps, subject):
    first = treat(subject, schedule, timesteps)[1][0]
    assert first.timesteps == timesteps
    assert first.schedule.partition(":")[0] == schedule.partition(":")[0]
    assert 2e-5 < first.diagnosis.alpha_bar < 1.1e-4  # DDPM's is 4e-5; options are turned to two digits
    kept = catalog.parse("schedule", schedule).options
    turned = catalog.parse("schedule", first.schedule).options
    assert len([key for key in turned if turned[key] != kept.get(key)]) == 1


def test_a_fixed_beta_ends_in_noise_after_more_steps(subject):
    """10.1 nats of log alpha_bar at 0.0025 a step are some 4,000 steps; 5,000 is the next round number."""
    _, proposed = treat(subject, "sigmoid:start=1e-5,end=5e-3", 100)
    assert "--timesteps 5000" in [remedy.flags for remedy in proposed]


@pytest.mark.parametrize(
    ("schedule", "timesteps"), [("cosine", 5), ("linear", 10), ("sigmoid:start=0.02,end=0.03", 300)]
)
def test_what_starts_too_coarse_is_cured(schedule, timesteps, subject):
    found, proposed = treat(subject, schedule, timesteps)
    assert found.problems == (COARSE,)
    assert proposed
    for remedy in proposed:
        _, (first, last) = ends_by_flags(remedy.flags, schedule, timesteps)
        assert noise_gain(first) < TOO_COARSE
        assert kl(last) < TOO_EARLY


def test_both_ends_at_once(subject):
    found, proposed = treat(subject, "linear:start=0.05,end=0.06", 15)
    assert found.problems == (EARLY, COARSE)
    whole = [remedy for remedy in proposed if not remedy.diagnosis.problems]
    assert whole[0].schedule.startswith("linear:")
    assert whole[-1].schedule == FIELDS["schedule"].default


def test_what_fits_is_left_alone(subject):
    assert treat(subject, "cosine", 1000) == (treat(subject, "cosine", 1000)[0], [])


OWN = """
import jax.numpy as jnp

def slope(timesteps, *, reach: float = 1.0, name: str = "plain"):
    if reach > 20:
        raise ValueError("too far")
    return lambda t: 12 - (12 + reach) * jnp.asarray(t)
"""


def test_schedules_of_ones_own_are_turned_too(subject, tmp_path, monkeypatch):
    """From 12 to -reach in equal steps of log-SNR; ending at alpha_bar = 4e-5 takes a reach of -log 4e-5 = 10.1."""
    (tmp_path / "own_schedules").mkdir()
    (tmp_path / "own_schedules" / "slopes.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    found, proposed = treat(subject, "own_schedules.slopes:slope", 100)
    assert found.problems == (EARLY,)
    assert proposed[0].schedule == "own_schedules.slopes:slope:reach=10"
    assert not proposed[0].diagnosis.problems
    assert proposed[0].diagnosis.last.log_snr == pytest.approx(-10)

"""diffuse doctor: what it says of good and bad settings, from wherever they come."""

import json

import numpy as np
import pytest

from diffuse_cli.analysis.schedule_check import TOO_EARLY
from tests.cli.conftest import call, standing_in
from tests.support.cases import few_fast


@pytest.fixture(scope="module")
def made_easy(tmp_path_factory):
    """What is said, as JSON, of a schedule that ends too early."""
    with standing_in(tmp_path_factory.mktemp("doctor")):
        return call("doctor", "--config", "made_easy", "--json").json


def test_what_is_known_to_work_fits():
    result = call("doctor", "--dataset", "moons", "--schedule", "linear", "--timesteps", 1000)
    assert result.code == 0, result.err
    assert "The schedule fits these data." in result.out
    assert "--schedule" not in result.out


def test_made_easy_is_told_what_would_cure_it():
    result = call("doctor", "--config", "made_easy")
    assert result.code == 0, "a diagnosis is not a failure"
    assert "It ends too early" in result.out
    assert "--schedule sigmoid:start=1e-5,end=0.19" in result.out
    assert "--timesteps 5000" in result.out


@pytest.mark.parametrize("some", few_fast([slice(1), slice(1, None)], slice(1)), ids=["first", "others"])
def test_the_flags_that_are_proposed_do_cure_it(some, made_easy):
    before = made_easy
    assert before["verdict"] == before["problems"][0] == "ends_too_early"
    assert before["end"]["kl"] > 10 * TOO_EARLY
    for remedy in before["remedies"][some]:
        after = call("doctor", "--config", "made_easy", *remedy["flags"].split(), "--json").json
        assert after["problems"] == remedy["problems"]
        assert after["end"]["kl"] == pytest.approx(remedy["kl"], rel=1e-6)
        assert after["end"]["kl"] < TOO_EARLY
        assert after["useless_steps"] == remedy["useless_steps"]


def test_json_has_the_keys_that_the_help_lists(made_easy):
    document = made_easy
    said = call("doctor", "--help").out

    def keys(part):
        return set(part) | {key for value in part.values() if isinstance(value, dict) for key in keys(value)}

    listed = keys(document) | keys(document["remedies"][0])
    assert listed >= {
        "verdict",
        "alpha_bar",
        "kl_stderr",
        "std",
        "sigma",
        "detail_at_all_scales",
        "clean",
        "flags",
        "noise_gain",
    }
    missing = {key for key in listed if key not in said}
    assert not missing
    assert "dataset, schedule, timesteps: what is judged" in said


def test_settings_of_a_run(outputs):
    document = call("doctor", "--run", "small", "--json").json
    assert (document["dataset"], document["schedule"], document["timesteps"]) == ("moons", "cosine", 1000)
    assert document["verdict"] == "fits"
    changed = call("doctor", "--run", "small", "--schedule", "linear:end=0.001", "--json").json
    assert changed["verdict"] == "ends_too_early"


def test_a_file_is_judged_by_the_mixture_on_its_points(tmp_path):
    np.savetxt(tmp_path / "points.csv", np.random.default_rng(0).normal(size=(200, 2)) * [1, 50], delimiter=",")
    dataset = f"file:{tmp_path / 'points.csv'}"
    result = call("doctor", "--dataset", dataset)
    assert result.code == 0, result.err
    assert "the mixture on its points" in result.out
    document = call("doctor", "--dataset", dataset, "--json").json
    assert document["verdict"] == "fits"
    assert document["useless_steps"]["clean"] is None


def test_many_columns():
    document = call("doctor", "--dataset", "curves", "--json").json
    assert document["verdict"] == "fits"
    assert 0 <= document["end"]["kl"] < TOO_EARLY


@pytest.mark.slow
def test_many_columns_that_need_another_schedule():
    document = call("doctor", "--dataset", "curves", "--schedule", "linear:end=0.005", "--json").json
    assert document["verdict"] == "ends_too_early"
    assert document["end"]["kl"] > 1
    assert all(remedy["kl"] < TOO_EARLY for remedy in document["remedies"])


def test_data_without_a_finest_scale():
    result = call("doctor", "--dataset", "line:noise=0")
    assert "The schedule fits these data." in result.out
    assert "detail at every scale" in result.out


OWN = (
    "import jax.numpy as jnp\n\n\ndef all_gone(timesteps):\n    return lambda t: 10 + 2 * jnp.log1p(-jnp.asarray(t))\n"
)


def test_a_schedule_without_any_signal_at_the_end(tmp_path, monkeypatch):
    """Its last log-SNR is -inf, which JSON cannot say."""
    (tmp_path / "own_endings").mkdir()
    (tmp_path / "own_endings" / "gone.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    result = call("doctor", "--schedule", "own_endings.gone:all_gone", "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert document["end"]["log_snr"] is None
    assert document["end"]["kl"] == pytest.approx(0, abs=1e-9)


def test_own_code_of_a_run_needs_trust(outputs, monkeypatch):
    result = call("doctor", "--run", "small", "--schedule", "own_endings.gone:all_gone")
    assert result.code == 2
    assert "--trust" in result.err


def test_the_seed_decides():
    one, same, other = (call("doctor", "--json", "--seed", seed).out for seed in (3, 3, 4))
    assert one == same != other


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("--dataset mons", 2, "did you mean 'moons'"),
        ("--schedule linear:start=0.5,end=0.1", 2, "must not be above"),
        ("--timesteps 1", 2, "2<=x"),
        ("--dataset file:nothing.csv", 1, "no file nothing.csv"),
        ("--config nothing.toml", 2, "no config file"),
        ("--run nothing", 1, "no run named"),
        ("--set timesteps=many", 2, "--set timesteps=many"),
    ],
)
def test_mistakes(line, status, says, outputs):
    result = call("doctor", *line.split())
    assert result.code == status
    assert says in result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    assert len([row for row in result.err.splitlines() if row.startswith("Error: ")]) == 1

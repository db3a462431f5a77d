"""distill: what a student keeps, what it leaves, how it is used and what is refused."""

import tomllib

import numpy as np
import pytest

from diffuse_cli.models import run_folder
from tests.cli.conftest import BARE, call, standing_in

SIDES = "bimodal:distance=2,std=1"
STUDENT = ["--steps", "30", "--batch-size", "32", "--width", "8", "--depth", "2", "--no-figures"]


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A folder with a teacher `sides`, which knows labels, its student `pupil`, and a guided one, `led`."""
    folder = tmp_path_factory.mktemp("school")
    with standing_in(folder):
        teacher = ["--dataset", SIDES, "--schedule", "linear", "--conditional", "--name", "sides"]
        assert call("train", *teacher, *BARE).code == 0
        result = call("distill", "--run", "sides", "--loss", "lmd", "--name", "pupil", *STUDENT[:-1], "--json")
        assert result.code == 0, result.err
        led = call("distill", "--run", "sides", "--guidance", "2", *STUDENT)
        assert led.code == 0, led.err
    return folder, result, led


@pytest.fixture(autouse=True)
def _here(school, monkeypatch):
    monkeypatch.chdir(school[0])


def test_what_it_says_and_leaves(school):
    folder, result, led = school
    figures = {path.rpartition("/")[2] for path in result.json["figures"]}
    assert figures == {"loss.png", "forward.png", "reverse.png", "samples.png"}
    assert result.json["true_loss"] > 0
    assert "taught by sides" in result.err
    settings = tomllib.loads((folder / "outputs/pupil/config.toml").read_text())
    kept = {key: settings[key] for key in ("dataset", "schedule", "conditional", "teacher", "prediction", "sampler")}
    assert kept == {
        "dataset": SIDES,
        "schedule": "linear",
        "conditional": True,
        "teacher": "sides",
        "prediction": "velocity",
        "sampler": "jump",
    }
    assert "outputs/sides-paths-cfg_w_2" in led.out
    assert "guidance" not in settings


@pytest.mark.parametrize("sampler", ["jump", "renoise", "dpmpp_2m", "ddpm"])
@pytest.mark.parametrize("label", ["left", "all"])
def test_samples_of_a_student(sampler, label, tmp_path):
    words = ["--run", "pupil", "--label", label, "--sampler", sampler, "--steps", 3, "-n", 20, "--json"]
    result = call("sample", *words, "--out", tmp_path / "s.npz")
    assert result.code == 0, result.err
    assert result.json["evals"] == 3
    with np.load(tmp_path / "s.npz") as arrays:
        assert np.isfinite(arrays["samples"]).all()
        assert set(arrays["label"]) <= {"left", "right"}


def test_a_student_goes_on_to_the_same_bits():
    """Interrupted training ends with the weights of unbroken training, stages and teacher included."""
    words = ["distill", "--run", "sides", "--loss", "progressive:steps=4", *STUDENT[2:]]
    assert call(*words, "--steps", 40, "--name", "whole").code == 0
    assert call(*words, "--steps", 40, "--name", "again").code == 0
    found = call("train", "--resume", "again", "--steps", 45, "--no-figures")
    assert found.code == 0, found.err
    one, other = (
        run_folder.open_run(run_folder.find_run(run_folder.Path("outputs"), name) / "checkpoint.safetensors")
        for name in ("whole", "again")
    )
    assert {name for name in one.tensors if name.startswith("before.")}
    assert other.step == 45


def test_every_loss_of_a_teacher_is_learned_from_it():
    for loss in ("consistency", "reflow"):
        result = call("distill", "--run", "sides", "--loss", loss, *STUDENT)
        assert result.code == 0, result.err
        assert call("sample", "--run", f"sides-{loss}", "--steps", 1, "-n", 10).code == 0
    refused = call("sample", "--run", "sides-consistency", "--sampler", "jump", "--steps", 2)
    assert refused.code == 2
    assert "give --sampler renoise, or --steps 1" in refused.err


def test_the_exact_flow_is_a_teacher():
    result = call("distill", "--exact", "--dataset", SIDES, "--name", "exactly", *STUDENT)
    assert result.code == 0, result.err
    assert "taught by exact" in result.err
    assert call("train", "--resume", "exactly", "--steps", 32, "--no-figures").code == 0


def test_a_dry_run_prints_a_config():
    result = call("distill", "--run", "sides", "--loss", "lmd", *STUDENT, "--dry-run")
    assert tomllib.loads(result.out)["loss"] == "lmd"
    run_folder.Path("student.toml").write_text(result.out)
    result = call("train", "--config", "student.toml", "--no-figures")
    assert result.code == 0, result.err
    assert "taught by sides" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train --loss lmd", "diffuse distill --run NAME --loss lmd"),
        ("distill --run sides --loss simple", "the loss simple is of denoisers; give --loss paths"),
        (
            "distill --run sides --dataset moons",
            "a student keeps what its teacher has, and sides has dataset = bimodal",
        ),
        ("distill --run sides --schedule cosine", "sides has schedule = linear"),
        ("distill --run sides --loss progressive:steps=12", "progressive:steps=8 or progressive:steps=16"),
        ("distill --run nobody", "no run named 'nobody'"),
        ("distill --run sides --exact", "two teachers"),
        ("distill --exact --dataset moons --guidance 2", "add --conditional"),
        ("distill --run sides --guidance fkc:w=2", "more than a denoiser"),
        ("distill --run sides --steps 9 --budget 5s", "either --steps or --budget"),
        ("distill --run sides --prediction eps", "No such option"),
        ("sample --run sides --sampler jump", "diffuse distill --run sides"),
        ("sample --run pupil --label left --guidance 2 --sampler jump", "jump needs a flow map"),
        ("sample --run sides-paths-cfg_w_2 --label left --guidance 2", "has learned cfg:w=2 already"),
        ("sample --run pupil --label left --grid fixed", "goes from level to level"),
        ("sample --exact --dataset bimodal --label all --sampler jump", "for each sample by itself"),
        ("sample --run pupil --label all --sampler ode", "for each sample by itself"),
        ("train --set guidance=2", "that of a teacher, and there is none"),
        ("train --loss lsd --prediction eps", "is of denoisers; leave it out"),
        ("train --loss lsd --no-noise-conditioning", "from where to where"),
        ("train --loss lsd --schedule learned", "learned by the variational bound"),
        ("train --loss lsd --variance learned", "does not learn a variance"),
    ],
)
def test_mistakes(words, message):
    result = call(*words.split())
    assert result.code == 2 or (result.code == 1 and "no run named" in message)
    assert message in result.err
    assert len(result.err.strip().splitlines()) <= 4

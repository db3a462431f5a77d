"""diffuse train: what it leaves, and going on after a stop."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from diffuse_cli import catalog, config
from diffuse_cli.models import build, checkpoint, run_folder
from tests.cli.conftest import BARE, SMALL, Result, call, rewrite_settings, standing_in
from tests.support.cases import few_fast

slow = pytest.mark.slow


class Shared(NamedTuple):
    """A folder of runs and what trainings in it said, for several questions. Not to be changed."""

    outputs: Path
    results: list[Result]
    builds: int = 0


@pytest.fixture(scope="module")
def repeated(trained, tmp_path_factory):
    """Two more trainings as the small run's, without a name: without figures, and with them."""
    folder, built, make = tmp_path_factory.mktemp("repeated"), [], build.build_experiment
    shutil.copytree(trained, folder / "outputs")
    with standing_in(folder) as patch:
        patch.setattr(build, "build_experiment", lambda *args, **named: built.append(args) or make(*args, **named))
        results = [call("train", *arguments, "--json") for arguments in (BARE, SMALL)]
    assert [result.code for result in results] == [0, 0], results
    return Shared(folder / "outputs", results, len(built))


@pytest.fixture(scope="module")
def continued(trained, tmp_path_factory):
    """The small run, its log ended by half a line, trained further where the environment says something else."""
    folder = tmp_path_factory.mktemp("continued")
    shutil.copytree(trained, folder / "outputs")
    with (folder / "outputs" / "small" / "log.jsonl").open("a") as log:
        log.write('{"step": 70, "lo')
    with standing_in(folder) as patch:
        patch.setenv("DIFFUSE_TRAIN_LR", "0.5")
        patch.setenv("DIFFUSE_TRAIN_STEPS", "7")
        result = call("train", "--resume", "small", "--steps", 90, "--no-figures")
    assert result.code == 0, result.err
    return Shared(folder / "outputs", [result])


def test_what_a_run_leaves(trained):
    folder = trained / "small"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    figures = {f"figures/{name}.png" for name in ("forward", "reverse", "samples", "loss")}
    assert {"config.toml", "checkpoint.safetensors", "best.safetensors", "log.jsonl"} | figures <= found
    assert not any(path.startswith(".") for path in found)
    for figure in figures:
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 60
    assert {"step", "loss", "seconds", "held_out"} <= set(log[-1])
    settings = tomllib.loads((folder / "config.toml").read_text())
    assert (settings["steps"], settings["width"], settings["sampler_steps"]) == (60, 8, 5)


DATASETS = [*catalog.CATALOG["dataset"], "swiss_roll:dim=3", "s_curve:dim=3"]
TRAINED_FAST = ("bimodal", "file")  # 1 and 5 columns; the shared run has 2


@pytest.fixture
def points_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savetxt("points.csv", np.random.default_rng(0).normal(size=(600, 5)), delimiter=",")
    Image.fromarray(np.uint8([[0, 255], [128, 0]])).save("picture.png")


def with_path(name):
    return {"file": "file:points.csv", "image": "image:picture.png"}.get(name, name)


def test_every_dataset_has_settings(points_file):
    results = {name: call("train", "--dataset", with_path(name), "--dry-run") for name in DATASETS}
    assert {name: result.err for name, result in results.items() if result.code} == {}


@pytest.mark.parametrize("name", few_fast(DATASETS, *TRAINED_FAST))
def test_every_dataset_trains_and_samples(name, points_file):
    name = with_path(name)
    result = call("train", "--dataset", name, *BARE)
    assert result.code == 0, result.err
    result = call("sample", "-n", 7, "--steps", 3, "--out", "s.npy")
    assert result.code == 0, result.err
    assert np.load("s.npy").shape == (7, catalog.build("dataset", name).dim)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            "--schedule table:path=betas.csv --timesteps 4 --prediction previous --levels discrete", marks=slow
        ),
        pytest.param("--loss kl --variance learned --timesteps 20 --sampler ddpm:variance=learned", marks=slow),
        pytest.param("--loss flow:ot --schedule flow --prediction velocity --sampler heun --grid karras", marks=slow),
        "--schedule learned --loss vlb --timesteps 20",
        pytest.param(
            "--no-noise-conditioning --zero-terminal-snr --scaling variance_exploding --schedule linear", marks=slow
        ),
    ],
    ids=lambda words: words.split()[1],
)
def test_choices_beside_the_default_train_and_sample(words, tmp_path, monkeypatch):
    """Each of them alone is asked in training/test_every_choice.py whether a network learns by it."""
    monkeypatch.chdir(tmp_path)
    Path("betas.csv").write_text("0.1\n0.2\n0.4\n0.6\n")
    result = call("train", *BARE, *words.split())
    assert result.code == 0, result.err
    result = call("sample", "-n", 7, "--out", "s.npy")
    assert result.code == 0, result.err
    assert np.isfinite(np.load("s.npy")).all()


def test_a_finished_run_can_be_trained_further(continued):
    run = run_folder.open_run(continued.outputs / "small")
    assert (run.step, run.config.steps) == (90, 90)
    assert "excess loss" in continued.results[0].out


def test_the_environment_does_not_stand_in_the_way_of_resuming(continued):
    assert run_folder.open_run(continued.outputs / "small").config.lr != 0.5


def test_half_a_line_at_the_end_of_a_log_is_ignored(continued):
    steps = [record["step"] for record in run_folder.read_log(continued.outputs / "small")]
    assert steps[-1] == 90
    assert steps == sorted(set(steps))


def test_a_checkpoint_with_an_older_name_can_be_opened(outputs):
    file = outputs / "small" / run_folder.NEWEST
    tensors, header = checkpoint.load_checkpoint(file)
    assert "noise_conditioning = true" in header["config"]
    header["config"] = header["config"].replace("noise_conditioning", "time")
    checkpoint.save_checkpoint(file, tensors, header)
    assert run_folder.open_run(file).config.noise_conditioning is True


def test_train_builds_one_experiment_and_draws_no_figure_if_none_is_wanted(repeated):
    assert repeated.builds == len(repeated.results)
    for name, result, count in zip(("moons", "moons-2"), repeated.results, (0, 4), strict=True):
        figures = list((repeated.outputs / name / "figures").iterdir())
        assert len(result.json["figures"]) == len(figures) == count


def test_json_is_one_document(repeated):
    said = repeated.results[-1].json
    assert said["steps"] == 60
    assert said["figures"]
    assert all((repeated.outputs.parent / figure).is_file() for figure in said["figures"])


def test_runs_are_numbered_and_never_overwritten(repeated, outputs):
    for expected in ("moons", "moons-2"):
        assert (repeated.outputs / expected / run_folder.NEWEST).is_file()
    before = (outputs / "small" / run_folder.NEWEST).read_bytes()
    result = call("train", *SMALL, "--name", "small")
    assert result.code == 2
    assert "--resume small" in result.err
    assert (outputs / "small" / run_folder.NEWEST).read_bytes() == before


def test_the_same_seed_is_the_same_checkpoint(repeated):
    one, other = (run_folder.open_run(repeated.outputs / name) for name in ("small", "moons"))
    assert set(one.tensors) == set(other.tensors)
    for name, value in one.tensors.items():
        np.testing.assert_array_equal(value, other.tensors[name])


def start_and_stop(folder, name, number):
    """Train in another process and send it a signal as soon as it has a checkpoint; its exit status and stderr."""
    command = [sys.executable, "-m", "diffuse_cli", "train", "--name", name, *SMALL, "--steps", "100000"]
    process = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"}
    )
    checkpoint = folder / "outputs" / name / run_folder.NEWEST
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=slow)])
def test_a_signal_leaves_a_checkpoint_and_says_how_to_go_on(number, status, outputs):
    code, err = start_and_stop(outputs.parent, "stopped", number)
    assert code == status, err
    assert "diffuse train --resume stopped" in err
    assert "Traceback" not in err
    run = run_folder.open_run(outputs / "stopped")
    assert 0 < run.step < 100_000


@pytest.mark.rounding
def test_resumed_is_unbroken(outputs):
    """A run stopped somewhere and resumed is the run that never stopped, bit for bit, log included."""
    steps = 220
    whole = [*BARE, "--steps", str(steps)]
    assert call("train", "--name", "whole", *whole).code == 0
    stop_early(outputs, "parted", whole, after=70)
    assert run_folder.open_run(outputs / "parted").step < steps
    result = call("train", "--resume", "parted", "--no-figures")
    assert result.code == 0, result.err
    one, other = (run_folder.open_run(outputs / name) for name in ("whole", "parted"))
    assert one.step == other.step == steps
    for name, value in one.tensors.items():
        np.testing.assert_array_equal(value, other.tensors[name], err_msg=name)
    last = [run_folder.read_log(outputs / name)[-1] for name in ("whole", "parted")]
    assert last[0]["held_out"] == last[1]["held_out"]
    logged = [record["step"] for record in run_folder.read_log(outputs / "parted")]
    assert logged == sorted(set(logged))


def stop_early(outputs, name, arguments, after):
    """Train up to `after` steps of a run in this process, then leave it as a stop would."""
    from diffuse_cli.training.trainer import Trainer

    settings = config.make(tomllib.loads(call("train", *arguments, "--dry-run").out))
    folder = run_folder.create_run_folder(outputs, name, "moons")
    session = Trainer(folder, build.build_experiment(settings, 2), build.build_dataset(settings))
    for update in session.run():
        if update.step >= after:
            session.save()
            return


def test_a_budget_becomes_a_number_of_steps(outputs, slow_clock):
    result = call("train", *BARE[2:], "--budget", "8s", "--name", "timed")
    assert result.code == 0, result.err
    run = run_folder.open_run(outputs / "timed")
    assert run.config.steps == run.step > 1000
    assert tomllib.loads((outputs / "timed" / "config.toml").read_text())["steps"] == run.step
    log = run_folder.read_log(outputs / "timed")
    assert sum("held_out" in record for record in log) >= 15
    assert len(list((outputs / "timed").glob("checkpoint-*.safetensors"))) == 3


@pytest.mark.parametrize("after", [1, 500])
def test_an_interrupted_budget_can_be_continued(after, outputs, slow_clock):
    from diffuse_cli.training.trainer import Trainer

    settings = config.make(
        {"width": 8, "depth": 2, "batch_size": 32, "train_size": 500}
    )  # 12,000 steps, until the speed is known
    folder = run_folder.create_run_folder(outputs, "timed", "moons")
    session = Trainer(folder, build.build_experiment(settings, 2), build.build_dataset(settings), budget=20.0)
    for update in session.run():
        if update.step > after:
            session.save()
            break
    before = run_folder.open_run(folder)
    assert before.step < before.config.steps < 10**6
    result = call("train", "--resume", "timed", "--steps", before.step + 20, "--no-figures")
    assert result.code == 0, result.err
    assert run_folder.open_run(folder).step == before.step + 20


def test_resuming_never_takes_what_is_not_a_runs(outputs):
    (outputs.parent / "precious").mkdir()
    (outputs.parent / "precious" / "thesis.txt").write_text("years of work")
    shutil.copy(outputs / "small" / run_folder.BEST, outputs.parent / "precious" / "model.safetensors")
    for what in ("precious/model.safetensors", "small/best.safetensors"):
        result = call("train", "--resume", what, "--steps", 90)
        assert result.code == 2
        assert "only a whole run" in result.err
    shutil.copy(outputs / "small" / run_folder.NEWEST, outputs.parent / "precious" / run_folder.NEWEST)
    result = call("train", "--resume", "precious", "--steps", 90)
    assert result.code == 1
    assert "not a whole run" in result.err
    assert (outputs.parent / "precious" / "thesis.txt").read_text() == "years of work"


def test_resuming_imports_nobodys_code_without_trust(outputs):
    Path("owned").mkdir()
    Path("owned/own.py").write_text("from diffuse_cli.samplers.ddim import ddim as mine\n")
    rewrite_settings(outputs / "small" / run_folder.NEWEST, sampler="owned.own:mine")
    result = call("train", "--resume", "small", "--steps", 70, "--no-figures")
    assert result.code == 2
    assert "--trust" in result.err
    assert "owned.own" not in sys.modules
    assert call("train", "--resume", "small", "--steps", 70, "--no-figures", "--trust").code == 0
    assert "owned.own" in sys.modules


def test_overfitting_is_told_and_the_best_weights_are_used(outputs):
    np.savetxt("few.csv", np.random.default_rng(0).normal(size=(200, 3)), delimiter=",")
    words = ("--dataset", "file:few.csv", "--steps", 4000, "--set", "weight_decay=0", "--no-figures")
    result = call("train", *words)
    assert result.code == 0, result.err
    assert "Warning: the held-out loss was lower on the way" in result.err
    assert "overfitting" in result.err
    history = call("info", "few", "--json").json
    best, used = min(history["history"], key=lambda record: record["held_out"])["step"], history["step"]
    assert f"those of step {used:,}" in result.out
    assert history["checkpoint"] == run_folder.BEST
    assert best <= used < 1000  # up to a standard error, the last of the best
    assert call("sample", "--run", "few", "-n", 50, "--out", "used.npy").code == 0
    for file in (run_folder.BEST, run_folder.NEWEST):
        assert call("sample", "--run", f"few/{file}", "-n", 50, "--out", f"{file}.npy").code == 0
    used, best_samples, newest = (np.load(f"{file}.npy") for file in ("used", run_folder.BEST, run_folder.NEWEST))
    np.testing.assert_array_equal(used, best_samples)
    assert (used != newest).any()
    resumed = call("train", "--resume", "few", "--steps", 4010, "--no-figures", "--json")
    assert (resumed.code, resumed.json["steps"]) == (0, 4010)  # from the newest, not from the best


@pytest.mark.parametrize("rows", [30, 120])
def test_an_untrained_network_is_not_said_to_overfit(rows, outputs):
    np.savetxt("few.csv", np.random.default_rng(0).normal(size=(rows, 2)), delimiter=",")
    result = call("train", "--dataset", "file:few.csv", "--steps", 20, "--no-figures")
    assert result.code == 0, result.err
    assert "overfitting" not in result.err


@pytest.mark.parametrize("prediction", few_fast(["eps", "x0", "v"]))
def test_every_prediction_makes_moons(prediction, outputs):
    """Mean distance of samples to the nearest of many data points, in data units; the noise about the moons is 0.05."""
    arguments = [
        "--steps",
        3000,
        "--batch-size",
        128,
        "--width",
        32,
        "--prediction",
        prediction,
        "--name",
        "made",
        "--no-figures",
    ]
    assert call("train", *arguments).code == 0
    assert call("sample", "--run", "made", "-n", 500, "--out", "s.npy").code == 0
    data = catalog.build("dataset", "moons").draw(np.random.default_rng(0), 5000)
    gaps = np.sqrt(((np.load("s.npy")[:, None] - data) ** 2).sum(axis=2)).min(axis=1)
    assert gaps.mean() < 0.05
    assert gaps.max() < 1


def test_divergence_has_its_own_status_and_keeps_the_last_good_checkpoint(outputs):
    Path("unbounded").mkdir()
    Path("unbounded/losses.py").write_text(
        "import jax.numpy as jnp\nfrom diffuse_cli.diffusion.losses import Loss\n\n"
        "def runaway():\n"
        "    return Loss(lambda answer, _, x0, eps, level, key: -jnp.exp(jnp.mean((answer(x0, level) - 1) ** 2, -1)))\n"
    )
    arguments = ["--loss", "unbounded.losses:runaway", "--lr", 0.1, "--steps", 2000]
    result = call("train", *BARE, "--name", "wild", *arguments)
    assert result.code == 3
    assert "diverged" in result.err
    assert "smaller --lr" in result.err
    run = run_folder.open_run(outputs / "wild", trust=True)
    assert run.step > 0
    assert all(np.isfinite(value).all() for value in run.tensors.values())

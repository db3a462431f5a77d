"""diffuse train: where its settings come from, and what they are called. Hardly anything is trained."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from diffuse_cli import config
from diffuse_cli.cli.options import Duration
from tests.cli.conftest import BARE, call


@pytest.mark.parametrize("preset", sorted(config.presets()))
def test_every_preset_is_a_whole_config(preset):
    result = call("train", "--config", preset, "--dry-run")
    assert result.code == 0, result.err
    printed, said = tomllib.loads(result.out), config.read(preset)
    assert said.items() <= printed.items()
    assert config.dump(config.make(printed)) == result.out


def test_flag_over_environment_over_config_over_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("lr = 0.1\nwidth = 9\ndepth = 4\nclip = 2.0\n")
    monkeypatch.setenv("DIFFUSE_TRAIN_LR", "0.2")
    monkeypatch.setenv("DIFFUSE_TRAIN_WIDTH", "10")
    got = tomllib.loads(
        call("train", "--config", "mine.toml", "--width", 11, "--set", "weight-decay=0.5", "--dry-run").out
    )
    assert (got["lr"], got["width"], got["depth"], got["clip"], got["weight_decay"]) == (0.2, 11, 4, 2.0, 0.5)
    assert got["weight_decay"] != config.Config().weight_decay
    assert got["ema"] == config.Config().ema


def test_environment_variables_are_named_after_flags(outputs, monkeypatch):
    (outputs.parent / "mine.toml").write_text("depth = 4\n")
    monkeypatch.setenv("DIFFUSE_TRAIN_CONFIG", "mine.toml")
    monkeypatch.setenv("DIFFUSE_TRAIN_SET", "lr=0.5 ema=0.5")
    got = tomllib.loads(call("train", "--lr", 0.1, "--dry-run").out)
    assert (got["depth"], got["lr"], got["ema"]) == (4, 0.1, 0.5)
    monkeypatch.setenv("DIFFUSE_SAMPLE_STEPS", "3")
    assert call("sample", "--json").json["steps"] == 3
    monkeypatch.setenv("DIFFUSE_SAMPLE_RUN", "nope")
    assert "no run named 'nope'" in call("sample").err


def test_an_older_name_of_a_setting_still_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.toml").write_text("time = false\n")
    ways = [["--no-time"], ["--set", "time=false"], ["--config", "old.toml"], ["--no-noise-conditioning"]]
    ways += [["--config", "old.toml", "--set", "time=false"]]
    for words in ways:
        assert tomllib.loads(call("train", *words, "--dry-run").out)["noise_conditioning"] is False, words
    for words in (["--config", "old.toml", "--time"], ["--config", "old.toml", "--noise-conditioning"]):
        assert tomllib.loads(call("train", *words, "--dry-run").out)["noise_conditioning"] is True, words
    monkeypatch.setenv("DIFFUSE_TRAIN_TIME", "false")
    assert tomllib.loads(call("train", "--dry-run").out)["noise_conditioning"] is False
    assert tomllib.loads(call("train", "--noise-conditioning", "--dry-run").out)["noise_conditioning"] is True
    both = call("train", "--time", "--noise-conditioning", "--dry-run")
    assert (both.code, "give one of them" in both.err) == (2, True)
    assert "--time " not in call("train", "--help").out


def test_dry_run_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("train", "--dry-run").code == 0
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_said_is_settled_by_the_data(outputs):
    np.savetxt("few.csv", np.random.default_rng(0).normal(size=(40, 3)), delimiter=",")
    settings = tomllib.loads(call("train", "--dataset", "file:few.csv", "--dry-run").out)
    assert (settings["batch_size"], settings["width"]) == (36, 64)
    assert Path(settings["dataset"].partition("path=")[2]).is_absolute()
    settings = tomllib.loads(call("train", "--dataset", "curves", "--dry-run").out)
    assert (settings["batch_size"], settings["width"]) == (256, 128)


def test_a_run_is_named_after_its_preset(outputs, only_begun):
    for words in ([], ["--config", "made-easy"], ["--config", "made-easy", "--dataset", "circles"]):
        assert "far enough" in call("train", *BARE, *words).err
    assert only_begun == ["moons", "made_easy", "circles"]


def test_training_says_when_the_schedule_ends_too_early(outputs, only_begun):
    assert "ends too early" in call("train", *BARE, "--config", "made_easy").err
    assert "ends too early" not in call("train", *BARE).err


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("2m", 120), ("1.5h", 5400), ("45", 45), ("10 s", 10)])
def test_durations(text, seconds):
    assert Duration().convert(text, None, None) == seconds

"""Settings: older names of them."""

import pytest

from diffuse_cli import config
from diffuse_cli.errors import UsageError


def test_every_older_name_is_that_of_a_setting_of_today():
    assert config.OLD_NAMES
    for old, new in config.OLD_NAMES.items():
        assert old not in config.FIELDS
        assert new in config.FIELDS


def test_older_names_are_read_wherever_settings_are(tmp_path):
    (tmp_path / "old.toml").write_text("time = false\n")
    assert config.read(str(tmp_path / "old.toml")) == {"noise_conditioning": False}
    assert config.make({"time": False}).noise_conditioning is False
    assert config.convert("time", "false", "--set") is False
    assert "\ntime =" not in config.dump(config.make({"time": False}))


def test_both_names_of_a_setting_are_one_too_many():
    with pytest.raises(UsageError, match=r"mine.toml: time is the older name of noise_conditioning"):
        config.make({"time": True, "noise_conditioning": True}, "mine.toml")

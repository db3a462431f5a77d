"""What the command line tells of a file that it reads, and text with a byte order mark."""

import re
import shlex

import pytest

from tests.cli.conftest import call

ROWS = "".join(f"{n % 7}.5,{n % 11}.25\n" for n in range(40))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("height,weight\n" + ROWS)


def test_what_was_read_is_told_once_and_not_when_quiet():
    result = call("train", "--dataset", "file:p.csv", "--dry-run")
    assert result.err == "p.csv: 40 rows × 2 columns: height, weight\n"
    assert call("train", "--dataset", "file:p.csv", "--dry-run", "--quiet").err == ""
    assert call("plot-samples", "--dataset", "file:p.csv", "--dataset", "file:p.csv").err.count("40 rows") == 1


def test_a_warning_is_shown_when_quiet_too(tmp_path):
    (tmp_path / "p.csv").write_text("2019,2020\n" + ROWS)
    result = call("train", "--dataset", "file:p.csv", "--dry-run", "--quiet")
    assert result.err.startswith("Warning: p.csv: line 1 (2019, 2020) is read as a row of numbers")


@pytest.mark.parametrize("name", ["p.csv", "my points.csv", "it's.csv", "a,b=1.csv", "-p.csv", "$HOME.csv"])
def test_a_flag_that_is_offered_is_right_on_the_command_line(tmp_path, name):
    (tmp_path / name).write_text("height,weight\n3,\n" + ROWS)
    choice = f'file:"{name}"' if "=" in name else f"file:{name}"
    refused = call("train", "--dataset", choice, "--dry-run")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    flag = re.search(r"--dataset .*", refused.err)[0]
    result = call("train", *shlex.split(flag), "--dry-run")
    assert (result.code, result.err) == (
        0,
        f"{name}: 40 rows × 2 columns: height, weight (1 row with missing cells dropped)\n",
    )
    (tmp_path / "again.toml").write_text(result.out)  # the settings name the same file in the same way
    assert call("train", "--config", "again.toml", "--dry-run").out == result.out


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_settings_with_a_byte_order_mark_are_read(tmp_path, encoding):
    (tmp_path / "c.toml").write_bytes("steps = 10\n".encode(encoding))
    assert "steps = 10\n" in call("train", "--config", "c.toml", "--dry-run").out

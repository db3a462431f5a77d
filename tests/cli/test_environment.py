"""Variables of the environment that are for other programs, and places that cannot be written to."""

import os
import subprocess
import sys

import pytest

from diffuse_cli.cli import device
from tests.cli.conftest import call

_OTHERS = {
    "JAX_DISABLE_JIT": "1",
    "JAX_DEBUG_NANS": "1",
    "JAX_ENABLE_X64": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
}


def _process(folder, *words, **environment):
    """A process of its own: what is asked about happens before and while packages are imported."""
    plain = {name: value for name, value in os.environ.items() if name.lower() not in device.NEEDED}
    return subprocess.run(
        [sys.executable, "-m", "diffuse_cli", *words],
        cwd=folder,
        env={**plain, **environment},
        capture_output=True,
    )


def test_it_works_beside_settings_for_other_programs(tmp_path):
    (tmp_path / "matplotlibrc").write_text("backend: nonexistent\nfont.size: huge\nlines.linewidth: 100\n")
    nowhere = {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent", "JAX_COMPILATION_CACHE_DIR": "/proc/nowhere"}
    done = _process(
        tmp_path,
        *("sample", "--exact", "--dataset", "moons", "--steps", "2", "-n", "20", "--out", "there.npy", "--plot"),
        **_OTHERS,
        **nowhere,
        MPLBACKEND="nonexistent",
        PYTHONIOENCODING="latin-1",
    )
    lines = done.stderr.decode("latin-1").splitlines()
    assert done.returncode == 0, lines
    assert [line for line in lines if line.startswith("Warning")] == [
        f"Warning: {name}={value} in the environment is not used here"
        for name, value in sorted(_OTHERS.items(), key=lambda item: list(device.NEEDED).index(item[0].lower()))
    ]
    plain = call("sample", "--exact", "--dataset", "moons", "--steps", "2", "-n", "20", "--out", tmp_path / "here.npy")
    assert plain.code == 0, plain.err
    assert (tmp_path / "there.npy").read_bytes() == (tmp_path / "here.npy").read_bytes()


@pytest.mark.parametrize("variable", ["JAX_ENABLE_X64", "JAX_NUMPY_DTYPE_PROMOTION", "JAX_PLATFORMS"])
def test_a_value_that_jax_cannot_read_is_one_line(tmp_path, variable):
    done = _process(tmp_path, "sample", "--exact", **{variable: "nonsense"})
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith(b"Error: jax cannot start")
    assert list(tmp_path.iterdir()) == []


def test_what_an_encoding_lacks_is_replaced(tmp_path):
    done = _process(tmp_path, "list", "sampler", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_variables_that_are_no_option_are_named(monkeypatch):
    for name in ("DIFFUSE_TRAIN_STEP", "DIFFUSE_TARIN_LR", "DIFFUSE_SAMPLE_STEPS", "DIFFUSE_TRAIN_STEPS"):
        monkeypatch.setenv(name, "3")
    result = call("train", "--dry-run")
    assert result.code == 0
    assert [line.partition(" in the")[0] for line in result.err.splitlines()] == [
        "Warning: DIFFUSE_TARIN_LR",
        "Warning: DIFFUSE_TRAIN_STEP",
    ]
    assert "did you mean DIFFUSE_TRAIN_STEPS?" in result.err


def test_whole_numbers_may_have_an_exponent():
    assert "\nsteps = 2500\n" in call("train", "--dry-run", "--steps", "2.5e3").out
    assert "\nwarmup = 100\n" in call("train", "--dry-run", "--set", "warmup=1e2").out
    assert call("train", "--dry-run", "--steps", "1e-3").code == 2
    for line in ("sample -n 1e1.5", "compare --ends 1e9", "plot-forward --seed 1e10", "explain --seed 5e9"):
        assert "is not" in call(*line.split()).err, line
    assert "5000000000 is not in the range" in call("explain", "--seed", "5e9").err

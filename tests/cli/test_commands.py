"""The other commands on one small run: what they print, what they write, what they import."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.cli import COMMANDS
from diffuse_cli.models import run_folder
from tests.cli.conftest import BARE, call, rewrite_settings

FEW = ("-n", 30, "--steps", 4)

HEAVY = {"jax", "flax", "optax", "sklearn", "matplotlib", "scipy", "numpy", "rich", "safetensors"}


def load(file):
    with np.load(file, allow_pickle=False) as archive:
        return archive["samples"]


HELP = """
import contextlib, io, json, sys
from diffuse_cli.cli import COMMANDS, cli
told = {}
for name in ["diffuse", *COMMANDS]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            cli.main([*([] if name == "diffuse" else [name]), "--help"])
        except SystemExit as end:
            told[name] = {"status": end.code, "help": out.getvalue(), "imported": list(sys.modules)}
print(json.dumps(told))
"""


def test_help_imports_nothing_heavy_and_shows_an_example():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert {name for name, said in told.items() if said["status"] == 0} == {"diffuse", *COMMANDS}
    heavy = {name: sorted(HEAVY & set(said["imported"])) for name, said in told.items()}
    assert {name: modules for name, modules in heavy.items() if modules} == {}  # the first is the one that imports them
    assert [n for n, said in told.items() if f"diffuse {'train' if n == 'diffuse' else n}" not in _examples(said)] == []


def _examples(said):
    return said["help"].rpartition("Options:")[2]


def test_commands_are_the_modules_own_names():
    for name in COMMANDS:
        assert call(name, "--help").out.startswith(f"Usage: diffuse {name} ")


def test_version_names_what_matters():
    out = call("--version").out
    for part in ("diffuse ", "jax ", "flax ", "python ", "device cpu"):
        assert part in out


def test_sample_writes_data_units_in_every_format(outputs):
    for name in ("s.npz", "s.npy", "s.csv"):
        result = call("sample", *FEW, "--out", name)
        assert result.code == 0, result.err
        assert result.out.strip() == name
    npz, npy = load("s.npz"), np.load("s.npy")
    with open("s.csv") as file:
        header, *rows = csv.reader(file)
    assert header == ["x", "y"]
    assert npy.dtype == npz.dtype == np.float64
    np.testing.assert_array_equal(npz, npy)
    np.testing.assert_allclose(np.array(rows, float), npy, atol=1e-6)
    printed = call("sample", *FEW, "--out", "-").out
    assert printed == Path("s.csv").read_text()


def test_a_trajectory_file_has_what_it_says(outputs):
    assert call("sample", *FEW, "--trajectory", "--out", "t.npz").code == 0
    plain = call("sample", *FEW, "--out", "p.npy")
    assert plain.code == 0
    with np.load("t.npz", allow_pickle=False) as archive:
        file = dict(archive)
    assert file["trajectory"].shape == (5, 30, 2)
    assert file["x0_hat"].shape == (4, 30, 2)
    assert file["log_snr"].shape == file["alpha"].shape == file["sigma"].shape == (5,)
    assert (np.diff(file["log_snr"]) > 0).all()
    assert (file["alpha"][-1], file["sigma"][-1]) == (1, 0)
    np.testing.assert_allclose(
        file["mean"] + file["scale"] * file["trajectory"][-1], file["samples"], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(np.load("p.npy"), file["samples"], rtol=1e-5, atol=1e-5)


def test_a_trajectory_is_drawn_beside_its_samples(outputs):
    for words, names in (([], ["p.npz", "p.png"]), (["--trajectory"], ["t.npz", "t.png", "t-reverse.png"])):
        result = call("sample", *FEW, "--plot", *words, "--out", names[0])
        assert result.code == 0, result.err
        assert result.out.split() == names
        assert all(Path(name).read_bytes().startswith(b"\x89PNG") for name in names[1:])
    said = call("sample", *FEW, "--plot", "--trajectory", "--out", "j.npz", "--json").json
    assert (said["figure"], said["reverse_figure"]) == ("j.png", "j-reverse.png")


def test_seed_decides_the_samples(outputs):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert call("sample", *FEW, "--seed", seed, "--out", f"{name}.npz").code == 0
    a, b, c = (Path(f"{name}.npz").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_sample_uses_the_runs_own_method_unless_told(outputs):
    assert call("sample", "-n", 30, "--json").json["steps"] == 5
    said = call("sample", "--json", "--sampler", "ddpm:large", "--steps", 9, "--grid", "log-snr", "-n", 10).json
    assert (said["sampler"], said["steps"], said["grid"], said["n"], said["evals"]) == (
        "ddpm:variance=large",
        9,
        "log_snr",
        10,
        9,
    )
    assert load(said["file"]).shape == (10, 2)
    assert (outputs / "small" / "samples").samefile(said["file"].rpartition("/")[0])


def test_sample_from_a_checkpoint_on_the_way(outputs):
    assert call("sample", "--run", "small/best.safetensors", *FEW, "--out", "s.npy").code == 0
    assert call("sample", "--run", outputs / "small", *FEW, "--out", "s.npy").code == 0


def test_a_run_on_a_file_that_has_gone_keeps_the_digits_of_large_offsets(outputs):
    rng = np.random.default_rng(0)
    np.savetxt("t.csv", 1.7e9 + 3600 * rng.normal(size=(200, 2)), fmt="%.6f", delimiter=",")
    small = [word for word in BARE if word not in ("--train-size", "500")]
    assert call("train", "--dataset", "file:t.csv", *small).code == 0
    (outputs.parent / "t.csv").unlink()  # sampling needs no data
    assert call("sample", "--run", "t", "-n", 100, "--steps", 4, "--out", "s.csv").code == 0
    assert len(np.unique(np.loadtxt("s.csv", delimiter=",", skiprows=1)[:, 0])) > 90


def test_plot_forward_needs_no_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("plot-forward", "--config", "made_easy", "--frames", 4, "--dpi", 40)
    assert result.code == 0, result.err
    assert [path.name for path in tmp_path.iterdir()] == ["forward.png"]


def test_list_names_everything_with_its_options():
    document = call("list", "--json").json
    assert {
        "datasets",
        "schedules",
        "scalings",
        "predictions",
        "losses",
        "families",
        "autoencoders",
        "levels",
        "samplers",
        "guidance",
        "factors",
        "grids",
        "posteriors",
        "metrics",
        "presets",
    } == set(document)
    assert {"name": "ddim", "options": "eta=0.0"}.items() <= document["samplers"][1].items()
    assert document["samplers"][0]["options"] == "variance=small|large|learned"
    assert "two interleaved half circles" in call("list", "datasets").out
    assert call("list", "dataset").code == 0


def test_runs_and_info(outputs):
    (row,) = call("runs", "--json").json
    assert (row["name"], row["step"], row["steps"]) == ("small", 60, 60)
    assert "small" in call("runs").out
    document = call("info", "small", "--json").json
    assert document["step"] == 60
    assert document["settings"]["width"] == 8
    assert document["versions"]["jax"]
    assert document["history"][-1]["held_out"] == run_folder.read_log(outputs / "small")[-1]["held_out"]
    assert "config.toml" in call("info").out
    assert call("info", "--run", "small", "--json").json == document


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m diffuse_cli list --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode in (0, 141)  # 141: ended by the pipe, as any Unix tool is
    assert done.stderr == ""


def test_half_a_line_at_the_end_of_a_log_is_ignored(outputs):
    before = run_folder.read_log(outputs / "small")
    with (outputs / "small" / "log.jsonl").open("a") as log:
        log.write('{"step": 70, "lo')
    assert call("info").code == 0
    assert run_folder.read_log(outputs / "small") == before


def test_opening_a_run_again_compiles_nothing(outputs):
    from diffuse_cli.models.draw import Method, draw_samples
    from diffuse_cli.models.model import model_of_run
    from diffuse_cli.samplers.loop import scan

    method = Method("ddim:eta=0.25", "uniform", 4)
    draw_samples(model_of_run(run_folder.open_run(outputs / "small")), method, 10, 0)
    before = scan._cache_size()
    draw_samples(model_of_run(run_folder.open_run(outputs / "small")), method, 10, 1)
    assert scan._cache_size() == before


def test_another_method_does_not_replace_the_runs_own_figure(outputs):
    own = outputs / "small" / "figures" / "reverse.png"
    before = own.read_bytes()
    assert call("plot-reverse", "--sampler", "ddpm", "--dark").out.strip().endswith("reverse-ddpm-5-uniform-dark.png")
    assert own.read_bytes() == before
    assert call("plot-reverse").out.strip().endswith("reverse.png")


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ("diffuse", "pl", [name for name in COMMANDS if name.startswith("pl")]),
        ("diffuse train --dataset", "swi", ["swiss_roll"]),
        ("diffuse train --config", "made", ["made_easy"]),
        ("diffuse train --resume", "sm", ["small"]),
        ("diffuse sample --run", "", ["small"]),
        ("diffuse info", "s", ["small"]),
    ],
)
def test_shell_completion(words, incomplete, expected, outputs):
    from click.shell_completion import ShellComplete

    from diffuse_cli.cli import cli

    found = ShellComplete(cli, {}, "diffuse", "_DIFFUSE_COMPLETE").get_completions(words.split()[1:], incomplete)
    assert sorted(item.value for item in found) == sorted(expected)


def test_names_are_never_cut(outputs):
    name = "a_run_with_quite_a_long_name_that_no_narrow_table_holds" * 2
    (outputs / "small").rename(outputs / name)
    assert name in call("runs").out
    assert "diffusion_of_the_curve" in call("list", "presets").out


def test_a_checkpoint_alone_is_enough(outputs):
    (outputs.parent / "alone").mkdir()
    alone = outputs.parent / "alone" / "mine.safetensors"
    alone.write_bytes((outputs / "small" / run_folder.NEWEST).read_bytes())
    for command in (["sample", *FEW], ["plot-reverse", "--dpi", 50], ["info"]):
        result = call(*command, "--run", alone)
        assert result.code == 0, result.err


def test_runs_where_there_is_none(tmp_path):
    assert call("runs", "--outputs", tmp_path, "--json").json == []
    assert "diffuse train" in call("runs", "--outputs", tmp_path).err


def test_quiet_leaves_results_only(outputs):
    result = call("sample", "--quiet", *FEW, "--out", "s.npy")
    assert (result.out, result.err) == ("s.npy\n", "")


def test_own_code_samples_but_a_run_that_names_it_needs_trust(outputs):
    Path("lab").mkdir()
    Path("lab/mylab.py").write_text(
        "from diffuse_cli.samplers.ddim import ddim\n\ndef mine(*, eta: float = 0.0):\n    return ddim(eta=eta)\n"
    )
    assert call("sample", "--sampler", "lab.mylab:mine:eta=1", *FEW, "--out", "s.npy").code == 0
    assert call("train", "--set", "sampler=lab.mylab:mine", "--dry-run").code == 0
    rewrite_settings(outputs / "small" / run_folder.NEWEST, sampler="lab.mylab:mine")
    refused = call("sample", *FEW, "--out", "s.npy")
    assert refused.code == 2
    assert "--trust" in refused.err
    assert call("sample", "--trust", *FEW, "--out", "s.npy").code == 0

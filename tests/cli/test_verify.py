"""diffuse verify: orders that hold, an order that does not, figures, mistakes."""

from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.analysis import exact_maps
from tests.cli.conftest import call
from tests.support.cases import few_fast

STEPS = (40, 80, 160)
STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
QUICK = ["--dataset", "bimodal", "--steps", "40,80,160"]


@pytest.fixture(autouse=True)
def _stand_in_a_folder_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def own(package, text):
    """Own code, as package.mine. A package of one name is imported once in a process."""
    Path(package).mkdir()
    Path(package, "mine.py").write_text(
        "from diffuse_cli.samplers.ddim import ddim\nfrom diffuse_cli.samplers.base import Sampler\n\n" + text
    )


def test_the_keys_that_scripts_rely_on():
    words = ["verify", *QUICK, "--sampler", "ddim", "--sampler", "heun", "--sampler", "dpmpp_3m"]
    result = call(*words, "--json")
    assert result.code == 0, result.err
    said = result.json
    assert set(said) == {
        "dataset", "schedule", "timesteps", "times", "log_snr", "points", "steps", "reference_error", "passed",
        "samplers",
    }  # fmt: skip
    assert (said["dataset"], said["schedule"], said["times"], said["steps"]) == (
        "bimodal",
        "cosine",
        [0.9, 0.2],
        list(STEPS),
    )
    assert said["log_snr"][0] < said["log_snr"][1]
    assert said["reference_error"] < 1e-10
    assert said["passed"] is True
    assert [each["sampler"] for each in said["samplers"]] == ["ddim", "heun", "dpmpp_3m"]
    for each, order, evals in zip(
        said["samplers"], (1, 2, 3), ([40, 80, 160], [80, 160, 320], [41, 81, 161]), strict=True
    ):
        assert set(each) == {"sampler", "theory", "observed", "passed", "evals", "errors"}
        assert (each["theory"], each["passed"], each["evals"]) == (order, True, evals)
        slope = -np.polyfit(np.log(STEPS), np.log(each["errors"]), 1)[0]
        assert each["observed"] == pytest.approx(slope)
        assert slope == pytest.approx(order, abs=0.3)
    assert not list(Path().iterdir())  # no figure unless asked for


def test_a_wrong_order_fails_after_the_table_is_printed():
    own("proud_lab", "def proud():\n    return ddim()._replace(order=2)\n")
    words = ["verify", *QUICK, "--sampler", "proud_lab.mine:proud", "--sampler", "ddim"]
    result = call(*words)
    assert result.code == 1
    assert result.out.count("FAIL") == 1
    assert result.out.count("pass") == 1
    (error,) = [line for line in result.err.splitlines() if line.startswith("Error: ")]
    assert "1 of 2 samplers do not show their order: proud_lab.mine:proud " in error
    again = call(*words, "--json")
    assert (again.code, again.json["passed"]) == (1, False)


@pytest.mark.slow
def test_by_default_all_that_have_an_order_are_verified():
    from diffuse_cli.analysis.convergence_order import with_order

    result = call("verify", "--dataset", "bimodal", "--json")
    assert result.code == 0, result.err
    assert [each["sampler"] for each in result.json["samplers"]] == with_order()


ANOTHER = ["--dataset file:points.csv", "--schedule linear", "--times 1,0.3 --timesteps 50"]


@pytest.mark.parametrize("words", few_fast(ANOTHER, ANOTHER[2]))
def test_another_schedule_another_stretch_and_a_file(words):
    np.savetxt("points.csv", np.random.default_rng(0).normal(size=(60, 2)), delimiter=",")
    result = call("verify", *QUICK[:2], *words.split(), "--sampler", "heun", "--json")
    assert result.code == 0, result.err
    assert result.json["passed"]


@pytest.mark.parametrize("suffix", few_fast(STARTS, "svg"))
def test_the_table_and_figures(suffix):
    words = ["verify", *QUICK, "--sampler", "ddim", "--sampler", "unipc", "--out", f"f.{suffix}", "--dark"]
    result = call(*words)
    assert result.code == 0, result.err
    assert "error at 160 steps" in result.out
    assert result.out.count("pass") == 2
    assert result.out.splitlines()[-1] == f"f.{suffix}"
    first = Path(f"f.{suffix}").read_bytes()
    assert first.startswith(STARTS[suffix])
    assert call(*words, "--json").json["figure"] == f"f.{suffix}"
    assert Path(f"f.{suffix}").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ("--sampler ddpm", 2, "ddpm states no order of convergence: it is random"),
        ("--sampler ddim:eta=0.5", 2, "it is random"),
        ("--sampler langevin:step_size=0.1", 2, "it is random"),
        ("--sampler ode", 2, "chooses its own steps"),
        ("--sampler shy_lab.mine:shy", 2, "states one as Sampler(step, order=2)"),
        ("--sampler dimm", 2, "did you mean 'ddim'"),
        ("--steps 20,40", 2, "3 different numbers of steps"),
        ("--steps 20,20,40", 2, "3 different numbers of steps"),
        ("--steps 20,40.5,80", 2, "40.5 is not a whole number"),
        ("--steps 0,20,40", 2, "0 is not a whole number"),
        ("--steps 1,2,x", 2, "numbers with commas"),
        ("--times 0.2,0.9", 2, "the noisier first"),
        ("--times 0.9", 2, "two times are needed"),
        ("--times 0.9,0.0001", 2, "1/T = 0.001"),
        ("--dataset mons", 2, "did you mean 'moons'"),
        ("--out f.jpg", 2, ".png"),
        ("--loss lsd", 2, "add --losses"),
        ("--losses --loss simple", 2, "trains a denoiser and no flow map"),
        ("--losses --loss lds", 2, "did you mean 'lsd'"),
        ("--losses --loss progressive:steps=12", 2, "progressive:steps=8"),
        ("--losses --sampler ddim", 2, "--sampler is for samplers"),
        ("--losses --steps 20,40,80", 2, "--steps is for samplers"),
        ("--losses --times 0.9,0.3", 2, "--times is for samplers"),
        ("--losses --out f.png", 2, "--out is for samplers"),
    ],
)
def test_mistakes(words, status, says):
    own("shy_lab", "def shy():\n    return Sampler(ddim().step)\n")
    result = call("verify", *words.split())
    assert result.code == status, result.err
    assert says in result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    assert result.err.count("Error: ") == 1


def test_losses_are_verified(monkeypatch):
    """Those that are named, on the two known maps, as a table and as JSON."""
    monkeypatch.setattr(exact_maps, "mixture", lambda: exact_maps.gaussian()._replace(name="mixture"))
    words = ["verify", "--losses", "--loss", "paths", "--loss", "reflow"]
    result = call(*words, "--json")
    assert result.code == 0, result.err
    said = result.json
    assert set(said) == {"dataset", "seed", "passed", "not_checked", "losses"}
    assert (said["dataset"], said["passed"], said["not_checked"]) == (None, True, [])
    names = ["paths", "reflow, from t = 1", "reflow, lines"]
    assert [(each["data"], each["loss"]) for each in said["losses"]] == [
        (data, name) for data in ("gaussian", "mixture") for name in names
    ]
    for each in said["losses"]:
        assert set(each) == {
            "loss", "data", "residual", "allowed", "gradient", "gradient_stderr", "pull", "pull_stderr", "passed",
        }  # fmt: skip
        assert each["residual"] < each["allowed"] == 1e-4
        assert each["pull"] == pytest.approx([1.0] * 4)
    table = call(*words)
    assert (table.code, table.out.count("pass")) == (0, 6)
    assert "1.00 to 1.00" in table.out


def test_a_wrong_loss_fails_after_the_table_is_printed(monkeypatch):
    monkeypatch.setattr(exact_maps, "mixture", lambda: exact_maps.gaussian()._replace(name="mixture"))
    Path("false_lab").mkdir()
    Path("false_lab", "mine.py").write_text(
        "from diffuse_cli.diffusion.map_losses import lsd\n\n\ndef false(process):\n"
        "    loss = lsd()\n    return loss._replace(residual=lambda u, s, lesson: u(s.x, s.t, s.r) - 2 * s.d)\n"
    )
    result = call("verify", "--losses", "--loss", "false_lab.mine:false")
    assert result.code == 1, result.err
    assert result.out.count("FAIL") == 2
    assert "2 of 2 checks of losses fail: false_lab.mine:false on gaussian" in result.err


@pytest.mark.slow
def test_losses_are_verified_on_a_set_of_data():
    result = call("verify", "--losses", "--loss", "psd", "--dataset", "bimodal", "--json")
    assert result.code == 0, result.err
    assert result.json["dataset"] == "bimodal"
    assert [each["data"] for each in result.json["losses"]] == ["gaussian", "mixture", "bimodal"]

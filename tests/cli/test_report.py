"""diffuse report: what is in the page, of which runs, and what is said where there can be none."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.analysis import digits
from diffuse_cli.models import run_folder
from diffuse_cli.report import facts, page
from tests.cli.conftest import call, rewrite_settings
from tests.cli.test_mistakes import state_of

HOSTILE = "<img src=x onerror=alert(1)> é☃ & 'so'"


def document_of(file):
    content = Path(file).read_text(encoding="utf-8")
    assert len(content.encode()) < page.LIMIT
    return json.loads(re.search(r'id="document">(.*?)</script>', content, re.S)[1])


def report(*args):
    result = call("report", "--no-metrics", *args)
    assert result.code == 0, result.err
    return result


def test_the_page_of_a_run(outputs):
    result = report()
    assert result.out == f"{Path('outputs/small/report.html')}\n"
    document = document_of(outputs / "small" / "report.html")
    assert document["name"] == "small"
    assert [panel["title"] for panel in document["scene"]["panels"]] == ["forward", "dpmpp_2m", "ddpm"]
    assert document["scene"]["count"] == 2000
    assert document["asked"] is None
    assert document["metrics"] is None
    assert document["caveats"] == []
    assert document["scene"]["names"] == ["x", "y"]
    assert set(document["field"]["values"]) == {"model", "exact"}
    assert ["width", "8"] in [row[:2] for row in document["settings"]]
    assert document["made"][0][1].startswith("60 steps in ")
    assert (outputs / "small" / "config.toml").read_text() == document["config"]
    log = run_folder.read_log(outputs / "small")
    assert document["loss"]["train"][0] == [record["step"] for record in log]
    assert document["loss"]["irreducible"] == pytest.approx(log[-1]["held_out"] - log[-1]["excess"])


def test_the_commands_in_the_page_make_it_again(outputs):
    asked = ["--sampler", "ddim:eta=0.5", "--sampler", "heun", "--steps", "4", "-n", "30", "--seed", "7"]
    report("--run", "small", *asked, "--out", "a.html")
    first = document_of("a.html")
    train, again = first["commands"]
    assert train == "diffuse train --config config.toml --name small"
    assert again.startswith("diffuse report --run small --sampler ddim:eta=0.5 --sampler heun --steps 4")
    assert call(*again.split()[1:], "--out", "b.html").code == 0
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()


@pytest.mark.slow
def test_each_sampler_stands_beside_the_same_floors(outputs, monkeypatch):
    monkeypatch.setattr(facts, "JUDGED", 150)
    monkeypatch.setattr(facts, "_REPEATS", 3)
    result = call("report", "--sampler", "dpmpp_2m", "--sampler", "ddim", "-n", 20, "--out", "r.html")
    assert result.code == 0, result.err
    assert "--no-metrics leaves this out" in result.err
    metrics = document_of("r.html")["metrics"]
    assert metrics["columns"] == ["dpmpp_2m", "ddim"]
    rows = {row["name"]: row for row in metrics["rows"]}
    assert {"w2", "sliced_w2", "energy", "mmd"} <= set(rows)
    first, second = rows["w2"]["cells"]
    assert first != second
    said = call("evaluate", "-n", 150, "--repeats", 3, "--metric", "w2", "--json").json
    judged, nll = said["metrics"]["w2"], said["nll"]
    assert first[0] == digits.rounded_to(judged["value"], judged["floor_std"])
    assert rows["w2"]["floor"] == digits.with_spread(judged["floor"], judged["floor_std"])
    assert metrics["others"][0] == ["NLL", f"{digits.rounded_to(nll['value'], nll['stderr'])} nats"]
    np.testing.assert_allclose(metrics["excess"][0][0], said["excess_loss"]["by_log_snr"][0][0], rtol=1e-5)


@pytest.mark.parametrize(
    ("dataset", "kind", "layers"),
    [
        ("bimodal", "histogram", {"density"}),
        pytest.param("moons", "plane", {"density", "field"}, marks=pytest.mark.slow),
        pytest.param("s_curve:dim=3", "space", set(), marks=pytest.mark.slow),
        ("curves", "curves", set()),
    ],
)
def test_every_kind_of_data_of_an_exact_denoiser(dataset, kind, layers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = report("--exact", "--dataset", dataset, "--steps", 6, "-n", 100)
    document = document_of(result.out.strip())
    assert document["scene"]["kind"] == kind
    assert {name for name in ("density", "field") if document[name]} == layers
    assert document["loss"] is None
    assert [row[0] for row in document["settings"]] == ["dataset", "schedule", "timesteps", "zero_terminal_snr"]
    (command,) = document["commands"]
    assert f"--exact --dataset {dataset} --schedule cosine" in command
    assert (document["asked"] == 100) is (kind == "curves") is ("40 of 100 points" in result.err)


def test_a_users_file_and_one_that_has_gone(outputs):
    Path(HOSTILE).mkdir()
    file = Path(HOSTILE) / "points.csv"
    np.savetxt(file, np.random.default_rng(0).normal(size=(80, 5)), delimiter=",")
    small = ["--steps", 20, "--batch-size", 16, "--width", 8, "--set", "sampler_steps=4", "--no-figures"]
    assert call("train", "--dataset", f"file:path={file}", *small, "--name", "five").code == 0
    report("--run", "five", "-n", 20, "--out", "r.html")
    document = document_of("r.html")
    assert document["scene"]["kind"] == "projected"
    assert document["scene"]["count"] == 20
    assert document["scene"]["names"] == ["PC 1", "PC 2"]
    assert [line.split(":")[0].split(",")[0] for line in document["caveats"]] == [
        "The law of these rows is not known",
        "So there is no exact field",
    ]
    assert 'dataset = "file:path=points.csv"' in document["config"]  # the page is for others too
    assert HOSTILE not in Path("r.html").read_text()
    file.unlink()
    gone = call("report", "--run", "five", "--out", "other.html")
    assert gone.code == 1
    assert "points.csv" in gone.err
    assert not Path("other.html").exists()


def test_the_page_says_what_the_terminal_says_before_it_is_believed(outputs, monkeypatch):
    """Of a file: that it is judged by few rows, that the model overfits, and which distances are left out."""
    monkeypatch.setattr(facts, "_REPEATS", 3)
    np.savetxt("mine.csv", np.random.default_rng(0).normal(size=(60, 2)), delimiter=",", header="a,b", comments="")
    small = ["--steps", 20, "--batch-size", 16, "--width", 8, "--set", "sampler_steps=4", "--no-figures"]
    assert call("train", "--dataset", "file:mine.csv", *small, "--name", "mine").code == 0
    log = Path("outputs/mine/log.jsonl")
    records = run_folder.read_log(log.parent)
    records[-1]["held_out"] = 2.0
    records[0]["held_out"] = 1.0
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    asked = ["--run", "mine", "-n", 20, "--sampler", "ddim", "--steps", 4, "--out", "r.html"]
    assert call("report", *asked).code == 0
    document = document_of("r.html")
    judged = call("evaluate", "--run", "mine", "-n", 100, "--repeats", 3, "--sampler", "ddim", "--steps", 4)
    said = [line for line in judged.err.splitlines() if line.startswith(("The law", "Too few"))]
    assert said
    overfits, law, without, *judgement = document["caveats"]
    assert overfits == "The held-out loss was lower on the way (1.0000): the last weights are overfitting."
    assert "the density is an estimate" in without
    assert " ".join([law, *judgement]).replace(".", "").split() == " ".join(said).replace(".", "").split()
    assert document["scene"]["names"] == ["a", "b"]
    assert document["density"]["smoothed"]
    report("--run", "mine", "--steps", 4, "--out", "rows.html")
    assert document_of("rows.html")["scene"]["count"] == 60


@pytest.mark.slow
def test_however_many_points_are_asked_for(outputs):
    samplers = [part for name in ("ddim", "ddpm", "euler", "heun") for part in ("--sampler", name)]
    result = report("-n", 100_000, *samplers, "--steps", 60, "--out", "r.html")
    document = document_of("r.html")
    assert document["asked"] == 100_000
    assert f"{document['scene']['count']:,} of 100,000 points are shown" in result.err
    assert 1000 < document["scene"]["count"] < 3000


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("--out r.pdf", 2, "known: .html"),
        ("--out report", 2, "known: .html"),
        ("--out nowhere/r.html", 1, "the folder nowhere does not exist"),
        ("--run nothing", 1, "Runs there: small."),
        ("--sampler dimm", 2, "did you mean 'ddim'"),
        ("-n 1", 2, "2<=x<="),
        ("--sampler dpmpp_3m --steps 2", 2, "give --steps 3"),
        (" ".join(f"--sampler ddim:eta=0.{n}" for n in range(1, 8)), 2, "at most 6"),
        ("--dataset moons", 2, "--exact"),
    ],
)
def test_mistakes(line, status, says, outputs):
    before = state_of(outputs.parent)
    result = call("report", *line.split())
    assert result.code == status, result.err
    assert says in result.err
    assert len([row for row in result.err.splitlines() if row.startswith("Error: ")]) == 1
    assert "should not happen" not in result.err
    assert result.out == ""
    assert state_of(outputs.parent) == before


def test_where_the_ancestral_chain_has_no_meaning_the_runs_own_sampler_stands_alone(outputs):
    rewrite_settings(outputs / "small" / run_folder.NEWEST, loss="flow:pairing=ot")
    report("-n", 20, "--out", "r.html")
    document = document_of("r.html")
    assert [panel["title"] for panel in document["scene"]["panels"]] == ["forward", "dpmpp_2m"]
    assert document["field"]["score"] is False

"""The rules of the claims, their page, and that each of them can be measured."""

import json

import numpy as np
import pytest

from benchmarks import families
from benchmarks.claims import claim, page, sampling, work
from benchmarks.claims.claim import FAILS, HOLDS, PARTLY, QUICK, UNKNOWN, Figure
from benchmarks.claims.table import CLAIMS, NAMES, main
from tests.claims_made_up import MADE_UP


def test_every_claim_has_made_up_figures_on_both_sides_of_its_rule():
    assert set(MADE_UP) == set(NAMES)
    assert len(NAMES) == len(CLAIMS)
    for name, cases in MADE_UP.items():
        verdicts = [verdict for _, verdict in cases]
        assert verdicts == [UNKNOWN] if NAMES[name].measure is None else {HOLDS, FAILS} <= set(verdicts), name
        assert ("*in part*" in NAMES[name].rule) == (PARTLY in verdicts), name


@pytest.mark.parametrize("name", MADE_UP)
def test_the_rule_gives_the_verdict(name):
    assert [NAMES[name].judge(figures) for figures, _ in MADE_UP[name]] == [verdict for _, verdict in MADE_UP[name]]


def test_the_page_is_what_its_figures_give():
    """If it is not: python docs/redraw.py claims --page"""
    assert page.PAGE.read_text(encoding="utf-8") == page.render(CLAIMS, page.records())


def test_the_page_has_a_figure_of_every_claim_that_was_measured():
    records = page.records()
    assert set(records) <= set(NAMES)
    for name, record in records.items():
        if record.figures:
            assert NAMES[name].short(record.figures)
            assert all("∞" in str(each) or np.isfinite(each.value) for each in record.figures.values()), name
            assert NAMES[name].judge(record.figures) in (HOLDS, PARTLY, FAILS)


def test_figures_survive_their_file(tmp_path):
    figures = {"a / b": Figure(1.5, 0.25), "a / c": Figure(float("inf")), "d / b": Figure(2.0)}
    for name in ("two", "one"):
        page.keep(tmp_path / "claims.json", name, page.Record(figures, 3.2, "a machine", 0.5))
    kept = page.records(tmp_path / "claims.json")
    assert list(kept) == ["one", "two"]
    assert kept["one"].figures == figures
    assert page.table(figures) == ["| | b | c |", "|---|---|---|", "| a | 1.50 ± 0.25 | ∞ |", "| d | 2 |  |"]
    assert json.loads((tmp_path / "claims.json").read_text())["one"]["figures"]["a / c"] == [None, None]


def test_a_reason_stands_only_beside_its_verdict():
    made_up = NAMES["entropy_rises"]
    lines = {verdict: "\n".join(page.section(made_up, verdict, None)) for verdict in (HOLDS, PARTLY)}
    assert made_up.because[PARTLY] in lines[PARTLY]
    assert made_up.because[PARTLY] not in lines[HOLDS]


def test_an_unknown_claim_is_told():
    with pytest.raises(SystemExit, match="no claim named nothing; there are: terminal_normal"):
        main(["nothing"])


def test_a_figure_has_the_digits_of_its_error():
    shown = [str(each) for each in (Figure(3.0), Figure(0.12345), Figure(0.12345, 0.02), Figure(1e-9, 1e-10))]
    assert shown == ["3", "0.123", "0.123 ± 0.020", "1e-09 ± 1e-10"]


def test_infinite_gaps_are_above_all_others():
    assert claim.lower(Figure(1.0, 0.1), claim.over([np.inf, np.inf]))
    assert not claim.lower(claim.over([]), Figure(1.0, 0.1))


def test_points_of_the_truth_have_equal_modes():
    dataset = work.dataset_of("grid_gaussians")
    points = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), 25_000))
    counts = work.nearest_modes("grid_gaussians", points)
    assert counts.sum() == 25_000
    assert 0.3 < sampling.chi2(counts) < 2.2  # chi² of 24 degrees, at a level of 0.1 %
    assert sampling.chi2(work.nearest_modes("grid_gaussians", points[points[:, 0] > 0])) > 100


def line(family, seed, **figures):
    return {
        "family": family,
        "dataset": "moons",
        "seed": seed,
        "budget": "1s",
        **dict.fromkeys(families.COLUMNS),
        **figures,
    }


def test_families_that_are_finished_are_not_run_again(tmp_path, monkeypatch, capsys):
    file, asked = tmp_path / "runs.jsonl", []
    monkeypatch.setattr(families, "run", lambda **key: asked.append(key) or dict.fromkeys(families.COLUMNS))
    words = ["moons", "--family", "gan", "--family", "kde", "--seeds", "2", "--budget", "1s", "--out", str(file)]
    families.add(file, line("gan", 1, gap=3.0))
    families.main(words)
    assert [(each["family"], each["seed"]) for each in asked] == [("gan", 0), ("kde", 0), ("kde", 1)]
    families.main(words)
    assert len(asked) == 3
    assert len(families.finished(file)) == 4


def test_the_table_of_families_has_medians_and_their_ends():
    lines = [line("gan", seed, sample=value) for seed, value in enumerate((1.0, 2.0, 5.0))]
    header, _, row = families.table(lines)
    cells = dict(zip(header.split(" | "), row.split(" | "), strict=True))
    assert cells["sample, s"] == "2 (1 to 5)"
    assert cells["gap, nats"] == ""


@pytest.mark.slow
def test_every_claim_can_be_measured(monkeypatch, tmp_path):
    from benchmarks.claims import others

    runs = [
        line(family, seed, sliced_w2=1.0, modes=8, sample=1.0, log_p=1.0) | {"dataset": name}
        for family in ("diffusion", "gan", "vae")
        for name in families.SETS
        for seed in (0, 1)
    ]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in runs))
    monkeypatch.setattr(others, "RESULTS", tmp_path / "runs.jsonl")
    for each in CLAIMS:
        if each.measure is not None:
            figures = each.measure(QUICK)
            assert figures, each.name
            assert each.judge(figures) in (HOLDS, PARTLY, FAILS), each.name
            assert each.short(figures), each.name

"""diffuse explain on the small run, on exact denoisers and on a file: numbers, figures, mistakes."""

import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.cli.commands import explain as commands
from tests.cli.conftest import call
from tests.support.cases import few_fast


def arrays(document):
    return {key: np.array([time[key] for time in document["times"]]) for key in document["times"][0]}


def test_the_numbers_belong_together(outputs):
    document = call("explain", "--json", "--at", "0.2,0.7").json
    at = arrays(document)
    x0, eps = np.array(document["x0"]), np.array(document["eps"])
    np.testing.assert_allclose(at["t"], [0.2, 0.7])
    alpha, sigma = at["alpha"][:, None], at["sigma"][:, None]
    np.testing.assert_allclose(at["x_t"], alpha * x0 + sigma * eps, rtol=1e-9)
    np.testing.assert_allclose(at["target"], alpha * eps - sigma * x0, rtol=1e-6)
    np.testing.assert_allclose(at["x0_hat"], alpha * at["x_t"] - sigma * at["answer"], atol=1e-6)
    np.testing.assert_allclose(at["eps_hat"], sigma * at["x_t"] + alpha * at["answer"], atol=1e-6)
    np.testing.assert_allclose(at["squared_error"], np.sum((at["x0_hat"] - x0) ** 2, axis=1), rtol=1e-6)
    np.testing.assert_allclose(at["model_error"], np.sum((at["x0_hat"] - at["posterior_mean"]) ** 2, axis=1), rtol=1e-6)
    np.testing.assert_allclose(at["irreducible"], np.sum(at["posterior_std"] ** 2, axis=1), rtol=1e-6)
    np.testing.assert_allclose(document["x0_data"], np.array(document["mean"]) + np.array(document["scale"]) * x0)
    assert (document["posterior"], document["prediction"]) == ("exact", "v")


def test_the_point_is_in_data_units_and_the_first_held_out_one_by_default(outputs):
    from diffuse_cli.models import build, run_folder
    from diffuse_cli.models.data import draw_data

    given = call("explain", "--json", "--point", "-0.5,1.0").json
    np.testing.assert_allclose(given["x0_data"], [-0.5, 1.0])
    config = run_folder.open_run(outputs / "small").config
    first = draw_data(config, build.build_dataset(config)).held_out[0]
    np.testing.assert_allclose(call("explain", "--json").json["x0"], first, rtol=1e-6)


def test_the_exact_denoiser_adds_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for dataset in ("moons", "curves:dim=3,terms=2"):
        at = arrays(call("explain", "--exact", "--dataset", dataset, "--json", "--at", "0.1,1").json)
        assert (at["model_error"] < 1e-9).all()
        assert at["irreducible"][0] < at["irreducible"][1]


def test_a_gaussian_in_closed_form(tmp_path, monkeypatch):
    """`curves` is Gaussian: the mean of x0 given x is alpha C (alpha^2 C + sigma^2 I)^-1 x."""
    monkeypatch.chdir(tmp_path)
    document = call("explain", "--exact", "--dataset", "curves:dim=6,terms=2", "--json", "--at", "0.4").json
    dataset = catalog.build("dataset", "curves:dim=6,terms=2")
    draws = dataset.standard.to_model(dataset.draw(np.random.default_rng(0), 400_000))
    covariance = np.cov(draws, rowvar=False)
    (time,) = document["times"]
    alpha, sigma = time["alpha"], time["sigma"]
    gain = alpha * covariance @ np.linalg.inv(alpha**2 * covariance + sigma**2 * np.eye(6))
    np.testing.assert_allclose(time["posterior_mean"], gain @ time["x_t"], atol=0.01)
    values = np.linalg.eigvalsh(covariance - alpha * gain @ covariance)[::-1]
    np.testing.assert_allclose(time["posterior_std"], np.sqrt(values), atol=0.01)


def test_tables(outputs):
    out = call("explain", "--at", "0.2,0.7").out
    for word in ("x0 in data units", "t = 0.2", "t = 0.7", "target (v)", "exact mean", "irreducible", "columns x, y"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 80
    assert out.rstrip().endswith("explain.png")
    vectors = call("explain", "--exact", "--dataset", "curves").out
    assert "lengths of vectors" in vectors
    assert "|x0_hat|" in vectors
    assert max(map(len, vectors.splitlines())) <= 80


@pytest.mark.parametrize(
    "line",
    few_fast(
        ["--dataset moons", "--dataset s_curve:dim=3 --at 0.3", "--dataset curves --dark", "--dataset line:noise=0"],
        "--dataset curves --dark",
        "--dataset line:noise=0",
    ),
)
def test_figures(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("explain", "--exact", "--out", "f.svg", *line.split())
    assert result.code == 0, result.err
    assert result.out.rstrip().endswith("f.svg")
    assert (tmp_path / "f.svg").read_text().startswith("<?xml")


def test_a_run_keeps_its_figure_and_a_script_says_where(outputs):
    kept = outputs / "small" / "figures" / "explain.png"
    assert "figure" not in call("explain", "--json").json
    assert not kept.exists()
    assert call("explain", "--json", "--out", "here.pdf").json["figure"] == "here.pdf"
    assert (outputs.parent / "here.pdf").is_file()
    result = call("explain", "--run", "small")
    assert result.code == 0, result.err
    assert kept.is_file()


def test_data_on_a_line_and_points_known_by_heart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savetxt("points.csv", np.random.default_rng(0).normal(size=(40, 1)), header="x", comments="")
    document = call("explain", "--exact", "--dataset", "file:points.csv", "--json", "--at", "0.001,0.5").json
    assert document["posterior"] == "memorised"
    result = call("explain", "--exact", "--dataset", "file:points.csv")
    assert result.code == 0, result.err
    assert "memorised mean" in result.out


def test_as_many_times_as_a_figure_takes():
    from diffuse_cli.cli.commands.explain import _MOST_TIMES
    from diffuse_cli.plots.explain import MOST_EXPLAINED

    assert _MOST_TIMES == MOST_EXPLAINED


def test_the_seed_decides_the_noise(outputs):
    one, same, other = (call("explain", "--json", "--seed", seed).json for seed in (1, 1, 2))
    assert one == same
    assert one["x0"] == other["x0"]
    assert one["eps"] != other["eps"]


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("--point 1", 2, "--point has 1 value, but a point of moons has 2 values"),
        ("--point 1,2,3", 2, "has 3 values"),
        ("--point 1,x", 2, "numbers with commas"),
        ("--point 1,nan", 2, "finite"),
        ("--point 1,inf", 2, "finite"),
        ("--point 1e300,0", 2, "standard deviations from the data"),
        ("--at 0", 2, "from 1/T = 0.001 to 1"),
        ("--times 0.5,1.5", 2, "--at 1.5"),
        ("--times nan", 2, "finite"),
        ("--at 0.5,,0.7", 2, "numbers with commas"),
        ("--at 0.0001", 2, "1/T"),
        ("--at 0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1", 2, "12 are the most"),
        ("--out e.jpg", 2, ".png"),
        ("--out nowhere/e.png", 1, "nowhere"),
        ("--run nothing", 1, "no run named"),
        ("--dataset moons", 2, "--exact"),
    ],
)
def test_mistakes(line, status, says, outputs):
    before = sorted(outputs.parent.rglob("*"))
    result = call("explain", *line.split())
    assert result.code == status, result.err
    assert says in result.err
    assert "Traceback" not in result.err
    assert len([row for row in result.err.splitlines() if row.startswith("Error: ")]) == 1
    assert sorted(outputs.parent.rglob("*")) == before


@pytest.mark.parametrize("count", [1, 4, 12])
def test_blocks_of_a_table_hold_each_time_once_and_fit(count):
    table = [["a label", *(number * "8" for number in range(1, count + 1))] for _ in range(3)]
    blocks = commands._blocks(table, count)
    assert [i for block in blocks for i in block] == list(range(1, count + 1))
    wide = [1 + sum(len(table[0][i]) + commands._BETWEEN for i in [0, *block]) for block in blocks]
    assert max(wide) <= 80


@pytest.mark.parametrize(("std", "decimals"), [([0.166, 0.15], 2), ([0.0251, 0.001], 3), ([2.1], 2), ([3e-9], 6)])
def test_digits_follow_the_uncertainty(std, decimals):
    assert commands._decimals(np.array(std)) == decimals


def test_the_columns_of_a_file_are_named_and_their_digits_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{500000 + x:.3f},{y:.1f}" for x, y in rng.normal(size=(40, 2)) * [0.3, 900.0])
    (tmp_path / "far.csv").write_text(f"east$ing,salary\n{rows}\n")
    out = call("explain", "--exact", "--dataset", "file:far.csv", "--point", "500000.403,-40.5").out
    for word in ("of far under memorised far", "columns east$ing, salary", "east$ing = 500000.403", "salary = -40.5"):
        assert word in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80

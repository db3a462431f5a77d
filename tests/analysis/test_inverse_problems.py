"""Methods judged beside the exact posterior: on Gaussian data mmps is exact, and says so in every figure."""

from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.analysis.calibration import EXACT, calibrate_ways
from diffuse_cli.analysis.inverse_problems import facts, header, rows, solve
from diffuse_cli.config import Config
from diffuse_cli.diffusion.gaussian_posterior import posterior_of, posteriors_of
from diffuse_cli.errors import UsageError
from diffuse_cli.figures.posterior import posterior_of_solved, ranks_of_calibrated
from diffuse_cli.figures.posterior_field import field_of_solved
from diffuse_cli.inverse.exact_posterior import exact_posteriors
from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.models import build
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.solving import way_of
from diffuse_cli.plots.formats import DEFAULT_LOOK

FIRST = Measurement("x0", np.array([[1.0, 0.0]]), np.array([0.3]), np.array([0.7]))


def model_of(dataset):
    config = Config(dataset=dataset)
    return exact_model(config, build.build_dataset(config), Path("unused"), process=build.build_process(config))


@pytest.fixture(scope="module")
def gaussian():
    return model_of("curves:dim=2,noise=0.3")


@pytest.fixture(scope="module")
def solved(gaussian):
    ways = [way_of("mmps", steps=20), way_of("dps", steps=20), way_of("tds:particles=100", steps=40)]
    return solve(gaussian, FIRST, ways, ["sliced_w2"], n=800, seed=0, repeats=5)


def test_what_is_exact_is_found_to_be(solved):
    mmps, dps, tds = solved.solutions
    score = mmps.scores["sliced_w2"]
    assert score.value < score.floor + 5 * score.floor_std
    assert mmps.kl.kl < mmps.kl.floor + 6 * mmps.kl.floor_std
    assert mmps.mean_gap < 0.02
    assert dps.kl.kl > 10 * dps.kl.floor
    assert tds.fate.populations == 8
    assert abs(tds.fate.z_ratio.value - 1) < 4 * tds.fate.z_ratio.stderr + 0.02


def test_the_table_has_a_cell_for_each_heading(solved):
    for row in rows(solved):
        assert len(row) == len(header(solved))
    names = dict(facts(solved))
    assert names["measured"] == "x0 = 0.7"
    assert names["noise"] == "0.3"
    assert names["log p(y)"].startswith(f"{solved.exact.log_evidence:.4g} nats")


def test_what_mmps_adds_to_the_score_of_a_gaussian_is_right(solved):
    figure = field_of_solved(solved, DEFAULT_LOOK, 0)
    titles = [axes.get_title() for axes in figure.axes if "off" in axes.get_title()]
    assert len(titles) == 3 * 4
    shares = np.array([float(title.split()[0]) for title in titles]).reshape(3, 4)
    assert (shares[[0, 2]] < 0.1).all()  # per cent: of mmps, and of the same moves of tds
    assert (shares[1] > 50).all()
    with pytest.raises(UsageError, match="none of these methods"):
        field_of_solved(solved._replace(solutions=[]), DEFAULT_LOOK, 0)


def test_figures_are_drawn(solved, gaussian):
    assert len(posterior_of_solved(solved, DEFAULT_LOOK, 0).axes) == 2 * 4
    plane = model_of("overlap")
    of_plane = solve(plane, FIRST, [way_of("replacement", steps=4)], ["sliced_w2"], n=100, seed=0, repeats=2)
    assert len(posterior_of_solved(of_plane, DEFAULT_LOOK, 0).axes) >= 4


def test_calibration_of_exact_methods(gaussian):
    results = calibrate_ways(gaussian, FIRST, [way_of("mmps", steps=20)], pairs=100, draws=32, seed=0)
    assert [each.name for each in results] == [EXACT, "mmps"]
    for each in results:
        found = each.calibration
        assert all(abs(c.share - c.level) < 3.5 * c.stderr for c in found.coverages), each.name
        assert abs(found.mean_error.gap) < 0.05
        assert len(each.row()) == 9
    figure = ranks_of_calibrated(gaussian, FIRST, results, pairs=100, draws=32, look=DEFAULT_LOOK)
    assert [axes.get_title(loc="center").split("\n")[0] for axes in figure.axes] == [EXACT, "mmps"]


def test_nothing_is_left_to_calibrate_where_all_is_known(gaussian):
    everything = Measurement("all", np.eye(2), np.zeros(2))
    with pytest.raises(UsageError, match="leaves nothing"):
        calibrate_ways(gaussian, everything, [way_of("mmps")], pairs=20, draws=8, seed=0)


@pytest.mark.parametrize("dataset", ["overlap", "curves:dim=2,noise=0.3"])
def test_many_posteriors_are_those_of_each(dataset):
    model = model_of(dataset)
    law, rng = model.dataset().exact(), np.random.default_rng(0)
    a, y, noise = rng.standard_normal((1, 2)), rng.standard_normal((7, 1)), 0.2 * np.eye(1)
    many = posteriors_of(law, a, y, noise)
    draws = many.draw(rng, 20_000)
    for i, value in enumerate(y):
        one, log_evidence = posterior_of(law, a, value, noise)
        means, _covariances, shares, _ = one.gaussians()
        assert many.log_evidence[i] == pytest.approx(log_evidence, rel=1e-12)
        np.testing.assert_allclose(many.mean[i], shares @ means, atol=1e-12)
        np.testing.assert_allclose(draws[i].mean(axis=0), many.mean[i], atol=0.04)
        np.testing.assert_allclose(draws[i].var(axis=0).sum(), many.total_variance[i], rtol=0.05)


def test_posteriors_of_a_grid_are_those_of_the_closed_form():
    """The same law by two ways: a mixture in closed form, and, as if it were none, on a grid."""
    dataset = model_of("overlap").dataset()
    law = dataset.exact()
    other = dataset._replace(exact=lambda: law._replace(gaussians=None))
    values, rng = np.array([[0.5], [-1.5]]), np.random.default_rng(0)
    closed, on_grid = (exact_posteriors(each, FIRST, values, 4000, rng) for each in (dataset, other))
    np.testing.assert_allclose(closed[1], on_grid[1], atol=1e-4)
    np.testing.assert_allclose(closed[2], on_grid[2], rtol=1e-3)
    np.testing.assert_allclose(closed[0].mean(axis=1), on_grid[0].mean(axis=1), atol=0.06)

"""Where the exact flow map takes noise: on a line it keeps the order of points, so it is known in closed form."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from diffuse_cli import config
from diffuse_cli.analysis.map_gap import by_label, exact_ends, first_noise, has_map_gap
from diffuse_cli.models import build
from diffuse_cli.models.draw import Method, draw_samples
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.models.guided import guided


def exact(**settings):
    given = config.make(settings)
    dataset, process = build.build_dataset(given), build.build_process(given)
    return exact_model(given, dataset, Path("outputs"), process=process), dataset


@pytest.mark.parametrize("schedule", ["cosine", pytest.param("edm", marks=pytest.mark.slow)])
def test_on_a_line_the_map_takes_each_quantile_to_the_same_quantile(schedule):
    """F_0(X(z)) = F_T(z), where F_t is the distribution function of the two modes with noise."""
    model, dataset = exact(dataset="bimodal:distance=4,std=0.5", schedule=schedule)
    noise = first_noise(model, 60, 0, 50)
    ends = exact_ends(model, noise)
    scale, level = dataset.standard.scale[0], model.process.levels_at(1.0)

    def share_below(x, alpha, sigma):
        means, std = np.array([-2, 2]) / scale * alpha, np.hypot(alpha * 0.5 / scale, sigma)
        return norm.cdf((x - means) / std).mean(axis=1)

    before = share_below(noise.astype(np.float64), float(level.alpha), float(level.sigma))
    np.testing.assert_allclose(share_below(ends, 1.0, 0.0), before, atol=2e-6)
    assert ends.dtype == np.float64


def test_the_noise_is_that_of_sampling():
    model, _ = exact(dataset="bimodal")
    path = draw_samples(model, Method("jump", "flow_time", 1), 20, 4, trajectory=True).path
    np.testing.assert_array_equal(first_noise(model, 20, 4, 5), path.x[0, :5])


def test_a_model_that_tells_labels_has_the_map_of_each_label():
    model, _ = exact(dataset="bimodal")
    noise = first_noise(model, 8, 0, 6)
    each = model.with_all_labels()
    ends = exact_ends(each, noise, rows=8)
    labels = each.labels_of_rows(8)[:6]
    assert set(labels) == {"left", "right"}
    for name in set(labels):
        told = model.with_label(name)
        alone = exact_ends(told, noise)
        np.testing.assert_allclose(ends[labels == name], alone[labels == name], atol=1e-6)


def test_labels_are_solved_for_one_by_one():
    model, _ = exact(dataset="bimodal")
    noise = np.arange(6.0)[:, None]
    asked = {}

    def solve(told, rows):
        asked[told.told] = rows
        return 10 * rows

    np.testing.assert_array_equal(by_label(model.with_all_labels(), noise, 8, solve), 10 * noise)
    labels = model.with_all_labels().labels_of_rows(8)[:6]
    for name, rows in asked.items():
        np.testing.assert_array_equal(rows, noise[labels == name])


def test_what_follows_another_flow_has_no_map_gap(tmp_path):
    model, _ = exact(dataset="overlap")
    assert has_map_gap(model)
    assert not has_map_gap(model._replace(follows_flow=False))
    assert not has_map_gap(model._replace(kind="flow", jump=None))
    assert not has_map_gap(guided(model, "3", open_guide=None))
    np.savetxt(tmp_path / "points.csv", np.random.default_rng(0).normal(size=(40, 2)), delimiter=",")
    assert not has_map_gap(exact(dataset=f"file:{tmp_path}/points.csv")[0])
